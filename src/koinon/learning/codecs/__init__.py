# SPDX-License-Identifier: Apache-2.0
"""How vectors travel: by the name a recipe gives, ``"int8"`` or ``"topk:0.05"``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from koinon.learning.codecs.base import Codec
from koinon.learning.codecs.feedback import ErrorFeedback
from koinon.learning.codecs.plain import Float32, Int8
from koinon.learning.codecs.sparse import Sign, TopK
from koinon.learning.naming import build

__all__ = ["CODECS", "Codec", "ErrorFeedback", "Float32", "Int8", "Sign", "TopK", "codec_named"]

CODECS: Mapping[str, Callable[..., Codec]] = {"float32": Float32, "int8": Int8, "sign": Sign, "topk": TopK}


def codec_named(name: str) -> Codec:
    """The codec a recipe names; BadInput when there is none."""
    found: Codec = build(name, CODECS, what="codec", code="learning.codec")
    return found

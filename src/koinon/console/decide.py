# SPDX-License-Identifier: Apache-2.0
"""What the people concerned decide together; nothing is put to them yet."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.web import Router, render

router: Final = Router("console")


@router.page("/decide")
def decide(request: Request) -> Response:
    """Proposals; today an empty state that says what will fill it."""
    return render(request, "decide.html")

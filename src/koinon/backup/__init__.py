# SPDX-License-Identifier: Apache-2.0
"""A data directory in one encrypted file, and back again."""

from koinon.backup.api import back_up, restore
from koinon.backup.archive import Manifest, Secret

__all__ = ["Manifest", "Secret", "back_up", "restore"]

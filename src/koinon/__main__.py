# SPDX-License-Identifier: Apache-2.0
"""``python -m koinon`` is ``koinon``."""

import sys

from koinon.cli import main

sys.exit(main())

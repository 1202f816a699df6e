# SPDX-License-Identifier: Apache-2.0
"""``python -m koinon.services.facilitator CONFIG``."""

import sys
from pathlib import Path

from koinon.services.facilitator.serve import run_config

sys.exit(run_config(Path(sys.argv[1])))

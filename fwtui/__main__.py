"""`python -m fwtui`."""

from __future__ import annotations

import sys

from fwtui.cli import main

sys.exit(main())

"""Lets `python -m muster_agent` start what the `muster-agent` command starts."""

from __future__ import annotations

import sys

from muster_agent.main import main

sys.exit(main())

"""Tests of the optional integration; `make openai` runs them with the oldest libraries too."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("agents") else ["test_*.py"]

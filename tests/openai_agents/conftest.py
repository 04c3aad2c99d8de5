"""Tests of the optional integration; `make openai` runs them with the oldest libraries too."""

from __future__ import annotations

import pytest

pytest.importorskip("agents", reason="the extra [openai] is not installed")

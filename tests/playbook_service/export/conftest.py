"""The shop of the feedback tests writes an engine's records; these tests export them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "feedback"))

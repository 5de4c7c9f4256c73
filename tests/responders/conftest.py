"""What the responders' tests share: the backend suite's assertions explain themselves."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("suite", "cortexjob", "gatefile")

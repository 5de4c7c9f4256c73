"""What Linux tells of this process, under the names of Prometheus' own libraries; elsewhere nothing is told."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from playbook_service.metrics.catalogue import CPU, FILES, MOST_FILES, RESIDENT, STARTED, VIRTUAL
from playbook_service.metrics.family import Measured, measured

_SELF = Path("/proc/self")


def system() -> list[Measured]:
    """Processor time, memory, files and the start of this process (proc(5), `/proc/[pid]/stat`)."""
    try:
        fields = (_SELF / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        files = len(os.listdir(_SELF / "fd"))
        booted = _booted()
    except OSError:
        return []
    ticks = os.sysconf("SC_CLK_TCK")
    user, kernel, began, virtual, resident = (int(fields[place]) for place in (11, 12, 19, 20, 21))
    values = {
        CPU: (user + kernel) / ticks,
        RESIDENT: resident * resource.getpagesize(),
        VIRTUAL: virtual,
        STARTED: booted + began / ticks,
        FILES: files,
        MOST_FILES: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    return [measured(family, ((), float(value))) for family, value in values.items()]


def _booted() -> float:
    """When the machine began, seconds since the epoch."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)

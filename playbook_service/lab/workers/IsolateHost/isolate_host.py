#!/usr/bin/env python3
"""IsolateHost and ReleaseHost of the lab: the guardrails of the real ones, at an EDR that is a file."""

from playbook_service.lab.product import ENDPOINTS, LabResponder, lab_backends
from propolis.containment.host import HostResponder


class IsolateHost(LabResponder, HostResponder):
    """Cuts a host of the lab off."""

    worker_name = "IsolateHost"
    backends = lab_backends(ENDPOINTS)


if __name__ == "__main__":
    IsolateHost.main()

"""`propolis follow ...`, from a clone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from playbook_service.cli import COMMANDS, Command, main

if __name__ == "__main__":
    COMMANDS.setdefault("follow", Command("playbook_service.commands.follow", "hand every line of alerts.json over"))
    sys.exit(main(["follow", *sys.argv[1:]]))

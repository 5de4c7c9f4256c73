"""`python -m playbook_service` is the command `propolis`."""

import sys

from playbook_service.cli import main

if __name__ == "__main__":
    sys.exit(main())

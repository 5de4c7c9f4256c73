"""The service behind another WSGI server: `waitress-serve --listen=127.0.0.1:8080 playbook_service.wsgi:application`.

Importing this starts the service with its settings (but for `listen`, which is the other server's affair). One process
only serves one store file well; threads are fine. Waitress comes with `pip install 'propolis-ir[server]'`.
"""

from __future__ import annotations

import atexit

from playbook_service.logs.setup import configure
from playbook_service.parts import check_exposure
from playbook_service.service import Service
from playbook_service.settings import load
from propolis.clock import SystemClock

_settings = load()
configure(_settings)
check_exposure(_settings)
_service = Service(_settings, SystemClock())
_service.start(listen=False)
atexit.register(_service.stop)
application = _service.application

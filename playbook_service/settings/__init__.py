"""The service's settings: one table (`table`) feeds the file, the environment, the help, the docs and the redaction.

`load()` reads them: the environment wins over `propolis.yml`, which wins over the defaults. A secret may also be given
as the name of a file that holds it (`PROPOLIS_THEHIVE_KEY_FILE`).
"""

from playbook_service.settings.loader import Settings, SettingsErrors, load
from playbook_service.settings.table import SETTINGS, Setting

__all__ = ["SETTINGS", "Setting", "Settings", "SettingsErrors", "load"]

"""Following Wazuh's alerts.json: every line since the last one that the service has, once the service has it."""

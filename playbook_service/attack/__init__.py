"""ATT&CK coverage: which techniques the alerts name, and how the playbooks answer them."""

"""The playbook service: TheHive's webhooks come in, the workers are chained. It reaches them through Cortex only."""

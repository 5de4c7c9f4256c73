"""The playbook service: it listens to TheHive's webhooks and chains the workers. It reaches them through Cortex only."""

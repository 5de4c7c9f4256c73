"""Bring TheHive and Cortex to the state that one YAML file describes: read it, look, then change what differs."""

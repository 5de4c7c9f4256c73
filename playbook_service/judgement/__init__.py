"""What the engine and replay decide alike: what is ours, where an alert belongs, what the guardrails say of a decision.

Pure: no clock, no store, no network. Replay says what the service would do only as long as both ask here.
"""

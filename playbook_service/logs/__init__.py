"""The service's log: one line an event, no secret in it, nothing forged into it, and one id to follow an alert by."""

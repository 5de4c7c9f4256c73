"""Block lists that firewalls fetch: entries with an end, checked when they come in and again whenever they go out."""

"""Notifications: messages to people outside TheHive, each sent until its channel has taken it."""

"""The embedded TheHive, version 4 or 5."""

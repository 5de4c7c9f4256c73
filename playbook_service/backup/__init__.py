"""Backups of one node's data: made while the service writes, verified, rotated, and restored elsewhere."""

"""A Wazuh alert: the 4.x document, the indexer's wrapping of it, and the 5.x finding, behind one set of properties."""

from propolis.alert.model import Alert

__all__ = ["Alert"]

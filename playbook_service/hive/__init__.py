"""TheHive as the service sees it: one contract (`contract`), and an adapter for each major version."""

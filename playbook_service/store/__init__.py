"""Where the service keeps what it must not forget: one contract, SQLite as the default, memory for tests."""

"""Look at every piece that an alert needs on its way to a contained attacker; say what is wrong, and how to mend it."""

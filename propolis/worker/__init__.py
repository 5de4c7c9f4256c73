"""A base for Cortex workers that removes the traps of cortexutils (see `base`)."""

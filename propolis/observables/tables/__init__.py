"""The tables, one module a family of log sources; `propolis.observables.sources` says which alert is read by which."""

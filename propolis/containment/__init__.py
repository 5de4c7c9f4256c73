"""Containment as every responder does it: one target, one backend, one lease with an end, proof, and a way back.

`backend` is the contract a product must fulfil, `stub` its smallest fulfilment, `target` finds what is meant, `terms`
how long and under which mark, `flow` the order of the steps, `responder` the Cortex worker around them, and `host` that
worker for hosts.
"""

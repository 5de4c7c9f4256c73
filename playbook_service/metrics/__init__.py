"""What can be read at `GET /metrics`, in Prometheus' text format.

Two kinds. What this process did (intake, steps, requests to others) is counted in memory, in `meter`, and begins at
zero with every start. What the whole installation did (decisions, containments, answers) is a tally of the audit chain,
in `tally`: the same on every node, and still there after a restart. `catalogue` lists every metric.
"""

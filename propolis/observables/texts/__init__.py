"""Free text, read for what it is: each module knows one grammar, and none of them scans for patterns at large."""

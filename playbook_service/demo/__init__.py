"""The demo: the lab, the service and the sample alerts on one machine, and a story that is read from what happens."""

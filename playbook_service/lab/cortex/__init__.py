"""The embedded Cortex: definitions, jobs searches, people and the REST calls that clients use."""

"""The shared core of Propolis: pure domain logic, and the few clients that workers and service both need.

This package imports nothing else of the project. Everything in it can be used and tested without TheHive, Cortex or
Wazuh. Its modules are imported by the workers on every job, so importing `propolis` itself must stay free of cost.
"""

__version__ = "0.1.0"

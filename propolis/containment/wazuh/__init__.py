"""Containment on hosts that a Wazuh 4.x agent watches: Propolis' side.

The agents' side is the program `propolis-contain` (deploy/wazuh/active-response). The manager's API starts it and never
says what became of that, so the program leaves a record, a file whose name tells everything, in a folder that the
agent's file integrity monitoring (FIM) watches; the API shows the names, and they are all that is believed here.

From the inside out: `record` (names of records), `answers` (what the API's documents mean), `manager` (the API itself),
`dispatch` (how a program is started on an agent), `fleet` (which agent is meant), `backend` (the three verbs).
"""

from __future__ import annotations

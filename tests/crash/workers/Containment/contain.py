#!/usr/bin/env python3
"""A responder that keeps a list of what it was started for, and answers in the form of the real ones.

Every start appends one line to the file in CRASH_LOG before anything else: what ran twice stands there twice.
"""

import json
import os
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
job = json.loads((folder / "input" / "input.json").read_text())
action, parameters = job["config"]["service"], job["parameters"]
lease, target = parameters.get("lease", ""), job["data"]["data"]
line = json.dumps({"action": action, "worker": job["config"]["worker"], "lease": lease, "target": target}) + "\n"
log = os.open(os.environ["CRASH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(log, line.encode())
os.close(log)
until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + float(os.environ["CRASH_LEASE_SECONDS"])))
full = {
    "result": "contained" if action == "contain" else "released",
    "until": until if action == "contain" else None,
    "where": "the harness",
    "mark": f"propolis lease={lease}",
    "verified": "written to the list",
    "message": f"{action} {target}",
}
report = {"success": True, "full": full, "artifacts": [], "operations": []}
(folder / "output" / "output.json").write_text(json.dumps(report))

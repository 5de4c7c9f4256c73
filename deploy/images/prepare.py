"""Inside an image's build: link the worker's entry script, take out what no image needs, compile without times.

python3 prepare.py BUNDLE WORKER VENV        WORKER may be empty: the service has no entry script of this kind
"""

from __future__ import annotations

import compileall
import json
import py_compile
import shutil
import sys
from pathlib import Path


def entry_script(bundle: Path, worker: str) -> Path:
    """The one script that all of the worker's definitions start. Ends the build where there is none, or several."""
    folder = bundle / worker
    commands = {json.loads(path.read_text(encoding="utf-8"))["command"] for path in sorted(folder.glob("*.json"))}
    if len(commands) != 1:
        sys.exit(f"prepare.py: {worker} must start one script, but its definitions name {sorted(commands)}.")
    script: Path = folder.parent / commands.pop()
    if not script.is_file():
        sys.exit(f"prepare.py: {worker}: there is no {script}.")
    return script


def main(bundle: Path, worker: str, venv: Path) -> None:
    """Make the tree ready."""
    for cache in [*bundle.rglob("__pycache__"), *venv.rglob("__pycache__")]:
        shutil.rmtree(cache)
    if worker:
        script = entry_script(bundle, worker)
        script.chmod(0o755)
        (bundle / "worker").symlink_to(script.relative_to(bundle))
    # A read-only image is never compiled again, so each start would pay for it. A file named by hash holds no time.
    for place in (bundle, venv):
        done = compileall.compile_dir(
            place, quiet=1, workers=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        if not done:
            sys.exit(f"prepare.py: not everything below {place} can be compiled.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

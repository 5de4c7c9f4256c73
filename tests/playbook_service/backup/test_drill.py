"""The restore drill: a service under load, a backup, a disaster, a restore elsewhere. Nothing is lost, nothing is done
twice, and what was to end meanwhile is ended.

It is the crash tests' world (tests/crash): the lab in this process, the service in a child that is killed with SIGKILL.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crash"))

from calls import call
from harness import Harness, Life, Reckoning
from world import CLOCK, World

from playbook_service.audit.journal import Journal
from playbook_service.store.contract import Filter
from playbook_service.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[3]
BACKUP = "import sys; sys.path.insert(0, sys.argv.pop(1)); from calls import call; sys.exit(call(*sys.argv[1:]))"


def until(holds: Callable[[], object], what: str, seconds: float = 40.0) -> None:
    end = CLOCK.monotonic() + seconds
    while not holds():
        assert CLOCK.monotonic() < end, f"it did not come to pass: {what}"
        CLOCK.sleep(0.05)


@contextmanager
def load(world: World, life: Life) -> Iterator[None]:
    """Alerts and answers, as fast as the service takes them, until the block ends."""
    stop = threading.Event()

    def send() -> None:
        kinds = ("block", "ask", "noise")
        for number in range(60):
            if stop.is_set() or not world.send(kinds[number % 3], life):
                return
            world.answer()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def back_up(world: World, target: Path) -> Path:
    """By a process of its own, as cron does."""
    done = subprocess.run(
        [sys.executable, "-c", BACKUP, str(Path(__file__).parent), "backup", "--to", str(target), "--format", "json"],
        env=world.settings(), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["file"])


def send_again(world: World, store: Path) -> int:
    """What was acknowledged after the moment of the backup: Wazuh still has it, and sends it again."""
    kept = SqliteStore(store, CLOCK)
    with kept.transaction() as work:
        known = {record.key.rpartition(":")[2] for record in work.find("alert", Filter(limit=10_000))}
    kept.close()
    lost = [sent for sent in world.sent if sent.id not in known]
    for sent in lost:
        alert, _ = world._alert(sent.kind, int(sent.id.partition(".")[2]))
        answer = world._wazuh.post(f"http://127.0.0.1:{world.ports[0]}/hooks/wazuh", json=alert, timeout=10)
        assert answer.status_code == 202
    return len(lost)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [5, 4])
def test_a_service_restored_elsewhere_goes_on_where_the_lost_one_was(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "world").mkdir()
    with World(tmp_path / "world", version, seed=11) as world:
        harness = Harness(world)
        with Life(world) as life:
            with load(world, life):
                until(lambda: len(world.deeds()) >= 3, "responders were started")
                backup = back_up(world, tmp_path / "backups")
                before = len(world.deeds())
                until(lambda: len(world.deeds()) >= before + 4, "the service went on after the backup")
            life.kill()  # with its disk
        world.data().rename(tmp_path / "lost")

        for name, value in world.settings().items():
            monkeypatch.setenv(name, value)
        elsewhere = tmp_path / "elsewhere"
        monkeypatch.setenv("PROPOLIS_DATA_DIR", str(elsewhere))
        assert call("restore", backup) == 0, capsys.readouterr().err
        monkeypatch.setattr(world, "data", lambda node=0: elsewhere)

        with Life(world) as life:
            until(lambda: _listens(world), "the restored service listens")
            again = send_again(world, elsewhere / "propolis.db")
            life.stop()
        harness.rest()
        found = Reckoning(world)
        print(f"{again} alerts were sent again;", found.counts)
        # A question that was put or answered after the backup is forgotten, and put once more: that is safe, and said.
        assert [sentence for sentence in found.broken if not sentence.startswith("asked twice")] == []
        assert found.counts["leases ended"] >= 3
        restored = SqliteStore(elsewhere / "propolis.db", CLOCK)
        actions = [line["action"] for line in Journal(restored, CLOCK).lines()]
        restored.close()
        assert actions.count("restored") == 1


def _listens(world: World) -> bool:
    import requests

    try:
        return bool(world._wazuh.get(f"{world._url(0)}/readyz", timeout=5).ok)
    except requests.RequestException:
        return False

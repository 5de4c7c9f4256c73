"""Which text of a playbook decided from when on: kept once, in order, with the audit chain told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from playbook_service.audit.journal import Journal
from playbook_service.engine import version
from playbook_service.engine.version import Version, Versions, versions
from playbook_service.lab import Lab
from playbook_service.playbook import SHIPPED, Playbooks, load
from playbook_service.service import Service
from playbook_service.settings import load as load_settings
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock, SystemClock

FIRST = "kind: enrich\nname: a\ndescription: d\non: observable\nanalyzers: [AbuseIPDB]\n"
SECOND = FIRST.replace("AbuseIPDB", "OTXQuery")


class Shelf:
    """A folder of playbooks, and nodes that keep their versions."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.journal = Journal(self.store, self.clock)

    def node(self) -> Versions:
        return Versions(self.store, self.journal, self.clock)

    def put(self, text: str, file: str = "a.yml") -> Playbooks:
        self.clock.advance(60)
        (self.folder / file).write_text(text)
        return load(self.folder)

    def kept(self, name: str = "a") -> list[Version]:
        with self.store.reading() as work:
            return versions(work, name)

    def told(self) -> list[dict[str, object]]:
        return [dict(line) for line in self.journal.lines() if line["action"] == "playbooks read"]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_version_is_kept_with_its_text_and_its_time(shelf: Shelf):
    books = shelf.put(FIRST)
    shelf.node().note(books)
    (one,) = shelf.kept()
    assert (one.digest, one.text, one.at) == (books.all[0].digest, FIRST, shelf.clock.now())


def test_the_newest_version_comes_first(shelf: Shelf):
    node = shelf.node()
    for text in (FIRST, SECOND, FIRST):
        node.note(shelf.put(text))
    assert [one.text for one in shelf.kept()] == [FIRST, SECOND, FIRST]


def test_what_did_not_change_is_not_kept_again_by_another_node_or_after_a_restart(shelf: Shelf):
    books = shelf.put(FIRST)
    assert [shelf.node().note(books) for _ in range(3)] == [1, 0, 0]
    assert len(shelf.told()) == 1


def test_only_the_playbook_that_changed_gets_a_new_version(shelf: Shelf):
    node = shelf.node()
    shelf.put(FIRST)
    node.note(shelf.put(FIRST.replace("name: a", "name: b"), "b.yml"))
    node.note(shelf.put(SECOND))
    assert (len(shelf.kept("a")), len(shelf.kept("b"))) == (2, 1)
    assert [sorted(line["changed"]) for line in shelf.told()] == [["a", "b"], ["a"]]


def test_a_playbook_that_is_gone_has_an_end(shelf: Shelf):
    node = shelf.node()
    shelf.put(FIRST)
    node.note(shelf.put(FIRST.replace("name: a", "name: b"), "b.yml"))
    (shelf.folder / "a.yml").unlink()
    shelf.clock.advance(60)
    node.note(load(shelf.folder))
    assert [bool(one.digest) for one in shelf.kept()] == [False, True]
    assert shelf.told()[-1]["removed"] == ["a"]


def test_a_text_that_changed_before_it_could_be_kept_is_not_passed_off_as_the_one_in_use(shelf: Shelf):
    books = shelf.put(FIRST)
    shelf.put(SECOND)
    shelf.node().note(books)
    (one,) = shelf.kept()
    assert (one.digest, one.text) == (books.all[0].digest, "")


def test_the_number_of_versions_is_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(version, "MOST", 3)
    node = shelf.node()
    for text in (FIRST, SECOND) * 3:
        node.note(shelf.put(text))
    with shelf.store.reading() as work:
        assert len(versions(work, "a", 100)) == 3


def test_the_service_keeps_what_it_begins_with(tmp_path: Path):
    with Lab(5) as lab:
        settings = load_settings(
            {
                "PROPOLIS_DATA_DIR": str(tmp_path),
                "PROPOLIS_THEHIVE_URL": lab.thehive_url,
                "PROPOLIS_THEHIVE_KEY": lab.keys.service,
            }
        )
        service = Service(settings, SystemClock())
        service.start(listen=False)
        try:
            next(thread for thread in threading.enumerate() if thread.name == "engine-start").join(30)
            with service.store.reading() as work:
                (kept,) = versions(work, "malicious-ip")
            assert kept.text == (SHIPPED / "malicious-ip.yml").read_text()
        finally:
            service.stop()

"""All pages over every state that a record can have: nothing fails, every link leads somewhere, no word is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from console_house import ANALYST, ORGADMIN, House, Seen, Visitor
from zoo import LEASES, QUESTIONS, open_zoo

from playbook_service.console.pages import PLACES
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock

READER = "reader@soc.example"
SETTINGS = {"PROPOLIS_MODE": "enforce", "PROPOLIS_CONSOLE_ADMINS": ORGADMIN}
POSTS = [place.path for place in PLACES if place.act is not None] + ["/sign-out"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The console over the zoo, kept in a file as most services keep theirs."""
    store = SqliteStore(tmp_path_factory.mktemp("zoo") / "db", ManualClock(1_795_000_000.0))
    with House(open_zoo(store)) as opened:
        visitor = opened.visitor(ANALYST)
        for place in ("observe", "sources"):
            visitor.get(f"/console/{place}")
        opened.errands.join()
        yield opened
    store.close()


class Walk:
    """Somebody who follows every link from page to page."""

    def __init__(self, visitor: Visitor):
        self.visitor = visitor
        self.seen: dict[str, Seen] = {}
        self.came_from: dict[str, str] = {}
        self.anchors: set[tuple[str, str]] = set()

    def go(self, start: str = "/console", most: int = 1500) -> None:
        waiting = [start]
        while waiting and len(self.seen) < most:
            path = waiting.pop()
            if path in self.seen:
                continue
            page = self.seen[path] = self.visitor.get(path)
            for link in page.links:
                where, _, anchor = link.partition("#")
                where = where or path
                if not where.startswith("/console"):
                    continue
                self.came_from.setdefault(where, path)
                if anchor:
                    self.anchors.add((where, anchor))
                if where not in self.seen:
                    waiting.append(where)


@pytest.fixture(scope="module", params=[READER, ANALYST, ORGADMIN])
def walk(request: pytest.FixtureRequest, zoo: House) -> Walk:
    walk = Walk(zoo.visitor(str(request.param)))
    walk.go()
    return walk


def test_every_link_leads_to_a_page_or_to_one_that_says_what_is_gone(walk: Walk) -> None:
    assert len(walk.seen) > 200
    bad = {
        path: (page.status, walk.came_from.get(path), page.text[:200])
        for path, page in walk.seen.items()
        if page.status != 200 and not (page.status == 422 and "cannot be read, so there is no report" in page.text)
    }
    assert bad == {}


def test_no_anchor_leads_nowhere(walk: Walk) -> None:
    dead = [(path, anchor) for path, anchor in walk.anchors if f'id="{anchor}"' not in walk.seen[path].html]
    assert dead == []


def test_every_form_posts_to_an_address_that_takes_it(walk: Walk) -> None:
    patterns = [re.compile("/console" + re.sub(r"\{\w+\}", "[^/]+", path)) for path in POSTS]
    actions = {action for page in walk.seen.values() for action, fields in page.forms if "csrf" in fields}
    nowhere = [action for action in actions if not any(one.fullmatch(action.partition("?")[0]) for one in patterns)]
    assert nowhere == []
    assert len(actions) > 1 or walk.seen["/console"].text.count("viewer")


def test_nothing_of_what_came_from_outside_is_markup_and_no_page_is_huge(walk: Walk) -> None:
    for path, page in walk.seen.items():
        if "/report" in path:
            continue  # files of their own, with tests of their own
        assert "img" not in page.tags, path
        assert "\u202e" not in re.sub(r' value="[^"]*"', "", page.html), path
        assert len(page.html) < 200_000, (path, len(page.html))


# what is said of each ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(LEASES))
def test_a_lease_in_any_state_has_a_page(zoo: House, name: str) -> None:
    assert zoo.visitor(ANALYST).get(f"/console/leases/{name}").status == 200


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_a_question_in_any_state_has_a_page(zoo: House, name: str) -> None:
    assert zoo.visitor(ANALYST).get(f"/console/approvals/q-{name}").status == 200


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("doubtful", "state doubtful until"),
        ("doubtful-failing", "state doubtful: the release failed 1x"),
        ("doubtful-asked", "state doubtful: release asked for"),
        ("left", "state left to a person"),
        ("over", "state over ended 2026-11-18 11:08:20"),
        ("over-early", "released by anna@soc.example"),
        ("dry-run", "state not contained where fw1 why not a dry run"),
        ("called-off", "why not it was not started: observe"),
        ("permanent", "until permanent: until somebody releases it"),
        ("pending", "state pending at the product"),
        ("taken-over", "begun by hand in TheHive; the service took it over"),
        ("extended", "the product holds it until 2026-11-19 01:00:00"),
        ("asked", "state in force: release asked for"),
        ("empty", "not on record"),
    ],
)
def test_a_lease_is_told_as_it_stands(zoo: House, name: str, says: str) -> None:
    assert says in zoo.visitor(READER).get(f"/console/leases/{name}").text


@pytest.mark.parametrize("name", ["over", "over-early", "left", "dry-run", "called-off"])
def test_what_is_over_is_not_overdue_and_cannot_be_released(zoo: House, name: str) -> None:
    page = zoo.visitor(ANALYST).get(f"/console/leases/{name}")
    assert "overdue" not in page.text
    assert [action for action, _ in page.forms if "release" in action] == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lapsed", "It has expired: nothing will be done."),
        ("half", "anna@soc.example granted ; 2 different people must say yes"),
        ("withdrawn", "not granted"),
        ("denied", "? denied"),
        ("expired", "? expired"),
        ("by-profile", "who may answer profile:org-admin"),
    ],
)
def test_a_question_is_told_as_it_stands(zoo: House, name: str, says: str) -> None:
    assert says in zoo.visitor(ANALYST).get(f"/console/approvals/q-{name}").text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no-target", "no target"),
        ("no-verdict", "The verdict is not kept any more."),
        ("no-alert", "It is not kept any more."),
        ("renamed", "the-old-name"),
        ("for-good", "for for good"),
        ("empty", "not enough to decide again"),
    ],
)
def test_a_decision_is_told_as_far_as_it_is_known(zoo: House, name: str, says: str) -> None:
    page = zoo.visitor(ANALYST).get(f"/console/decisions/d-{name}")
    assert (page.status, says in page.text) == (200, True), page.text


def test_what_needs_a_person_is_told_without_claiming_what_nobody_knows(zoo: House) -> None:
    text = zoo.visitor(READER).get().text
    assert "Whether 192.0.2.4 is contained is not known." in text, "a doubtful one whose undo failed"
    assert "192.0.2.4 is contained still" not in text
    assert "192.0.2.6 is contained still, though its time is over: the release failed 4 times." in text
    assert re.search(r"192\.0\.2\.1 is contained still, \d+h past its end, and its release has not begun", text)

"""Sessions: what is left with a browser, what of it is believed, and when it is over, on every node."""

from __future__ import annotations

import json
import string

import pytest

from playbook_service.console import session
from playbook_service.console.person import Person, Role, person_of, role_of
from playbook_service.console.session import COOKIE, Seal
from playbook_service.hive.model import Me
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock

ANNA = Person("anna@soc.example", "Anna", "analyst", Role.OPERATOR)
SEAL = Seal(b"k" * 32)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


def begun(store: MemoryStore, now: float, person: Person = ANNA) -> str:
    with store.transaction() as work:
        return session.begin(work, person, now)


def current(store: MemoryStore, number: str, now: float) -> session.Session | None:
    with store.reading() as work:
        return session.current(work, number, now)


# the seal -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "x", "+It is released.", "two\nlines", "\u202e\u65e5\u672c \U0001f41d", "a.b.c"])
def test_what_was_sealed_is_opened(text: str) -> None:
    assert SEAL.opened("notice", SEAL.sealed("notice", text)) == text


def test_a_character_that_is_none_is_sealed_as_a_question_mark() -> None:
    assert SEAL.opened("notice", SEAL.sealed("notice", "a\ud800b")) == "a?b"


def test_a_seal_holds_for_its_purpose_alone() -> None:
    assert SEAL.opened("session", SEAL.sealed("notice", "number")) == ""


def test_another_installations_seal_is_not_ours() -> None:
    assert SEAL.opened("session", Seal(b"x" * 32).sealed("session", "number")) == ""


def test_no_letter_of_it_can_be_changed() -> None:
    sealed = SEAL.sealed("session", "number")
    for place, letter in enumerate(sealed):
        other = "A" if letter != "A" else "B"
        changed = sealed[:place] + other + sealed[place + 1 :]
        opened = SEAL.opened("session", changed)
        assert opened in ("", "number"), "the last letter of base64 has bits that say nothing"
        assert opened == "" or place in (sealed.index(".") - 1, len(sealed) - 1)


@pytest.mark.parametrize(
    "nonsense", ["", ".", "a", "a.b", "....", "\u00e9.\u00e9", "/w.x", "A" * 100_000, "%00.%00", "YQ"]
)
def test_nonsense_is_nothing(nonsense: str) -> None:
    assert SEAL.opened("session", nonsense) == ""


def test_all_nodes_of_an_installation_seal_alike_and_no_two_installations_do(clock: ManualClock) -> None:
    here, there = MemoryStore(clock), MemoryStore(clock)
    sealed = session.seal_of(here).sealed("session", "number")
    assert session.seal_of(here).opened("session", sealed) == "number"
    assert session.seal_of(there).opened("session", sealed) == ""


# a session ------------------------------------------------------------------------------------------------------------


def test_it_is_somebodys_for_a_shift_and_not_a_second_longer(store: MemoryStore) -> None:
    number = begun(store, 1000.0)
    found = current(store, number, 1000.0 + session.SECONDS - 1)
    assert found is not None
    assert (found.person, found.until) == (ANNA, 1000.0 + session.SECONDS)
    assert current(store, number, 1000.0 + session.SECONDS) is None


def test_a_number_that_was_never_given_is_nobodys(store: MemoryStore) -> None:
    begun(store, 0.0)
    assert current(store, "guessed", 1.0) is None
    assert current(store, "", 1.0) is None


def test_who_reads_the_store_cannot_take_a_session_over(store: MemoryStore) -> None:
    number = begun(store, 0.0)
    with store.reading() as work:
        (record,) = work.find(session.KIND)
    assert number not in json.dumps([record.key, record.body, record.ref])
    assert current(store, record.key, 1.0) is None


def test_numbers_and_what_forms_carry_are_new_each_time_and_long(store: MemoryStore) -> None:
    numbers = [begun(store, 0.0) for _ in range(20)]
    forms = {found.csrf for number in numbers if (found := current(store, number, 1.0)) is not None}
    assert len(set(numbers)) == len(forms) == 20
    assert min(map(len, (*numbers, *forms))) >= 40
    assert not set("".join((*numbers, *forms))) - set(string.ascii_letters + string.digits + "-_")


def test_signed_out_is_signed_out_for_every_node(store: MemoryStore) -> None:
    number = begun(store, 0.0)
    found = current(store, number, 1.0)
    assert found is not None
    with store.transaction() as work:
        session.end(work, found)
    assert current(store, number, 1.0) is None


# cookies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "propolis_session=abc.def", "other=1; propolis_session=abc.def", "propolis_session=abc.def; other=1",
        'theme={"dark": true}; propolis_session=abc.def', 'a="un;closed; propolis_session=abc.def',
        "=; ;;; propolis_session=abc.def", "a=1,propolis_session=abc.def",
        "xpropolis_session=no; propolis_session=abc.def",
    ],
)  # fmt: skip
def test_a_cookie_is_found_among_whatever_else_the_host_has(header: str) -> None:
    assert session.cookie(COOKIE, header, secure=False) == "abc.def"


@pytest.mark.parametrize(
    "header", ["", "other=1", "propolis_session", "propolis_sessions=abc", "xpropolis_session=abc"]
)
def test_where_there_is_none_nothing_is_found(header: str) -> None:
    assert session.cookie(COOKIE, header, secure=False) == ""


def test_no_script_reads_it_and_no_other_site_sends_it() -> None:
    name, text = session.set_cookie(COOKIE, "abc", 60, secure=False)
    assert name == "Set-Cookie"
    assert text == "propolis_session=abc; Path=/console; Max-Age=60; HttpOnly; SameSite=Strict"


def test_over_tls_it_stays_there_and_no_neighbour_can_leave_one_of_that_name() -> None:
    """RFC 6265bis: a browser takes `__Host-` only with Secure, Path=/ and no Domain."""
    _, text = session.set_cookie(COOKIE, "abc", 60, secure=True)
    assert text == "__Host-propolis_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
    assert session.cookie(COOKIE, "propolis_session=planted", secure=True) == ""
    assert session.cookie(COOKIE, "propolis_session=planted; __Host-propolis_session=abc", secure=True) == "abc"


# roles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "profile", "permissions", "role"),
    [
        ("reader@x", "read-only", (), Role.VIEWER),
        ("anna@x", "analyst", ("manageAction",), Role.OPERATOR),
        ("anna@x", "analyst", ("manageActions", "manageCase/create"), Role.VIEWER),
        ("boss@x", "org-admin", ("manageAction",), Role.ADMIN),
        ("eve@x", "read-only", (), Role.ADMIN),
        ("org-admin", "", (), Role.VIEWER),
    ],
)
def test_the_role_is_what_thehive_and_the_setting_make_of_an_account(
    login: str, profile: str, permissions: tuple[str, ...], role: Role
) -> None:
    me = Me(login, login, "soc", profile, permissions)
    assert role_of(me, ("profile:org-admin", "eve@x")) is role
    assert person_of(me, ("profile:org-admin", "eve@x")).may(role)

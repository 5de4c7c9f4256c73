"""What the API's documents mean: 200 is no success, and an answer of another shape is none."""

from __future__ import annotations

from typing import Any

import pytest

from propolis.containment.backend import BackendError
from propolis.containment.wazuh import answers


def envelope(items: list[Any], failed: list[Any] | None = None, error: int = 0) -> dict[str, Any]:
    lost = failed or []
    data = {"affected_items": items, "total_affected_items": len(items), "failed_items": lost, "total_failed_items": 1}
    return {"data": data, "message": "...", "error": error}


def failure(code: int, *ids: str, message: str = "as the manager says") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "remediation": "..."}, "id": list(ids)}


def test_sent_to_all_is_an_empty_list_of_failures() -> None:
    assert answers.unsent(envelope(["001", "002"]), ["001", "002"]) == {}


def test_the_manager_that_is_passed_over_without_a_word_did_not_get_it() -> None:
    assert answers.unsent(envelope([]), ["000"]) == {"000": "the manager did not send it on"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1652, "knows no such command"),
        (1701, "knows no such agent"),
        (1707, "not connected"),
        (1750, "active response is disabled"),
        (1117, "does not answer"),
        (4000, "grant active-response:command"),
        (9999, "as the manager says"),
    ],
)
def test_each_failure_has_its_words_although_the_status_was_200(code: int, said: str) -> None:
    told = answers.unsent(envelope(["001"], [failure(code, "002", "003")], 2), ["001", "002"])
    assert list(told) == ["002"]
    assert said in told["002"]
    assert str(code) in told["002"]


def test_a_list_without_the_agent_is_empty_and_other_failures_are_errors() -> None:
    assert answers.page(envelope([], [failure(1701, "009")], 1)) == answers.Page([], 0)
    with pytest.raises(BackendError, match="grant"):
        answers.page(envelope([{"id": "001"}], [failure(4000, "002")], 2))


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"data": []}, {"data": {"affected_items": {}}}, {"data": {"affected_items": [], "x": 1}},
     {"data": {"affected_items": [7], "total_affected_items": 1}},
     {"data": {"affected_items": [], "total_affected_items": 0, "failed_items": ["x"]}}],
)  # fmt: skip
def test_another_shape_is_no_answer(body: Any) -> None:
    with pytest.raises(BackendError, match="wazuh_url"):
        answers.page(body)


@pytest.mark.parametrize(
    ("text", "found"), [("4.14.7", (4, 14)), ("v5.0.0", (5, 0)), ("Wazuh v4.9.2", (4, 9)), ("v4.14.7-rc1", (4, 14))]
)
def test_versions_as_they_are_written(text: str, found: tuple[int, int]) -> None:
    assert answers.version({"data": {"api_version": text}}) == found


@pytest.mark.parametrize("text", [None, "", "four", "v4", 4])
def test_a_version_that_cannot_be_read_is_not_guessed(text: Any) -> None:
    with pytest.raises(BackendError):
        answers.version({"data": {"api_version": text}})


def test_an_agent_that_never_connected_has_nothing_but_its_name() -> None:
    agent = answers.agent({"id": "009", "name": "new", "status": "never_connected"})
    assert agent == answers.Agent("009", "new", "", "never_connected")
    with pytest.raises(BackendError):
        answers.agent({"id": 9, "name": "new", "status": "active"})


def test_what_fim_watches_is_read_from_the_agents_active_configuration() -> None:
    settings = {"disabled": "no", "directories": [{"dir": "/etc", "opts": ["realtime"]}, {"opts": []}, "x"]}
    assert answers.watched({"data": {"syscheck": settings}}) == [("/etc", ["realtime"])]
    assert answers.watched({"data": {"syscheck": {**settings, "disabled": "yes"}}}) == []
    with pytest.raises(BackendError):
        answers.watched({"data": {"client": {}}})

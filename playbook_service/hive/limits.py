"""What TheHive accepts at most, ways to shorten visibly, and checks that say clearly what would be refused.

The limits are those of TheHive 5 and 4.1; lengths are counted as TheHive does, in UTF-16 units (it runs on a JVM).
"""

from __future__ import annotations

import hashlib

from playbook_service.hive.model import AlertDraft, ObservableDraft, TaskDraft
from propolis.errors import InputError

TYPE = 32
SOURCE = 32
REFERENCE = 128
TITLE = 512
TAG = 128
DESCRIPTION = 1024 * 1024
DATA = 4096
TASK_TITLE = 128
GROUP = 64
_MARK = "…"


def length(text: str) -> int:
    """How long TheHive finds a text."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shortened(text: str, most: int, mark: str = _MARK) -> str:
    """The text, or as much of its beginning as fits before a mark that shows that something is missing."""
    if length(text) <= most:
        return text
    room = most - length(mark)
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * room].decode("utf-16-le", "ignore")
    return kept.rstrip() + mark


def title(text: str) -> str:
    """A title of an alert or a case."""
    return shortened(" ".join(text.split()), TITLE)


def task_title(text: str) -> str:
    """A title of a task."""
    return shortened(" ".join(text.split()), TASK_TITLE)


def tag(text: str) -> str:
    """A tag, in one line."""
    return shortened(" ".join(text.split()), TAG)


def description(text: str) -> str:
    """A description of anything; where it is cut, its end says how much there was."""
    mark = f"\n\n*(shortened here: the whole text has {length(text):,} characters)*"
    return shortened(text, DESCRIPTION, mark)


def reference(text: str) -> str:
    """A `sourceRef`; one that is too long, or holds the `;` that parts an alert's key, ends in a hash of the whole."""
    return _with_hash(text, REFERENCE, 64)


def source(text: str) -> str:
    """A `source`; one that is too long ends in a hash, so that two names never fall together."""
    return _with_hash(text, SOURCE, 8)


def _with_hash(text: str, most: int, digits: int) -> str:
    plain = "".join("_" if mark == ";" or not mark.isprintable() else mark for mark in text)
    if plain == text and length(text) <= most:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return f"{shortened(plain, most - digits - 1, '')}~{digest}"


def fits(data: str) -> bool:
    """Whether an observable may hold this as its data; else it has to be a file."""
    return length(data) <= DATA


def as_file(draft: ObservableDraft, name: str) -> ObservableDraft:
    """The same observable as a file of that name."""
    return draft._replace(data_type="file", data=name, file=draft.data.encode("utf-8", "surrogatepass"))


def check_alert(draft: AlertDraft) -> None:
    """Raise InputError where TheHive would refuse the alert."""
    _check("type of the alert", draft.type, TYPE)
    _check("source of the alert", draft.source, SOURCE)
    _check("reference of the alert", draft.reference, REFERENCE)
    _check("title of the alert", draft.title, TITLE)
    _check("description of the alert", draft.description, DESCRIPTION)
    _check_tags(draft.tags)
    for observable in draft.observables:
        check_observable(observable)


def check_observable(draft: ObservableDraft) -> None:
    """Raise InputError where TheHive would refuse the observable."""
    _check("data type of the observable", draft.data_type, TYPE)
    what = f"name of the {draft.data_type} observable" if draft.file is not None else f"{draft.data_type} observable"
    _check(what, draft.data.strip(), DATA, "; send it as a file" if draft.file is None else "")
    _check_tags(draft.tags)


def check_task(draft: TaskDraft) -> None:
    """Raise InputError where TheHive would refuse the task."""
    _check("title of the task", draft.title, TASK_TITLE)
    _check("group of the task", draft.group, GROUP)
    if draft.description:
        _check("description of the task", draft.description, DESCRIPTION)


def _check_tags(tags: tuple[str, ...]) -> None:
    for one in tags:
        _check("tag", one, TAG)


def _check(what: str, text: str, most: int, advice: str = "; shorten it") -> None:
    if not text:
        raise InputError(f"The {what} is empty, which TheHive refuses.")
    if length(text) > most:
        raise InputError(
            f"The {what} has {length(text):,} characters and TheHive takes {most:,} at most{advice}: it begins with "
            f"{text[:40]!r}."
        )

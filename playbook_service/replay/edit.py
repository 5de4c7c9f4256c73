"""A set of playbooks in which the text of one file is replaced, without touching the file."""

from __future__ import annotations

from playbook_service.playbook.document import parse
from playbook_service.playbook.fault import PlaybookError
from playbook_service.playbook.loader import Loaded
from playbook_service.playbook.model import Playbook, Playbooks
from playbook_service.playbook.reader import read_playbook


def edited(playbooks: Playbooks, source: str, text: str) -> Loaded:
    """The set as it would be loaded if `text` stood in the file `source`, and every fault of that text.

    A file may hold several playbooks; all of them are replaced. Those of the other files stay as they are.
    """
    nodes, found = parse(text.encode("utf-8", "replace"), source)
    faults = list(found)
    if not nodes and not found:
        faults.append(PlaybookError("the text holds no playbook.", source=source, line=1))
    fresh = [playbook for node in nodes if (playbook := read_playbook(node, faults))]
    others = [playbook for playbook in playbooks if playbook.source != source]
    faults.extend(_taken(others, fresh))
    return Loaded(_in_place(playbooks, source, fresh), tuple(faults))


def _in_place(playbooks: Playbooks, source: str, fresh: list[Playbook]) -> Playbooks:
    """The order of the files is kept: where playbooks meet, the first leads."""
    sources = [playbook.source for playbook in playbooks]
    at = sources.index(source) if source in sources else len(sources)
    rest = [playbook for playbook in playbooks.all[at:] if playbook.source != source]
    return Playbooks((*playbooks.all[:at], *fresh, *rest))


def _taken(others: list[Playbook], fresh: list[Playbook]) -> list[PlaybookError]:
    known = {playbook.name: playbook for playbook in others}
    faults = []
    for playbook in fresh:
        other = known.setdefault(playbook.name, playbook)
        if other is not playbook:
            message = f'the name "{playbook.name}" is taken by {other.source}:{other.line}; every playbook has its own.'
            faults.append(PlaybookError(message, source=playbook.source, line=playbook.line, path="name"))
    return faults

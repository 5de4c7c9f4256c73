"""`propolis doctor`: is every piece reachable, entitled and configured? One line each, the way to mend it beside it."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import print_json, safe
from playbook_service.doctor.finding import FAIL, LATER, OK, UNKNOWN, WARN, Finding
from playbook_service.doctor.run import Doctor, Part, Wish
from playbook_service.settings import load
from propolis.clock import SystemClock
from propolis.errors import InputError

_WORDS = {OK: "ok", WARN: "warn", FAIL: "FAIL", UNKNOWN: "?", LATER: "later"}
_LONGEST_WAIT = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How far to look, and the form of the answer."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: propolis.yml, if it is there)"
    )
    parser.add_argument("--service", metavar="URL", default="", help="the service's address (default: as listen says)")
    parser.add_argument(
        "--console", metavar="URL", default="", help="where browsers reach the console, behind a TLS proxy"
    )
    parser.add_argument(
        "--wazuh", metavar="DIR", type=Path, help="folder of a Wazuh manager, /var/ossec, to look at too"
    )
    parser.add_argument("--backups", metavar="DIR", type=Path, help="where backups lie (default: backups in data_dir)")
    parser.add_argument("--run", action="store_true", help="have the workers answer, on look-only jobs")
    parser.add_argument("--no-probe", action="store_true", help="change nothing in TheHive: leave the webhook untried")
    parser.add_argument(
        "--wait", metavar="SECONDS", type=float, default=20.0, help="for the webhook, and for each job (default: 20)"
    )
    parser.add_argument("--strict", action="store_true", help="warnings, and what could not be seen, count too")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """0: nothing failed. 1: something did. Raises SettingsErrors."""
    if not 0 < arguments.wait <= _LONGEST_WAIT:
        raise InputError(f"--wait must be above 0 and at most {_LONGEST_WAIT:.0f} seconds.")
    settings = load(file=arguments.config)
    wish = Wish(
        arguments.service,
        arguments.console,
        arguments.wazuh,
        not arguments.no_probe,
        arguments.run,
        arguments.backups,
        arguments.wait,
    )
    as_text = arguments.format == "text"
    parts: list[Part] = []
    with Doctor(settings, SystemClock(), wish) as doctor:
        for part in doctor.parts():
            parts.append(part)
            if as_text:
                _print(part)
    counts = Counter(one.state for part in parts for one in part.findings)
    if as_text:
        print(f"\n{_summary(counts)}")
    else:
        _print_json(parts, counts)
    counted = (FAIL, WARN, UNKNOWN) if arguments.strict else (FAIL,)
    return FINDINGS if any(counts[state] for state in counted) else DONE


def _print(part: Part) -> None:
    print(part.title)
    width = max((len(one.name) for one in part.findings), default=0)
    for one in part.findings:
        print(f"  {_WORDS[one.state]:5} {one.name:{width}}  {safe(one.text)}")
        if one.fix:
            print(f"        {'':{width}}  -> {safe(one.fix)}", flush=True)


def _summary(counts: Counter[str]) -> str:
    told = [f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state]]
    verdict = "Something is broken" if counts[FAIL] else "Nothing is broken"
    return f"{verdict}: {', '.join(told)}."


def _print_json(parts: list[Part], counts: Counter[str]) -> None:
    def line(part: Part, one: Finding) -> dict[str, str]:
        return {"part": part.title, **one._asdict()}

    print_json(
        {
            "ok": not counts[FAIL],
            "counts": {state: counts[state] for state in _WORDS},
            "findings": [line(part, one) for part in parts for one in part.findings],
        }
    )

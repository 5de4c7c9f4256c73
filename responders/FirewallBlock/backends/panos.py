"""PAN-OS: addresses with a tag that a dynamic address group matches, at one firewall or at several.

What the API does is in `pan_api`, how the mark is kept in `pan_mark`. A tag that an address has already is not given a
new end ("already exists, ignore"), so a new end means taking the tags off and putting them on again. Several firewalls
count as one product: what is not so at all of them is not done, and the sentence names those where it is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Target, Terms
from propolis.containment.change import safe_url, settled
from propolis.containment.responder import Workbench
from propolis.duration import duration_text
from propolis.errors import ConfigurationError
from propolis.guardrails.networks import AnyNetwork
from propolis.worker.items import Items

from .fw_entries import holding, network_of, subject_of
from .pan_api import LONGEST, Firewall, Link, register
from .pan_mark import Mark, mark_tag, marks_of

_TAG = re.compile(r"[A-Za-z0-9._-]{1,127}")
_VSYS = re.compile(r"vsys[1-9][0-9]{0,2}")
_REMAINING = (
    "The tag blocks only where a rule denies a dynamic address group that matches it.",
    "Sessions that are open may live on until the firewall looks at them again: clear them there if it matters.",
)
_GAP = "The tags were taken off and put on again for the new end: for a moment the address was let through."


class Settings(NamedTuple):
    """Which firewalls, with which keys, and which tag."""

    urls: tuple[str, ...]
    keys: tuple[str, ...]
    """One for all, or one for each."""
    tag: str
    link: Link


class Seen(NamedTuple):
    """What one firewall shows."""

    firewall: Firewall
    holders: tuple[str, ...]
    """What carries the blocking tag and holds the target, the narrowest first."""
    marks: tuple[Mark, ...]
    """Our marks on exactly the target."""
    exact: bool
    """The target itself carries the blocking tag."""

    @property
    def ours(self) -> bool:
        """The target is blocked by us; a mark alone blocks nothing."""
        return self.exact and bool(self.marks)

    @property
    def text(self) -> str:
        if not self.holders:
            return f"not tagged at {self.firewall.url}"
        end = f" until {utc_text(self.marks[0].until)}" if self.marks and self.exact else ""
        return f"{self.holders[0]} tagged{end} at {self.firewall.url}"


class PanosBackend(Backend):
    """One tag at one or several firewalls."""

    name = "panos"
    kinds = ("ip",)
    expires = True
    marks = True

    def __init__(self, settings: Settings, clock: Clock):
        keys = settings.keys * (len(settings.urls) if len(settings.keys) == 1 else 1)
        self._tag, self._clock = settings.tag, clock
        self._firewalls = [
            Firewall(url, key, settings.link, clock) for url, key in zip(settings.urls, keys, strict=True)
        ]

    @property
    def where(self) -> str:
        return f"PAN-OS at {', '.join(firewall.url for firewall in self._firewalls)}, tag {self._tag}"

    def status(self, target: Target) -> Status:
        wanted = _network(target)
        seen = [self._look(firewall, target, wanted) for firewall in self._firewalls]
        contained = all(one.holders for one in seen)
        marks = [one.marks[0] for one in seen if one.ours or (one.marks and not contained)]
        subjects = [subject_of(target, wanted, firewall.url) for firewall in self._firewalls]
        return Status(
            subject=subjects[0]._replace(own=any(subject.own for subject in subjects)),
            contained=contained,
            ours=bool(marks),
            until=min((mark.until for mark in marks), default=None) if contained else None,
            mark=marks[0].text if marks else "",
            detail="; ".join(one.text for one in seen),
            remains=bool(marks) and not contained,
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        wanted, tags = _network(target), self._tags(terms)
        done = self._everywhere("blocked", lambda one: self._block(one, target, wanted, tags, terms.seconds))
        return Effect(
            "; ".join(done), remaining=(_GAP, *_REMAINING) if status.ours and status.contained else _REMAINING
        )

    def release(self, target: Target, status: Status) -> Effect:
        wanted = _network(target)
        done = self._everywhere("released", lambda one: self._unblock(one, target, wanted))
        return Effect("; ".join(done))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        message = register(target.value, self._tags(terms), terms.seconds)
        listed = ", ".join(f"POST {firewall.url}/api/" for firewall in self._firewalls)
        return f"{listed} type=user-id cmd={message}"

    def close(self) -> None:
        for firewall in self._firewalls:
            firewall.close()

    def _tags(self, terms: Terms) -> tuple[str, str]:
        """The blocking tag and the mark. Raises BackendError for a time that PAN-OS does not take."""
        if terms.seconds > LONGEST:
            raise BackendError(
                f"PAN-OS keeps a tag for 30 days at most, and {duration_text(terms.seconds)} were asked for."
            )
        return self._tag, mark_tag(terms.mark, self._clock.now() + terms.seconds)

    def _look(self, firewall: Firewall, target: Target, wanted: AnyNetwork) -> Seen:
        listed = firewall.tagged(self._tag)
        tags = firewall.tags(target.value)
        marks = tuple(mark for mark in marks_of(tags) if mark.until > self._clock.now())
        holders = tuple(holding(_networks(listed), wanted) or _ranges(listed, wanted))
        return Seen(firewall, holders, marks, self._tag in tags)

    def _block(
        self, firewall: Firewall, target: Target, wanted: AnyNetwork, tags: tuple[str, str], seconds: int
    ) -> str:
        before = self._look(firewall, target, wanted)
        if before.holders and not before.ours:
            return f"{before.text} already, not by us, and left so"
        if before.marks:
            self._take_off(before, target)
        try:
            return settled(
                lambda: firewall.register(target.value, tags, seconds),
                lambda: set(tags) <= set(firewall.tags(target.value)),
                f"tagged {target.value} at {firewall.url} for {duration_text(seconds)}",
            )
        except BackendError as error:
            lost = f" The former block was taken off before: {target.value} is not blocked there now."
            raise BackendError(f"{error}{lost if before.ours else ''}") from None

    def _unblock(self, firewall: Firewall, target: Target, wanted: AnyNetwork) -> str:
        before = self._look(firewall, target, wanted)
        if not before.marks:
            return f"nothing of ours was at {firewall.url} any more"
        return self._take_off(before, target)

    def _take_off(self, before: Seen, target: Target) -> str:
        """Take our tags off, and nothing else that the address carries."""
        tags = [*([self._tag] if before.exact else []), *(mark.tag for mark in before.marks)]
        return settled(
            lambda: before.firewall.unregister(target.value, tags),
            lambda: not set(tags) & set(before.firewall.tags(target.value)),
            f"took {len(tags)} tags of {target.value} off at {before.firewall.url}",
        )

    def _everywhere(self, verb: str, act: Callable[[Firewall], str]) -> list[str]:
        """Act at every firewall, whatever becomes of one. Raises BackendError that names where it was not done."""
        done, failed = [], []
        for firewall in self._firewalls:
            try:
                done.append(act(firewall))
            except BackendError as error:
                failed.append((firewall.url, str(error)))
        if not failed:
            return done
        if len(self._firewalls) == 1:
            raise BackendError(failed[0][1])
        where = ", ".join(url for url, _ in failed)
        raise BackendError(
            f"Not {verb} at {where}; {verb} at {len(done)} of {len(self._firewalls)} firewalls. {failed[0][1]} "
            "Start this again for the rest, or undo it."
        )


def _network(target: Target) -> AnyNetwork:
    """The target's network. Raises BackendError for what PAN-OS cannot register, InputError for what is none."""
    wanted = network_of(target)
    if wanted.version == 6 and wanted.num_addresses != 1:
        raise BackendError(
            f"PAN-OS registers single IPv6 addresses only, and {target.value} is a network: use the backend edl for it."
        )
    return wanted


def _networks(listed: Iterable[str]) -> list[str]:
    return [text for text in listed if "-" not in text]


def _ranges(listed: Iterable[str], wanted: AnyNetwork) -> list[str]:
    """The ranges (`10.0.0.1-10.0.0.9`) that hold the whole target."""
    found = []
    for text in listed:
        first, dash, last = text.partition("-")
        try:
            low, high = (ip_address(first.strip()), ip_address(last.strip())) if dash else (None, None)
        except ValueError:
            continue
        if low is None or high is None or not low.version == high.version == wanted.version:
            continue
        if int(low) <= int(wanted.network_address) and int(wanted.broadcast_address) <= int(high):
            found.append(text)
    return found


def _checked(items: Items, name: str, pattern: re.Pattern[str], default: str, what: str) -> str:
    text = items.text(name, default)
    if not pattern.fullmatch(text):
        raise ConfigurationError(f"must be {what}.", path=f"configuration item {name}")
    return text


def _keys(items: Items, firewalls: int) -> tuple[str, ...]:
    keys = tuple(items.texts("panos_keys"))
    if len(keys) not in (1, firewalls):
        raise ConfigurationError(
            f"must hold one key for all firewalls, or one for each of the {firewalls} in their order, but holds "
            f"{len(keys)}.",
            path="configuration item panos_keys",
        )
    return keys


def _urls(items: Items) -> tuple[str, ...]:
    urls = tuple(safe_url(url, "panos_urls") for url in items.texts("panos_urls"))
    if not urls or len(set(urls)) != len(urls):
        wrong = "names a firewall twice" if urls else "is required but not set: fill it in under Organization in Cortex"
        raise ConfigurationError(f"{wrong}.", path="configuration item panos_urls")
    return urls


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    urls = _urls(items)
    link = Link(
        vsys=_checked(items, "panos_vsys", _VSYS, "vsys1", "the name of a virtual system, such as vsys1"),
        ca_file=items.optional_text("panos_ca_file"),
        proxy=workbench.proxy if items.flag("panos_use_proxy", False) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    tag = _checked(items, "panos_tag", _TAG, "propolis-block", "letters, digits, ., - and _, at most 127")
    return PanosBackend(Settings(urls, _keys(items, len(urls)), tag, link), workbench.clock)

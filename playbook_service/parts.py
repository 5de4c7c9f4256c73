"""The service's parts, each made from the settings that concern it; ConfigurationError says which of them is unfit."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from playbook_service.cortex import Cortex
from playbook_service.engine import anchor
from playbook_service.engine.escalation_rule import RULES, Rule, read_rules
from playbook_service.engine.tools import Tools
from playbook_service.feed.book import Bounds, FeedBook
from playbook_service.feed.entry import KINDS
from playbook_service.hive.contract import Hive
from playbook_service.hive.discovery import connect
from playbook_service.notify.outbox import Outbox
from playbook_service.playbook import SHIPPED as SHIPPED_PLAYBOOKS
from playbook_service.playbook import Playbooks, load
from playbook_service.reload import Reloading
from playbook_service.settings import Settings
from playbook_service.store.contract import Store, StoreError
from playbook_service.store.moved import DATABASE, refuse_moved
from playbook_service.store.sqlite import SqliteStore
from playbook_service.web.server import is_loopback
from propolis.clock import Clock
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, PolicyError
from propolis.notify.channel import parse_channel
from propolis.notify.mail import Mail
from propolis.verdict import Options, load_sources
from propolis.yamltree import Fault


def policy_of(settings: Settings) -> Callable[[], Policy]:
    """The policy as it is now; without a file, the built-in one."""
    if not settings["policy"]:
        built_in = Policy.parse(None)
        return lambda: built_in
    path = Path(settings["policy"])
    return Reloading(path, lambda: _policy(path), strict=True)


def _policy(path: Path) -> Policy:
    """Raises PolicyError also for a file that is gone: whatever the reason, everything is refused and waits."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(str(path), [Fault(None, "", f"it cannot be read: {error}")]) from None
    return Policy.parse(text, source=str(path))


def playbooks_of(settings: Settings, clock: Clock | None = None) -> Callable[[], Playbooks]:
    """The playbooks as they are now."""
    place = Path(settings["playbooks"]) if settings["playbooks"] else SHIPPED_PLAYBOOKS
    return Reloading(place, lambda: load(place), strict=False, clock=clock)


def open_store(settings: Settings, clock: Clock) -> Store:
    """The store that `store` names. The data folder is made in any case, with access for its owner only.

    Raises ConfigurationError for a `store` that is neither, StoreError for one that cannot be used.
    """
    folder = Path(settings["data_dir"])
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"The data folder {folder} cannot be made: {error}.") from None
    if settings["store"] in ("", "sqlite"):
        refuse_moved(folder)
        return SqliteStore(folder / DATABASE, clock)
    from playbook_service.store.postgres import open_postgres  # only who has several nodes needs the extra

    return open_postgres(settings["store"], clock)


def connect_hive(settings: Settings, clock: Clock) -> Hive:
    """TheHive as it is configured. Raises ConfigurationError where it is not."""
    if not settings["thehive_url"]:
        raise ConfigurationError("TheHive's address is missing: set thehive_url.")
    organisations = settings["thehive_organisations"]
    return connect(
        settings["thehive_url"],
        settings["thehive_key"],
        organisation=organisations[0] if organisations else "",
        ca_file=settings["thehive_ca_file"] or None,
        clock=clock,
    )


def outbox_of(settings: Settings, clock: Clock) -> Outbox:
    """The channels for announcements."""
    channels = [parse_channel(text)._replace(template=settings["notify_template"]) for text in settings["notify"]]
    host, port = settings["smtp_server"]
    mailing = None
    if host:
        mailing = Mail(
            host, port, settings["smtp_from"], settings["smtp_to"], settings["smtp_user"], settings["smtp_password"],
            settings["smtp_starttls"],
        )  # fmt: skip
    return Outbox(clock, channels, mailing)


def feed_book(settings: Settings, store: Store, clock: Clock, policy: Callable[[], Policy]) -> FeedBook:
    """The block lists. Raises ConfigurationError for one of no known kind."""
    kinds = {}
    for text in settings["feeds"]:
        name, _, kind = text.partition(":")
        if not name.replace("-", "").replace("_", "").isalnum() or kind not in KINDS:
            known = ", ".join(KINDS)
            raise ConfigurationError(f"must be <name>:<kind> with a kind of {known}, not {text!r}.", path="feeds")
        kinds[name] = kind
    return FeedBook(store, clock, policy, kinds, Bounds(settings["feed_limit"], settings["feed_change"]))


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """The listener's TLS, where a certificate is configured."""
    if not settings["tls_certificate"]:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings["tls_certificate"], settings["tls_key"] or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot be used: {error}.", path="tls_certificate") from None
    return context


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine without a secret. Raises ConfigurationError."""
    host, _ = settings["listen"]
    if not settings["webhook_token"] and not is_loopback(host):
        raise ConfigurationError(
            f"Without webhook_token the service listens on this machine only, but listen says {host}: set a token, or "
            "listen on 127.0.0.1.",
            path="listen",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}.", source=str(path)) from None


def connect_cortex(settings: Settings, clock: Clock) -> Cortex | None:
    """Cortex, where it is configured: it only makes finished jobs known sooner."""
    if not settings["cortex_url"]:
        return None
    return Cortex(
        settings["cortex_url"], settings["cortex_key"], ca_file=settings["cortex_ca_file"] or None, clock=clock
    )


def options_of(settings: Settings) -> Options:
    """How verdicts are computed in the service, where ConsensusScore is not enabled in Cortex."""
    override = _text(Path(settings["sources"])) if settings["sources"] else None
    return Options(profile=settings["profile"], sources=load_sources(override))


def escalation_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules by which a case gets more attention."""
    path = settings["escalation"]
    return read_rules(_text(Path(path)), path) if path else tuple(RULES)


def anchors_of(settings: Settings, tools: Tools) -> list[anchor.Place]:
    """Where the audit chain's head is kept outside."""
    places = [anchor.syslog(settings["audit_syslog"])] if settings["audit_syslog"] else []
    return places + ([anchor.case(tools, settings["audit_case"])] if settings["audit_case"] else [])

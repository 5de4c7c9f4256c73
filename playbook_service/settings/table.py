"""Every setting of the service, as data: name, type, default, help, and whether it is a secret."""

from __future__ import annotations

from typing import Any, NamedTuple


class Setting(NamedTuple):
    """One setting. In the environment it is called `PROPOLIS_<NAME>`, in `propolis.yml` `<name>`."""

    name: str
    type: str
    """A word of `playbook_service.settings.value.READERS`."""
    default: Any
    help: str
    secret: bool = False
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return f"PROPOLIS_{self.name.upper()}"


MODES = ("observe", "approve", "enforce")

SETTINGS: tuple[Setting, ...] = (
    Setting("listen", "address", ("127.0.0.1", 8080), "Where the service listens for webhooks and its API, host:port."),
    Setting("data_dir", "path", "propolis-data", "Folder of the store and the audit files; made if missing."),
    Setting(
        "store",
        "text",
        "",
        "Where the service keeps its work and records: `sqlite` (or empty) is a file in data_dir, for one node; "
        "postgresql://user:password@host:5432/database is for several nodes.",
        secret=True,
    ),
    Setting(
        "mode",
        "choice",
        "observe",
        "Ceiling of everything automatic: observe only logs, approve always asks, enforce acts where playbooks say so.",
        choices=MODES,
    ),
    Setting("playbooks", "path", "", "Folder of playbooks; empty for those that ship."),
    Setting(
        "policy", "path", "", "File of the guardrails' policy; empty: the built-in never-lists hold and nothing acts."
    ),
    Setting(
        "webhook_token",
        "texts",
        (),
        "Secret that senders of webhooks present (bearer, basic password or bare key). Several, separated by commas or "
        "as a list, while you rotate. Without one the service listens on loopback only.",
        secret=True,
    ),
    Setting("webhook_networks", "networks", (), "Networks that webhooks may come from; empty: any."),
    Setting("thehive_url", "url", "", "Address of TheHive, such as https://thehive.example.org:9000."),
    Setting("thehive_key", "text", "", "API key of the service's own account in TheHive.", secret=True),
    Setting("thehive_organisations", "texts", (), "Organisations to work in; empty: the one the key belongs to."),
    Setting("thehive_ca_file", "path", "", "CA certificates to check TheHive against; empty: the system's."),
    Setting("cortex_url", "url", "", "Address of Cortex; optional, makes the service notice finished jobs sooner."),
    Setting("cortex_key", "text", "", "API key of a Cortex user with the role read.", secret=True),
    Setting("cortex_ca_file", "path", "", "CA certificates to check Cortex against; empty: the system's."),
    Setting(
        "profile",
        "choice",
        "evidence",
        "How verdicts are computed in the service, where ConsensusScore is not enabled in Cortex.",
        choices=("evidence", "count"),
    ),
    Setting("sources", "path", "", "File that overrides the shipped source file in such verdicts."),
    Setting("escalation", "path", "", "File of escalation rules; empty for those that ship."),
    Setting("reconcile", "duration", 60, "Pause between two looks at TheHive for what its webhooks lost."),
    Setting(
        "audit_syslog", "text", "", "Syslog that keeps the audit chain's head: /dev/log, host:514 or tcp:host:514."
    ),
    Setting("audit_case", "text", "", "Case in TheHive (its id) that keeps the audit chain's head."),
    Setting(
        "approvers",
        "texts",
        (),
        "Who may approve: logins, or profile:<name>; unset: any analyst but the service.",
    ),
    Setting("console", "flag", True, "Serve the console, the pages for people, below /console."),
    Setting(
        "console_admins",
        "texts",
        ("profile:org-admin",),
        "Who may raise the mode again in the console and try playbooks there: logins, or profile:<name> of TheHive.",
    ),
    Setting("approvals_needed", "count", 1, "How many different approvers a containment needs."),
    Setting(
        "notify",
        "texts",
        (),
        "Where announcements go, `kind:URL` each; a kind is slack, mattermost, teams or webhook.",
        secret=True,
    ),
    Setting(
        "notify_template", "text", "", "JSON posted to webhook channels, with {title} {text} {urgency} {case} {link}."
    ),
    Setting("smtp_server", "address", ("", 0), "Mail server for announcements, host:port; unset: no mail."),
    Setting("smtp_from", "text", "", "Sender of announcements by mail."),
    Setting("smtp_to", "texts", (), "Receivers of announcements by mail."),
    Setting("smtp_user", "text", "", "User at the mail server, where it wants one."),
    Setting("smtp_password", "text", "", "Password at the mail server.", secret=True),
    Setting("smtp_starttls", "flag", True, "Encrypt the connection to the mail server."),
    Setting("siem_mapping", "path", "", "File that says where another SIEM keeps what; empty: the one that ships."),
    Setting("tls_certificate", "path", "", "Certificate (chain) for the listener, PEM; empty: plain HTTP."),
    Setting("tls_key", "path", "", "Its private key, PEM."),
    Setting(
        "log_format",
        "choice",
        "text",
        "Form of the log on standard error: a line of text or a JSON object for each event.",
        choices=("text", "json"),
    ),
    Setting(
        "log_level",
        "choice",
        "info",
        "How much is logged: info tells of every event on an alert's way, debug of every request too.",
        choices=("debug", "info", "warning", "error"),
    ),
    Setting("workers", "count", 4, "Steps of work done at the same time."),
    Setting("feed_listen", "address", ("", 0), "Where block lists are published, host:port; unset: nowhere."),
    Setting("feeds", "texts", ("blocklist:ip",), "The block lists, `name:kind` each; a kind is ip, domain or url."),
    Setting("feed_token", "texts", (), "Secret of whoever changes block lists through the API.", secret=True),
    Setting(
        "feed_readers", "texts", (), "Who may read block lists, `user:password` each; unset: this machine.", secret=True
    ),
    Setting("metrics", "flag", True, "Serve GET /metrics for Prometheus."),
    Setting(
        "metrics_token",
        "texts",
        (),
        "Secret of whoever reads the metrics (bearer, basic password or bare key); unset: this machine only.",
        secret=True,
    ),
    Setting("feed_limit", "count", 50_000, "Entries in one block list at most."),
    Setting("feed_change", "count", 50, "Percent of a block list that may come or go at once without being accepted."),
    Setting(
        "body_limit", "size", 1024 * 1024, "Largest body a hook accepts, in bytes (k and M may follow the number)."
    ),
    Setting("backlog_limit", "count", 100_000, "Events that may wait before hooks answer 503 with Retry-After."),
    Setting("retention", "duration", 30 * 86400, "How long handled events and ended records are kept."),
)


def setting(name: str) -> Setting:
    """The row of that name. Raises KeyError."""
    return _BY_NAME[name]


_BY_NAME = {row.name: row for row in SETTINGS}

"""A responder whose targets are files: one file, by its hash or its path, on one host.

The host is never guessed. It is named by the tag `propolis:host=<name>` on the observable, else by that tag or the
custom field `wazuh_agent_name` of its case or alert, and reaches a backend as the hint `host`; a `wazuh_agent_id` of
the same case or alert comes along as a hint of that name.

A backend's `Subject` says here: `id` the product's id of the host (and of the file there, where it has one), `name`
`<file> on <host>`, `names` the names of the host and every path under which the product knows the file, `privileged`
that the product takes the file for a part of the operating system or of itself; all else is about the host.
"""

from __future__ import annotations

from propolis.containment.backend import Status, Target
from propolis.containment.path import canonical_file, check_path, is_path
from propolis.containment.responder import ContainmentResponder
from propolis.containment.target import Wanted, custom_field, parent, tags_of
from propolis.errors import InputError
from propolis.guardrails import HostFacts, Policy, Refused, check_host

HOST_TAG = "propolis:host="
"""A tag that names the host a file is on: `propolis:host=pc-17`."""
_FIELD = "wazuh_agent_name"


class FileResponder(ContainmentResponder):
    """Takes a file from an observable, or from a tag of a case or an alert, and its host from what stands beside it."""

    wanted = Wanted(
        data_types=(("hash", "file"), ("filename", "file")),
        fields=(),
        tag_kind="file",
        hints=((_FIELD, "host"), ("wazuh_agent_id", "wazuh_agent_id")),
    )

    def canonical(self, target: Target) -> Target:
        """A hash in lower case or a full path, and exactly one host. What is none, or could be read twice: refused."""
        return target._replace(value=canonical_file(target.value), hints=self._place(target))

    def _place(self, target: Target) -> tuple[tuple[str, str], ...]:
        """The hints, with exactly one `host` among them. What stands nearer to the file is asked first."""
        field = custom_field(parent(self.entity), _FIELD)
        given = [value for name, value in target.hints if name == "host"]
        own, around = (_tagged(tags_of(entity)) for entity in (self.entity, parent(self.entity)))
        named = list(dict.fromkeys(_host_name(name) for name in own or [*around, *given]))
        if not named:
            raise InputError(
                f"No host is named for the file: add the tag {HOST_TAG}<name> to the observable, or fill the custom "
                f"field {_FIELD} of its case or alert."
            )
        if len(named) > 1:
            raise InputError(f"{len(named)} hosts are named, and exactly one is needed: {', '.join(sorted(named))}.")
        (host,) = named
        same = not field or _host_name(field) == host  # the agent's id belongs to the host that the field names
        others = tuple(hint for hint in target.hints if hint[0] != "host" and (same or hint[0] != "wazuh_agent_id"))
        return (("host", host), *others)

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """Never a file that the host needs to run or to be managed, and nothing on a host that the policy holds back.

        Unlike an isolation, this takes no host off the network: without `hosts.never_types` in the policy, servers'
        files may be contained. Domain controllers' may not.
        """
        check_path(target.value)
        hints = dict(target.hints)
        names, tags = [hints["host"]], tuple(tags_of(self.entity))
        ids = tuple(value for name, value in target.hints if name == "wazuh_agent_id")
        if status is None:
            check_host(policy, HostFacts(tuple(names), ids, tags))
            return
        found = status.subject
        names += [name for name in found.names if not is_path(name)]
        for path in filter(is_path, found.names):
            check_path(path)
        if found.privileged:
            raise Refused(
                f"{found.name} is never contained: the product takes it for a part of the operating system or of "
                f"itself ({status.detail}).",
                rule="files.never: the product's own word",
            )
        types = tuple(kind for kind in found.types if policy.hosts.never_types is not None or kind != "Server")
        ids, tags = (*ids, *found.ids), (*tags, *found.tags)
        check_host(policy, HostFacts(tuple(names), ids, tags, types, found.addresses, is_self=found.own))


def host_of(target: Target) -> str:
    """The host that a file target names. For backends."""
    return dict(target.hints)["host"]


def _tagged(tags: list[str]) -> list[str]:
    return [tag[len(HOST_TAG) :].strip() for tag in tags if tag.startswith(HOST_TAG) and tag[len(HOST_TAG) :].strip()]


def _host_name(text: str) -> str:
    """A host's name in lower case. Raises InputError for what is none."""
    name = text.casefold().rstrip(".")
    plain = name.replace("-", "").replace(".", "").replace("_", "").replace(":", "")
    if not (plain.isascii() and plain.isalnum()) or name.startswith("-") or len(name) > 253:
        raise InputError(f"{text[:80]!r} is no host name or address.")
    return name

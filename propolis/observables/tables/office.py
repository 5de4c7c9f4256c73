"""Office 365 and Microsoft Graph."""

from __future__ import annotations

import re
from typing import Any

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.patterns import lazy
from propolis.observables.table import Composed, Source, part, rows, text
from propolis.observables.texts import command

O = "data.office365"  # noqa: E741 - as in the handbook's tables
_NOT_PEOPLE = lazy(
    r"(?:ThreatIntel|ServicePrincipal_|SHAREPOINT\\|NT AUTHORITY\\|app@sharepoint|Not Available|urn:|S-1-"
    r"|[0-9a-f-]{32,36}\Z|SharingLinks\.|Limited Access)",
    re.IGNORECASE,
)


def _person(value: str) -> list[Found]:
    """A user in mail form or by name; Office writes services and groups into the same fields."""
    return [] if _NOT_PEOPLE.match(value.strip()) or "#EXT#" in value else list(kinds.user(value))


_FORWARDS = frozenset(
    ("ForwardTo", "ForwardAsAttachmentTo", "RedirectTo", "ForwardingSmtpAddress", "ForwardingAddress")
)


def _named(office: dict[str, Any], table: str) -> list[tuple[str, str]]:
    """`[{"Name": .., "Value": ..}]`: how audit records hold what has no field of its own."""
    entries = office.get(table)
    entries = entries if isinstance(entries, list) else [entries]
    return [(text(entry, "Name"), text(entry, "Value")) for entry in entries]


def _composed(fields: dict[str, Any]) -> Composed:
    """The object of the event, the client of a log-in, and where an inbox rule or a mailbox sends mail on to."""
    yield from _object(fields)
    office = part(fields, "data", "office365")
    for name, value in _named(office, "ExtendedProperties"):
        for found in kinds.agent(value) if name == "UserAgent" else ():
            yield found._replace(role="client"), f"{O}.ExtendedProperties"
    for name, value in _named(office, "Parameters"):
        for found in kinds.mail(value.replace("smtp:", " ")) if name in _FORWARDS else ():
            yield found._replace(role="recipient"), f"{O}.Parameters"


def _object(fields: dict[str, Any]) -> Composed:
    """`ObjectId` is the URL of the file in SharePoint and OneDrive; `SiteUrl` stands in where it is not."""
    office = part(fields, "data", "office365")
    target = values.url(text(office, "ObjectId"))
    if target:
        yield Found("url", target, "", "resource"), f"{O}.ObjectId"
        return
    site = values.url(text(office, "SiteUrl"))
    if site:
        yield Found("url", site, "", "resource"), f"{O}.SiteUrl"


OFFICE = Source(
    "office 365",
    rows(
        O,
        (
            kinds.ip,
            "source",
            "ClientIP",
            "ActorIpAddress",
            "SenderIp",
            "SenderIP",
            "ClientIPAddress",
            "IPAddress",
            "UserIp",
        ),
        (_person, "subject", "UserId", "UserPrincipalName"),
        (_person, "target", "MailboxOwnerUPN", "TargetUserOrGroupName", "TargetUserId"),
        (kinds.mail, "sender", "P1Sender", "P2Sender", "Sender", "SenderAddress"),
        (kinds.mail, "recipient", "Recipients", "RecipientAddress"),
        (kinds.agent, "client", "UserAgent", "ClientInfoString"),
        (kinds.file, "file", "SourceFileName", "AttachmentData.FileName", "FileName"),
        (kinds.digest, "file", "AttachmentData.SHA256", "SHA256", "FileData.SHA256"),
        (kinds.url, "related", "Url", "URLs", "BadUrls", "ThreatUrls", "Urls"),
        (kinds.name, "related", "UrlDomain"),
        (kinds.threat, "threat", "AttachmentData.MalwareFamily", "MalwareFamily", "VirusInfo.VirusName"),
    ),
    compose=_composed,
)

_G = "data.ms-graph"
_EVIDENCE = f"{_G}.evidence"
GRAPH = Source(
    "microsoft graph",
    rows(
        _EVIDENCE,
        (kinds.ip, "source", "lastIpAddress", "lastExternalIpAddress", "ipAddress", "senderIp", "clientIp"),
        (kinds.name, "target", "deviceDnsName"),
        (kinds.url, "related", "url", "urls"),
        (kinds.name, "related", "domainName"),
        (kinds.user, "subject", "loggedOnUsers.accountName", "userAccount.accountName"),
        (kinds.mail, "subject", "userAccount.userPrincipalName", "primaryAddress"),
        (kinds.mail, "sender", "p1Sender.emailAddress", "p2Sender.emailAddress"),
        (kinds.mail, "recipient", "recipientEmailAddress"),
        (kinds.file, "file", "fileDetails.fileName"),
        (
            kinds.digest,
            "file",
            "fileDetails.md5",
            "fileDetails.sha1",
            "fileDetails.sha256",
            "fileHash",
            "imageFile.sha1",
        ),
        (kinds.digest, "process", "imageFile.sha256", "imageFile.md5", "parentProcessImageFile.sha256"),
        (kinds.program, "process", "imageFile.fileName"),
        (command.command_line, "command", "processCommandLine", "parentProcessCommandLine"),
        (kinds.key, "registry", "registryKey"),
        (kinds.agent, "client", "userAgent"),
    )
    + rows(
        _G,
        (kinds.ip, "source", "ipAddress", "actor.ipAddress", "initiatedBy.user.ipAddress", "clientIp"),
        (_person, "subject", "userPrincipalName", "initiatedBy.user.userPrincipalName", "actor.userPrincipalName"),
        (_person, "subject", "accountUpn", "actor.auditActorType.userPrincipalName", "userId"),
        (_person, "target", "targetResources.userPrincipalName"),
        (kinds.threat, "threat", "threatDisplayName"),
        (kinds.agent, "client", "userAgent", "clientAppUsed.userAgent"),
        (kinds.name, "target", "deviceDnsName"),
    ),
)

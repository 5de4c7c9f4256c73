"""Agents' own modules (osquery, vulnerabilities), endpoint products, and integrations that ask a service."""

from __future__ import annotations

from propolis.observables import kinds
from propolis.observables.table import Source, rows
from propolis.observables.tables.unix import STATIC
from propolis.observables.texts import command, pairs, syslog

OSQUERY = Source(
    "osquery",
    rows(
        "data.osquery.columns",
        (kinds.ip, "destination", "remote_address"),
        (kinds.user, "subject", "user", "username"),
        (kinds.file, "file", "path", "target_path"),
        (command.command_line, "command", "cmdline", "command", "shell_command"),
        (kinds.digest, "file", "md5", "sha1", "sha256"),
        (kinds.name, "query", "domain"),
        (kinds.url, "related", "url"),
        (kinds.key, "registry", "key"),
        (kinds.host, "source", "host"),
    ),
)
VULNERABILITY = Source("vulnerability", rows("data.vulnerability", (kinds.vulnerability, "vulnerability", "cve")))
PANDA = Source(
    "panda",
    rows(
        "data",
        (kinds.ip, "source", "src", "identSrc"),
        (kinds.ip, "destination", "dst"),
        (kinds.user, "subject", "usrName"),
        (kinds.digest, "file", "Hash", "ParentHash", "ChildHash"),
        (kinds.drive_file, "file", "Path", "ParentPath", "ChildPath", "TargetPath"),
        (kinds.key, "registry", "RegKey", "Key"),
        (kinds.threat, "threat", "MWName"),
        (kinds.url, "related", "URL"),
    ),
)
ESET = Source(
    "eset",
    rows(
        "data",
        (kinds.ip, "source", "source_address"),
        (kinds.ip, "destination", "target_address"),
        (kinds.user, "subject", "username", "user", "dstuser", "srcuser"),
        (kinds.threat, "threat", "threat_name"),
        (kinds.digest, "file", "hash"),
        (kinds.files, "file", "object_uri"),
        (kinds.program, "process", "processname", "application", "process_name"),
        (kinds.url, "request", "url"),
    ),
)
MCAFEE = Source(
    "mcafee epo",
    rows(
        "data",
        (kinds.ip, "source", "SourceIPV4", "SourceIPV6", "srcip", "AnalyzerIPV4"),
        (kinds.ip, "destination", "TargetIPV4", "TargetIPV6", "dstip"),
        (kinds.user, "subject", "SourceUserName", "srcuser"),
        (kinds.user, "target", "TargetUserName", "dstuser", "UserName"),
        (kinds.file, "file", "TargetFileName"),
        (kinds.program, "process", "SourceProcessName", "TargetProcessName"),
        (kinds.url, "request", "SourceURL"),
        (kinds.digest, "file", "TargetHash", "SourceProcessHash"),
        (kinds.threat, "threat", "ThreatName"),
    ),
    loose=True,
)
SOPHOS = Source("sophos", STATIC + rows("", (pairs.element_urls, "related", "full_log")), loose=True)
VT_IP = Source(
    "virustotal ip",
    rows(
        "data",
        (kinds.ip, "source", "virustotal_ip.source.ip"),
        (syslog.sshd, "source", "original_full_log"),
    ),
)
ABUSEIPDB = Source(
    "abuseipdb",
    rows(
        "data",
        (kinds.ip, "source", "abuseipdb.source.ip", "abuseipdb.source.srcip", "abuseipdb.ip_address"),
        (kinds.name, "result", "abuseipdb.domain"),
        (syslog.sshd, "source", "original_full_log"),
    ),
)
OPENCTI = Source(
    "opencti",
    rows("data.opencti", (kinds.indicator, "related", "observable_value", "value", "hashes.value", "hashes.hash")),
)
MISP = Source("misp", rows("data.misp", (kinds.indicator, "related", "value", "source.value")))
DNSSTAT = Source("dnsstat", rows("data.dnsstat", (kinds.name, "query", "query")))
NMAP = Source("nmap", rows("data", (kinds.ip, "target", "nmap_host"), (kinds.name, "target", "nmap_hostname")))
GITLAB = Source(
    "gitlab",
    rows(
        "data",
        (kinds.ip, "source", "remote_ip", "ip"),
        (kinds.user, "subject", "username", "meta.user", "dstuser", "srcuser"),
        (kinds.uri, "request", "path", "url"),
        (kinds.agent, "client", "ua", "user_agent"),
        (kinds.url, "related", "client_url"),
        (kinds.mail, "subject", "email"),
    ),
)
NEXTCLOUD = Source(
    "nextcloud",
    rows(
        "data",
        (kinds.ip, "source", "remoteAddr", "srcip"),
        (kinds.user, "subject", "user", "dstuser", "srcuser"),
        (kinds.uri, "request", "url"),
        (kinds.agent, "client", "userAgent"),
        (syslog.nextcloud, "source", "message"),
    ),
)

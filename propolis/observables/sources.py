"""Which alert is read by which table.

A table is named here as `module:NAME` and loaded when the first alert needs it: a worker starts anew for every alert,
and reads one source each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from propolis.observables.table import Branch, Source, part, text, tree

# Decoder names (or their parents') and, where a name ends in `*`, beginnings of such.
DECODERS = {
    "sshd": "unix:SSHD",
    "dropbear": "unix:SSHD",
    "pam": "unix:PAM",
    "su": "unix:SU",
    "sudo": "unix:SUDO",
    "postfix*": "unix:MAIL",
    "sendmail*": "unix:MAIL",
    "smtpd": "unix:MAIL",
    "opensmtpd": "unix:MAIL",
    "mailscanner": "unix:MAIL",
    "msexchange*": "unix:MAIL",
    "exim*": "unix:EXIM",
    "windows-date-format": "unix:EXIM",
    "dovecot*": "unix:DOVECOT",
    "courier": "unix:DOVECOT",
    "proftpd": "unix:FTP",
    "pure-ftpd": "unix:FTP",
    "vsftpd": "unix:FTP",
    "ftpd": "unix:FTP",
    "named*": "unix:NAMED",
    "asterisk*": "unix:ASTERISK",
    "freepbx*": "unix:ASTERISK",
    "auditd*": "unix:AUDIT",
    "kernel": "unix:APPARMOR",
    "iptables*": "unix:APPARMOR",
    "ar_log*": "unix:RESPONSE",
    "ar_log_json": "unix:RESPONSE",
    "ossec": "unix:STATE",
    "sca": "unix:STATE",
    "oscap*": "unix:STATE",
    "syscollector*": "unix:STATE",
    "wazuh-api": "unix:API",
    "netscreenfw": "firewall:SENTENCES",
    "cisco-ios*": "firewall:SENTENCES",
    "cisco-vpn*": "firewall:SENTENCES",
    "arbor*": "firewall:SENTENCES",
    "web-accesslog*": "web:ACCESS",
    "HTTPProxyLog": "proxy:EXCHANGE",
    "ECPServerLog": "proxy:EXCHANGE",
    "OABGenLog": "proxy:EXCHANGE",
    "apache-errorlog*": "web:ERROR",
    "nginx-errorlog*": "web:ERROR",
    "modsecurity*": "web:ERROR",
    "squid*": "proxy:SQUID",
    "f5-bigip*": "web:F5",
    "barracuda-svf*": "unix:BARRACUDA",
    "barracuda*": "web:WAF",
    "imperva*": "web:WAF",
    "rootcheck": "fim:ROOTCHECK",
    "yara*": "fim:YARA",
    "YARA*": "fim:YARA",
    "snort*": "ids:SNORT",
    "fortigate*": "firewall:FORTINET",
    "fortimail*": "firewall:FORTINET",
    "fortiddos*": "firewall:FORTINET",
    "fortiauth*": "firewall:FORTINET",
    "fortiweb*": "firewall:FORTINET",
    "huawei*": "firewall:HUAWEI",
    "cef-fireeye*": "firewall:FIREEYE",
    "cisco-asa*": "firewall:CISCO",
    "cisco-ftd*": "firewall:CISCO",
    "pix*": "firewall:CISCO",
    "paloalto*": "firewall:PALO_ALTO",
    "checkpoint*": "firewall:CHECK_POINT",
    "pf": "firewall:PF",
    "pf-*": "firewall:PF",
    "pfsense*": "firewall:PF",
    "pfsp*": "firewall:SENTENCES",
    "peakflow*": "firewall:SENTENCES",
    "opnsense*": "firewall:PF",
    "paps": "endpoint:PANDA",
    "eset*": "endpoint:ESET",
    "mcafee*": "endpoint:MCAFEE",
    "epo*": "endpoint:MCAFEE",
    "sophos-win": "endpoint:SOPHOS",
    "windows": "sysmon:LEGACY",
    "json-msgraph": "office:GRAPH",
}
# Keys right below `data` by which a JSON source is known.
KEYS = {
    "aws": "aws",
    "office365": "office:OFFICE",
    "ms-graph": "office:GRAPH",
    "github": "cloud:GITHUB",
    "gcp": "cloud:GCP",
    "docker": "cloud:DOCKER",
    "osquery": "endpoint:OSQUERY",
    "vulnerability": "endpoint:VULNERABILITY",
    "virustotal": "fim:VIRUSTOTAL",
    "virustotal_ip": "endpoint:VT_IP",
    "abuseipdb": "endpoint:ABUSEIPDB",
    "opencti": "endpoint:OPENCTI",
    "misp": "endpoint:MISP",
    "dnsstat": "endpoint:DNSSTAT",
    "nmap_host": "endpoint:NMAP",
    "sca": "unix:STATE",
    "bro_engine": "ids:ZEEK",
    "src_endpoint": "cloud:OCSF",
    "ClientRequestHost": "web:CLOUDFLARE",
    "yara_rule": "fim:YARA",
    "service_class": "endpoint:GITLAB",
    "reqId": "endpoint:NEXTCLOUD",
    "sysmon": "sysmon:LEGACY",
}

_loaded: dict[str, Source] = {}
_trees: dict[int, Branch] = {}
_by_decoder: dict[str, str] = {}
_COMMON = Source("well-known names", (), loose=True)


def select(fields: dict[str, Any], schema: str) -> Source:
    """The source of an alert; one whose schema nobody knows is read by its well-known names."""
    if schema == "5.x":
        return load("ecs:FINDING")
    if "syscheck" in fields:
        return load("fim:REGISTRY" if "registry" in text(fields, "decoder", "name") or _is_key(fields) else "fim:FILE")
    data = part(fields, "data")
    if "win" in data:
        return _windows(part(data, "win"))
    for key in data:
        if key in KEYS and (key != "docker" or "Type" in part(data, "docker")):
            return _aws(part(data, "aws")) if key == "aws" else load(KEYS[key])
    sensor = _sensor(data)
    return load(sensor) if sensor else _decoded(fields)


def _sensor(data: dict[str, Any]) -> str:
    """Sensors that write one flat document for every event: known by names that only they use together."""
    if "orig_h" in part(data, "id"):
        return "ids:ZEEK"
    suricata = "event_type" in data and ("src_ip" in data or "dest_ip" in data or "alert" in data)
    return "ids:SURICATA" if suricata else ""


def _is_key(fields: dict[str, Any]) -> bool:
    return text(fields, "syscheck", "path").startswith("HKEY_")


def _windows(win: dict[str, Any]) -> Source:
    provider, event = text(win, "system", "providerName"), text(win, "system", "eventID")
    if "Sysmon" in provider:
        module = import_module("propolis.observables.tables.sysmon")
        inbound = event == "3" and text(win, "eventdata", "initiated").lower() == "false"
        source: Source = module.EVENTS.get("3 inbound" if inbound else event, module.OTHER)
        return source
    module = import_module("propolis.observables.tables.windows")
    if provider in module.PROVIDERS:
        known: Source = module.PROVIDERS[provider]
        return known
    fallback = (
        module.SECURITY
        if "Security" in provider or text(win, "system", "channel") == "Security"
        else module.APPLICATION
    )
    chosen: Source = module.EVENTS.get(event, fallback) if fallback is module.SECURITY else fallback
    return chosen


def _aws(aws: dict[str, Any]) -> Source:
    module = import_module("propolis.observables.tables.cloud")
    source: Source = module.AWS.get(text(aws, "source"), module.OTHER_AWS)
    return source


def _decoded(fields: dict[str, Any]) -> Source:
    location = text(fields, "location")
    if location == "rootcheck":
        return load("fim:ROOTCHECK")
    for name in (text(fields, "decoder", "name"), text(fields, "decoder", "parent")):
        where = _find(name)
        if where:
            return load(where)
    return _COMMON


def _find(decoder: str) -> str:
    found = _by_decoder.get(decoder)
    if found is None:
        found = next((where for name, where in _patterns(decoder) if where), "")
        if len(_by_decoder) < 1024:
            _by_decoder[decoder] = found
    return found


def _patterns(decoder: str) -> Iterator[tuple[str, str]]:
    yield decoder, DECODERS.get(decoder, "")
    for name, where in DECODERS.items():
        if name.endswith("*") and decoder.startswith(name[:-1]):
            yield name, where


def load(where: str) -> Source:
    """The table `module:NAME`."""
    source = _loaded.get(where)
    if source is None:
        module, _, name = where.partition(":")
        source = _loaded[where] = getattr(import_module(f"propolis.observables.tables.{module}"), name)
    return source


def branches(source: Source) -> Branch:
    """The rows of a source as a tree, built once."""
    branch = _trees.get(id(source))
    if branch is None:
        branch = _trees[id(source)] = tree(source.rows)
    return branch

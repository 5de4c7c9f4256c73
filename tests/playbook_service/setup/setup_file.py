"""The set-up file of the tests: what it asks for, and the command run on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from playbook_service.cli import COMMANDS, Command, main
from playbook_service.lab import Lab

ROOT = Path(__file__).resolve().parents[3]
POLICY = "firewall:\n  own: [198.51.100.0/24]\n"
TOKEN = "the-webhook-token-of-this-test"


class File:
    """A set-up file for a lab; `document` may be changed before `run`."""

    def __init__(self, folder: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch):
        self.path = folder / "setup.yml"
        self.key_file = folder / "thehive.key"
        (folder / "policy.yml").write_text(POLICY)
        (folder / "webhook.token").write_text(TOKEN + "\n")
        monkeypatch.setitem(COMMANDS, "setup", Command("playbook_service.commands.setup", "set up"))
        monkeypatch.setenv("ADMIN_KEY", lab.keys.admin)
        monkeypatch.setenv("ORG_KEY", lab.keys.orgadmin)
        monkeypatch.setenv("CORTEX_KEY", lab.keys.cortex_admin)
        self.document: dict[str, Any] = {
            "thehive": {
                "url": lab.thehive_url, "organisation": "soc-main", "admin_key": {"env": "ADMIN_KEY"},
                "org_admin_key": {"env": "ORG_KEY"},
                "custom_fields": [{"name": "wazuh_user", "type": "string"}],
                "case_templates": [{"name": "Wazuh alert", "severity": 2, "tags": ["wazuh"],
                                    "tasks": [{"title": "Triage", "group": "Identification"}]}],
                "account": {"login": "propolis@soc.example", "profile": "propolis", "key_file": "thehive.key"},
                "webhook": {"url": "http://127.0.0.1:9/hooks/thehive", "token": {"file": "webhook.token"}},
            },
            "cortex": {
                "url": lab.cortex_url, "org_admin_key": {"env": "CORTEX_KEY"},
                "workers": [
                    {"enable": ["WazuhAlert"]},
                    {"enable": ["ConsensusVerdict"]},
                    {"enable": ["ConsensusScore"], "configuration": {
                        "thehive_url": lab.thehive_url, "thehive_key": {"file": "thehive.key"}}},
                    {"enable": ["FirewallBlock", "FirewallUnblock"], "job_timeout": 5, "configuration": {
                        "backend": "edl", "policy": {"file": "policy.yml"}, "dry_run": True}},
                ],
            },
        }  # fmt: skip

    def worker(self, name: str) -> dict[str, Any]:
        """The entry of the file that enables this worker."""
        found: dict[str, Any] = next(one for one in self.document["cortex"]["workers"] if name in one["enable"])
        return found

    def write(self) -> Path:
        self.path.write_text(yaml.safe_dump(self.document, sort_keys=False))
        return self.path

    def run(self, *options: str) -> int:
        return main(["setup", str(self.write()), *options])

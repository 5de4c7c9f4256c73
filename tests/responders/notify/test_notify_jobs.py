"""Notify started as a process, exactly as Cortex starts it, with real receivers on this machine."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, definition, run_job
from notify_receivers import SECRET, Postbox, Receiver, Reply, certificate

HIVE = "https://thehive.example.org"
MARKUP = "<!channel> @here [x](https://evil.example.net) `c` *b*"
LIMITS = {"check_tlp": True, "max_tlp": 2, "check_pap": True, "max_pap": 2}


class Jobs:
    """Runs jobs, from TheHive's own payloads, with one receiver for all channels."""

    def __init__(self, receiver: Receiver, folder: Path, fixtures: Path):
        self.receiver = receiver
        self._folder, self._payloads = folder, fixtures / "thehive_payloads"
        self._numbers = itertools.count(1)
        self._definition = definition("responders", "Notify", "Notify")

    def payload(self, name: str = "v5_case") -> dict[str, Any]:
        job: dict[str, Any] = json.loads((self._payloads / f"responder_input_{name}.json").read_text())
        return job

    def run(self, job: dict[str, Any] | None = None, *, raw: bytes | None = None, **config: Any) -> Report:
        job = job or self.payload()
        job["config"] = {**LIMITS, "channels": [f"webhook:{self.receiver.address}"], "timeout_seconds": 5, **config}
        report = run_job(self._folder / str(next(self._numbers)), "responders", self._definition, job, raw=raw)
        assert SECRET not in report.text
        return report

    def of(self, data_type: str, data: str, **more: Any) -> dict[str, Any]:
        job = self.payload("v5_case_artifact")
        job["data"].update(dataType=data_type, data=data, **more)
        return job

    @property
    def told(self) -> dict[str, str]:
        """The one message that was posted, by the default template."""
        ((_, body),) = self.receiver.got
        return dict(body)


@pytest.fixture
def jobs(tmp_path: Path, fixtures: Path) -> Iterator[Jobs]:
    with Receiver() as receiver:
        yield Jobs(receiver, tmp_path, fixtures)


# What is told


def test_a_case_is_told_with_what_one_needs_to_decide_whether_to_look(jobs: Jobs):
    full = jobs.run(thehive_url=HIVE, title_prefix="[SOC]").full
    assert full["message"] == "Sent to 1 of 1 channels."
    assert full["channels"] == [{"channel": "webhook (channel 1)", "sent": True, "note": ""}]
    assert full["requested_by"] == {"user": "playbook@soc.example", "organisation": "soc-main"}
    assert jobs.told == {
        "title": "[SOC] case #128: Wazuh 5763: SSH brute force on web-01",
        "text": "Severity: High\nTLP:AMBER PAP:AMBER\nStatus: Open\nTags: wazuh, ssh\n\nSent by playbook@soc.example",
        "urgency": "high",
        "case": "128",
        "link": f"{HIVE}/cases/~81924208/details",
    }


@pytest.mark.parametrize(
    ("name", "title", "link"),
    [
        ("v4_case", "case #128: Wazuh 5763", "/index.html#!/case/~81924208/details"),
        ("v5_alert", "alert 1767261599.482913: Wazuh 5763", "/alerts/~40972376/details"),
        ("v4_alert", "alert 1767261599.482913: Wazuh 5763", None),
        ("v5_case_task", "Task “Block source address” of case #128: Wazuh", "/cases/~81924208/details"),
        ("v4_case_task", "Task “Block source address” of case #128: Wazuh", "/index.html#!/case/~81924208/details"),
        ("v5_case_artifact", "Observable 203.0.113.45 of case #128: Wazuh", "/cases/~81924208/details"),
        ("v4_case_artifact", "Observable 203.0.113.45 of case #128: Wazuh", "/index.html#!/case/~81924208/details"),
        ("v5_case_artifact_in_alert", "Observable 203.0.113.45 of alert 1767261599", "/alerts/~40972376/details"),
    ],
)
def test_each_object_of_thehive_4_and_5(jobs: Jobs, name: str, title: str, link: str | None):
    assert jobs.run(jobs.payload(name), thehive_url=f"{HIVE}/").success
    assert jobs.told["title"].startswith(title)
    assert jobs.told["link"] == (f"{HIVE}{link}" if link else "")


def test_a_task_log_is_none_of_them(jobs: Jobs):
    assert "cannot be started on a case_task_log" in jobs.run(jobs.payload("v5_case_task_log")).error


def test_a_text_of_the_analyst_is_added(jobs: Jobs):
    job = jobs.payload()
    job["parameters"]["message"] = "Please call the owner.\nThanks"
    jobs.run(job)
    assert "\n\nPlease call the owner.\nThanks\n\nSent by" in jobs.told["text"]


def test_a_description_is_not_told(jobs: Jobs):
    job = jobs.payload()
    job["data"]["description"] = "the password is 123456"
    assert "123456" not in jobs.run(job).text.replace("SSH", "")
    assert "123456" not in str(jobs.told)


@pytest.mark.parametrize(
    ("data_type", "data", "seen"),
    [
        ("url", "http://evil.example.net/a", "http[:]//evil[.]example[.]net/a"),
        ("domain", "evil.example.net", "evil[.]example[.]net"),
        ("mail", "x@evil.example.net", "x[@]evil[.]example[.]net"),
        ("ip", "203.0.113.9", "203.0.113.9"),
        ("hash", "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
def test_an_observables_value_is_told_so_that_nobody_opens_it_by_a_slip(
    jobs: Jobs, data_type: str, data: str, seen: str
):
    jobs.run(jobs.of(data_type, data, ioc=True, tags=["src"]))
    assert jobs.told["text"].startswith(f"{data_type}: {seen}, marked ioc and sighted\nObservable's tags: src\n")


def test_a_file_is_told_by_its_name(jobs: Jobs):
    job = jobs.of("file", "")
    job["data"].update(data=None, attachment={"name": "invoice\u202egpj.exe", "size": 5})
    jobs.run(job)
    assert "Observable file invoicegpj[.]exe of case" in jobs.told["title"]


# Hostile words stay words


def test_hostile_words_of_an_entity_are_only_words_in_every_channel(jobs: Jobs):
    job = jobs.of("other", MARKUP)
    job["data"]["case"].update(title=f"{MARKUP}\r\nBcc: x@evil.example.net", tags=[MARKUP, "\u202e", "x\ny"])
    job["parameters"]["message"] = f"```\n{MARKUP}"
    kinds = ("slack", "mattermost", "teams", "webhook")
    with Postbox() as postbox:
        mailing = {"mail_server": "127.0.0.1", "mail_port": postbox.port, "mail_starttls": False}
        mailing |= {"mail_from": "propolis@example.org", "mail_to": ["soc@example.org"]}
        channels = [f"{kind}:{jobs.receiver.address}" for kind in kinds]
        assert jobs.run(job, channels=channels, **mailing).full["message"] == "Sent to 5 of 5 channels."
    told = json.dumps([body for _, body in jobs.receiver.got])
    assert "://evil" not in told
    assert '"type": "mrkdwn"' not in told
    assert '"TextBlock"' not in told
    (mattermost,) = (body["text"] for _, body in jobs.receiver.got if set(body) == {"text"})
    assert mattermost.count("`") == 8  # those that open and close, and none of theirs
    (letter,) = postbox.letters
    assert letter["Bcc"] is None
    assert "Bcc: x@evil.example.net" in letter["Subject"]


@pytest.mark.parametrize("identity", ["~1/../../evil", "javascript:alert(1)", "~1?x=1", "", "x" * 100])
def test_an_id_that_is_none_makes_no_link(jobs: Jobs, identity: str):
    job = jobs.payload()
    job["data"].update(_id=identity)
    jobs.run(job, thehive_url=HIVE)
    assert jobs.told["link"] == ""


@pytest.mark.parametrize("value", [None, [], {"a": 1}, 7, "NaN", True])
def test_fields_of_any_type_are_told_or_left_out(jobs: Jobs, value: Any):
    job = jobs.payload("v5_case_artifact")
    job["data"].update(data=value, dataType=value, tags=value, attachment=value)
    job["data"]["case"].update(title=value, caseId=value, severity=value, tags=value, status=value, _id=value)
    assert jobs.run(job, thehive_url=HIVE).success


# What must not leave the house


@pytest.mark.parametrize(("key", "name"), [("tlp", "TLP"), ("pap", "PAP")])
def test_tlp_and_pap_are_limits_and_so_are_those_of_the_case_above(jobs: Jobs, key: str, name: str):
    own, above = jobs.payload("v5_case_artifact"), jobs.payload("v5_case_artifact")
    own[key] = 3
    above["data"]["case"][key] = 3
    assert f"{name} is higher than allowed" in jobs.run(own).error
    assert f"{name} is higher than allowed: the case's or alert's is 3" in jobs.run(above).error
    assert jobs.receiver.got == []


def test_the_operator_may_raise_the_limit(jobs: Jobs):
    job = jobs.payload("v5_case_artifact")
    job["tlp"] = job["data"]["case"]["tlp"] = 3
    assert jobs.run(job, max_tlp=3).success


# Channels that do not take it


def test_one_channel_that_is_down_is_said_and_the_others_are_told(jobs: Jobs):
    channels = ["slack:http://127.0.0.1:9/hook-of-nobody", f"teams:{jobs.receiver.address}"]
    report = jobs.run(channels=channels)
    assert report.full["result"] == "partly_sent"
    assert report.full["message"].startswith("Sent to 1 of 2 channels. NOT sent to slack (channel 1): ")
    assert [(entry["channel"], entry["sent"]) for entry in report.full["channels"]] == [
        ("slack (channel 1)", False),
        ("teams (channel 2)", True),
    ]
    assert "hook-of-nobody" not in report.text
    assert len(jobs.receiver.got) == 1


def test_when_none_takes_it_the_job_fails_and_says_why_of_each(jobs: Jobs):
    jobs.receiver.replies = [Reply(404, f"no hook {SECRET}".encode())]
    error = jobs.run(mail_server="127.0.0.1", mail_port=9, mail_from="a@example.org", mail_to=["b@example.org"]).error
    assert error.startswith("No channel took the message. webhook (channel 1): ")
    assert "(404)" in error
    assert "mail: Mail could not be sent by 127.0.0.1:9: the connection was refused" in error


def test_a_redirect_is_not_followed(jobs: Jobs):
    with Receiver() as elsewhere:
        jobs.receiver.replies = [Reply(307, b"", (("Location", elsewhere.address),))]
        assert "redirect" in jobs.run().error
        assert elsewhere.got == []


def test_a_slow_channel_is_given_up_said_to_be_doubtful_and_not_tried_twice(jobs: Jobs):
    jobs.receiver.replies = [Reply(hang=True)]
    error = jobs.run(timeout_seconds=1).error
    assert "may have arrived all the same" in error
    assert len(jobs.receiver.got) == 1


def test_a_login_page_is_no_receipt(jobs: Jobs):
    jobs.receiver.replies = [Reply(200, b"<html>Sign in</html>")]
    assert "web page" in jobs.run().error


def test_a_receiver_of_mail_that_is_refused_is_noted(jobs: Jobs):
    with Postbox() as postbox:
        postbox.refused = {"gone@example.org"}
        report = jobs.run(
            channels=[], mail_server="127.0.0.1", mail_port=postbox.port, mail_from="a@example.org",
            mail_to=["soc@example.org", "gone@example.org"], mail_starttls=False,
        )  # fmt: skip
    assert report.full["channels"] == [
        {"channel": "mail", "sent": True, "note": "the server refused 1 of 2 receivers"},
    ]
    assert "refused 1 of 2" in report.full["message"]


def test_mail_goes_over_tls_with_a_password_that_is_in_no_report(
    jobs: Jobs, tmp_path: Path, need: Callable[[object, str], None]
):
    need(shutil.which("openssl"), "openssl")
    trusted, context = certificate(tmp_path)
    config = {"mail_server": "127.0.0.1", "mail_from": "a@example.org", "mail_to": ["soc@example.org"], "channels": []}
    config |= {"mail_user": "propolis", "mail_password": "pa55word-of-mail", "ca_file": str(trusted)}
    with Postbox(context, users={"propolis": "pa55word-of-mail"}) as postbox:
        good = jobs.run(mail_port=postbox.port, **config)
        bad = jobs.run(mail_port=postbox.port, **{**config, "mail_password": "wr0ng-of-mail"})
    assert good.success
    assert postbox.encrypted == [True]
    assert "refused the user or the password" in bad.error
    assert "of-mail" not in good.text + bad.text


# Configuration


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"channels": []}, "configuration item channels: is required: set at least one channel, or mail_server"),
        ({"channels": None}, "configuration item channels: is required"),
        ({"channels": ["slack:https://ok.example.net/x", "irc:x"]}, "configuration item channels, entry 2: must be"),
        ({"channels": [7]}, "channels, entry 1"),
        ({"template": "{title"}, "template is not JSON"),
        ({"thehive_url": "thehive.example.org"}, "thehive_url"),
        ({"thehive_url": "https://u:p4ssw0rd@thehive.example.org"}, "thehive_url"),
        ({"ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"mail_server": "mail.example.org"}, "mail_from"),
        ({"mail_server": "mail.example.org", "mail_from": "a@example.org"}, "mail_to"),
        (
            {"mail_server": "m", "mail_from": "a@b.c", "mail_to": ["a@b.c"], "mail_user": "u", "mail_starttls": False},
            "mail_starttls: must be true",
        ),
        ({"mail_port": 70000}, "mail_port"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item_and_sends_nothing(
    jobs: Jobs, config: dict[str, Any], said: str
):
    report = jobs.run(**config)
    assert said in report.error
    assert "p4ssw0rd" not in report.text
    assert jobs.receiver.got == []


def test_a_key_in_the_template_is_in_no_report(jobs: Jobs):
    template = '{"routing_key": "r0uting-k3y", "summary": "{title}"}'
    jobs.receiver.replies = [Reply(), Reply(400, b"bad routing r0uting-k3y")]
    reports = [jobs.run(template=template), jobs.run(template=template), jobs.run(template=template + "x")]
    assert [report.success for report in reports] == [True, False, False]
    assert all("r0uting-k3y" not in report.text for report in reports)
    assert jobs.receiver.got[0][1] == {
        "routing_key": "r0uting-k3y",
        "summary": "case #128: Wazuh 5763: SSH brute force on web-01",
    }


def test_a_message_that_is_no_text_is_refused(jobs: Jobs):
    job = jobs.payload()
    job["parameters"]["message"] = {"a": 1}
    assert "parameters.message must be a text" in jobs.run(job).error

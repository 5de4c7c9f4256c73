from __future__ import annotations

import gzip
import io
import json

from playbook_service.replay import evidence as evidence_module
from playbook_service.replay.evidence import Evidence, read_evidence
from playbook_service.replay.fault import Faults
from propolis.verdict import Report, load_sources


def report(source, ended, data_type="ip", data="203.0.113.17"):
    return Report(source, f"{source}_1_0", "malicious", None, ended, ended, data_type, data)


def test_a_dossier_gives_what_was_there_by_then():
    dossier = Evidence([report("B", 200.0), report("A", 100.0)]).of("ip", "203.0.113.17")
    assert [entry.source for entry in dossier.until(150.0)] == ["A"]
    assert [entry.source for entry in dossier.until(200.0)] == ["A", "B"]


def test_where_nothing_was_there_by_then_everything_counts_as_recorded_later():
    dossier = Evidence([report("B", 200.0), report("A", 100.0)]).of("ip", "203.0.113.17")
    assert len(dossier.until(50.0)) == 2


def test_spellings_of_an_observable_share_a_dossier():
    evidence = Evidence([report("A", 1.0, "fqdn", "CDN.example.net."), report("B", 2.0, "fqdn", "cdn.example.net")])
    assert len(evidence.of("fqdn", "cdn.example.net").reports) == 2
    assert evidence.of("fqdn", "other.example.net") is None


def test_only_analyzers_that_are_in_use_count_as_asked():
    evidence = Evidence([report("AbuseIPDB", 1.0), report("GreyNoise", 1.0), report("URLhaus", 1.0, "url", "x")])
    wanted = ["AbuseIPDB", "greynoise", "URLhaus", "Shodan_Host"]
    assert sorted(evidence.answering("ip", wanted).values()) == ["AbuseIPDB_1_0", "GreyNoise_1_0"]
    assert evidence.answering("hash", wanted) == {}


def test_the_samples_are_read_whole(evidence, samples):
    assert len(evidence) == len((samples / "reports.jsonl").read_bytes().splitlines())


def test_a_damaged_compressed_file_gives_what_it_held_and_a_fault(samples):
    packed = gzip.compress((samples / "reports.jsonl").read_bytes())
    faults = Faults("reports.jsonl.gz")
    assert len(read_evidence(io.BytesIO(packed[: len(packed) // 2]), load_sources(), faults)) > 10
    assert "ends early" in faults.first[-1].message


def test_a_line_that_is_too_long_is_skipped_without_being_kept(samples, monkeypatch):
    monkeypatch.setattr(evidence_module, "_MOST_BYTES", 1 << 20)
    good = (samples / "reports.jsonl").read_bytes().splitlines()[0]
    faults = Faults("reports.jsonl")
    data = b'{"data": "' + b"x" * (3 << 20) + b'"}\n' + good + b"\n"
    assert len(read_evidence(io.BytesIO(data), load_sources(), faults)) == 1
    assert [fault.number for fault in faults.first] == [1]


def test_lines_that_are_no_jobs_are_counted_and_skipped(samples):
    good = (samples / "reports.jsonl").read_bytes().splitlines()[0]
    faults = Faults("reports.jsonl")
    stream = io.BytesIO(b"\n".join([good, b"{", b"[]", json.dumps({"status": "Success"}).encode()]))
    assert len(read_evidence(stream, load_sources(), faults)) == 1
    assert faults.count == 3
    assert [fault.number for fault in faults.first] == [2, 3, 4]

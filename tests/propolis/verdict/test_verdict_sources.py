"""The source file that ships, and how strictly an operator's own is read."""

from __future__ import annotations

import pytest

from propolis.errors import ConfigurationError
from propolis.verdict import load_sources
from propolis.verdict.sourcefile import SourceFileError
from propolis.verdict.sources import HalfLife, without_version

SHIPPED = load_sources()
WELL_KNOWN = """AbuseIPDB VirusTotal_GetReport VirusTotal_Scan OTXQuery Shodan_Host Shodan_Search URLhaus MalwareBazaar
HybridAnalysis_GetReport GreyNoise Crowdsec_Analyzer MISP PhishTank_CheckURL Urlscan.io_Search Urlscan_io_Scan
DomainTools_Reputation DomainToolsIris_Investigate MISPWarningLists Maltiverse_Report Threatcrowd Robtex_IP_Query Censys
SpamhausDBL GoogleSafebrowsing Abuse_Finder CIRCLPassiveDNS FileInfo Yara EmailRep Hunterio_DomainSearch IPinfo_Details
MaxMind_GeoIP Onyphe_Summary PassiveTotal_Malware RecordedFuture TorBlutmagie TorProject"""


@pytest.mark.parametrize("name", WELL_KNOWN.split())
def test_the_well_known_public_analyzers_are_rated(name: str) -> None:
    source = SHIPPED.find(name)
    assert source is not None
    assert source.family
    assert source.grade in "ABCDEF"


def test_lists_that_copy_each_other_are_one_family_and_so_are_the_flavours_of_one_service() -> None:
    families = {name: SHIPPED.find(name).family for name in ("AbuseIPDB", "BlocklistDE", "EmergingThreats_IPInfo")}
    assert set(families.values()) == {"abuse-lists"}
    assert SHIPPED.find("VirusTotal_GetReport").family == SHIPPED.find("VirusTotal_Rescan").family
    assert SHIPPED.find("URLhaus").family == SHIPPED.find("MalwareBazaar").family


def test_an_analyzer_nobody_rated_is_unknown() -> None:
    assert SHIPPED.find("HomeGrown") is None


def test_the_operators_entry_is_laid_over_the_shipped_one_key_by_key() -> None:
    found = load_sources("GreyNoise: {grade: A, half_life: 2d}").find("GreyNoise")
    assert (found.grade, found.half_life, found.family) == ("A", HalfLife(172_800.0), "greynoise")
    assert found.clears == SHIPPED.find("GreyNoise").clears


def test_a_pattern_of_the_operator_goes_before_a_shipped_name_and_an_exact_name_before_a_pattern() -> None:
    sources = load_sources("Domain*: {grade: F}\nDomainTools_Risk: {grade: A}\n'*': {half_life: none}")
    assert sources.find("DomainTools_Reputation").grade == "F"
    assert sources.find("DomainTools_Risk").grade == "A"
    assert sources.find("AbuseIPDB").half_life == HalfLife(None)


def test_the_form_of_the_design_is_accepted() -> None:
    sources = load_sources(
        "VirusTotal_*: {family: virustotal, grade: B}\nGreyNoise: {family: greynoise, grade: B, clears: [riot, benign]}"
    )
    assert sources.find("VirusTotal_GetReport").grade == "B"
    assert sources.find("GreyNoise").clears == ("riot", "benign")


def test_an_entry_may_be_empty_but_for_its_name() -> None:
    found = load_sources("HomeGrown: {}\nOwn_*: {}")
    assert (found.find("HomeGrown").grade, found.find("HomeGrown").family) == ("C", "homegrown")
    assert found.find("Own_Lookup").family == found.find("Own_Search").family == "own"


def test_all_faults_are_named_at_once_each_with_its_line() -> None:
    text = """AbuseIPDB: {family: a, grade: Z}
GreyNoise:
  colour: green
  half_life: soon
  info: maybe
MISP: nonsense
misp: {grade: B}
OTXQuery: {levels: [{predicate: Pulses}]}
"""
    with pytest.raises(SourceFileError) as caught:
        load_sources(text)
    lines = [problem.line for problem in caught.value.problems]
    assert lines == [1, 3, 4, 5, 6, 7, 8]
    assert "configuration item sources:1: AbuseIPDB.grade: must be one of A, B, C, D, E, F, but is 'Z'." in str(
        caught.value
    )
    assert "is not a key here: use one of family, grade, half_life" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MISP: {family: a,\nX: 1", "configuration item sources:2: is not valid YAML"),
        ("a: b: c", "configuration item sources:1: is not valid YAML"),
        ("- AbuseIPDB", "must map analyzer names to entries"),
        ("just a text", "must map analyzer names to entries"),
        ("A: [1]", "must be a mapping"),
        ("A: {family: [x]}", "must be a text"),
        ("A: {family: ~}", "must be a text"),
        ("A: {context: 5}", "must be true or false"),
        ("A: {levels: [{level: bad}]}", "must be one of"),
        ("A: {levels: 7}", "must be a list of rules"),
        ("A: {levels: [{level: safe, least: many}]}", "must be a number"),
        ("A: {grade: B, grade: C}", "stands here a second time"),
        ("A: &a {family: x}\nB: *b", "configuration item sources:2"),
        ("\x00", "is not valid YAML"),
        ("A: {}\n" * 60_000, "is larger than 256 KiB"),
        ("[" * 200_000, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
        ("A: {family: a", "configuration item sources:1: is not valid YAML"),
    ],
)
def test_each_fault_has_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace("(", "\\(")):
        load_sources(text)


def test_a_bomb_of_aliases_is_refused_in_no_time() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        load_sources(bomb)


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ("AbuseIPDB_2_0", "AbuseIPDB"),
        ("VirusTotal_GetReport_3_1", "VirusTotal_GetReport"),
        ("Urlscan_io_Search_0_1_1", "Urlscan_io_Search"),
        ("MISP_2", "MISP"),
        ("Yara", "Yara"),
        ("_1_0", "_1"),
    ],
)
def test_a_definition_loses_its_version(definition: str, name: str) -> None:
    assert without_version(definition) == name


def test_the_memory_of_names_is_bounded() -> None:
    sources = load_sources("A: {grade: B}")
    for number in range(10_000):
        sources.find(f"name{number}")
    assert len(sources._found) <= 4097

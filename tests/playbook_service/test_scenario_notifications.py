"""From an alert to a message outside: what was done, in plain words and with a link to its case, TheHive 4 and 5."""

from __future__ import annotations

from pathlib import Path

import pytest
from notify_receivers import Receiver
from scenario_soc import Soc

PAGES = {5: "/cases/{}/details", 4: "/index.html#!/case/{}/details"}


@pytest.mark.parametrize("version", [5, 4], ids=["thehive5", "thehive4"])
def test_a_containment_is_told_outside_in_plain_words_with_a_link_to_its_case(tmp_path: Path, version: int):
    with Receiver() as receiver, Soc(tmp_path, version, notify=f"webhook:{receiver.address}") as soc:
        address = soc.alert("block")
        lease = soc.until(lambda: soc.lease(address), "the address is blocked")
        message = soc.until(
            lambda: next((body for _, body in receiver.got if body["title"].startswith("Contained:")), None),
            "it is told outside",
        )
        assert message["case"] == lease.ref
        assert message["link"] == soc.lab.thehive_url + PAGES[version].format(lease.ref)
        assert message["text"].startswith(f"{address} is contained by FirewallBlock at ")
        assert not {"\\", "`"} & set(message["text"])

# SPDX-License-Identifier: Apache-2.0
"""``postroom lab`` says where it is: its variables set what its flags set, and pages have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.cli.lab import variables
from postroom.lab.lab import DNS_PORT, Reach
from postroom.settings import load

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_variables_set_what_flags_set() -> None:
    reach = Reach("127.0.0.9", 5353)
    read = load({}, dict(each.split("=", 1) for each in variables(reach)))
    assert read.dns_resolvers == (("127.0.0.9", 5353),)
    assert read.dns_authoritative_port == 5353
    assert [str(each) for each in read.allow_cidrs] == ["127.0.0.9/32"]
    flags = [each.partition("=")[2] for each in reach.flags if each.startswith("--allow-port=")]
    assert [str(each) for each in read.allow_ports] == flags


@pytest.mark.parametrize(
    ("page", "address"), [("start.md", "127.0.0.1"), ("guides/README.md", "127.0.0.2")]
)
def test_pages_set_the_variables_that_the_lab_prints(page: str, address: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    exported = [line for line in text.splitlines() if line.startswith("$ export POSTROOM_")]
    words = [word for line in exported for word in line.split()[2:]]
    assert tuple(words) == variables(Reach(address, DNS_PORT))

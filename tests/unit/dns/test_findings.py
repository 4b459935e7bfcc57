# SPDX-License-Identifier: Apache-2.0
"""The catalogue of findings: every code is told by something, and everything told is in it.

Covers also: the question that shows a finding, of which no shell reads more than it says.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from postroom.dns.answers import RecordType, Zone
from postroom.dns.finding_codes import Code
from postroom.dns.findings import catalogue, families, question
from rows import over
from unit.dns.zone_looks import ZONE

ELSEWHERE = Zone("example.com", ("ns.lab.net",), 2053)
POSTROOM = Path(__file__).resolve().parents[3] / "operator" / "postroom"
#: Where codes stand: the code, and the data that it reads, without the catalogue itself.
SOURCES = [
    path
    for room in ("dns", "reconcile")
    for pattern in ("*.py", "*.yaml")
    for path in (POSTROOM / room).rglob(pattern)
    if "catalogue" not in path.parts and path.name != "finding_codes.py"
]
WORDS = {word for path in SOURCES for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}


def test_there_are_more_than_a_hundred() -> None:
    assert len(catalogue()) >= 150
    assert sum(len(family.codes) for family in families().values()) == len(catalogue()), (
        "a code twice"
    )


def test_the_codes_are_those_of_the_catalogue() -> None:
    assert [code.value for code in Code] == list(catalogue()), "run `make docs`"
    assert [code.name for code in Code] == list(catalogue()), "run `make docs`"


@over(sorted(catalogue()))
def test_every_code_is_told_by_something(code: str) -> None:
    assert code in WORDS


@over(catalogue())
def test_every_entry_says_what_to_do(code: str) -> None:
    entry = catalogue()[code]
    assert entry.meaning[0].isupper()
    assert entry.remedy[0].isupper()
    assert entry.source


def test_the_catalogue_is_whole_sentences() -> None:
    for entry in catalogue().values():
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")


@pytest.mark.parametrize(
    ("name", "type", "zone", "cached", "asked"),
    [
        ("_dmarc.example.com", "TXT", ZONE, False, "dig +norecurse TXT _dmarc.example.com @"),
        ("example.com", "MX", ZONE, False, "dig +norecurse MX example.com @"),
        ("_dmarc.example.com", "TXT", ZONE, True, "dig TXT _dmarc.example.com"),
        ("_dmarc.example.com", "TXT", None, False, "dig TXT _dmarc.example.com"),
        ("k1.provider.net", "TXT", ZONE, False, "dig TXT k1.provider.net"),
        # Nothing that a shell would read otherwise.
        ("a$(reboot).example.com", "TXT", ZONE, False, ""),
        ("a;b.example.com", "TXT", ZONE, False, ""),
        ("b'\\195.example.com", "TXT", ZONE, False, ""),
        # What it would, but in quotes does not.
        ("b\\195.example.com", "TXT", ZONE, False, "dig +norecurse TXT 'b\\195.example.com' @"),
        ("*.example.com", "MX", ZONE, False, "dig +norecurse MX '*.example.com' @"),
        (
            "example.com",
            "MX",
            ELSEWHERE,
            False,
            "dig +norecurse MX example.com @ns.lab.net -p 2053",
        ),
        # Where servers have a port of their own their names may be known to nobody else.
        (
            "example.com",
            "MX",
            replace(ELSEWHERE, addresses={"ns.lab.net": "127.0.0.2"}),
            False,
            "dig +norecurse MX example.com @127.0.0.2 -p 2053",
        ),
        ("example.com", "MX", ELSEWHERE, True, "dig MX example.com"),
        ("k1.provider.net", "MX", ELSEWHERE, False, "dig MX k1.provider.net"),
    ],
)
def test_the_question_that_shows_a_finding(
    name: str, type: str, zone: Zone | None, cached: bool, asked: str
) -> None:
    made = question(name, RecordType(type), zone, cached=cached)
    assert made == (f"{asked}{min(ZONE.nameservers)}" if asked.endswith("@") else asked)

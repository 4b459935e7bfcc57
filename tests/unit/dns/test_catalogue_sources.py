# SPDX-License-Identifier: Apache-2.0
"""The sections of RFC 9989 that the catalogue names, and that the code names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import postroom.dns
from postroom.dns.findings import catalogue

#: What each section of RFC 9989 that is named anywhere is about.
SECTIONS = {
    "3.2": "terms",
    "4.4": "alignment",
    "4.5": "where the record stands",
    "4.6": "reporting URIs",
    "4.7": "tags",
    "4.8": "grammar",
    "4.10": "tree walk",
    "4.10.1": "which policy applies, and a missing p=",
    "4.10.2": "organisational domain",
    "5.1": "publishing",
    "7.4": "mailing lists",
    "9.3": "registry of tags",
    "A.6": "pct=",
}


@pytest.mark.parametrize(
    ("code", "section"),
    [
        ("DMARC_MISSING", "4.5"),
        ("DMARC_SPF_AT_DMARC", "4.5"),
        ("DMARC_ON_CNAME", "4.5"),
        ("DMARC_DELEGATED", "4.5"),
        ("NAME_AT_APEX", "4.5"),
        ("DMARC_URI", "4.6"),
        ("DMARC_URI_SIZE", "4.6"),
        ("DMARC_TEST_MODE", "4.7"),
        ("DMARC_POLICY_WEAK", "4.7"),
        ("DMARC_P_INVALID", "4.10.1"),
        ("DMARC_INHERITED", "4.10.1"),
        ("DMARC_REMOVED_TAGS", "9.3"),
        ("DMARC_REMOVED_TAGS", "A.6"),
        ("DMARC_PCT_IGNORED", "9.3"),
        ("DMARC_PCT_IGNORED", "A.6"),
    ],
)
def test_the_section_is_that_of_the_rule(code: str, section: str) -> None:
    source = catalogue()[code].source
    of_rfc = source[source.index("RFC 9989") :]
    assert section in re.findall(r"[0-9A][0-9.]*[0-9]", of_rfc.removeprefix("RFC 9989")), source


def test_no_other_section_is_named_anywhere() -> None:
    named: set[str] = set()
    for path in Path(postroom.dns.__file__).parent.rglob("*"):
        if path.suffix in (".py", ".yaml"):
            text = path.read_text(encoding="utf-8")
            for found in re.finditer(r"RFC 9989 (?:sections?|appendix) ([^,);:\"\n]*)", text):
                named |= set(re.findall(r"(?<![.0-9])(?:[0-9]+|A)(?:\.[0-9]+)+", found[1]))
    assert named - SECTIONS.keys() == set()
    assert named >= {"4.5", "4.6", "4.7", "4.10.1", "9.3", "A.6"}

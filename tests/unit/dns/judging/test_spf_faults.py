# SPDX-License-Identifier: Apache-2.0
"""What is wrong with SPF records: texts, whom they authorise, what evaluation runs into."""

from __future__ import annotations

import pytest

from postroom.dns import spf
from postroom.dns.judging import spf_faults
from unit.dns.diagnosis_looks import root
from unit.dns.fake_zone import Key


def test_circles_are_found_below_the_terms_of_the_record() -> None:
    others = {
        "a.net": spf.Fetched(("v=spf1 include:b.net -all",)),
        "b.net": spf.Fetched(("v=spf1 include:a.net -all",)),
        "c.net": spf.Fetched(("v=spf1 -all",)),
    }
    found = spf.reach("v=spf1 include:c.net include:a.net -all", others)
    assert [one.term for one in spf_faults.in_a_circle(found)] == ["include:a.net"]


_OWN, _THEIRS = ("example.com", "TXT"), ("spf.provider.net", "TXT")
_ROUND = {
    _THEIRS: ["v=spf1 ip4:192.0.2.0/24 include:x.provider.net -all"],
    ("x.provider.net", "TXT"): ["v=spf1 include:spf.provider.net -all"],
}


@pytest.mark.parametrize(
    ("there", "through"),
    [
        ({_OWN: ["v=spf1 include:example.com include:spf.provider.net -all"]}, "example.com"),
        ({_OWN: ["v=spf1 include:spf.provider.net redirect=example.com"]}, "example.com"),
        ({_OWN: ["v=spf1 include:spf.provider.net -all"], **_ROUND}, "spf.provider.net"),
        ({_OWN: ["v=spf1 -all"], **_ROUND}, "spf.provider.net"),
        (dict(_ROUND), "spf.provider.net"),
    ],
    ids=["itself", "redirect", "the provider's own", "to be added", "nothing there yet"],
)
def test_a_circle_is_named_a_circle(there: dict[Key, list[str]], through: str) -> None:
    cause = root("spf", there)
    assert cause.code == "SPF_LOOP"
    assert "in a circle" in cause.message
    assert through in cause.message
    assert "lookups" not in cause.message

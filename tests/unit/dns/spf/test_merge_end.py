# SPDX-License-Identifier: Apache-2.0
"""What several records come to where they end differently, or have terms behind all."""

from __future__ import annotations

import pytest

from postroom.dns.spf import Fetched, Requirement
from postroom.dns.spf.merge import merge

NOBODY = Requirement((), (), "~all")


OTHERS = {
    name: Fetched((f"v=spf1 ip4:203.0.113.{n} -all",))
    for n, name in enumerate(("a.net", "b.net", "spf.provider.net"))
}


@pytest.mark.parametrize(
    ("records", "end", "told"),
    [
        (["v=spf1 a -all", "v=spf1 mx ~all"], "~all", "end in ~all and -all; the one in ~all."),
        (["v=spf1 a -all", "v=spf1 mx ?all"], "?all", "end in ?all and -all; the one in ?all."),
        (["v=spf1 a -all", "v=spf1 mx"], "-all", "end in -all and no all; the one in -all."),
        (["v=spf1 a -all", "v=spf1 mx -all"], "-all", ""),
        (["v=spf1 a", "v=spf1 mx"], "mx", ""),
        (["v=spf1 redirect=a.net", "v=spf1 mx -all"], "-all", "redirect=a.net as include:a.net:"),
        (["v=spf1 a +all", "v=spf1 mx -all"], "~all", "It ends in ~all"),
    ],
)
def test_the_end_of_several_records_is_told(records: list[str], end: str, told: str) -> None:
    made = merge(records, NOBODY, OTHERS, "example.com")
    assert made.value is not None
    assert made.value.split()[-1] == end
    assert told in " ".join(made.doubts)
    assert bool(made.doubts) is bool(told)


def test_what_stood_behind_all_is_told_where_records_become_one() -> None:
    made = merge(["v=spf1 a -all ip4:192.0.2.9", "v=spf1 mx -all x=1", "v=spf1 x=2"], NOBODY, {})
    assert made.left_out == (
        "ip4:192.0.2.9, which stands after all",
        "x=2, of which there can be one only",
    )

# SPDX-License-Identifier: Apache-2.0
"""What is told of a valid SPF record: of openness, only what lets everyone pass."""

from __future__ import annotations

import pytest

from unit.dns.judging_looks import DOMAIN, Key, Names, advice, plan_of

OTHERS: dict[Key, list[str]] = {
    ("ours.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 -all"],
    ("open.net", "TXT"): ["v=spf1 exists:there.net -all"],
    ("dead.net", "TXT"): ["v=spf1 ?include:gone.net exists:there.net -all"],
    ("there.net", "A"): ["192.0.2.1"],
}


@pytest.mark.parametrize(
    ("includes", "told"),
    [
        (["ours.net", "open.net"], ["SPF_WIDE_RANGE"]),
        # Everyone gets permerror before the name that is always there.
        (["ours.net"], ["SPF_DEAD_IN_CHAIN"]),
    ],
)
def test_only_what_is_required_and_open_is_called_so(includes: list[str], told: list[str]) -> None:
    last = "open.net" if "open.net" in includes else "dead.net"
    record = f"v=spf1 include:ours.net include:{last} ~all"
    names = Names({**OTHERS, (DOMAIN, "TXT"): [record]})
    found = names.judged(plan_of(spf={"includes": includes}), "spf")
    assert found.state == "Valid"
    assert advice(found) == told

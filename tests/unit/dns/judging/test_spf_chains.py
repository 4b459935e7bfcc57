# SPDX-License-Identifier: Apache-2.0
"""Dead includes in records of others: where they stand, and which include is put last for them."""

from __future__ import annotations

import pytest

from postroom.dns import spf
from postroom.dns.judging.spf_chains import of_others, put_last
from postroom.dns.spf import Fetched

GONE = Fetched(missing=True)
OTHERS = {
    "half.net": Fetched(("v=spf1 ip4:192.0.2.1 include:gone.half.net -all",)),
    "deep.net": Fetched(("v=spf1 include:half.net -all",)),
    "round.net": Fetched(("v=spf1 include:round.net include:gone.half.net -all",)),
    "lost.net": Fetched(("v=spf1 include:away.net include:gone.half.net -all",)),
    "sound.net": Fetched(("v=spf1 ip4:192.0.2.2 a mx -all",)),
    "one.net": Fetched(("v=spf1 a:two.net include:two.net -all",)),
    "two.net": Fetched(("v=spf1 a a:one.net include:one.net -all",)),
    "three.net": Fetched(("v=spf1 include:two.net -all",)),
    "own.net": Fetched(("v=spf1 include:example.com -all",)),
    "away.net": Fetched(unknown=True),
    "gone.half.net": GONE,
    "gone.net": GONE,
}


def reach(text: str) -> spf.Reach:
    return spf.reach(text, OTHERS, "example.com")


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("include:half.net", [("include:half.net", "half.net", "gone.half.net")]),
        ("include:deep.net", [("include:deep.net", "half.net", "gone.half.net")]),
        (
            "include:sound.net include:half.net ?include:deep.net",
            [
                ("include:half.net", "half.net", "gone.half.net"),
                ("?include:deep.net", "half.net", "gone.half.net"),
            ],
        ),
        ("redirect=half.net", [("redirect=half.net", "half.net", "gone.half.net")]),
        ("include:sound.net", []),
        # A circle of others is one too, and comes before what stands behind it; addresses are none.
        (
            "include:round.net",
            [
                ("include:round.net", "round.net", "round.net"),
            ],
        ),
        ("a include:three.net", [("include:three.net", "one.net", "two.net")]),
        # What the record itself does wrong, and what more there is, comes first.
        ("include:half.net include:gone.net", []),
        ("include:own.net include:half.net", []),
        ("include:lost.net", []),
        (f"include:half.net {' '.join(f'a:h{n}.net' for n in range(10))}", []),
    ],
)
def test_dead_ends_are_those_of_others_alone(text: str, ends: list[tuple[str, str, str]]) -> None:
    found = of_others(reach(f"v=spf1 {text}"))
    assert [(end.cost.term, end.owner, end.name) for end in found] == ends
    for end in found:
        assert f"the record of {end.owner}, which includes {end.name}" in end.sentence


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("include:half.net a mx ~all", "a mx include:half.net ~all"),
        ("a include:half.net mx", "a mx include:half.net"),
        ("include:three.net a mx -all", "a mx include:three.net -all"),
        (
            "include:half.net a include:deep.net  mx ~all exp=e.net",
            "a  mx include:half.net include:deep.net ~all exp=e.net",
        ),
        ("-a:x.net include:half.net mx ~all", "-a:x.net mx include:half.net ~all"),
        # It is the last, or nothing can be said of whom another term refuses.
        ("a include:half.net ~all", None),
        ("a include:half.net include:deep.net -all", None),
        ("include:half.net -a mx ~all", None),
        ("?include:half.net a ~all", None),
        ("a redirect=half.net", None),
    ],
)
def test_what_leads_to_them_is_put_last(text: str, made: str | None) -> None:
    found = reach(f"v=spf1 {text}")
    assert put_last(found.record, of_others(found)) == (made and f"v=spf1 {made}")

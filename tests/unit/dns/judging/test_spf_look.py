# SPDX-License-Identifier: Apache-2.0
"""Who is required and refused although a name that depends on the message stands before.

Covers: refused whatever stands at such names; left open where something may let them pass; a record
that a fix makes is looked at as if it stood there; what is required goes before such names.
"""

from __future__ import annotations

import pytest

from postroom.api.findings import FixAction
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of

OTHERS: dict[Key, list[str]] = {
    ("ours.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 -all"],
    ("back.net", "TXT"): [f"v=spf1 ip4:203.0.113.9 include:{DOMAIN} -all"],
    ("list.net", "TXT"): ["for its names"],
    ("each.net", "TXT"): ["v=spf1 include:%{i}.list.net -all"],
    ("lists.net", "TXT"): [
        "v=spf1 exists:%{i}.list.net exists:%{l}.list.net exists:%{s}.list.net -all"
    ],
    ("own.net", "TXT"): ["v=spf1 -mx:%{ir}.list.net ip4:203.0.113.0/28 -all"],
}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("?a:%{s}.list.net ?ip4:198.51.100.3 include:ours.net ~all", "SPF_SHADOWED"),
        ("-exists:%{i}.list.net ~ip4:198.51.100.3 include:ours.net ~all", "SPF_SHADOWED"),
        ("include:own.net -ip4:198.51.100.3 include:ours.net ~all", "SPF_SHADOWED"),
        # These may let it pass.
        ("exists:%{i}.list.net ?ip4:198.51.100.3 include:ours.net ~all", None),
        ("a:%{s}.list.net ~ip4:198.51.100.3 include:ours.net ~all", None),
        ("include:%{i}.list.net -ip4:198.51.100.3 include:ours.net ~all", None),
        ("?exists:%{i}.list.net include:ours.net ~ip4:198.51.100.3 ~all", None),
    ],
)
def test_who_is_refused_whatever_stands_at_names_of_the_message(
    record: str, code: str | None
) -> None:
    names = Names({**OTHERS, (DOMAIN, "TXT"): [f"v=spf1 {record}"]})
    plan = plan_of(spf={"includes": ["ours.net"]})
    found = names.judged(plan, "spf")
    assert (found.cause.code if found.cause is not None else None) == code
    if found.cause is not None:
        assert "198.51.100.3, which is required to pass" in found.message
        assert found.cause.fix is not None
        names.apply(found.cause.fix)
        assert names.judged(plan, "spf").state == "Valid"


def test_a_record_that_leads_back_is_looked_at_as_the_fix_makes_it() -> None:
    """What is there now lacks the requirement, wherever it is come back to; the fix does not."""
    names = Names({**OTHERS, (DOMAIN, "TXT"): ["v=spf1 include:back.net ~all"]})
    found = names.judged(plan_of(spf={"includes": ["ours.net"]}), "spf")
    assert found.cause is not None and found.cause.fix is not None
    assert found.cause.fix.action is FixAction.REPLACE
    names.apply(found.cause.fix)
    assert names.judged(plan_of(spf={"includes": ["ours.net"]}), "spf").state == "Valid"
    assert "not enough" not in found.message


@pytest.mark.parametrize(
    ("record", "required", "made"),
    [
        (
            "include:%{i}.list.net ip4:192.0.2.1 ~all",
            ["ours.net"],
            "include:ours.net include:%{i}.list.net ip4:192.0.2.1 ~all",
        ),
        # Of two that are required the one that all pass by comes first, the other where it can,
        (
            "~a:list.net include:ours.net ~all",
            ["ours.net", "each.net"],
            "include:ours.net include:each.net ~a:list.net ~all",
        ),
        # also where nothing is there yet, in whatever order the spec has them.
        ("", ["each.net", "ours.net"], "include:ours.net include:each.net ~all"),
        ("", ["ours.net", "each.net"], "include:ours.net include:each.net ~all"),
        # Three that find nothing are permerror as well.
        ("", ["lists.net", "ours.net"], "include:ours.net include:lists.net ~all"),
        # What stands before it, and lets pass what is required all the same, stays there.
        (
            "ip4:198.51.100.0/24 include:%{i}.list.net ~all",
            ["ours.net", "each.net"],
            "ip4:198.51.100.0/24 include:%{i}.list.net include:each.net ~all",
        ),
    ],
)
def test_what_is_required_waits_for_no_name_of_the_message(
    record: str, required: list[str], made: str
) -> None:
    """One that is not there is permerror for all behind it."""
    there = {(DOMAIN, "TXT"): [f"v=spf1 {record}"]} if record else {}
    names = Names({**OTHERS, **there})
    plan = plan_of(spf={"includes": required})
    found = names.judged(plan, "spf")
    assert found.cause is not None and found.cause.fix is not None
    assert found.cause.fix.value == f"v=spf1 {made}"
    names.apply(found.cause.fix)
    assert names.judged(plan, "spf").state == "Valid"

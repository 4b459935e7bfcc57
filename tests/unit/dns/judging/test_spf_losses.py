# SPDX-License-Identifier: Apache-2.0
"""No SPF fix ends the evaluation of who passes now by a fault of what is required.

Covers: what is required goes first only where nobody runs into it; else it stands behind who
passes, or no record is offered, and it is said why; whom names that depend on the message let pass.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.dns import spf
from postroom.dns.answers import Answer, Question, RecordType
from postroom.dns.judging.judgement import Judgement
from postroom.dns.judging.spf_losses import get_through
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of

APEX: Key = (DOMAIN, "TXT")
OTHERS: dict[Key, list[str]] = {
    ("ours.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"],
    ("leaf.net", "TXT"): ["v=spf1 ip4:203.0.113.0/25 ?all"],
    ("loop.net", "TXT"): ["v=spf1 ip4:192.0.2.1 include:loop.net -all"],
    ("dead.net", "TXT"): ["v=spf1 ip4:192.0.2.2 include:gone.dead.net -all"],
    ("deeper.net", "TXT"): ["v=spf1 ip4:192.0.2.3 include:dead.net -all"],
    ("voids.net", "TXT"): ["v=spf1 a:n1.void.net a:n2.void.net ip4:192.0.2.5 -all"],
    ("hosts.net", "TXT"): [
        "v=spf1 a:h1.net a:h2.net a:h3.net ip4:192.0.2.7 ip6:2001:db8:7::1 -all"
    ],
    ("lists.net", "TXT"): ["v=spf1 exists:%{i}.list.net ip4:192.0.2.10 -all"],
    ("each.net", "TXT"): ["v=spf1 include:%{i}.each.net ip4:192.0.2.11 -all"],
    ("198.51.100.3.each.net", "TXT"): ["v=spf1 ip4:198.51.100.3 -all"],
    ("203.0.113.9.list.net", "A"): ["127.0.0.2"],
    **{(f"h{number}.net", "A"): [f"203.0.113.8{number}"] for number in (1, 2, 3)},
}
REQUIRED = tuple(name for name, kind in OTHERS if kind == "TXT" and name[0].isalpha())
TERMS = (
    *(f"{mark}include:{name}" for mark in ("", "~") for name in (*REQUIRED, "%{i}.each.net")),
    "include:%{l}.each.net",
    "exists:%{i}.list.net",
    "-exists:%{l}.list.net",
    "a:n8.void.net",
    "~a:n9.void.net",
    "a:h1.net",
    "-a:h2.net",
    "ptr",
    "ip4:198.51.100.3",
    "~ip4:192.0.2.0/29",
    "ip4:192.0.2.0/28",
    "~ip6:2001:db8::/32",
    "ip6:2001:db8::5",
)
CLIENTS = (
    *(f"192.0.2.{number}" for number in (1, 2, 3, 5, 7, 10, 11)),
    *(f"203.0.113.{number}" for number in (9, 81, 82, 83)),
    "198.51.100.3",
    "198.51.100.9",
    "2001:db8::5",
    "2001:db8:7::1",
    "9.9.9.9",
)
SENDERS = (f"someone@{DOMAIN}", f"198.51.100.3@{DOMAIN}")


def passing(names: Names) -> set[tuple[str, str]]:
    """Who passes, as receivers decide it."""

    def source(name: str, kind: RecordType) -> Answer:
        return names.answer(Question(name, kind), authenticated=False)

    return {
        (client, sender)
        for client in CLIENTS
        for sender in SENDERS
        if spf.check_host_with(client, sender, DOMAIN, source).result is spf.ResultCode.PASS
    }


def judged(record: str, *includes: str) -> tuple[Names, Judgement]:
    names = Names({**OTHERS, APEX: [f"v=spf1 {record}"]})
    return names, names.judged(plan_of(spf={"includes": list(includes)}), "spf")


@pytest.mark.parametrize(
    ("record", "required", "made"),
    [
        (
            "a:h1.net ~ip4:192.0.2.0/24 ip4:198.51.100.3 -all",
            ["each.net"],
            "a:h1.net ~ip4:192.0.2.0/24 ip4:198.51.100.3 include:each.net -all",
        ),
        # What depends on the message ends the evaluation of whoever has no record there.
        (
            "~a:n8.void.net include:leaf.net ~all",
            ["each.net"],
            "~a:n8.void.net include:leaf.net include:each.net ~all",
        ),
        # What surely evaluates goes first all the same.
        (
            "~ip4:198.51.100.0/24 ip4:192.0.2.0/28 -include:dead.net -all",
            ["each.net", "ours.net"],
            "include:ours.net ~ip4:198.51.100.0/24 ip4:192.0.2.0/28 -include:dead.net "
            "include:each.net -all",
        ),
    ],
)
def test_what_may_end_the_evaluation_stands_behind_who_passes(
    record: str, required: list[str], made: str
) -> None:
    names, found = judged(record, *required)
    before = passing(names)
    assert found.value == f"v=spf1 {made}"
    assert found.cause is not None and found.cause.fix is not None
    names.apply(found.cause.fix)
    assert before <= passing(names)


@pytest.mark.parametrize(
    ("record", "required", "address"),
    [
        # The dead end that is there ends the evaluation before who is required, if that comes last.
        ("a:h1.net -include:dead.net ~include:ours.net ~all", "deeper.net", "203.0.113.81"),
        # IPv6 senders of theirs come to three hosts without an address of IPv6.
        (
            "include:ours.net ~include:leaf.net ~include:hosts.net ip6:2001:db8::5 ~all",
            "hosts.net",
            "2001:db8::",
        ),
        # A redirect is followed behind all mechanisms, so that there is no place behind it.
        ("a:h1.net redirect=ours.net", "each.net", "198.51.100.0"),
    ],
)
def test_no_record_is_offered_where_each_takes_a_pass_away(
    record: str, required: str, address: str
) -> None:
    _, found = judged(record, required)
    assert found.cause is not None and found.cause.fix is not None
    assert found.cause.fix.action is FixAction.EXTERNAL
    assert f"{address} passes now, and would not by one that" in found.message


def test_whom_names_of_the_message_let_pass_may_lose_by_it_and_that_is_said() -> None:
    """No name tells who passes by them, so that this is no reason to offer nothing."""
    names, found = judged(
        "exists:%{i}.list.net -ip4:203.0.113.82 ~include:hosts.net ~all", "hosts.net"
    )
    assert found.value == "v=spf1 include:hosts.net exists:%{i}.list.net -ip4:203.0.113.82 ~all"
    said = "Senders of IPv6 that pass now by a name that depends on the message may not any more"
    assert said in found.message
    assert found.cause is not None and found.cause.fix is not None
    names.apply(found.cause.fix)
    assert names.judged(plan_of(spf={"includes": ["hosts.net"]}), "spf").state == "Valid"


@pytest.mark.parametrize(
    ("record", "required", "made"),
    [
        # That lists.net looks up another name for each message keeps nobody of theirs from passing.
        ("include:dead.net ~all", ["lists.net"], "include:lists.net include:dead.net ~all"),
        # Senders of IPv6 of ours.net pass before they come to the hosts that have no such address.
        (
            "a:h1.net -include:dead.net ?all",
            ["hosts.net", "ours.net"],
            "include:ours.net include:hosts.net a:h1.net -include:dead.net ?all",
        ),
    ],
)
def test_the_fix_makes_it_valid_beside_the_faults_of_others(
    record: str, required: list[str], made: str
) -> None:
    names, found = judged(record, *required)
    assert found.value == f"v=spf1 {made}"
    assert found.cause is not None and found.cause.fix is not None
    names.apply(found.cause.fix)
    assert names.judged(plan_of(spf={"includes": required}), "spf").state == "Valid"


CROWD: dict[Key, list[str]] = {
    ("crowd.net", "MX"): [f"10 mx{number}.crowd.net" for number in range(11)],
    ("crowded.net", "TXT"): ["v=spf1 mx:crowd.net ip4:192.0.2.12 -all"],
    ("nobody.net", "TXT"): ["v=spf1 -all"],
    ("six.net", "TXT"): ["v=spf1 ip6:2001:db8::/32 -all"],
    ("part.net", "TXT"): ["v=spf1 ip6:2001:db8::/64 exists:n1.void.net redirect=six.net"],
    ("pair.net", "TXT"): ["v=spf1 a:h1.net a:h2.net ip4:192.0.2.13 -all"],
    ("void.net", "TXT"): ["v=spf1 mx:n2.void.net -all"],
}


@pytest.mark.parametrize(
    ("record", "required", "what"),
    [
        ("include:dead.net -all", ["nobody.net"], "leads by include:dead.net to the record of"),
        ("mx:crowd.net -all", ["nobody.net"], "has an mx for crowd.net, which has more than ten"),
    ],
)
def test_where_the_fix_is_not_enough_it_says_so_and_what_is_next(
    record: str, required: list[str], what: str
) -> None:
    names = Names({**OTHERS, **CROWD, APEX: [f"v=spf1 {record}"]})
    plan = plan_of(spf={"includes": required})
    found = names.judged(plan, "spf")
    assert found.cause is not None and found.cause.fix is not None
    said = f"This fix alone is not enough: after it the TXT at {DOMAIN} {what}"
    assert said in found.message
    names.apply(found.cause.fix)
    after = names.judged(plan, "spf")
    assert after.state == "Wrong"
    assert what in after.message


@pytest.mark.parametrize(
    ("required", "made"),
    [
        # The senders of ours.net come to three hosts without an address of IPv6, unless it is
        # first; in what order they are to be nobody has to find out by publishing.
        (["hosts.net", "ours.net"], "v=spf1 include:ours.net include:hosts.net ~all"),
        (["pair.net", "part.net"], "v=spf1 include:part.net include:pair.net ~all"),
        # No order helps whom a record of theirs keeps from passing.
        (["crowded.net", "ours.net"], None),
    ],
)
def test_the_first_record_of_a_domain_is_one_that_is_valid(
    required: list[str], made: str | None
) -> None:
    names = Names({**OTHERS, **CROWD})
    plan = plan_of(spf={"includes": required})
    found = names.judged(plan, "spf")
    assert found.state == "Missing"
    assert found.cause is not None and found.cause.fix is not None
    if made is None:
        assert found.cause.fix.action is FixAction.EXTERNAL
        assert "leads by include:crowded.net to the record of crowded.net" in found.message
        return
    assert (found.cause.fix.value, found.value) == (made, made)
    names.apply(found.cause.fix)
    assert names.judged(plan, "spf").state == "Valid"


def test_lookups_that_find_nothing_for_some_are_no_objection_where_nobody_runs_into_them() -> None:
    """Three find nothing for IPv6 however they stand; only behind part.net nobody who passes, or is
    required, comes to all of them."""
    names = Names({**OTHERS, **CROWD, APEX: ["v=spf1 a:h1.net include:part.net ~all"]})
    plan = plan_of(spf={"includes": ["void.net", "part.net"]})
    found = names.judged(plan, "spf")
    assert found.cause is not None and found.cause.fix is not None
    before = passing(names)
    names.apply(found.cause.fix)
    assert names.judged(plan, "spf").state == "Valid"
    assert before <= passing(names)


@pytest.mark.parametrize(
    ("record", "required"),
    [
        # The name without a record is that of hosts here: that nobody includes it is no fault.
        ("exists:gone.dead.net ~include:dead.net ~all", ["ours.net"]),
        ("a:gone.dead.net mx:gone.dead.net ?include:dead.net ~all", ["ours.net"]),
        # Addresses of the domain itself are what they are, whatever record stands there.
        ("a:%{o} -all", ["nobody.net"]),
        ("a -all", ["nobody.net", "ours.net"]),
    ],
)
def test_one_fix_is_enough_and_says_nothing_else(record: str, required: list[str]) -> None:
    own: dict[Key, list[str]] = {(DOMAIN, "A"): ["203.0.113.82"], APEX: [f"v=spf1 {record}"]}
    names = Names({**OTHERS, **CROWD, **own})
    plan = plan_of(spf={"includes": required, "ip4": ["203.0.113.82"]})
    found = names.judged(plan, "spf")
    assert found.cause is not None and found.cause.fix is not None
    assert "not enough" not in found.message
    names.apply(found.cause.fix)
    assert names.judged(plan, "spf").state == "Valid"


def test_no_fix_leaves_all_as_it_is() -> None:
    """What ends.net lets pass does so already; that it leads to a fault no record here can mend."""
    ends = {("ends.net", "TXT"): ["v=spf1 ip4:203.0.113.81 -include:dead.net -all"]}
    names = Names({**OTHERS, **ends, APEX: ["v=spf1 ip4:203.0.113.0/24 include:dead.net -all"]})
    found = names.judged(plan_of(spf={"includes": ["ends.net"]}), "spf")
    assert found.cause is not None and found.cause.fix is not None
    assert found.cause.fix.action is FixAction.EXTERNAL
    assert "until then leave it out of spec.spf" in found.message


def test_everyone_does_not_pass_by_what_stands_behind_a_dead_end() -> None:
    """Else the fix leaves the term there, and the same is found again."""
    records = {("wide.net", "TXT"): ["v=spf1 include:gone.net ip4:0.0.0.0/0 -all"]}
    names = Names({**OTHERS, **records, APEX: ["v=spf1 include:wide.net -all"]})
    plan = plan_of(spf={"ip4": ["198.51.100.0/25"]})
    found = names.judged(plan, "spf")
    assert found.cause is not None and found.cause.fix is not None
    assert found.cause.code == "SPF_DEAD_INCLUDE"
    names.apply(found.cause.fix)
    assert names.judged(plan, "spf").state == "Valid"


@pytest.mark.parametrize(
    ("mechanism", "through"),
    [
        ("include:ours.net", True),
        ("include:dead.net", False),
        ("include:loop.net", False),
        ("include:voids.net", False),
        ("include:lists.net", False),
        ("include:each.net", False),
        ("a:nobody.saw.net", True),
    ],
)
def test_what_nobody_runs_into(mechanism: str, through: bool) -> None:
    void = spf.Fetched(missing=True, ipv4=(), ipv6=())
    there = {
        name: spf.Fetched((texts[0],)) for (name, kind), texts in OTHERS.items() if kind == "TXT"
    }
    there |= dict.fromkeys(("n1.void.net", "n2.void.net", "gone.dead.net"), void)
    assert get_through(f"v=spf1 {mechanism}", there, DOMAIN) is through


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(TERMS), min_size=1, max_size=4, unique=True),
    st.sampled_from(("-all", "~all", "redirect=ours.net", "redirect=hosts.net")),
    st.lists(st.sampled_from(REQUIRED), min_size=1, max_size=2, unique=True),
)
def test_a_fix_takes_from_nobody_whatever_is_required(
    terms: list[str], end: str, required: list[str]
) -> None:
    names, found = judged(" ".join([*terms, end]), *required)
    fix = found.cause.fix if found.cause is not None else None
    if fix is None or fix.action in (FixAction.EXTERNAL, FixAction.WAIT):
        return
    before = passing(names)
    names.apply(fix)
    after = names.judged(plan_of(spf={"includes": required}), "spf")
    assert after.state == "Valid" or "This fix alone is not enough" in found.message, (fix, after)
    said = any(text in found.message for text in ("leaves out", "depends on the message may not"))
    assert before <= passing(names) or said, (fix, found.message)

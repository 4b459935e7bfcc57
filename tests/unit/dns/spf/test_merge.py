# SPDX-License-Identifier: Apache-2.0
"""Merging SPF records, step by step: what is kept, mended, added and refused."""

from __future__ import annotations

import ipaddress
from functools import partial

import pytest

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.spf import Fetched, Requirement
from postroom.dns.spf.merge import merge, presentation

WANTED = Requirement(("spf.provider.net",), (ipaddress.ip_network("192.0.2.7/32"),), "~all")
W = "include:spf.provider.net ip4:192.0.2.7"
OTHERS = {
    "spf.provider.net": Fetched(("v=spf1 ip4:198.51.100.0/24 -all",)),
    "a.net": Fetched(("v=spf1 include:b.net a mx -all",)),
    "b.net": Fetched(("v=spf1 exists:%{i}.b.net -all",)),
    "c.net": Fetched(("v=spf1 ip4:203.0.113.0/24 -all",)),
    "nine.net": Fetched(("v=spf1" + " a" * 9,)),
    "lost.net": Fetched(unknown=True),
    "gone.net": Fetched(missing=True),
    "theirs.net": Fetched(("v=spf1 include:gone.net",)),
}


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        # Whoever passes does so before an include that is not there for each message,
        ("v=spf1 ip4:203.0.113.7 exp=e.net a:h.net ?all", "ip4:203.0.113.7 exp=e.net a:h.net W"),
        ("v=spf1 include:c.net mx redirect=c.net", "include:c.net mx W redirect=c.net"),
        ("v=spf1 mx", "mx W"),
        ("v=spf1 ~all", "W ~all"),
        # and what refuses comes after what is required all the same.
        ("v=spf1 mx -a include:c.net -all", "mx W -a include:c.net -all"),
    ],
)
def test_what_may_end_the_evaluation_itself_is_put_behind_who_passes(
    existing: str, merged: str
) -> None:
    made = "v=spf1 ip4:198.51.100.0/24 include:%{s}.vendor.net -all"
    others = {**OTHERS, "vendor.net": Fetched((made,)), "h.net": Fetched(ipv4=("192.0.2.9",))}
    found = merge([existing], Requirement(("vendor.net",), (), "~all"), others)
    assert found.value is not None
    assert found.value.replace("include:vendor.net", "W").startswith(f"v=spf1 {merged}")

    def answer(name: str, kind: RecordType, text: str) -> Answer:
        there = {"d.net": (text,), "vendor.net": (made,)}
        values = there.get(name, ()) if kind is RecordType.TXT else ()
        outcome = Outcome.FOUND if values else Outcome.NX_DOMAIN
        return Answer(Question(name, kind), outcome, values)

    for address in ("203.0.113.7", "198.51.100.1"):
        results = [
            spf.check_host_with(address, "a@d.net", "d.net", partial(answer, text=text)).result
            for text in (existing, found.value)
        ]
        assert results[0] is not spf.ResultCode.PASS or results[1] is spf.ResultCode.PASS


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        ([], f"v=spf1 {W} ~all"),
        ([f"v=spf1 {W} -all"], f"v=spf1 {W} -all"),
        (["v=spf1 include:a.net -all"], f"v=spf1 include:a.net {W} -all"),
        (["v=spf1 mx"], f"v=spf1 {W} mx"),
        (["v=spf1  mx  ?all  x=y "], f"v=spf1 {W}  mx  ?all  x=y "),
        (["v=spf1 redirect=a.net"], f"v=spf1 {W} redirect=a.net"),
        (["v=spf1 +all"], f"v=spf1 {W} ~all"),
        (["V=SPF1 a -all"], f"V=SPF1 {W} a -all"),
        # What refuses comes after what is required.
        (["v=spf1 include:c.net -a include:b.net"], f"v=spf1 include:c.net {W} -a include:b.net"),
        (["v=spf1 -ip4:192.0.2.0/24 -all"], f"v=spf1 {W} -ip4:192.0.2.0/24 -all"),
        (
            ["v=spf1 ?include:spf.provider.net ip4:192.0.2.7 -include:SPF.provider.net -all"],
            f"v=spf1 {W} -all",
        ),
        (["v=spf1 a -all include:spf.provider.net"], f"v=spf1 {W} a -all"),
        # Several records become one.
        (["v=spf1 a -all", "v=spf1 mx ~all"], f"v=spf1 {W} a mx ~all"),
        (["v=spf1 a ~all", "v=spf1 A ?all x=y"], f"v=spf1 {W} a ?all x=y"),
        (["v=spf1 redirect=c.net", "v=spf1 mx"], f"v=spf1 include:c.net {W} mx -all"),
        (
            ["v=spf1 redirect=c.net", "v=spf1 redirect=b.net -all"],
            f"v=spf1 include:c.net {W} -all",
        ),
        # Dead includes go; they make receivers give up.
        (["v=spf1 include:gone.net -all"], f"v=spf1 {W} -all"),
        (["v=spf1 redirect=gone.net"], f"v=spf1 {W}"),
    ],
)
def test_merging(existing: list[str], merged: str) -> None:
    made = merge(existing, WANTED, OTHERS)
    assert made.value == merged
    assert made.removed == tuple(sorted(one for one in existing if one != merged))
    assert bool(made.changes) is (existing not in ([merged], []))


@pytest.mark.parametrize(
    ("slip", "mended"),
    [
        ("ipv4:203.0.113.1", "ip4:203.0.113.1"),
        ("-IPv6:2001:db8::1", "-ip6:2001:db8::1"),
        ("include: c.net", "include:c.net"),
        ("include=c.net ipv4:203.0.113.1", "include:c.net ip4:203.0.113.1"),
        ("include:c.net,", "include:c.net"),
        ("include:c.net,ip4:203.0.113.1;mx", "include:c.net ip4:203.0.113.1 mx"),
        ("mx\tptr", "mx ptr"),
        ("mx\xc2\xa0ptr", "mx ptr"),
        ("\xe2\x80\x8bmx", "mx"),
        ("a:203.0.113.1", "ip4:203.0.113.1"),
        ("ip:203.0.113.0/24", "ip4:203.0.113.0/24"),
        ("203.0.113.1", "ip4:203.0.113.1"),
        ("ip6:203.0.113.1", "ip4:203.0.113.1"),
        ("ip4:2001:db8::1", "ip6:2001:db8::1"),
        ("mx,~all", "mx ~all"),
        ("foo", ""),
        ("ip4:203.0.113.999", ""),
        ("a:\xe4.net", ""),
        (",", ""),
        ("exp=c.net exp=b.net", "exp=c.net"),
    ],
)
def test_slips_are_mended_or_left_out(slip: str, mended: str) -> None:
    made = merge([f"v=spf1 {slip}"], Requirement((), (), "~all"), OTHERS)
    assert made.value is not None
    assert made.value.split() == ["v=spf1", *mended.split()]
    assert made.changes


def test_joined_terms_are_parted() -> None:
    made = merge(["v=spf1 include:c.net~all"], Requirement((), (), "?all"), OTHERS)
    assert made.value == "v=spf1 include:c.net ~all"


def test_a_lawful_modifier_stays_unless_something_is_amiss() -> None:
    text = f"v=spf1 include=c.net {W} -all"
    assert merge([text], WANTED, OTHERS).value == text
    # Nothing is known of the other one, so it might break the record.
    made = merge(["v=spf1 include=c.net include=other.net -all"], WANTED, OTHERS)
    assert made.value == f"v=spf1 include:c.net {W} include=other.net -all"


def test_what_everyone_may_send_can_be_kept() -> None:
    made = merge(["v=spf1 +all"], WANTED, OTHERS, keep_pass_all=True)
    assert made.value == "v=spf1 +all"


@pytest.mark.parametrize(
    ("existing", "required", "problem"),
    [
        (None, WANTED, "could not be looked at"),
        (["v=spf1 include:lost.net"], WANTED, "lost.net could not be looked at"),
        (["v=spf1 -all"], Requirement(("lost.net",), (), "~all"), "lost.net could not be"),
        (["v=spf1 -all"], Requirement(("gone.net",), (), "~all"), "which is required, has no"),
        (["v=spf1 include:theirs.net"], WANTED, "included by another's record"),
        (["v=spf1 include:nine.net a"], WANTED, "takes 12 DNS lookups; 10 are allowed"),
    ],
)
def test_no_value_is_handed_out_that_does_not_work(
    existing: list[str] | None, required: Requirement, problem: str
) -> None:
    made = merge(existing, required, OTHERS, "example.com")
    assert made.value is None
    assert problem in (made.problem or "")
    assert made.removed == ()


def test_advice_begins_with_the_return_path() -> None:
    others = {**OTHERS, "example.com": Fetched(ipv4=(), ipv6=(), exchanges=())}
    text = "v=spf1 include:nine.net mx ptr -all"
    made = merge([text], WANTED, others, "example.com")
    assert made.lookups_after == 13
    assert made.octets == len(made.candidate)
    assert [one.partition(",")[0] for one in made.advice] == [
        "Send with a return path of its own",
        "Take out mx",
        "Take out ptr",
        "As a last resort replace an include by the networks that it stands for",
    ]
    assert "bounce.example.com" in made.advice[0]
    assert made.advice[1].endswith("it saves 1 lookup.")
    assert [saving.term for saving in made.savings] == ["mx", "ptr"]


def test_lookups_that_can_find_nothing_are_not_added() -> None:
    others = {**OTHERS, "v.net": Fetched(("v=spf1 exists:%{i}.v.net",))}
    text = "v=spf1 exists:%{i}.x.net exists:%{i}.y.net ip4:203.0.113.1 -all"
    made = merge([text], Requirement(("v.net",), (), "~all"), others)
    assert (made.value, made.problem) == (
        None,
        "More than 2 lookups of the record can find nothing",
    )
    # The record may have such lookups of its own: that is no reason to leave it as it is.
    assert merge([text + " x=1"], WANTED, others).value is not None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("v=spf1 include:gone.net -all", "v=spf1 -all"),
        ("v=spf1  mx  include:gone.net  include:b.net", "v=spf1  mx  include:b.net"),
        ("v=spf1 include:GONE.net. ?include:gone.net -all", "v=spf1 -all"),
        ("v=spf1 include:spf.provider.net -all", "v=spf1 include:spf.provider.net -all"),
        ("v=spf1 -all include:gone.net", "v=spf1 -all include:gone.net"),
    ],
)
def test_dead_includes_are_taken_out(text: str, left: str) -> None:
    assert merge([text], Requirement((), (), "~all"), OTHERS).value == left


def test_a_dead_include_that_is_required_stays() -> None:
    text = "v=spf1 include:gone.net -all"
    assert merge([text], Requirement(("gone.net",), (), "~all"), OTHERS).candidate == text


def test_the_text_is_told_even_if_it_cannot_be_handed_out() -> None:
    made = merge(["v=spf1 include:nine.net a"], WANTED, OTHERS)
    assert (made.value, made.candidate) == (None, f"v=spf1 include:nine.net {W} a")


def test_changes_are_told_and_bounded() -> None:
    made = merge(["v=spf1 ipv4:203.0.113.1 foo -all"], WANTED, OTHERS)
    assert made.changes == (
        "writes ipv4:203.0.113.1 as ip4:203.0.113.1",
        "takes out foo, which is not a mechanism of SPF",
        f"adds {W}",
    )
    many = " ".join(f"foo{n}{'x' * 300}" for n in range(10)) + " bar" * 40
    made = merge([f"v=spf1 {many}"], WANTED, OTHERS)
    assert len(made.changes) == 17
    assert made.changes[-1] == "makes 35 more changes"
    assert max(map(len, made.changes)) < 400


def test_long_values_are_split_on_spaces_that_stay() -> None:
    value = "v=spf1 " + " ".join(f"ip4:192.0.2.{n}" for n in range(40)) + " -all"
    strings = [one.strip('"') for one in presentation(value).split('" "')]
    assert "".join(strings) == value
    assert all(len(string) <= 255 for string in strings)
    assert all(string.endswith(" ") for string in strings[:-1])
    assert presentation('v=spf1 x="\\ -all') == '"v=spf1 x=\\"\\\\ -all"'


def test_names_are_compared_without_case_and_one_trailing_dot() -> None:
    required = Requirement(("SPF.Provider.NET.",), (), "~all")
    text = "v=spf1 include:spf.provider.net -all"
    assert merge([text], required, OTHERS).value == text
    assert spf.reach(text, OTHERS).includes == {"spf.provider.net"}

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


@pytest.mark.parametrize(
    ("records", "code", "said"),
    [
        (["v=spf1 -all"], None, ""),
        (["v=spf1 -all", "v=spf1 a -all"], "SPF_MULTIPLE", "holds 2 SPF records"),
        (["v=spf1 +all"], "SPF_PLUS_ALL", "lets everyone send"),
        (["v=spf1 all"], "SPF_PLUS_ALL", "lets everyone send"),
        (["v=spf1 ip4:1.2.3 -all"], "SPF_SYNTAX", "at character 8: ip4:1.2.3 "),
        (["v=spf1 \xe4 -all"], "SPF_NON_ASCII", "at character 8"),
        (["v=spf1 include:<your provider> -all"], "VALUE_PLACEHOLDER", "at character 8"),
        (["v=spf1 ip4:1.2.3.4ip4:1.2.3.5 -all"], "SPF_JOINED_TERMS", "at character 8"),
        # Lists of addresses are another mistake.
        (["v=spf1 ip4:1.2.3.4,ip4:1.2.3.5 -all"], "SPF_SYNTAX", "at character 8"),
    ],
)
def test_what_the_texts_alone_show(records: list[str], code: str | None, said: str) -> None:
    fault = spf_faults.of_text(records)
    assert (fault.code if fault else None) == code
    assert said in (fault.sentence if fault else "")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("v=spf1 -all", "SPF_MISSING_INCLUDE", "does not authorise include:a.net"),
        ("v=spf1 -all include:a.net", "SPF_INCLUDE_AFTER_ALL", "what stands after all is ignored"),
        ("v=spf1 -all redirect=a.net", "SPF_MISSING_INCLUDE", "ignored beside all"),
        ("v=spf1 ~include:a.net -all", "SPF_SHADOWED", "without letting them pass"),
        ("v=spf1 include:a.net:b.net -all", "SPF_JOINED_TERMS", "without a space"),
    ],
)
def test_why_what_is_required_is_not_authorised(text: str, code: str, said: str) -> None:
    fault = spf_faults.of_authorisation(text, ["include:a.net"], "x.net")
    assert (fault.code, said in fault.sentence) == (code, True)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("v=spf1 a mx -all", False),
        ("v=spf1 a ~mx ~all", True),
        ("v=spf1 -a mx -all", True),
        ("v=spf1 mx redirect=a.net", True),
        # Beside all, a redirect has no effect (RFC 7208 section 6.1).
        ("v=spf1 mx -all redirect=a.net", False),
        ("v=spf1 mx -all -a", False),
    ],
)
def test_whether_a_record_may_refuse_whom_it_admits(text: str, may: bool) -> None:
    assert spf_faults.may_refuse(text) is may


def _includes(count: int) -> str:
    return " ".join(f"include:n{number}.net" for number in range(count))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # Ten lookups are allowed, and two that find nothing (RFC 7208 section 4.6.4).
        (f"v=spf1 {_includes(10)} -all", None),
        (f"v=spf1 {_includes(11)} -all", "SPF_TOO_MANY"),
        ("v=spf1 a:void.net exists:void.net -all", None),
        ("v=spf1 a:void.net exists:void.net mx:void.net -all", "SPF_VOID"),
        ("v=spf1 mx:ten.net -all", None),
        ("v=spf1 mx:eleven.net -all", "SPF_TOO_MANY"),
        ("v=spf1 include:void.net -all", "SPF_DEAD_INCLUDE"),
        ("v=spf1 include:loop.net -all", "SPF_LOOP"),
    ],
)
def test_what_evaluation_runs_into(text: str, code: str | None) -> None:
    others = {f"n{number}.net": spf.Fetched(("v=spf1 -all",)) for number in range(11)}
    others["void.net"] = spf.Fetched(missing=True, ipv4=(), ipv6=(), exchanges=())
    others["ten.net"] = spf.Fetched(exchanges=tuple(f"m{number}.net" for number in range(10)))
    others["eleven.net"] = spf.Fetched(exchanges=tuple(f"m{number}.net" for number in range(11)))
    others["loop.net"] = spf.Fetched(("v=spf1 include:loop.net -all",))
    fault = spf_faults.of_reach(spf.reach(text, others, "example.com"))
    assert (fault.code if fault else None) == code


def test_the_dearest_terms_are_named_in_their_order() -> None:
    others = {
        "a.net": spf.Fetched(("v=spf1 -all",)),
        "b.net": spf.Fetched(("v=spf1 include:a.net -all",)),
    }
    text = "v=spf1 include:a.net include:b.net a:a.net mx -all"
    found = spf.reach(text, others, "example.com")
    said = spf_faults.dearest(found)
    assert said == "; the dearest are include:b.net (2), include:a.net (1), a:a.net (1)"
    assert spf_faults.dearest(spf.reach("v=spf1 -all", others)) == ""

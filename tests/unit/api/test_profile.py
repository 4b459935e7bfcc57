# SPDX-License-Identifier: Apache-2.0
"""What an account is for, who answers for it, and the sentences for what contradicts itself."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.names import Kind
from postroom.api.profile import AIBehavior, SenderProfile, profile_for
from postroom.api.resource import InvalidSpec, parse_spec

SAYS_NOTHING = "must say enabled, behavior, or both"
UNSAID = "behavior must be set where enabled is true: FullAuto, ReplyOnly or TriageOnly"
ON_AND_OFF = (
    "behavior may not be Disabled where enabled is true: set enabled to false, or say what "
)
OFF_AND_ON = (
    "behavior may not be FullAuto, ReplyOnly or TriageOnly where enabled is false: set enabled to "
    "true, or behavior to Disabled"
)


def problems(**spec: Any) -> list[str]:
    try:
        parse_spec(Kind.EMAIL_ACCOUNT, {"address": "a@example.com", **spec})
    except InvalidSpec as error:
        return [str(problem).removeprefix("spec.") for problem in error.problems]
    return []


def settings(**ai: Any) -> tuple[bool, str] | None:
    spec = parse_spec(Kind.EMAIL_ACCOUNT, {"address": "a@example.com", "inbound": {"ai": ai}})
    assert isinstance(spec, EmailAccountSpec)
    found = spec.inbound_settings
    return (found.ai.enabled, found.ai.behavior.value) if found and found.ai else None


def test_a_whole_profile_is_taken() -> None:
    assert not problems(
        purpose="Support",
        owner={"team": "support", "contact": "ops@example.com"},
        recoveryContact="+49 30 1234567",
        replyTo="help@münchen.example",
        inbound={"ai": {"enabled": True, "behavior": "TriageOnly"}},
        senderProfiles=[{"match": "*@example.com", "profile": "billing"}],
    )
    for purpose in ("NewBusiness", "Support", "General", "Billing", "Personal"):
        assert not problems(purpose=purpose)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"purpose": "Sales"}, "purpose: must be one of"),
        ({"purpose": "support"}, "did you mean Support?"),
        ({"owner": {}}, "owner: must name a team, a contact, or both"),
        ({"owner": "support"}, "owner: must be a mapping of fields"),
        ({"owner": {"team": ""}}, "owner.team: must be the name of a team"),
        ({"owner": {"team": " a"}}, "owner.team: must be the name of a team"),
        ({"owner": {"contact": "a\nb"}}, "owner.contact: must say whom to turn to"),
        ({"owner": {"contact": "a\u202eb"}}, "owner.contact: must say whom to turn to"),
        ({"recoveryContact": "x" * 255}, "recoveryContact: must have at most 254 characters"),
        ({"replyTo": "Help <help@example.com>"}, "did you mean help@example.com?"),
        ({"replyTo": "help@example.com\r\nBcc: a@b.example"}, "replyTo: must be an email address"),
        ({"inbound": {"ai": {}}}, f"inbound.ai: {SAYS_NOTHING}"),
        ({"inbound": {"ai": {"enabled": True}}}, f"inbound.ai: {UNSAID}"),
        ({"inbound": {"ai": {"enabled": "yes"}}}, "must be true or false"),
        ({"inbound": {"ai": {"enabled": True, "behavior": "Disabled"}}}, ON_AND_OFF),
        ({"inbound": {"ai": {"enabled": False, "behavior": "FullAuto"}}}, OFF_AND_ON),
        ({"inbound": {"ai": {"enabled": False, "behavior": "ReplyOnly"}}}, OFF_AND_ON),
        ({"inbound": {"ai": {"enabled": False, "behavior": "TriageOnly"}}}, OFF_AND_ON),
        ({"inbound": {"ai": {"enabled": True, "behavior": "Full"}}}, "must be one of"),
    ],
)
def test_what_says_too_little_or_two_things_is_refused(spec: Any, sentence: str) -> None:
    assert [problem for problem in problems(**spec) if sentence in problem], problems(**spec)


@pytest.mark.parametrize(
    ("ai", "expected"),
    [
        ({"enabled": True, "behavior": "FullAuto"}, (True, "FullAuto")),
        ({"enabled": True, "behavior": "TriageOnly"}, (True, "TriageOnly")),
        ({"behavior": "ReplyOnly"}, (True, "ReplyOnly")),
        ({"behavior": "Disabled"}, (False, "Disabled")),
        ({"enabled": False}, (False, "Disabled")),
        ({"enabled": False, "behavior": "Disabled"}, (False, "Disabled")),
    ],
)
def test_whoever_reads_one_field_of_status_reads_the_same_in_the_other(
    ai: Any, expected: tuple[bool, str]
) -> None:
    assert settings(**ai) == expected


@given(st.none() | st.booleans(), st.none() | st.sampled_from(AIBehavior))
def test_no_settings_allow_an_ai_more_than_each_field_that_is_set(
    enabled: bool | None, behavior: AIBehavior | None
) -> None:
    given_fields = {"enabled": enabled, "behavior": behavior}
    ai = {name: value for name, value in given_fields.items() if value is not None}
    if problems(inbound={"ai": ai}):
        return
    found = settings(**ai)
    assert found is not None and found[0] is (found[1] != "Disabled")
    assert enabled in (None, found[0]) and behavior in (None, found[1])


@pytest.mark.parametrize(
    ("match", "address", "fits"),
    [
        ("*@example.com", "a@example.com", True),
        ("*@example.com", "a@sub.example.com", False),
        ("*@example.com", "a@example.com.evil.example", False),
        ("*@*.example.com", "a@sub.example.com", True),
        ("*@*.example.com", "a@example.com", False),
        ("*@*", "a@anywhere.example", True),
        ("billing-*@example.com", "billing-eu@example.com", True),
        ("billing-*@example.com", "abilling-eu@example.com", False),
        ("*-billing@example.com", "eu-billing@example.com", True),
        ("a*c@example.com", "ac@example.com", True),
        ("a*c@example.com", "ab@example.com", False),
        ("a.b@example.com", "aXb@example.com", False),
        ("a+b@example.com", "a+b@example.com", True),
        ("Billing@example.com", "billing@example.com", True),
    ],
)
def test_a_pattern_fits(match: str, address: str, fits: bool) -> None:
    assert SenderProfile(match=match, profile="billing").fits(address) is fits


@pytest.mark.parametrize(
    "match",
    [
        *("", "*", "@example.com", "example.com", "**@example.com", "a@b", "*@*example.com"),
        *("*@*.*.example.com", "*@EXAMPLE.com", "*@*.com.", "a b@example.com", "*@[192.0.2.1]"),
    ],
)
def test_what_is_no_pattern_is_refused(match: str) -> None:
    with pytest.raises(ValidationError, match="must be an address such as"):
        SenderProfile(match=match, profile="billing")


def test_the_first_pattern_that_fits_counts() -> None:
    rules = [
        SenderProfile(match="vip@example.com", profile="vip"),
        SenderProfile(match="*@example.com", profile="all"),
    ]
    assert profile_for("vip@example.com", rules) == "vip"
    assert profile_for("a@example.com", rules) == "all"
    assert profile_for("vip@example.com", rules[::-1]) == "all"
    assert profile_for("a@example.org", rules) is None
    twice = [{"match": "*@a.example", "profile": each} for each in ("x", "y")]
    assert "must have each match once" in problems(senderProfiles=twice)[0]
    assert "at most 16 entries" in problems(senderProfiles=[{}] * 17)[-1]


@given(
    st.from_regex(r"[a-c]{0,2}\*?[a-c]{0,2}", fullmatch=True),
    st.sampled_from(["*", "*.example.com", "example.com", "a.example.com"]),
    st.from_regex(r"[a-c]{1,4}", fullmatch=True),
    st.sampled_from(["example.com", "a.example.com", "b.a.example.com"]),
)
def test_patterns_fit_as_those_of_a_shell(local: str, at: str, name: str, domain: str) -> None:
    if not local:
        return
    expected = fnmatchcase(name, local) and fnmatchcase(domain, at)
    assert SenderProfile(match=f"{local}@{at}", profile="p").fits(f"{name}@{domain}") is expected

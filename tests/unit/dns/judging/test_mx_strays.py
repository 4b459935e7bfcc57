# SPDX-License-Identifier: Apache-2.0
"""Mail exchanges beside the required ones: what must go, what may stay, and which must be alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns.answers import Outcome, Zone
from postroom.dns.judging.judgement import Context
from postroom.dns.judging.mx_strays import is_misspelling, without_zone
from postroom.dns.planning import complete, plan
from postroom.dns.presets.identify import must_be_alone
from postroom.dns.requirements import DomainPlan
from unit.dns.judging_looks import DOMAIN, Key, Names, advice, plan_of, verdict
from unit.dns.presets.test_resolve_regions import KEY, TOKENS

MX: Key = (DOMAIN, "MX")
FIRST, SECOND = "10 mx1.mailprovider.net", "20 mx2.mailprovider.net"
PLAN = plan_of(
    mx=[
        {"host": "mx1.mailprovider.net", "preference": 10},
        {"host": "mx2.mailprovider.net", "preference": 20},
    ]
)
HEALTHY: dict[Key, list[str]] = {
    MX: [FIRST, SECOND],
    ("mx1.mailprovider.net", "A"): ["192.0.2.1"],
    ("mx2.mailprovider.net", "AAAA"): ["2001:db8::2"],
    ("backup.example.org", "A"): ["192.0.2.9"],
    ("backup6.example.org", "AAAA"): ["2001:db8::9"],
    ("mail.example.com", "A"): ["192.0.2.10"],
    ("alias.example.org", "CNAME"): ["backup.example.org"],
    ("mx1.mailprovidre.net", "A"): ["192.0.2.66"],
    ("mx1.mailprovider2.net", "A"): ["192.0.2.67"],
    ("loop.example.org", "A"): ["127.0.0.1"],
    ("nowhere.example.org", "A"): ["0.0.0.0"],
}


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("192.0.2.25", "MX_IP"),
        ("[192.0.2.25]", "MX_IP"),
        ("2001:db8::25", "MX_IP"),
        ("[ipv6:2001:db8::25]", "MX_IP"),
        ("192.0.2.25.example.com", "MX_IP"),
        ("localhost", "MX_LOCALHOST"),
        ("localhost.example.com", "MX_LOCALHOST"),
        ("localhost.localdomain", "MX_LOCALHOST"),
        ("mail.localhost", "MX_LOCALHOST"),
        ("loop.example.org", "MX_LOCALHOST"),
        ("nowhere.example.org", "MX_LOCALHOST"),
        ("https://mx1.mailprovider.net", "MX_NOT_A_HOST"),
        ("https://mx1.mailprovider.net/", "MX_NOT_A_HOST"),
        ("smtp://mx1.mailprovider.net:25", "MX_NOT_A_HOST"),
        ("mx1.mailprovider.net:25", "MX_NOT_A_HOST"),
        ("postmaster@example.com", "MX_NOT_A_HOST"),
        ("*.mailprovider.net", "MX_NOT_A_HOST"),
        ("mx1\\032mailprovider.net", "MX_NOT_A_HOST"),
        ("mx1..mailprovider.net", "MX_NOT_A_HOST"),
        ("mail", "MX_NOT_A_HOST"),
        ("mx1", "MX_NOT_A_HOST"),
        ("10\\032mx1.mailprovider.net", "MX_PRIORITY_IN_HOST"),
        ("mx1.mailprovider.net.example.com", "MX_TARGET_DOUBLED"),
        ("mx1.mailprovidre.net", "MX_TYPO"),
        ("mx11.mailprovider.net", "MX_TYPO"),
        ("mx1.mailprovider.nt", "MX_TYPO"),
        ("mx1.mailproviderr.net", "MX_TYPO"),
    ],
)
def test_what_gets_mail_nowhere_is_named_and_goes(host: str, code: str) -> None:
    for stray in (f"{preference} {host}" for preference in (0, 5, 10, 15, 99)):
        seen = Names({**HEALTHY, MX: [FIRST, SECOND, stray]})
        judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
        assert verdict(judged) == ("Wrong", code), stray
        assert host.split("\\")[0] in judged.message
        assert judged.cause is not None
        fix = judged.cause.fix
        assert fix is not None
        assert (fix.action, [one.value for one in fix.remove]) == (FixAction.DELETE, [stray])
        # It is told once.
        assert verdict(seen.judged(PLAN, "mx-mx2.mailprovider.net")) == ("Valid", None), stray


@pytest.mark.parametrize("preference", [5, 10, 99])
@pytest.mark.parametrize("host", ["gone.example.org", "old.example.com", "mail.example.invalid"])
def test_a_host_without_address_is_passed_over(host: str, preference: int) -> None:
    """RFC 5321 section 5.1: mail fails only where no exchange is usable."""
    value = f"{preference} {host}"
    seen = Names({**HEALTHY, MX: [FIRST, SECOND, value]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert verdict(judged) == ("Valid", None)
    (told,) = judged.advice
    assert (told.code, told.severity.value) == ("MX_OTHER_UNRESOLVABLE", "Warning")
    assert host in told.message
    assert told.fix is not None
    assert (told.fix.action, [one.value for one in told.fix.remove]) == (FixAction.DELETE, [value])
    # It is told once.
    assert seen.judged(PLAN, "mx-mx2.mailprovider.net").advice == ()
    # Beside one that does harm, both go.
    seen = Names({**HEALTHY, MX: [FIRST, SECOND, value, "7 localhost"]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert judged.state.value == "Wrong"
    assert judged.cause is not None
    assert judged.cause.fix is not None
    assert {one.value for one in judged.cause.fix.remove} == {value, "7 localhost"}


@pytest.mark.parametrize(
    "value",
    [
        "30 backup.example.org",
        "30 backup6.example.org",
        "30 alias.example.org",
        "30 mail.example.com",
        "50 mx1.mailprovider.net",
        "30 mx1.mailprovider2.net",
    ],
)
def test_a_backup_that_exists_may_stay(value: str) -> None:
    seen = Names({**HEALTHY, MX: [FIRST, SECOND, value]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert (verdict(judged), advice(judged)) == (("Valid", None), [])


@pytest.mark.parametrize(
    "value",
    ["5 backup.example.org", "0 backup6.example.org", "9 alias.example.org", "1 mail.example.com"],
)
def test_who_takes_the_mail_before_the_required_ones_must_go(value: str) -> None:
    seen = Names({**HEALTHY, MX: [FIRST, SECOND, value]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert verdict(judged) == ("Wrong", "MX_TAKES_MAIL")
    assert value.partition(" ")[2] in judged.message
    assert judged.cause is not None
    assert judged.cause.fix is not None
    assert [one.value for one in judged.cause.fix.remove] == [value]


@pytest.mark.parametrize("value", ["5 mx0.mailprovider.net", "1 same.example.org"])
def test_who_is_run_by_the_same_takes_nothing_away(value: str) -> None:
    """Another host of the same operator, and the required one under another name."""
    there = {("mx0.mailprovider.net", "A"): ["192.0.2.4"], ("same.example.org", "A"): ["192.0.2.1"]}
    seen = Names({**HEALTHY, **there, MX: [FIRST, SECOND, value]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert (verdict(judged), advice(judged)) == (("Valid", None), [])


def test_who_takes_the_mail_goes_where_the_required_one_is_missing_too() -> None:
    seen = Names({**HEALTHY, MX: ["1 backup.example.org", SECOND]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert verdict(judged) == ("Wrong", "MX_MISMATCH")
    assert "backup.example.org takes all mail" in judged.message
    assert judged.cause is not None
    assert judged.cause.fix is not None
    assert [one.value for one in judged.cause.fix.remove] == ["1 backup.example.org"]


def test_what_could_not_be_looked_at_is_nobody_s_fault() -> None:
    values = {**HEALTHY, MX: [FIRST, SECOND, "30 slow.example.org"]}
    for kind in ("A", "AAAA"):
        seen = Names(values, failing={("slow.example.org", kind): Outcome.TIMEOUT})
        assert verdict(seen.judged(PLAN, "mx-mx1.mailprovider.net")) == ("Valid", None)


def test_several_go_at_once() -> None:
    values = [FIRST, "10 localhost", "20 192.0.2.25", "30 gone.example.org", SECOND]
    seen = Names({**HEALTHY, MX: values})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert judged.cause is not None
    fix = judged.cause.fix
    assert fix is not None
    assert [one.value for one in fix.remove] == [values[1], values[2], values[3]]
    assert all(value.split()[1] in judged.message for value in values[1:4])


def test_a_backup_is_not_said_to_take_the_mail_that_the_required_one_gets_first() -> None:
    seen = Names({**HEALTHY, MX: ["5 mx1.mailprovider.net", "7 backup.example.org", SECOND]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    assert verdict(judged) == ("Wrong", "MX_PREFERENCE")
    assert "takes all mail" not in judged.message
    assert "With that one it comes after backup.example.org" in judged.message


def test_who_takes_the_mail_is_found_behind_many_that_nobody_reaches() -> None:
    values = [*(f"{n} gone{n}.example.org" for n in range(9)), "9 backup.example.org", FIRST]
    judged = Names({**HEALTHY, MX: [*values, SECOND]}).judged(PLAN, "mx-mx1.mailprovider.net")
    assert verdict(judged) == ("Wrong", "MX_TAKES_MAIL")
    assert judged.cause is not None and judged.cause.fix is not None
    assert "9 backup.example.org" in [one.value for one in judged.cause.fix.remove]


def test_a_missing_exchange_takes_the_place_of_what_must_go() -> None:
    seen = Names({**HEALTHY, MX: [FIRST, "20 localhost", "30 gone.example.org"]})
    assert verdict(seen.judged(PLAN, "mx-mx1.mailprovider.net")) == ("Valid", None)
    judged = seen.judged(PLAN, "mx-mx2.mailprovider.net")
    assert verdict(judged) == ("Wrong", "MX_MISMATCH")
    assert judged.cause is not None
    fix = judged.cause.fix
    assert fix is not None
    assert (fix.value, len(fix.remove)) == (SECOND, 2)


_HOSTS = st.one_of(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
    st.from_regex(r"[a-z0-9-]{1,8}(\.[a-z0-9-]{1,8}){0,3}", fullmatch=True),
    st.sampled_from([host for host, _ in HEALTHY]),
)


@given(st.lists(st.tuples(st.integers(0, 99), _HOSTS), max_size=4, unique_by=lambda one: one[1]))
def test_whatever_stands_beside_goes_or_is_reachable(extra: list[tuple[int, str]]) -> None:
    known = {"mx1.mailprovider.net", "mx2.mailprovider.net", "."}
    values = [f"{number} {host}" for number, host in extra if host not in known]
    seen = Names({**HEALTHY, MX: [FIRST, SECOND, *values]})
    judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
    if judged.cause is not None:
        fix = judged.cause.fix
        assert fix is not None
        gone = {one.value for one in fix.remove}
        seen.records[MX] = [record for record in seen.records[MX] if record not in gone]
        judged = seen.judged(PLAN, "mx-mx1.mailprovider.net")
        assert verdict(judged) == ("Valid", None)
    told = [finding.fix for finding in judged.advice if finding.code == "MX_OTHER_UNRESOLVABLE"]
    over = {one.value for fix in told if fix is not None for one in fix.remove}
    seen.records[MX] = [record for record in seen.records[MX] if record not in over]
    left = {record.partition(" ")[2] for record in seen.records[MX]} - known
    assert all({(one, "A"), (one, "AAAA"), (one, "CNAME")} & HEALTHY.keys() for one in left)


@pytest.mark.parametrize(
    ("host", "wanted", "is_one"),
    [
        ("aspmx.l.goggle.com", "aspmx.l.google.com", True),
        ("aspmx.l.gogle.com", "aspmx.l.google.com", True),
        ("aspmx.l.googel.com", "aspmx.l.google.com", True),
        ("alt1.aspmx.l.google.com", "aspmx.l.google.com", False),
        ("mx2.mailprovider.net", "mx1.mailprovider.net", False),
        ("mx.zoho.eu", "mx.zoho.com", False),
        ("mx.zoho.co", "mx.zoho.com", False),
        ("feedback-smtp.us-east-2.amazonses.com", "feedback-smtp.us-east-1.amazonses.com", False),
        ("mx.a.example.net", "mx.b.example.net", False),
        ("mx.example2.net", "mx.example1.net", False),
    ],
)
def test_what_is_a_misspelling(host: str, wanted: str, is_one: bool) -> None:
    assert is_misspelling(host, wanted) is is_one


def plan_for(**spec: Any) -> DomainPlan:

    parsed = parse_spec(Kind.SENDING_DOMAIN, {"domain": DOMAIN, **spec})
    assert isinstance(parsed, SendingDomainSpec)
    return plan(complete(parsed), "mail", b"key", {})


FEEDBACK = "feedback-smtp.eu-west-1.amazonses.com"
SES = {
    "provider": "AmazonSES",
    "parameters": {"region": "eu-west-1", "mailFrom": "bounce", **TOKENS},
}
RESEND = {"provider": "Resend", "parameters": {"region": "eu-west-1", "dkimPublicKey": KEY}}
BY_HAND = {"returnPath": {"name": "bounce", "mx": [{"host": FEEDBACK, "preference": 10}]}}


@pytest.mark.parametrize("other", ["10 backup.example.org", "99 backup.example.org", "20 mail"])
@pytest.mark.parametrize(
    ("spec", "label"), [(SES, "bounce"), (RESEND, "send"), (BY_HAND, "bounce")]
)
def test_where_one_exchange_is_demanded_a_second_is_wrong(
    spec: dict[str, Any], label: str, other: str
) -> None:
    made, place = plan_for(**spec), (f"{label}.{DOMAIN}", "MX")
    id = f"return-path-mx-{FEEDBACK}"
    seen = Names({**HEALTHY, (FEEDBACK, "A"): ["192.0.2.5"], place: [f"10 {FEEDBACK}"]})
    assert verdict(seen.judged(made, id)) == ("Valid", None)
    seen.records[place].append(other)
    judged = seen.judged(made, id)
    assert verdict(judged) == ("Wrong", "MX_NOT_A_HOST" if "mail" in other else "MX_NOT_ALONE")
    assert judged.cause is not None
    # Who else asks for it is in no view of one domain.
    told = "another SendingDomain" in judged.message
    assert told is (judged.cause.code == "MX_NOT_ALONE")
    fix = judged.cause.fix
    assert fix is not None
    assert [one.value for one in fix.remove] == [other]
    seen.records[place] = [other]
    missing = seen.judged(made, id)
    assert missing.cause is not None
    fix = missing.cause.fix
    assert fix is not None
    seen.apply(fix)
    assert seen.records[place] == [f"10 {FEEDBACK}"]


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        (FEEDBACK, True),
        ("feedback-smtp.us-gov-west-1.amazonses.com", True),
        ("inbound-smtp.eu-west-1.amazonaws.com", False),
        ("smtp.google.com", False),
        ("mx.sendgrid.net", False),
        ("mx.example.org", False),
        ("mx.cloudflare.net", False),
    ],
)
def test_whose_exchange_must_be_alone(host: str, alone: bool) -> None:
    assert must_be_alone(host) is alone


@pytest.mark.parametrize(
    ("host", "bare"),
    [
        (f"mx.example.net.mail.{DOMAIN}", ["mx.example.net.mail", "mx.example.net"]),
        (f"mx.example.net.{DOMAIN}", ["mx.example.net"]),
        (f"mail.{DOMAIN}", ["mail"]),
        (DOMAIN, []),
        ("mx.example.net", []),
        (f"mx{DOMAIN}", []),
    ],
)
def test_what_a_host_was_before_the_zone_was_added(host: str, bare: list[str]) -> None:
    whole = plan_for(domain=f"mail.{DOMAIN}")
    assert list(without_zone(host, Context(whole, Zone(DOMAIN, ())))) == bare


@pytest.mark.parametrize(
    ("preference", "lost", "state"),
    [
        (5, {"A": Outcome.TIMEOUT, "AAAA": Outcome.NX_DOMAIN}, "Unknown"),
        (5, {"A": Outcome.NX_DOMAIN, "AAAA": Outcome.SERVER_FAILURE}, "Unknown"),
        (5, {}, "Wrong"),
        # What mail goes to after the required ones gets none of it while these are there.
        (15, {"A": Outcome.TIMEOUT, "AAAA": Outcome.TIMEOUT}, "Valid"),
    ],
)
def test_what_may_take_the_mail_first_is_not_valid_unseen(
    preference: int, lost: dict[str, Outcome], state: str
) -> None:
    host = "gate.elsewhere.org"
    records = {**HEALTHY, MX: [FIRST, SECOND, f"{preference} {host}"]}
    records[host, "A"] = ["192.0.2.77"]
    failing = {(host, kind): outcome for kind, outcome in lost.items()}
    judged = Names(records, failing=failing).judged(PLAN, "mx-mx1.mailprovider.net")
    assert judged.state.value == state

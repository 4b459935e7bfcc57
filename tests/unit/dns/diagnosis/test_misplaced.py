# SPDX-License-Identifier: Apache-2.0
"""What stands at a wrong place: the record itself, be it damaged, one of its kind, or neither."""

from __future__ import annotations

import pytest

from postroom.dns.answers import Answer, Outcome, Question
from postroom.dns.diagnosis.misplaced import Misplaced, found_at
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, TOKEN, case_of
from unit.dns.dkim_keys import ed25519_base64, ed25519_private_base64

MORE = {
    "tlsRPT": {"rua": ["mailto:tls@example.com"]},
    "mtaSTS": {"mode": "Testing"},
    "bimi": {"logo": "https://example.com/l.svg"},
}
POLICY, SPF = "v=DMARC1; p=quarantine", "v=spf1 include:spf.provider.net ~all"


def at(id: str, *values: str, **changes: object) -> Misplaced | None:
    case = case_of(id, {}, **changes)
    question = Question("elsewhere.example.com", case.planned.type)
    return found_at(case, Answer(question, Outcome.FOUND, values))


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("dkim-s1", f"p={KEY}"),
        ("dkim-k1", "k1.provider.net"),
        ("dmarc", POLICY),
        ("dmarc", "v=DMARC1; p=reject"),
        ("spf", SPF),
        ("ownership", TOKEN),
        ("mx-mx.provider.net", "20 mx.provider.net"),
    ],
)
def test_the_record_itself_is_known(id: str, value: str) -> None:
    assert at(id, "something", value) == Misplaced((value,), held=True)


@pytest.mark.parametrize(
    ("id", "value", "code"),
    [
        ("dkim-s1", f'"p={KEY}"', "VALUE_QUOTED"),
        ("dkim-s1", f"v=DKIM1, k=rsa, p={KEY}", "DKIM_SEMICOLON_LOST"),
        ("dmarc", f'"{POLICY}"', "VALUE_QUOTED"),
        ("spf", f'"{SPF}"', "VALUE_QUOTED"),
        ("ownership", f'"{TOKEN}"', "VALUE_QUOTED"),
        ("dkim-k1", "k1.provider.net.example.com", "CNAME_TARGET_DOUBLED"),
        ("mx-mx.provider.net", "10 mx.provider.net.example.com", "MX_TARGET_DOUBLED"),
    ],
)
def test_a_damaged_form_of_it_is_known_by_undoing_the_damage(
    id: str, value: str, code: str
) -> None:
    found = at(id, value)
    assert found is not None
    assert (found.texts, found.held) == ((value,), True)
    assert found.fault is not None
    assert found.fault.code == code


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("dkim-s1", f"p={OTHER_KEY}"),
        ("dkim-s1", f"p={ed25519_private_base64()}"),
        ("dmarc", "v=DMARC1; p=none"),
        ("dmarc", '"v=DMARC1; p=none"'),
        ("spf", "v=spf1 -all"),
        ("spf", '"v=spf1 -all"'),
        ("tls-rpt", "v=TLSRPTv1; rua=mailto:other@example.com"),
        ("mta-sts", "v=STSv1; id=1"),
        ("bimi", "v=BIMI1; l=https://example.com/other.svg"),
    ],
)
def test_another_one_of_its_kind_is_not_the_record(id: str, value: str) -> None:
    found = at(id, "something", value, **MORE)
    assert found is not None
    assert (found.texts, found.held) == ((value,), False)


@pytest.mark.parametrize("key", [OTHER_KEY, ed25519_base64()])
@pytest.mark.parametrize(
    "damaged",
    [
        '"{}"',
        "“{}”",
        '\\"{}\\"',
        "`{}`",
        's1._domainkey IN TXT "{}"',
        "s1._domainkey.example.com. 3600 IN TXT {}",
        "{}\\",
        "<p>{}</p>",
        "&quot;{}&quot;",
        "TXT {}",
    ],
)
def test_damage_to_another_key_makes_it_no_more_the_wanted_one(damaged: str, key: str) -> None:
    kind = "rsa" if key == OTHER_KEY else "ed25519"
    for text in (f"v=DKIM1; k={kind}; p={key}", f"v=DKIM1\\; k={kind}\\; p={key}"):
        value = damaged.format(text)
        found = at("dkim-s1", value)
        assert found is None or not found.held, value
    ours = at("dkim-s1", damaged.format(f"v=DKIM1; p={KEY}"))
    assert ours is not None
    assert ours.held


@pytest.mark.parametrize(
    ("id", "values"),
    [
        ("dkim-s1", ["something", "v=spf1 -all"]),
        ("dkim-k1", ["k2.provider.net"]),
        ("dmarc", ["v=spf1 -all", SPF]),
        ("spf", [POLICY, "google-site-verification=spf1"]),
        ("ownership", ["provider-verify=00000000000000000a"]),
        ("mx-mx.provider.net", ["10 mx2.provider.net"]),
        ("dmarc", []),
    ],
)
def test_what_is_meant_for_something_else_is_nothing(id: str, values: list[str]) -> None:
    assert at(id, *values) is None


def test_the_whole_record_counts_before_a_damaged_one() -> None:
    assert at("dmarc", f'"{POLICY}"', POLICY) == Misplaced((POLICY,), held=True)

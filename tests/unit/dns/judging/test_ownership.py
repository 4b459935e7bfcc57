# SPDX-License-Identifier: Apache-2.0
"""The judge for exact texts: what of a token is right, a slip, another's, or no token at all."""

from __future__ import annotations

import pytest

from postroom.api.findings import FixAction
from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.ownership import judge, needs
from postroom.dns.judging.seen import Seen, own
from postroom.dns.ownership import tokens
from postroom.dns.requirements import DomainPlan, PlannedRecord, TextWanted
from unit.dns.judging_looks import advice, verdict

DOMAIN, PLACE = "example.com", "_check.example.com"
TOKEN = "provider-verify=4f9a0c17b2d84e66"
OURS, FORMER, STRANGER = tokens((b"a", b"b", b"c"), "mail", DOMAIN)


def judged(
    *there: str, name: str = PLACE, wanted: str = TOKEN, also: tuple[str, ...] = ()
) -> Judgement:
    kind = TextWanted(wanted, also)
    planned = PlannedRecord("o", Purpose.OWNERSHIP, name, RecordType.TXT, wanted, True, kind)
    context = Context(DomainPlan(DOMAIN, (planned,)))
    assert needs(planned, kind, Seen(), context) == own((name, RecordType.TXT))
    question = Question(name, RecordType.TXT)
    answer = Answer(question, Outcome.FOUND if there else Outcome.NX_DOMAIN, there)
    return judge(planned, kind, Seen({question: answer}), context)


@pytest.mark.parametrize(
    ("there", "name", "expected"),
    [
        ([TOKEN], PLACE, ("Valid", None)),
        (["v=spf1 -all", TOKEN, "provider-verify=0"], DOMAIN, ("Valid", None)),
        ([], PLACE, ("Missing", "OWNERSHIP_MISSING")),
        # The very token, but alone, quoted, in other case, or with more behind it.
        (["4f9a0c17b2d84e66"], PLACE, ("Wrong", "OWNERSHIP_MISMATCH")),
        ([f'"{TOKEN}"'], DOMAIN, ("Wrong", "OWNERSHIP_MISMATCH")),
        ([TOKEN.upper()], DOMAIN, ("Wrong", "OWNERSHIP_MISMATCH")),
        ([f"{TOKEN} 3600"], DOMAIN, ("Wrong", "OWNERSHIP_MISMATCH")),
        # Another token of the same provider.
        (["provider-verify=00000000"], DOMAIN, ("Wrong", "OWNERSHIP_MISMATCH")),
        # Whatever looks like a token, at a name that is for this one alone.
        (["other-verify=00000000"], PLACE, ("Wrong", "OWNERSHIP_MISMATCH")),
        (["0123456789abcdef"], PLACE, ("Wrong", "OWNERSHIP_MISMATCH")),
        (["other-verify=00000000"], DOMAIN, ("Missing", "OWNERSHIP_MISSING")),
        # No tokens: records with a version, words, and what is too short to tell anything.
        (["v=spf1 include:4f9a0c17b2d84e66 -all"], PLACE, ("Missing", "OWNERSHIP_MISSING")),
        (["nothing to see here"], PLACE, ("Missing", "OWNERSHIP_MISSING")),
        (["0123456789abcde"], PLACE, ("Missing", "OWNERSHIP_MISSING")),
    ],
)
def test_what_a_text_amounts_to(
    there: list[str], name: str, expected: tuple[str, str | None]
) -> None:
    found = judged(*there, name=name)
    assert verdict(found) == expected
    assert advice(found) == []


def test_the_slip_makes_way_and_what_may_be_another_s_stays() -> None:
    slip = judged("4f9a0c17b2d84e66", "provider-verify=0")
    assert slip.cause is not None and slip.cause.fix is not None
    assert slip.cause.fix.action is FixAction.REPLACE
    assert [record.value for record in slip.cause.fix.remove] == ["4f9a0c17b2d84e66"]
    assert "provider-verify= must stand before it" in slip.message
    other = judged("provider-verify=00000000")
    assert other.cause is not None and other.cause.fix is not None
    assert (other.cause.fix.action, other.cause.fix.remove) == (FixAction.CREATE, [])


def test_a_token_that_is_short_is_found_in_no_other_text() -> None:
    assert verdict(judged("my-id=12345679", wanted="1234567", name=DOMAIN))[0] == "Missing"
    assert verdict(judged("my-id=12345678", wanted="12345678", name=DOMAIN))[0] == "Wrong"
    # A longer number is another's.
    assert verdict(judged("my-id=123456789", wanted="12345678", name=DOMAIN))[0] == "Missing"


def test_the_token_of_an_earlier_key_is_accepted_with_a_reminder() -> None:
    found = judged(FORMER, wanted=OURS, also=(FORMER,))
    assert (verdict(found), advice(found)) == (("Valid", None), ["OWNERSHIP_TOKEN_EARLIER"])
    assert found.observed == (FORMER,)
    assert found.advice[0].message.endswith(OURS)
    both = judged(FORMER, OURS, wanted=OURS, also=(FORMER,))
    assert (verdict(both), advice(both)) == (("Valid", None), [])


def test_the_token_of_another_namespace_is_told_as_that() -> None:
    found = judged(STRANGER, wanted=OURS, also=(FORMER,))
    assert verdict(found) == ("Wrong", "OWNERSHIP_MISMATCH")
    assert "not this namespace's" in found.message
    assert "not this namespace's" not in judged("provider-verify=00000000").message

# SPDX-License-Identifier: Apache-2.0
"""The sentences about a test message: what the receiver's judgement comes to, and the fix."""

from __future__ import annotations

from itertools import product

import pytest

from postroom.api.findings import Severity
from postroom.mail.round_trip import conclusions
from postroom.mail.round_trip.authentication import Authentication
from postroom.mail.round_trip.authentication_results import Outcome

CODES = {"dmarc": "DMARC_FAILED_AT_RECEIVER", "spf": "SPF_FAILED_AT_RECEIVER",
         "dkim": "DKIM_FAILED_AT_RECEIVER"}  # fmt: skip
#: RFC 8601 section 2.7: what says that a check was made and not passed.
FAILING = {Outcome.FAIL, Outcome.SOFT_FAIL, Outcome.PERMANENT_ERROR, Outcome.POLICY}


def judged(**outcomes: Outcome | str | None) -> Authentication:
    return Authentication("mx.example.com", **outcomes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "outcome"), list(product(CODES, Outcome)))
def test_only_what_fails_is_a_finding(method: str, outcome: Outcome) -> None:
    found = conclusions.authentication_findings(judged(**{method: outcome}))
    assert [finding.code for finding in found] == ([CODES[method]] if outcome in FAILING else [])


def test_the_worst_comes_first() -> None:
    fail = Outcome.FAIL
    found = conclusions.authentication_findings(judged(spf=fail, dkim=fail, dmarc=fail))
    assert [finding.code for finding in found] == list(CODES.values())
    assert [finding.severity for finding in found] == [
        Severity.ERROR, Severity.WARNING, Severity.WARNING]  # fmt: skip
    assert conclusions.authentication_findings(None) == ()


@pytest.mark.parametrize("method", CODES)
def test_the_domain_is_named_where_it_is_known(method: str) -> None:
    told = {method: Outcome.FAIL}
    name = method.upper()
    (known,) = conclusions.authentication_findings(judged(**told, **{f"{method}_domain": "a.de"}))
    assert f"{name} fails for a.de: " in known.message
    (unknown,) = conclusions.authentication_findings(judged(**told))
    assert f"{name} fails: " in unknown.message


@pytest.mark.parametrize(
    ("outcome", "spf", "dkim", "dmarc"),
    [
        (Outcome.FAIL, "does not authorise", "does not fit", "neither SPF nor DKIM passes"),
        (Outcome.SOFT_FAIL, "does not authorise", "does not fit", "neither SPF nor DKIM passes"),
        (Outcome.PERMANENT_ERROR, "has an error", "missing or no key", "cannot be interpreted"),
        (Outcome.POLICY, "rule of its own", "short keys", "rule of its own"),
    ],
)
def test_what_is_said_is_what_the_result_means(
    outcome: Outcome, spf: str, dkim: str, dmarc: str
) -> None:
    """RFC 8601 section 2.7: an error of a record says nothing of who is authorised."""
    found = conclusions.authentication_findings(judged(spf=outcome, dkim=outcome, dmarc=outcome))
    messages = [finding.message for finding in found]
    assert all(word in message for word, message in zip((dmarc, spf, dkim), messages, strict=True))
    only = {"does not authorise", "does not fit", "neither SPF nor DKIM passes"}
    assert outcome in (Outcome.FAIL, Outcome.SOFT_FAIL) or not any(
        word in message for word in only for message in messages
    )


@pytest.mark.parametrize(
    ("judgement", "mends"),
    [
        (None, False),
        (judged(), False),
        (judged(spf=Outcome.PASS, dkim=Outcome.NONE, dmarc=Outcome.TEMPORARY_ERROR), False),
        (judged(spf=Outcome.FAIL), True),
        (judged(dkim=Outcome.FAIL), True),
        (judged(dmarc=Outcome.FAIL), True),
    ],
)
def test_spam_is_not_marked_before_authentication_is_mended(
    judgement: Authentication | None, mends: bool
) -> None:
    found = conclusions.spam("a@example.com", judgement)
    assert found.code == "DELIVERED_TO_SPAM"
    assert ("mend what the receiver says about SPF" in found.message) is mends
    assert "a test message as not spam" in found.message


def test_a_bounce_and_silence_are_told_apart() -> None:
    bounced = conclusions.undelivered("a@example.com", bounced=True)
    silent = conclusions.undelivered("a@example.com", bounced=False)
    assert "came back as undeliverable" in bounced.message
    assert "did not arrive within 10 minutes" in silent.message
    assert {bounced.code, silent.code} == {"NOT_DELIVERED"}
    assert bounced.severity is silent.severity is Severity.ERROR


def test_what_is_no_address_is_not_shown_empty() -> None:
    for found in (
        conclusions.rewritten("a@example.com", ""),
        conclusions.reply_to_changed("a@example.com", ""),
    ):
        assert "something that is no address" in found.message
    added = conclusions.reply_to_changed("", "b@example.com").message
    assert "sent without Reply-To and arrived with b@example.com there" in added


def test_messages_are_bounded() -> None:
    long = "a" * 3000
    for found in (
        conclusions.rewritten(long, long),
        conclusions.late(long),
        conclusions.archived(long),
        conclusions.looping(long),
        conclusions.reply_to_dropped(long),
    ):
        assert len(found.message) == 1024
        assert found.severity is Severity.WARNING

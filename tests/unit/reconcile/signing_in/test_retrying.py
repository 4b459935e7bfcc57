# SPDX-License-Identifier: Apache-2.0
"""When a failed probe is repeated, by the kind of failure, and what becomes of refused credentials.

Covers: the classes; waits that double up to a bound; a server's own hint; pauses and what lifts
them; how often refused credentials are sent, for any order of looks and requests; and the wording
that a restarted operator reads.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.replies import FailureClass
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in import retrying
from postroom.reconcile.status import schedule
from postroom.reconcile.status.outcome import Pause, Rejection
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import REFUSED, WELL

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def report(
    reason: Reason,
    stage: ProbeStage = ProbeStage.AUTH,
    retry_after: timedelta | None = None,
    *,
    conclusive: bool = False,
) -> ProbeReport:
    return ProbeReport(stage, reason, "It fails.", conclusive, retry_after=retry_after)


BUSY = report(Reason.TEMPORARY_FAILURE)
EXPIRED = replace(
    report(Reason.ACCOUNT_DISABLED, ProbeStage.MAILBOX, conclusive=True), authenticated=True
)
SILENT = report(Reason.CONNECTION_TIMEOUT, ProbeStage.CONNECT, conclusive=True)


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (WELL, None),
        (report(Reason.NOT_ATTEMPTED), None),
        (REFUSED, FailureClass.PERMANENT),
        (report(Reason.OAUTH_GRANT_REVOKED, conclusive=True), FailureClass.PERMANENT),
        # What is said of an account that has signed in.
        (EXPIRED, FailureClass.CONFIGURATION),
        (BUSY, FailureClass.THROTTLED),
        (report(Reason.SERVICE_UNAVAILABLE, ProbeStage.GREETING), FailureClass.THROTTLED),
        (report(Reason.OAUTH_THROTTLED), FailureClass.THROTTLED),
        (report(Reason.HOST_AUTH_COOLDOWN, retry_after=MINUTE), FailureClass.THROTTLED),
        (report(Reason.OAUTH_ENDPOINT_UNAVAILABLE), FailureClass.TRANSIENT),
        (report(Reason.PROBE_INCONCLUSIVE), FailureClass.TRANSIENT),
        (SILENT, FailureClass.TRANSIENT),
        (
            report(Reason.CERTIFICATE_EXPIRED, ProbeStage.TLS, conclusive=True),
            FailureClass.CONFIGURATION,
        ),
        (
            report(Reason.SERVICE_UNAVAILABLE, ProbeStage.GREETING, conclusive=True),
            FailureClass.CONFIGURATION,
        ),
    ],
)
def test_kinds_of_failure(seen: ProbeReport, kind: FailureClass | None) -> None:
    assert retrying.class_of(seen) is kind


def test_what_passes_is_looked_at_ever_less_often() -> None:
    waits = [retrying.wait_after(SILENT, count) for count in (1, 2, 3, 5, 6, 1000)]
    assert waits == [timedelta(seconds=one) for one in (30, 60, 120, 480, 900, 900)]


@pytest.mark.parametrize(
    ("hint", "failures", "wait"),
    [
        (None, 1, 15 * MINUTE),
        (None, 2, 30 * MINUTE),
        (None, 7, 16 * HOUR),
        (None, 50, 24 * HOUR),
        (HOUR, 9, HOUR),
        (timedelta(milliseconds=5), 1, timedelta(seconds=30)),
        (timedelta(days=400), 1, 24 * HOUR),
    ],
)
def test_who_asks_for_a_wait_gets_it(
    hint: timedelta | None, failures: int, wait: timedelta
) -> None:
    assert retrying.wait_after(replace(BUSY, retry_after=hint), failures) == wait


def test_a_refusal_is_not_repeated_by_the_clock_of_failures() -> None:
    assert retrying.wait_after(REFUSED, 3) is None


def test_what_is_said_after_a_sign_in_is_looked_at_again() -> None:
    waits = [retrying.wait_after(EXPIRED, count) for count in (1, 1000)]
    assert waits == [timedelta(seconds=30), timedelta(minutes=15)]


def paused(hint: timedelta | None = None, before: Pause | None = None) -> Pause:
    seen = replace(BUSY, retry_after=hint)
    pause = retrying.pause_after(seen, before, "SMTP", ("v1",), None, NOW)
    assert pause is not None
    return pause


def test_pauses_of_one_protocol_double() -> None:
    first = paused()
    second = paused(before=first)
    assert [one.until - NOW for one in (first, second)] == [15 * MINUTE, 30 * MINUTE]
    assert paused(before=replace(first, protocol="IMAP")).count == 1


@pytest.mark.parametrize(
    "reason", [Reason.OAUTH_THROTTLED, Reason.HOST_AUTH_COOLDOWN, Reason.PROBE_INCONCLUSIVE]
)
def test_what_the_mail_server_has_not_asked_for_is_no_pause(reason: Reason) -> None:
    assert retrying.pause_after(report(reason), None, "SMTP", (), None, NOW) is None


@pytest.mark.parametrize(
    ("hint", "version", "asked", "after", "held"),
    [
        (None, "v1", None, 14 * MINUTE, True),
        (None, "v1", None, 15 * MINUTE, False),
        (None, "v2", None, MINUTE, False),
        (None, "v1", "now", 6 * MINUTE, False),
        (None, "v1", "now", 4 * MINUTE, True),
        (HOUR, "v2", "now", 59 * MINUTE, True),
        (HOUR, "v1", None, HOUR, False),
    ],
)
def test_what_lifts_a_pause(
    hint: timedelta | None, version: str, asked: str | None, after: timedelta, held: bool
) -> None:
    assert retrying.holds(paused(hint), (version,), asked, NOW + after) is held


def test_the_other_protocol_of_a_host_hears_of_the_pause() -> None:
    told = retrying.told_by(paused(), "IMAP", "mail.example.com")
    assert (told.reason, told.conclusive, told.authenticated) == (
        Reason.SERVER_THROTTLED,
        False,
        None,
    )
    assert told.message == (
        "mail.example.com has asked to be left alone when it was checked over SMTP. "
        "postroom leaves the server alone for a while."
    )


def test_the_life_of_refused_credentials() -> None:
    first = retrying.refused(None, None, REFUSED, NOW)
    assert not retrying.may_send(first, None, NOW + 29 * MINUTE)
    assert retrying.may_send(first, None, NOW + 30 * MINUTE)
    second = retrying.refused(first, None, REFUSED, NOW + 30 * MINUTE)
    assert not retrying.may_send(second, None, NOW + timedelta(days=90))
    assert (retrying.next_attempt(first), retrying.next_attempt(second)) == (
        NOW + 30 * MINUTE,
        None,
    )


LOCKED = replace(REFUSED, reason=Reason.ACCOUNT_LOCKED)


def test_a_lock_that_ends_is_noticed_without_prolonging_it() -> None:
    rejection, sent = retrying.refused(None, None, LOCKED, NOW), [NOW]
    for minutes in range(0, 48 * 60, 5):
        now = NOW + minutes * MINUTE
        if retrying.may_send(rejection, None, now):
            assert now >= (retrying.next_attempt(rejection) or NOW)
            rejection, sent = retrying.refused(rejection, None, LOCKED, now), [*sent, now]
    apart = [later - before for before, later in pairwise(sent)]
    assert apart[0] == 30 * MINUTE
    assert set(apart[1:]) == {6 * HOUR}
    assert "not sent again" not in retrying.worded(rejection).message
    # Another answer since, and they stay where they are.
    assert retrying.next_attempt(retrying.refused(rejection, None, REFUSED, now)) is None


def test_an_account_that_is_enabled_again_is_noticed_within_a_day() -> None:
    """Whoever enables it changes no password, and may not know of postroom."""
    disabled = replace(REFUSED, reason=Reason.ACCOUNT_DISABLED)
    rejection, sent = retrying.refused(None, None, disabled, NOW), [NOW]
    assert retrying.DAILY not in retrying.worded(rejection).message
    for minutes in range(0, 7 * 24 * 60, 5):
        now = NOW + minutes * MINUTE
        if retrying.may_send(rejection, None, now):
            rejection, sent = retrying.refused(rejection, None, disabled, now), [*sent, now]
    apart = [later - before for before, later in pairwise(sent)]
    assert apart == [30 * MINUTE, *[24 * HOUR] * 6]
    assert retrying.worded(rejection).message.endswith(retrying.DAILY)
    # A wrong password is no such thing.
    assert retrying.next_attempt(retrying.refused(rejection, None, REFUSED, now)) is None


def test_what_is_refused_in_words_that_nobody_knows_is_tried_once_a_day() -> None:
    """They may say that it passes: who never tried again would not see that it did."""
    riddle = replace(REFUSED, unclear=True)
    rejection, sent = retrying.refused(None, None, riddle, NOW), [NOW]
    assert retrying.worded(rejection).after == ""
    for minutes in range(0, 4 * 24 * 60, 5):
        now = NOW + minutes * MINUTE
        if retrying.may_send(rejection, None, now):
            rejection, sent = retrying.refused(rejection, None, riddle, now), [*sent, now]
    assert [later - before for before, later in pairwise(sent)] == [30 * MINUTE, *[24 * HOUR] * 3]
    assert retrying.worded(rejection).after == retrying.DAILY
    # Once its words are known, they count.
    assert retrying.next_attempt(retrying.refused(rejection, None, REFUSED, now)) is None


def test_what_is_refused_in_words_alone_is_not_sent_again_and_again() -> None:
    """The code says that it passes: no verdict, but as many of them lock an account."""
    said = replace(REFUSED, reason=Reason.TEMPORARY_FAILURE, conclusive=False, needs_someone=True)
    assert retrying.is_refusal(said)
    assert retrying.pause_after(said, None, "SMTP", (), None, NOW) is None
    rejection, sent = retrying.refused(None, None, said, NOW), [NOW]
    for minutes in range(0, 4 * 24 * 60, 5):
        now = NOW + minutes * MINUTE
        if retrying.may_send(rejection, None, now):
            rejection, sent = retrying.refused(rejection, None, said, now), [*sent, now]
    assert [later - before for before, later in pairwise(sent)] == [30 * MINUTE, *[24 * HOUR] * 3]
    # What passes in words as well does so by itself.
    assert not retrying.is_refusal(replace(said, needs_someone=False))


def test_somebody_may_ask_but_not_too_often() -> None:
    rejection = retrying.refused(None, None, REFUSED, NOW)
    assert retrying.may_send(rejection, "a", NOW + MINUTE)
    rejection = retrying.refused(rejection, "a", REFUSED, NOW + MINUTE)
    assert rejection.attempts == 1
    assert not retrying.may_send(rejection, "a", NOW + 7 * MINUTE)
    assert not retrying.may_send(rejection, "b", NOW + 5 * MINUTE)
    rejection = retrying.withheld(rejection, "b")
    assert retrying.worded(rejection).message.endswith(retrying.DECLINED)
    # The request was answered: it does not count later on.
    assert not retrying.may_send(rejection, "b", NOW + 20 * MINUTE)
    assert retrying.may_send(rejection, "c", NOW + 20 * MINUTE)


def test_a_removed_request_asks_for_nothing() -> None:
    rejection = retrying.refused(None, "a", REFUSED, NOW)
    assert not retrying.may_send(rejection, None, NOW + MINUTE)


@given(st.lists(st.tuples(st.integers(0, 3600), st.none() | st.sampled_from("abc")), max_size=60))
def test_nothing_makes_refused_credentials_be_sent_more_often(
    looks: list[tuple[int, str | None]],
) -> None:
    now, rejection = NOW, retrying.refused(None, None, REFUSED, NOW)
    scheduled = [NOW]
    asked: list[datetime] = []
    for seconds, request in looks:
        now += timedelta(seconds=seconds)
        if not retrying.may_send(rejection, request, now):
            rejection = retrying.withheld(rejection, request)
            continue
        by_request = request is not None and request != rejection.token
        (asked if by_request else scheduled).append(now)
        rejection = retrying.refused(rejection, request, REFUSED, now)
    assert len(scheduled) <= retrying.ATTEMPTS
    for times, apart in ((scheduled, 30 * MINUTE), (asked, 5 * MINUTE)):
        assert all(later - one >= apart for one, later in pairwise(times))


@given(st.text(max_size=2000), st.text(max_size=2000))
def test_a_long_message_keeps_its_last_sentence(text: str, fix: str) -> None:
    rejection = Rejection(None, replace(REFUSED, wrong=text, fix=fix), NOW, retrying.ATTEMPTS)
    message = retrying.worded(rejection).message
    assert message.endswith(retrying.SUSPENDED)
    assert len(message) <= MESSAGE_LIMIT


def test_objects_that_failed_together_do_not_come_back_together() -> None:
    due = [NOW + MINUTE, NOW + HOUR, NOW - HOUR]
    waits = {schedule.wait_until_due(due, f"uid-{number}", NOW) for number in range(50)}
    assert len(waits) == 50
    assert all(wait is not None and MINUTE <= wait <= 1.25 * MINUTE for wait in waits)
    assert schedule.wait_until_due([NOW], "uid", NOW) is None

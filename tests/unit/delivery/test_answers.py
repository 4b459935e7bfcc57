# SPDX-License-Identifier: Apache-2.0
"""Answers of applications: what each status means, pauses that are asked for, the 48 hours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.reasons import Reason
from postroom.delivery.answers import (
    LONGEST_PAUSE,
    Answer,
    Meaning,
    is_passed_by,
    retry_after,
    trouble,
)
from postroom.delivery.cursors import Refused

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LATER = {408, 425, 429}


def test_every_status_means_one_thing() -> None:
    for status in range(100, 600):
        if 200 <= status < 300:
            wanted = Meaning.HANDED_OVER
        elif status == 410:
            wanted = Meaning.STOP
        else:
            refused = 400 <= status < 500 and status not in LATER
            wanted = Meaning.REFUSED if refused else Meaning.LATER
        assert Answer(status).meaning is wanted, status
    assert Answer(None).meaning is Meaning.LATER


@pytest.mark.parametrize(
    "text,seconds",
    [
        ("0", 0),
        (" 120 ", 120),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 5000, 3600),
        ("Sun, 29 Nov 2026 12:01:00 GMT", 60),
        ("Sun, 29 Nov 2026 11:59:00 GMT", 0),
        ("Sun, 29 Nov 2026 12:01:00 -0000", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Sun, 29 Nov 2026 13:01:00 +0100", 60),
        ("Sunday, 29-Nov-26 12:01:00 GMT", 60),
    ],
)
def test_a_pause_is_read_and_bounded(text: str, seconds: int) -> None:
    assert retry_after(text, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-1", "1.5", "+5", "٣", "Sun, 99 Nov 2026 12:01:00 GMT", "1e9", ","]
)
def test_what_is_no_pause_is_none(text: str | None) -> None:
    assert retry_after(text, NOW) is None


@given(st.text())
def test_no_pause_is_negative_or_longer_than_allowed(text: str) -> None:
    found = retry_after(text, NOW)
    assert found is None or timedelta() <= found <= LONGEST_PAUSE


def test_only_a_refusal_that_stood_for_two_days_passes_a_message_by() -> None:
    since = NOW - timedelta(hours=48)
    assert is_passed_by(Answer(422), Refused(1, since, 50, 422), NOW)
    for answer, refused in (
        (Answer(503), Refused(1, since, 50, 422)),
        (Answer(422), Refused(1, since + timedelta(seconds=1), 50, 422)),
        (Answer(422), Refused(1, since, 2, 422)),
    ):
        assert not is_passed_by(answer, refused, NOW)


@pytest.mark.parametrize(
    "answer,reason,says",
    [
        (
            Answer(None, trouble="The application is silent"),
            Reason.CONSUMER_UNAVAILABLE,
            "is silent",
        ),
        (Answer(503), Reason.CONSUMER_UNAVAILABLE, "answers 503"),
        (Answer(301), Reason.CONSUMER_UNAVAILABLE, "redirect"),
        (Answer(422), Reason.CONSUMER_REJECTS, "48 hours"),
        (Answer(410), Reason.CONSUMER_GONE, "410"),
    ],
)
def test_the_condition_says_what_the_application_does(
    answer: Answer, reason: Reason, says: str
) -> None:
    found = trouble(answer)
    assert found.reason is reason and says in found.message and found.message.endswith(".")

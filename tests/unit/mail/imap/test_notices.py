# SPDX-License-Identifier: Apache-2.0
"""What an IMAP server tells beside its answers: which lines are such, and how many are kept."""

from __future__ import annotations

import pytest

from postroom.mail.imap.notices import Notice, Notices, notices_in
from postroom.mail.imap.values import Literal


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"* NO Disk is nearly full", Notice(b"Disk is nearly full", warns=True)),
        (b"bad what is that", Notice(b"what is that", warns=True)),
        (b"* OK [alert] Down on Monday", Notice(b"[alert] Down on Monday", warns=False)),
        (b"* PREAUTH [ALERT] Hi", Notice(b"[ALERT] Hi", warns=False)),
        (b"* OK still here", None),
        (b"* OK [CAPABILITY IMAP4rev1] [ALERT] hi", None),
        (b"* BYE [ALERT] gone", None),
        (b"* NO", None),
        (b"* NOTHING [ALERT] x", None),
        (Literal(b"* NO of a message"), None),
    ],
)
def test_warnings_and_alerts_are_notices(line: bytes, told: Notice | None) -> None:
    assert notices_in([line]) == ([told] if told else [])


def test_warnings_come_first() -> None:
    told = notices_in([b"OK [ALERT] a", b"NO b", b"OK [ALERT] c", b"BAD d"])
    assert [notice.text for notice in told] == [b"b", b"d", b"[ALERT] a", b"[ALERT] c"]


def test_the_last_few_are_kept_each_once_and_bounded() -> None:
    notices = Notices()
    for line in (b"* NO 1", b"A1 NO 2", b"NO 3", *(b"* NO %d" % number for number in (4, 5, 5, 6))):
        notices.hear(line)
    assert notices.texts == (b"4", b"5", b"6")


def test_alerts_are_known_also_in_the_answer_to_what_was_done() -> None:
    notices = Notices()
    for line in (
        b"* NO full",
        b"* OK [alert] a",
        b"A1 OK [ALERT] b",
        b"A2 OK b",
        b"+ OK [ALERT] c",
    ):
        notices.hear(line)
    assert notices.texts == (b"full", b"[alert] a", b"[ALERT] b")
    assert notices.alerts == (b"[alert] a", b"[ALERT] b")
    notices.hear(b"* NO " + b"x" * 5000)
    assert notices.texts[-1] == b"x" * 1024
    notices.forget()
    assert notices.texts == ()

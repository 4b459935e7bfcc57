# SPDX-License-Identifier: Apache-2.0
"""What is concluded from a test message: placement, lateness, rewriting, the receiver's judgement,
loops; sentences that do not change with the time of day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.account_messages import MessageOutcome
from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.findings import Severity
from postroom.api.reasons import Reason
from postroom.mail.operations import ScannedMessage
from postroom.mail.round_trip import (
    DEADLINE,
    LATE_AFTER,
    Arrival,
    Draft,
    Expected,
    Outcome,
    Placement,
    Purpose,
    Sent,
    compose,
    judge,
    probe_key,
    recognise,
)

KEY = probe_key(b"ownership")
UID = "0f3a2b1c-1111-2222-3333-444455556666"
TOKEN = "5d0c1b7e42a94f6a8e3d2c1b0a998877"
ACCEPTED = datetime(2026, 3, 4, 5, 6, 0, tzinfo=UTC)
SENDER, RECIPIENT = "support@example.com", "test@example.org"
SENT = Sent(Expected(UID, TOKEN), SENDER, RECIPIENT, ACCEPTED)
ALL_MAIL = "[Gmail]/All Mail"
RECEIVED = (
    b"Received: from a.example by mx.example.org with ESMTPS; Wed, 4 Mar 2026 05:06:08 +0000\r\n"
)
SECOND = timedelta(seconds=1)


def composed(sender: str = SENDER) -> bytes:
    return compose(Draft(UID, TOKEN, Purpose.ROUND_TRIP, sender, "Us", RECIPIENT, ACCEPTED), KEY)


def copy(
    mailbox: str = "INBOX", use: str | None = None, header: bytes = b"", after: int = 9
) -> ScannedMessage:
    arrived = ACCEPTED + after * SECOND
    return ScannedMessage(mailbox, use, 1, 7, arrived, header or composed())


def verdict(
    *messages: ScannedMessage, waited: timedelta = 20 * SECOND, sent: Sent = SENT
) -> Arrival:
    return judge(sent, recognise(messages, sent.expected, KEY), ACCEPTED + waited)


def codes(arrival: Arrival) -> list[str]:
    return [finding.code for finding in arrival.findings]


def stamped(results: str) -> ScannedMessage:
    stamp = f"Authentication-Results: mx.example.org; {results}\r\n".encode()
    return copy(header=stamp + RECEIVED + composed())


def test_it_arrived() -> None:
    found = verdict(copy())
    assert (found.outcome, found.reason) == (MessageOutcome.DELIVERED, Reason.DELIVERED)
    assert (found.placement, found.mailbox, found.latency) == (Placement.MAILBOX, "INBOX", 9)
    assert (found.findings, found.received_from, found.authentication) == ((), None, None)


def test_clocks_may_differ() -> None:
    assert verdict(copy(after=-30)).latency == 0
    assert verdict(copy(after=500), waited=2 * SECOND).latency == 2


def test_spam() -> None:
    found = verdict(copy("Junk", "\\Junk"))
    assert found.outcome is MessageOutcome.DELIVERED_TO_SPAM
    assert found.reason is Reason.DELIVERED_TO_SPAM
    assert found.placement is Placement.JUNK
    assert codes(found) == ["DELIVERED_TO_SPAM"]


def test_spam_names_the_receivers_judgement_if_there_is_one() -> None:
    judged = stamped("dmarc=fail header.from=example.com")
    other = ScannedMessage("Junk", "\\Junk", 1, 7, ACCEPTED, judged.header)
    assert "SPF, DKIM and DMARC" in verdict(other).message
    assert "DMARC" not in verdict(copy("Junk", "\\Junk")).message


def test_archived_by_a_filter() -> None:
    found = verdict(copy(ALL_MAIL, "\\All"))
    assert found.outcome is MessageOutcome.DELIVERED
    assert found.placement is Placement.ARCHIVE
    assert codes(found) == ["ARCHIVED_BY_FILTER"]


def test_the_best_place_counts() -> None:
    found = verdict(copy(ALL_MAIL, "\\All"), copy("Junk", "\\Junk"), copy("inbox"))
    assert found.placement is Placement.MAILBOX
    assert found.mailbox == "inbox"


def test_the_mailbox_that_is_read_is_no_archive() -> None:
    sent = Sent(SENT.expected, SENDER, RECIPIENT, ACCEPTED, mailbox=ALL_MAIL)
    assert verdict(copy(ALL_MAIL, "\\All"), sent=sent).placement is Placement.MAILBOX


def test_a_proven_copy_counts_before_others() -> None:
    told = copy(header=f"Message-ID: <postroom.{TOKEN}@x>\r\nFrom: x@y.example\r\n".encode())
    assert verdict(told, copy("Junk", "\\Junk")).placement is Placement.JUNK
    assert verdict(told).received_from == "x@y.example"


@pytest.mark.parametrize(
    ("waited", "outcome", "reason", "found"),
    [
        (LATE_AFTER - SECOND, None, Reason.AWAITING_MESSAGE, []),
        (LATE_AFTER, None, Reason.AWAITING_MESSAGE, ["DELIVERY_DELAYED"]),
        (DEADLINE - SECOND, None, Reason.AWAITING_MESSAGE, ["DELIVERY_DELAYED"]),
        (DEADLINE, MessageOutcome.NOT_DELIVERED, Reason.NOT_DELIVERED, ["NOT_DELIVERED"]),
        # The clock was set back meanwhile.
        (-200 * DEADLINE, MessageOutcome.NOT_DELIVERED, Reason.NOT_DELIVERED, ["NOT_DELIVERED"]),
    ],
)
def test_it_does_not_arrive(
    waited: timedelta, outcome: MessageOutcome | None, reason: Reason, found: list[str]
) -> None:
    arrival = verdict(waited=waited)
    assert (arrival.outcome, arrival.reason, codes(arrival)) == (outcome, reason, found)
    assert (arrival.placement, arrival.latency, arrival.hops) == (None, None, ())


def test_a_bounce_ends_the_waiting() -> None:
    header = f"Content-Type: multipart/report\r\nReferences: <postroom.{TOKEN}@x>\r\n"
    found = verdict(copy(header=header.encode()))
    assert found.outcome is MessageOutcome.NOT_DELIVERED
    assert "came back" in found.message


def test_an_answer_is_a_loop_but_no_arrival() -> None:
    header = f"Auto-Submitted: auto-replied\r\nIn-Reply-To: <postroom.{TOKEN}@x>\r\n"
    assert codes(verdict(copy(header=header.encode()))) == ["MAIL_LOOP"]


def test_the_sender_was_replaced() -> None:
    found = verdict(copy(header=composed("other@example.com")))
    assert found.outcome is MessageOutcome.DELIVERED
    assert found.reason is Reason.SENDER_REWRITTEN
    assert found.received_from == "other@example.com"
    assert "support@example.com" in found.message
    assert "other@example.com" in found.message


def test_a_sender_that_is_no_address() -> None:
    header = b"From: <script>\r\n" + composed().partition(b"\r\n")[2]
    found = verdict(copy(header=header))
    assert found.received_from == ""
    assert "script" not in found.message


@pytest.mark.parametrize("sender", ["Support@example.com", "support@Example.COM"])
def test_case_is_no_rewriting(sender: str) -> None:
    assert verdict(copy(header=composed(sender))).received_from is None


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ("spf=pass; dkim=pass; dmarc=pass", []),
        ("spf=none; dkim=none; dmarc=none", []),
        ("spf=temperror; dkim=neutral; dmarc=temperror", []),
        ("spf=softfail smtp.mailfrom=example.com; dmarc=pass", ["SPF_FAILED_AT_RECEIVER"]),
        ("dkim=fail header.d=example.com; dkim=pass header.d=esp.example", []),
        (
            "dkim=permerror; spf=fail; dmarc=fail",
            ["DMARC_FAILED_AT_RECEIVER", "SPF_FAILED_AT_RECEIVER", "DKIM_FAILED_AT_RECEIVER"],
        ),
    ],
)
def test_what_the_receiver_judged(results: str, found: list[str]) -> None:
    assert codes(verdict(stamped(results))) == found


def test_the_judgement_and_the_way_are_handed_on() -> None:
    found = verdict(stamped("spf=pass smtp.mailfrom=example.com"))
    assert found.authentication is not None
    assert found.authentication.spf is Outcome.PASS
    assert [hop.server for hop in found.hops] == ["mx.example.org"]


def test_a_message_without_a_time_of_arrival_has_arrived() -> None:
    arrival = verdict(replace(copy(), received_at=None))
    assert (arrival.outcome, arrival.latency) == (MessageOutcome.DELIVERED, None)


def test_a_failure_names_the_domain() -> None:
    (finding,) = verdict(stamped("spf=fail smtp.mailfrom=a@Example.com")).findings
    assert "for example.com:" in finding.message
    assert finding.severity is Severity.WARNING


def test_foreign_text_does_not_reach_a_sentence() -> None:
    (finding,) = verdict(stamped('spf=fail reason="<b>" smtp.mailfrom="<script>x"')).findings
    assert "<" not in finding.message


@given(st.integers(0, 500), st.sampled_from(["spf=fail", "dkim=fail", "spf=pass"]))
def test_sentences_do_not_change_with_time(after: int, results: str) -> None:
    message = stamped(results)
    assert message.received_at is not None
    later = ScannedMessage(
        "INBOX", None, 1, 7 + after, message.received_at + after * SECOND, message.header
    )
    first, second = verdict(message), verdict(later, waited=after * SECOND)
    assert (first.message, first.findings) == (second.message, second.findings)


@given(st.binary(max_size=200))
def test_any_header_is_judged(octets: bytes) -> None:
    found = verdict(copy(header=octets + b"\r\n" + composed()), waited=DEADLINE)
    assert found.outcome is not None
    assert len(found.message) <= MESSAGE_LIMIT


def test_sentences_fit_the_longest_addresses() -> None:
    address = f"{'l' * 60}@{'.'.join(['d' * 60] * 3)}.example"
    sent = Sent(SENT.expected, address, address, ACCEPTED)
    found = verdict(copy(header=composed()), sent=sent)
    assert found.reason is Reason.SENDER_REWRITTEN
    assert len(found.message) <= MESSAGE_LIMIT


REPLY = "help@example.com"


def answered(sent_with: str, arrives_with: str | None) -> list[str]:
    """What is said of a message whose Reply-To arrives as it does; None: without any."""
    draft = Draft(UID, TOKEN, Purpose.ROUND_TRIP, SENDER, "Us", RECIPIENT, ACCEPTED, sent_with)
    lines = [line for line in compose(draft, KEY).split(b"\r\n") if b"Reply-To:" not in line]
    if arrives_with is not None:
        lines.insert(0, f"Reply-To: {arrives_with}".encode())
    sent = Sent(SENT.expected, SENDER, RECIPIENT, ACCEPTED, reply_to=sent_with)
    return codes(verdict(copy(header=b"\r\n".join(lines)), sent=sent))


@pytest.mark.parametrize(
    ("sent_with", "arrives_with", "expected"),
    [
        (REPLY, REPLY, []),
        (REPLY, f"Help Desk <{REPLY}>", []),
        (REPLY, REPLY.upper(), []),
        (REPLY, None, ["REPLY_TO_DROPPED"]),
        (REPLY, "other@example.net", ["REPLY_TO_CHANGED"]),
        (REPLY, f"{REPLY}, other@example.net", ["REPLY_TO_CHANGED"]),
        (REPLY, f"{REPLY} <other@example.net>", ["REPLY_TO_CHANGED"]),
        (REPLY, SENDER, ["REPLY_TO_CHANGED"]),
        (REPLY, "", ["REPLY_TO_CHANGED"]),
        (REPLY, "undisclosed", ["REPLY_TO_CHANGED"]),
        ("", None, []),
        ("", SENDER, []),
        ("", "list@example.net", ["REPLY_TO_CHANGED"]),
    ],
)
def test_where_answers_go_is_what_was_sent(
    sent_with: str, arrives_with: str | None, expected: list[str]
) -> None:
    assert answered(sent_with, arrives_with) == expected


def test_a_changed_reply_to_says_where_answers_go() -> None:
    sent = Sent(SENT.expected, SENDER, RECIPIENT, ACCEPTED, reply_to=REPLY)
    header = b"Reply-To: other@example.net\r\n" + composed()
    (finding,) = verdict(copy(header=header), sent=sent).findings
    assert REPLY in finding.message and "other@example.net" in finding.message
    assert finding.severity is Severity.WARNING


@given(st.text(max_size=200))
def test_no_reply_to_that_arrives_goes_unread(text: str) -> None:
    body = " ".join(text.splitlines()).strip()
    told = answered(REPLY, body)
    assert told in ([], ["REPLY_TO_CHANGED"])
    assert told or REPLY in body.lower()

# SPDX-License-Identifier: Apache-2.0
"""Replies within a mail transaction as answers, and content as it goes on the wire.

Covers: who is blamed for a refusal; what each stage makes of a reply; line ends and doubled dots
(RFC 5321 section 4.5.2) for any octets; addresses that fit an envelope.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.operations import Acceptance
from postroom.mail.replies import Cause, Circumstances, Stage, meaning_of_smtp
from postroom.mail.smtp.answers import (
    accepts,
    answer_to_message,
    answer_to_sender,
    fits_an_envelope,
    transparent,
    with_line_ends,
)


def cause_at(stage: Stage, code: int, text: str) -> Cause:
    return meaning_of_smtp(code, text, Circumstances(stage)).cause


def test_the_command_decides_what_a_plain_refusal_means() -> None:
    assert cause_at(Stage.MAIL, 550, "no") is Cause.SEND_REFUSED
    assert cause_at(Stage.RCPT, 550, "no") is Cause.SEND_REFUSED
    assert cause_at(Stage.DATA, 550, "no") is Cause.MESSAGE_REJECTED


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(
    ("code", "text", "cause"),
    [
        (550, "5.7.60 SMTP; Client does not have permissions", Cause.SENDER_NOT_PERMITTED),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound", Cause.RECIPIENT_REJECTED),
        (452, "4.2.2 over quota", Cause.RECIPIENT_MAILBOX_FULL),
        (552, "5.3.4 too big", Cause.MESSAGE_TOO_LARGE),
        (421, "4.4.2 idle", Cause.SERVER_BUSY),
        (503, "5.5.1 bad sequence", Cause.PROTOCOL_ERROR),
        (530, "5.7.0 Authentication required", Cause.AUTH_NOT_ACCEPTED),
        (454, "Throttling failure: Daily message quota exceeded", Cause.SEND_LIMIT_EXCEEDED),
    ],
)
def test_causes_that_are_the_same_at_each_command(
    stage: Stage, code: int, text: str, cause: Cause
) -> None:
    assert cause_at(stage, code, text) is cause


@pytest.mark.parametrize("text", ["no", "5.7.1 no", "5.7.0 Denied", "Rejected by policy"])
def test_a_bare_refusal_of_rcpt_is_held_against_nobody(text: str) -> None:
    for stage, acceptance in ((Stage.MAIL, Acceptance.REFUSED), (Stage.RCPT, Acceptance.UNKNOWN)):
        meaning = meaning_of_smtp(550, text, Circumstances(stage))
        assert meaning.cause is Cause.SEND_REFUSED
        assert answer_to_sender(550, text, meaning, "x.").acceptance is acceptance
    assert meaning.reason.value == "MessageRejected"


@pytest.mark.parametrize(
    ("code", "text", "yes"),
    [
        (250, "2.0.0 queued", True),
        (250, "queued as 5.7.1", True),
        (251, "", True),
        (252, "2.1.5 maybe", True),
        (250, "5.7.1 Rejected as spam", False),
        (250, "4.7.1 Greylisted", False),
        (354, "go on", False),
        (221, "2.0.0 bye", False),
        (235, "2.7.0 welcome", False),
    ],
)
def test_a_yes_is_one_by_both_codes(code: int, text: str, yes: bool) -> None:
    assert accepts(code, text) is yes


@given(code=st.integers(400, 599), text=st.text(max_size=80))
def test_whatever_is_said_of_a_sender_is_one_of_four(code: int, text: str) -> None:
    meaning = meaning_of_smtp(code, text, Circumstances(Stage.RCPT))
    answer = answer_to_sender(code, text, meaning, "x.")
    assert answer.acceptance is not Acceptance.ACCEPTED
    if answer.acceptance is Acceptance.REFUSED:
        assert code >= 500
        assert answer.reason.value == "SenderNotAuthorized"
    whole = answer_to_message(code, text, meaning, "x.")
    passes = not meaning.conclusive and meaning.reason.value in (
        "TemporaryFailure",
        "ServiceUnavailable",
    )
    wanted = Acceptance.DEFERRED if code < 500 or passes else Acceptance.REFUSED
    assert whole.acceptance is wanted


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(
    ("code", "text", "acceptance"),
    [
        (554, "5.7.1 Greylisted, try again later", Acceptance.DEFERRED),
        (554, "5.3.0 Temporary failure", Acceptance.DEFERRED),
        (550, "Server is down for maintenance", Acceptance.DEFERRED),
        # The class of the enhanced code is another one than the code's (RFC 2034 section 4).
        (550, "4.7.1 no", Acceptance.DEFERRED),
        (550, "2.0.0 no", Acceptance.DEFERRED),
        (550, "5.7.1 no", Acceptance.REFUSED),
        (550, "5.4.5 Daily user sending limit exceeded", Acceptance.REFUSED),
        (550, "5.7.1 Client host blocked using zen.spamhaus.org", Acceptance.REFUSED),
        (451, "5.7.1 no", Acceptance.DEFERRED),
    ],
)
def test_what_passes_by_its_words_is_no_refusal_of_the_message(
    stage: Stage, code: int, text: str, acceptance: Acceptance
) -> None:
    meaning = meaning_of_smtp(code, text, Circumstances(stage, authenticated=True))
    assert answer_to_message(code, text, meaning, "x.").acceptance is acceptance
    if acceptance is Acceptance.DEFERRED:
        sender = answer_to_sender(code, text, meaning, "x.")
        assert sender.acceptance is not Acceptance.REFUSED


def received(wire: bytes) -> bytes:
    """What a server makes of it, line by line."""
    content, lines = b"", wire.split(b"\r\n")
    while (line := lines.pop(0)) != b".":
        content += line.removeprefix(b".") + b"\r\n"
    assert lines == [b""]
    return content


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"\r\n", b"\n", b"\r", b"\x00\xff"])))
def test_content_comes_out_as_it_went_in(pieces: list[bytes]) -> None:
    lines = with_line_ends(b"".join(pieces))
    assert received(transparent(lines)) == lines
    assert with_line_ends(lines) == lines
    assert b"\n" not in lines.replace(b"\r\n", b"")
    assert b"\r" not in lines.replace(b"\r\n", b"")


@pytest.mark.parametrize("address", ["a@b", "a.b+c@example.com", "o'neil@example.com"])
def test_addresses_that_fit(address: str) -> None:
    assert fits_an_envelope(address)


@given(st.text(max_size=30))
def test_what_fits_can_inject_nothing(address: str) -> None:
    if fits_an_envelope(address):
        assert address.isascii()
        assert not set(address) & set(" <>\r\n\0\t")
        assert "@" in address

# SPDX-License-Identifier: Apache-2.0
"""Finding our message: by each of its three signs, never by a forged proof; answers, bounces,
strays, and copies that tell of a loop."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.ownership import OwnershipRules
from postroom.mail.operations import Removal, ScannedMessage
from postroom.mail.round_trip.compose import Draft, Purpose, compose, probe_key, proof_of
from postroom.mail.round_trip.header import read_header
from postroom.mail.round_trip.recognise import (
    Expected,
    Found,
    Sighting,
    Sign,
    is_answer,
    recognise,
)

KEY = probe_key(b"ownership")


UID = "0f3a2b1c-1111-2222-3333-444455556666"


TOKEN = "5d0c1b7e42a94f6a8e3d2c1b0a998877"


OTHER_TOKEN = "00112233445566778899aabbccddeeff"


EXPECTED = Expected(UID, TOKEN)


PROOF = proof_of(KEY, UID, TOKEN)


SUBJECT = f"[postroom] connectivity test {TOKEN[:12]}"


MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def scanned(header: str | bytes, mailbox: str = "INBOX", uid: int = 7) -> ScannedMessage:
    octets = header if isinstance(header, bytes) else header.replace("\n", "\r\n").encode()
    return ScannedMessage(mailbox, None, 1, uid, MOMENT, octets)


def ours(token: str = TOKEN, uid: str = UID, key: bytes = KEY) -> bytes:
    sender = "a@example.com"
    return compose(Draft(uid, token, Purpose.ROUND_TRIP, sender, "", sender, MOMENT), key)


def look(*messages: ScannedMessage) -> Sighting:
    return recognise(messages, EXPECTED, KEY)


def test_it_is_found_by_its_field() -> None:
    found = look(scanned("Subject: other\n\n"), scanned(ours())).found
    assert [(one.sign, one.proof) for one in found] == [(Sign.PROBE_FIELD, PROOF)]


def test_a_refolded_field_still_counts() -> None:
    field = f"X-POSTROOM-PROBE : v1\n\t{UID}\n  {TOKEN}\n {PROOF}\n"
    assert look(scanned(field)).found[0].proof == PROOF


def test_it_is_found_by_its_message_id() -> None:
    found = look(scanned(f"Message-ID: <postroom.{TOKEN}@example.com>\n")).found
    assert [(one.sign, one.proof) for one in found] == [(Sign.MESSAGE_ID, None)]


@pytest.mark.parametrize("subject", [SUBJECT, f"FW: {SUBJECT}", f"[External] {SUBJECT}"])
def test_it_is_found_by_its_subject(subject: str) -> None:
    found = look(scanned(f"Subject: {subject}\nMessage-ID: <x@y>\n")).found
    assert [(one.sign, one.proof) for one in found] == [(Sign.SUBJECT, None)]


def test_only_what_is_proven_can_be_removed() -> None:
    proven, told = look(scanned(ours()), scanned(f"Subject: {SUBJECT}\n")).found
    assert proven.removal == Removal("INBOX", 1, 7, PROOF)
    assert told.removal is None


@pytest.mark.parametrize(
    "value",
    [
        f"v1 {UID} {TOKEN} {'0' * 32}",
        f"v1 other {TOKEN} {PROOF}",
        f"v1 {UID} {OTHER_TOKEN} {PROOF}",
        f"v2 {UID} {TOKEN} {PROOF}",
        "nonsense",
        "",
    ],
)
def test_a_forged_field_makes_it_a_strangers(value: str) -> None:
    sighting = look(scanned(f"Subject: {SUBJECT}\nX-Postroom-Probe: {value}\n"))
    assert sighting == Sighting()


def test_two_fields_prove_nothing() -> None:
    field = f"X-Postroom-Probe: v1 {UID} {TOKEN} {PROOF}\n"
    assert look(scanned(field + field)) == Sighting()


def test_another_operators_message_is_a_strangers() -> None:
    assert look(scanned(ours(key=probe_key(b"another")))) == Sighting()


@pytest.mark.parametrize("known", [[KEY], [probe_key(b"new"), KEY], [KEY, probe_key(b"old")]])
def test_a_message_of_an_earlier_key_is_ours(known: list[bytes]) -> None:
    (found,) = recognise([scanned(ours())], EXPECTED, known).found
    assert (found.sign, found.proof) == (Sign.PROBE_FIELD, PROOF)


def test_what_the_process_before_sent_is_told_by_its_token_and_not_removed() -> None:
    """The key did not last; that the token is right says as much as it does elsewhere."""
    before = scanned(ours(key=probe_key(b"of the process before")))
    (found,) = recognise([before], EXPECTED, KEY, lasting=False).found
    assert (found.sign, found.proof, found.removal) == (Sign.PROBE_FIELD, None, None)
    # Where the keys last, it is a stranger's.
    assert recognise([before], EXPECTED, KEY) == Sighting()


@pytest.mark.parametrize(
    "value",
    [
        f"v1 other {TOKEN} {'0' * 32}",
        f"v1 {UID} {OTHER_TOKEN} {'0' * 32}",
        f"v2 {UID} {TOKEN} {'0' * 32}",
        "nonsense",
    ],
)
def test_without_a_lasting_key_no_other_message_is_ours(value: str) -> None:
    message = scanned(f"Subject: {SUBJECT}\nX-Postroom-Probe: {value}\n")
    assert recognise([message], EXPECTED, KEY, lasting=False) == Sighting()


def test_an_empty_key_proves_nothing() -> None:
    with pytest.raises(ValueError, match="key"):
        probe_key(b"")


def test_without_a_key_of_the_operator_nobody_can_forge_a_proof() -> None:
    """What was sent without a key was proven by an empty one, which everybody knows."""
    (key,) = OwnershipRules().message_keys
    assert len(key) == 32
    assert OwnershipRules(token_required=True).message_keys == (key,)
    assert OwnershipRules((b"new", b"old")).message_keys == (b"new", b"old")
    empty = hmac.new(b"", b"postroom test message v1", hashlib.sha256).digest()
    forged = scanned(ours(key=empty))
    assert not any(one.proof for one in look_at(forged, key))
    assert "of_this_process" not in repr(OwnershipRules()).lower()


def look_at(message: ScannedMessage, key: bytes) -> tuple[Found, ...]:
    return recognise([message], EXPECTED, probe_key(key), lasting=False).found


@pytest.mark.parametrize(("token", "uid"), [(OTHER_TOKEN, UID), (TOKEN, "another-account")])
def test_our_message_of_another_run_is_a_stray(token: str, uid: str) -> None:
    sighting = look(scanned(ours(token, uid)))
    assert not sighting.found
    assert [(stray.token, stray.account_uid) for stray in sighting.strays] == [(token, uid)]
    assert sighting.strays[0].removal is not None
    # Other accounts are looked for at the same time.
    assert not sighting.loops


ANSWERS = [
    f"Auto-Submitted: auto-replied\nSubject: Away: {SUBJECT}\n",
    f"Auto-Submitted: Auto-Replied; owner=a@b (vacation)\nIn-Reply-To: <postroom.{TOKEN}@x>\n",
    f"Precedence: auto_reply\nReferences: <postroom.{TOKEN}@x>\n",
    f"X-Autoreply: yes\nSubject: {SUBJECT}\n",
    f"Subject: RE: {SUBJECT}\n",
    f"Subject: AW[2]: {SUBJECT}\n",
]


@pytest.mark.parametrize("header", ANSWERS)
def test_answers_are_no_arrival(header: str) -> None:
    sighting = look(scanned(header))
    assert not sighting.found
    assert len(sighting.replies) == 1
    assert sighting.loops


@pytest.mark.parametrize(
    ("header", "answers"),
    [
        ("Auto-Submitted: auto-replied\n", True),
        ("Auto-Submitted: AUTO-NOTIFIED (away); owner=a@b\n", True),
        ("Auto-Submitted: auto-generated\n", False),
        ("Auto-Submitted: no\n", False),
        ("Precedence: AUTO_REPLY\n", True),
        ("Precedence: bulk\n", False),
        ("X-Autorespond: hello\n", True),
        ("X-Autoreply: \n", True),
        ("Subject: Re: hello\n", True),
        ("Subject: Reply to all\n", False),
        ("", False),
    ],
)
def test_what_is_an_answer(header: str, answers: bool) -> None:
    assert is_answer(read_header(header.encode())) is answers


def test_a_bounce_is_told() -> None:
    sighting = look(
        scanned(
            f"Content-Type: multipart/report; report-type=x\nSubject: Undeliverable: {SUBJECT}\n"
        )
    )
    assert len(sighting.bounces) == 1
    assert not (sighting.found or sighting.replies or sighting.loops)


STATUS = "Content-Type: multipart/report; report-type=delivery-status\n"


@pytest.mark.parametrize(
    ("subject", "bounces"),
    [
        ("Undelivered Mail Returned to Sender", True),
        ("Mail delivery failed: returning message to sender", True),
        ("Delivery Status Notification (Failure)", True),
        ("Mail delivery failed after a delay", True),
        ("Undeliverable: test", True),
        ("Unzustellbar: test", True),
        ("Delayed Mail (still being retried)", False),
        ("Warning: message 1abcde-000001-2f delayed 24 hours", False),
        ("Warning: could not send message for past 4 hours", False),
        ("Delivery Status Notification (Delay)", False),
        ("Delivery delayed: test", False),
        ("Successful Mail Delivery Report", False),
        ("Relayed: test", False),
    ],
)
def test_a_report_that_a_server_still_tries_is_no_bounce(subject: str, bounces: bool) -> None:
    sighting = look(scanned(f"{STATUS}Subject: {subject}\nIn-Reply-To: <postroom.{TOKEN}@x>\n"))
    assert bool(sighting.bounces) is bounces
    assert not (sighting.found or sighting.replies)


@pytest.mark.parametrize("kind", ["disposition-notification", '"feedback-report"'])
def test_a_report_on_something_else_than_delivery_is_no_bounce(kind: str) -> None:
    header = f"Content-Type: multipart/report; report-type={kind}\nSubject: Read\n"
    assert look(scanned(f"{header}In-Reply-To: <postroom.{TOKEN}@x>\n")) == Sighting()


@pytest.mark.parametrize(
    "header", ["Auto-Submitted: auto-replied\nSubject: Away\n", "Subject: Re: x\n"]
)
def test_answers_to_others_do_not_matter(header: str) -> None:
    assert look(scanned(header)) == Sighting()


def test_copies_in_several_mailboxes_are_no_loop() -> None:
    both = look(scanned(ours()), scanned(ours(), "[Gmail]/All Mail"))
    assert len(both.found) == 2
    assert not both.loops


def test_copies_in_one_mailbox_are() -> None:
    assert look(scanned(ours()), scanned(ours(), uid=8)).loops


def test_no_more_than_a_thousand_are_looked_at() -> None:
    many = [scanned(b"", uid=one) for one in range(1000)]
    assert look(*many, scanned(ours())) == Sighting()


FRAGMENTS = st.sampled_from(
    [
        "X-Postroom-Probe:",
        "Subject:",
        SUBJECT,
        TOKEN,
        PROOF,
        UID,
        "v1",
        " ",
        "\r\n",
        "\n\t",
        "\0",
        "é",
    ]
)


@given(st.lists(FRAGMENTS | st.text(max_size=8), max_size=40))
def test_nothing_fails_and_nothing_unproven_is_removed(pieces: list[str]) -> None:
    sighting = look(scanned("".join(pieces).encode()))
    assert all(one.proof in (None, PROOF) for one in sighting.found)
    assert not sighting.strays

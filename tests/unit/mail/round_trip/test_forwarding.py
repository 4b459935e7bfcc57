# SPDX-License-Identifier: Apache-2.0
"""Forwarding: a redirect told from a forward and from nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.account_messages import ForwardingSource, ForwardingVerdict
from postroom.mail.operations import ScannedMessage
from postroom.mail.round_trip import (
    DEADLINE,
    Draft,
    Expected,
    ForwardingReport,
    Purpose,
    Sent,
    compose,
    judge_forwarding,
    probe_key,
    recognise,
)

KEY = probe_key(b"ownership")


UID = "0f3a2b1c-1111-2222-3333-444455556666"


TOKEN = "5d0c1b7e42a94f6a8e3d2c1b0a998877"


ACCEPTED = datetime(2026, 3, 4, 5, 6, 0, tzinfo=UTC)


SENDER, PUBLIC, TECHNICAL = "probe@example.net", "support@example.com", "in-7f3a@mx.example.net"


SENT = Sent(Expected(UID, TOKEN), SENDER, PUBLIC, ACCEPTED)


MICROSOFT = ForwardingSource.MICROSOFT365


ORIGINAL = compose(
    Draft(UID, TOKEN, Purpose.FORWARDING, SENDER, "Probe", PUBLIC, ACCEPTED), KEY
).decode()


SUBJECT = f"[postroom] connectivity test {TOKEN[:12]}"


def report(header: str | None, waited: timedelta = DEADLINE) -> ForwardingReport:
    octets = [] if header is None else [header.encode()]
    messages = [ScannedMessage("INBOX", None, 1, 7, ACCEPTED, octet) for octet in octets]
    sighting = recognise(messages, SENT.expected, KEY)
    return judge_forwarding(SENT, sighting, ACCEPTED + waited)


def changed(pattern: str, replacement: str) -> str:
    header, count = re.subn(pattern, replacement, ORIGINAL, flags=re.MULTILINE)
    assert count
    return header


REDIRECTS = [
    ORIGINAL,
    f"Resent-From: <{PUBLIC}>\r\nReturn-Path: <srs0=x@example.com>\r\n{ORIGINAL}",
    f"X-Forwarded-To: {TECHNICAL}\r\nX-Forwarded-For: {PUBLIC} {TECHNICAL}\r\n{ORIGINAL}",
    changed("^To: .*$", f"To: Support <{PUBLIC.upper()}>\r"),
    changed("^Subject: ", "Subject: [External] "),
]


@pytest.mark.parametrize("header", REDIRECTS)
def test_a_redirect_leaves_the_header_alone(header: str) -> None:
    found = report(header)
    assert found.verdict is ForwardingVerdict.REDIRECTED


def test_a_replaced_message_id_alone_is_no_forward() -> None:
    found = report(changed("^Message-ID: .*$", "Message-ID: <1@email.amazonses.example>\r"))
    assert found.verdict is ForwardingVerdict.REDIRECTED
    assert found.changed == ("Message-ID",)


FORWARDS = {
    "a new message": (
        f"From: {PUBLIC}\r\nTo: {TECHNICAL}\r\nMessage-ID: <x@y>\r\nSubject: FW: {SUBJECT}\r\n",
        ("From", "To", "Message-ID", "Subject", "X-Postroom-Probe"),
    ),
    "another sender": (changed("^From: .*$", f"From: {PUBLIC}\r"), ("From",)),
    "a second sender": (changed("^From: .*$", f"From: {SENDER}, {PUBLIC}\r"), ("From",)),
    "another recipient": (changed("^To: .*$", f"To: {TECHNICAL}\r"), ("To",)),
    "a German subject": (changed("^Subject: ", "Subject: WG: "), ("Subject",)),
    "an English subject": (changed("^Subject: ", "Subject: Fwd: "), ("Subject",)),
    "our field is gone": (changed(r"^X-Postroom-Probe: .*\n", ""), ("X-Postroom-Probe",)),
}


@pytest.mark.parametrize(("header", "fields"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_writes_a_new_message(header: str, fields: tuple[str, ...]) -> None:
    found = report(header)
    assert found.verdict is ForwardingVerdict.REWRITTEN
    assert found.changed == fields


def test_nothing_yet() -> None:
    assert report(None, waited=timedelta(seconds=1)).verdict is ForwardingVerdict.PENDING


def test_nothing_at_all() -> None:
    assert report(None).verdict is ForwardingVerdict.NOT_ARRIVING


def test_a_forged_message_is_nothing() -> None:
    forged = changed(r" [0-9a-f]{32} [0-9a-f]{32}\r$", f" {TOKEN} {'0' * 32}\r")
    assert report(forged).verdict is ForwardingVerdict.NOT_ARRIVING


@given(st.binary(max_size=200))
def test_any_header_is_judged(octets: bytes) -> None:
    found = report(octets.decode("latin-1") + "\r\n" + ORIGINAL)
    assert found.verdict in set(ForwardingVerdict) - {ForwardingVerdict.PENDING}

# SPDX-License-Identifier: Apache-2.0
"""Checks and errands over IMAP at a real Dovecot: quota, special uses, positions, scanning, removal
and history, with and without TLS from the first byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lab.dovecot_server import Dovecot, dovecot
from lab.dovecot_server_files import ALICE, PASSWORDS
from lab.mail_probing import (
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
)
from postroom.api.masked import Masked
from postroom.mail.operations import CountDays, Position, Removal, RemoveMessages, ScanMailbox
from postroom.mail.report import Login

pytestmark = pytest.mark.real_mail_server

DONE = ("Done", "ProbeSucceeded")
LOGIN = Login(ALICE, Masked(PASSWORDS[ALICE]))
PROOF = "0123456789abcdef0123456789abcdef"
OURS = f"Subject: ours\r\nX-Postroom-Probe: v1 a b {PROOF}\r\n\r\nbody\r\n".encode()
OTHER = b"Subject: other\r\nX-Other: y\r\n\r\nbody\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


@pytest.mark.parametrize("service", ["imap", "imaps"])
async def test_what_a_check_finds_out(server: Dovecot, service: str) -> None:
    server.deliver(ALICE, OTHER)
    found = (await server.probes().probe(server.endpoint(service), LOGIN, "INBOX")).mailbox
    assert found is not None
    assert (found.messages, found.unseen) == (1, 1)
    assert found.newest_at is not None
    assert abs(datetime.now(UTC) - found.newest_at) < timedelta(minutes=5)
    assert found.size is not None
    assert found.size > len(OTHER)
    assert found.octets is not None
    assert found.octets.limit > found.octets.used
    assert {"Junk", "Sent", "Trash"} <= set(found.special)
    assert found.prefix is not None


async def test_messages_are_found_and_ours_is_removed(server: Dovecot) -> None:
    probes, where = server.probes(), server.endpoint("imaps")
    server.deliver(ALICE, OTHER)
    noted = await probes.perform(where, LOGIN, ScanMailbox("INBOX", ()))
    assert outcome(noted.session) == DONE
    assert [position.special_use for position in noted.positions] == [None, "\\Junk"]
    server.deliver(ALICE, OTHER)
    server.deliver(ALICE, OURS)
    found = await probes.perform(where, LOGIN, ScanMailbox("INBOX", noted.positions))
    assert [b"X-Postroom-Probe" in message.header for message in found.messages] == [False, True]
    assert not any(b"X-Other" in message.header for message in found.messages)
    other, ours = (
        Removal("INBOX", message.uid_validity, message.uid, PROOF) for message in found.messages
    )
    removed = await probes.perform(
        where, LOGIN, RemoveMessages([other, ours, replace(ours, uid_validity=1)])
    )
    assert (outcome(removed.session), removed.removed) == (DONE, (ours,))
    left = await probes.perform(where, LOGIN, ScanMailbox("INBOX", noted.positions))
    assert [message.uid for message in left.messages] == [other.uid]


async def test_history(server: Dovecot) -> None:
    for _ in range(3):
        server.deliver(ALICE, OTHER)
    since = datetime.now(UTC).date() - timedelta(days=2)
    report = await server.probes().perform(
        server.endpoint("imaps"), LOGIN, CountDays("INBOX", since)
    )
    assert (outcome(report.session), report.complete) == (DONE, True)
    assert sum(report.days.values()) == 3


async def test_old_positions_and_numbers_that_changed(server: Dovecot) -> None:
    server.deliver(ALICE, OTHER)
    probes, where = server.probes(), server.endpoint("imaps")
    report = await probes.perform(where, LOGIN, ScanMailbox("INBOX", [Position("INBOX", 1, 4000)]))
    assert [message.uid for message in report.messages] == [1]
    assert report.positions[0].uid_validity not in (0, 1)

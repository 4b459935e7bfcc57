# SPDX-License-Identifier: Apache-2.0
"""Removing messages of ours at the lab's own server: with proof, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.imap_lab import lab_server, message
from lab.mail_probing import (
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
)
from postroom.lab.mailboxes import Account
from postroom.mail.operations import Removal
from postroom.mail.round_trip.compose import PROBE_FIELD

PROOF = "0123456789abcdef0123456789abcdef"
DONE = ("Done", "ProbeSucceeded")


def ours(proof: str = PROOF) -> bytes:
    return message(0, f"{PROBE_FIELD}: v1 uid token\r\n {proof}")


async def deliver_ours(account: Account, content: bytes) -> Removal:
    uid = account.mailboxes["INBOX"].deliver(content).uid
    return Removal("INBOX", 1, uid, PROOF)


async def test_our_message_is_removed_and_no_other() -> None:
    async with lab_server() as (server, account):
        inbox = account.mailboxes["INBOX"]
        inbox.messages[0].flags.add("\\Deleted")
        removal = await deliver_ours(account, ours())
        report = await server.remove(removal)
        left = [one.uid for one in inbox.messages]
    assert outcome(report.session) == DONE
    assert report.removed == (removal,)
    assert left == [1, 2, 3]


@pytest.mark.parametrize(
    "content",
    [
        message(1),
        ours(PROOF[::-1]),
        message(1, f"Subject: {PROOF}"),
        message(1, f"{PROBE_FIELD}: v1 a b {PROOF}", f"{PROBE_FIELD}: v1 c d {PROOF}"),
    ],
)
async def test_what_is_not_proved_to_be_ours_stays(content: bytes) -> None:
    async with lab_server() as (server, account):
        removal = await deliver_ours(account, content)
        report = await server.remove(removal)
        left = account.mailboxes["INBOX"].messages
    assert (outcome(report.session), report.removed) == (DONE, ())
    assert len(left) == 4
    assert all(one.flags == set() for one in left)


async def test_what_is_numbered_otherwise_stays() -> None:
    async with lab_server() as (server, account):
        removal = await deliver_ours(account, ours())
        report = await server.remove(
            replace(removal, uid_validity=2),
            replace(removal, mailbox="Sent"),
            replace(removal, mailbox="Nowhere"),
            replace(removal, uid=77),
            replace(removal, proof=""),
        )
        count = len(account.mailboxes["INBOX"].messages)
    assert (outcome(report.session), report.removed, count) == (DONE, (), 4)

# SPDX-License-Identifier: Apache-2.0
"""What a look at the mailbox leaves in status, and the look back that an annotation asks for."""

from __future__ import annotations

import pytest

from postroom.api.emailaccount_status import BackfillPhase, MailboxFacts, QuotaUsage
from postroom.mail.report import Mailbox, Quota
from postroom.reconcile.account.sync import mailbox_facts, quota_findings
from unit.reconcile.mail_worlds import REFUSED
from unit.reconcile.message_worlds import MessageWorld


def mailbox(uid_next: int = 10, uid_validity: int = 1) -> Mailbox:
    return Mailbox("INBOX", 3, 1, uid_next, uid_validity)


def facts(used: int = 0, limit: int = 100) -> MailboxFacts:
    quota = QuotaUsage(used=used, limit=limit)
    return MailboxFacts(name="INBOX", messages=3, octets=quota)


def test_new_messages_are_counted_from_sync_to_sync() -> None:
    first = mailbox_facts(mailbox(10), None)
    assert first.new_messages is None
    assert mailbox_facts(mailbox(14), first).new_messages == 4


def test_another_uidvalidity_counts_afresh() -> None:
    first = mailbox_facts(mailbox(10), None)
    assert mailbox_facts(mailbox(14, uid_validity=2), first).new_messages is None


def test_special_mailboxes_are_sorted() -> None:
    seen = Mailbox("INBOX", 0, 0, 1, 1, special={"Sent": "Sent", "Junk": "Spam"})
    assert [one.use for one in mailbox_facts(seen, None).special] == ["Junk", "Sent"]


@pytest.mark.parametrize(
    ("used", "severity"), [(84, None), (85, "Warning"), (95, "Error"), (200, "Error")]
)
def test_a_full_mailbox_is_told_in_time(used: int, severity: str | None) -> None:
    found = [finding.severity.value for finding in quota_findings(facts(used))]
    assert found == ([severity] if severity else [])


def test_a_quota_of_nothing_is_no_quota() -> None:
    seen = Mailbox("INBOX", 0, 0, 1, 1, octets=Quota(5, 0))
    assert quota_findings(mailbox_facts(seen, None)) == ()


async def test_a_backfill_counts_days_once_for_each_value() -> None:
    world = MessageWorld()
    await world.ready()
    world.ask(backfill="a")
    status = await world.run()
    done = status.last_backfill
    assert done is not None and done.phase is BackfillPhase.DONE
    assert (done.messages, len(done.days), done.complete) == (4, 3, True)
    assert (await world.run(seconds=3600)).last_backfill == done


async def test_a_backfill_is_refused_while_an_error_stands() -> None:
    world = MessageWorld()
    world.office.refuses = {"right": REFUSED}
    await world.ready()
    world.ask(backfill="a")
    refused = (await world.run()).last_backfill
    assert refused is not None and refused.phase is BackfillPhase.REFUSED
    assert refused.reason == "AuthenticationRejected"


async def test_without_a_mailbox_there_is_nothing_to_look_back_on() -> None:
    world = MessageWorld(imap=None)
    await world.ready()
    world.ask(backfill="a")
    refused = (await world.run()).last_backfill
    assert refused is not None and refused.phase is BackfillPhase.REFUSED


async def test_a_quiet_mailbox_writes_nothing() -> None:
    world = MessageWorld()
    await world.ready()
    await world.run(seconds=60)
    first = await world.run(seconds=60)
    second = await world.run(seconds=60)
    assert first.last_sync == second.last_sync

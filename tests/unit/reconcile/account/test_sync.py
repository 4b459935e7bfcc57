# SPDX-License-Identifier: Apache-2.0
"""What a look at the mailbox leaves in status, and the look back that an annotation asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from postroom.api.emailaccount_status import (
    BackfillPhase,
    EmailAccountStatus,
    MailboxFacts,
    QuotaUsage,
    SyncPhase,
)
from postroom.api.names import Kind
from postroom.mail.operations import CountDays, HistoryReport, Operation
from postroom.mail.report import Login, Mailbox, ProbeReport, Quota
from postroom.reconcile import engine
from postroom.reconcile.account.sync import _done, mailbox_facts, quota_findings
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.schedule import due_in
from postroom.reconcile.world import LookupUnavailable
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, AT_ONCE, REFUSED, WELL
from unit.reconcile.message_worlds import MessageWorld, PostOffice


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


async def test_a_backfill_over_midnight_counts_the_days_that_had_begun() -> None:
    """What arrives while it looks, and what a server dates into days to come, is not of them."""
    at = NOW.replace(hour=23, minute=59, second=59)
    days = {(at + timedelta(days=away)).date(): 1 for away in range(-61, 3)}
    report = HistoryReport(WELL, days)
    since = (at - timedelta(days=60)).date()
    done = _done("a", at, since, report)
    assert (len(done.days), done.messages) == (61, 61)
    assert (done.days[0].date, done.days[-1].date) == (since.isoformat(), at.date().isoformat())


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


class SlowOffice(PostOffice):
    """Notes what a run tells of itself `after` it has been at the mailbox for so long."""

    world: MessageWorld
    after = timedelta(seconds=4)

    def __init__(self, world: MessageWorld) -> None:
        super().__init__()
        self.world, self.told = world, list[str]()

    def tell(self) -> None:
        memory, raw = self.world._memories[ACCOUNT], self.world.objects[ACCOUNT]
        status = engine.syncing(ACCOUNT.kind, raw, memory, self.world.time + self.after)
        if isinstance(status, EmailAccountStatus) and status.sync is not None:
            self.told.append(status.sync.phase.value)
            raw["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def probe(self, endpoint: Any, login: Login | None, mailbox: Any = None) -> ProbeReport:
        self.tell()
        return await super().probe(endpoint, login, mailbox)

    async def do(self, login: Login, operation: Operation[Any]) -> Any:
        if isinstance(operation, CountDays):
            self.tell()
        return await super().do(login, operation)


async def test_what_takes_long_at_the_mailbox_is_told_and_then_is_over() -> None:
    world = MessageWorld()
    await world.ready()
    office = world.office = world.probes = SlowOffice(world)
    status = await world.run(seconds=3600)
    assert office.told == ["Syncing"]
    assert status.sync is not None and status.sync.phase is SyncPhase.IDLE
    world.ask(backfill="a")
    status = await world.run(seconds=3600)
    assert office.told == ["Syncing", "Syncing", "Backfilling"]
    assert status.sync is not None and status.sync.phase is SyncPhase.IDLE
    assert world._memories[ACCOUNT].at_mailbox is None


async def test_what_is_over_within_a_moment_is_not_told() -> None:
    world = MessageWorld()
    await world.ready()
    office = world.office = world.probes = SlowOffice(world)
    office.after = timedelta(seconds=2)
    world.ask(backfill="a")
    await world.run(seconds=3600)
    assert office.told == []


async def test_without_a_mailbox_there_is_nothing_to_sync() -> None:
    status = await MessageWorld(imap=None).ready()
    assert status.sync is None


class AwayWorld(MessageWorld):
    """One whose API server is away, or that has a bug, once `fails` is set."""

    fails: Exception | None = None

    async def secret(self, namespace: str, name: str) -> Any:
        if self.fails is not None:
            raise self.fails
        return await super().secret(namespace, name)


@pytest.mark.parametrize(
    ("spec", "fails"),
    [
        ({}, None),
        ({"suspend": True}, None),
        ({"connection": "Disconnected"}, None),
        ({"address": "nonsense"}, None),
        ({}, LookupUnavailable("Away.")),
        ({}, ValueError("a bug of ours")),
    ],
)
@pytest.mark.parametrize("phase", ["Syncing", "Backfilling"])
async def test_a_phase_never_outlives_the_process_that_wrote_it(
    phase: str, spec: dict[str, Any], fails: Exception | None
) -> None:
    world = AwayWorld()
    await world.ready()
    await world.run()
    raw = world.objects[ACCOUNT]
    raw["status"]["sync"] = {"phase": phase}
    raw["spec"] |= spec
    assert due_in(Kind.EMAIL_ACCOUNT, raw, world.time) == timedelta()
    world.fails = fails
    outcome = await engine.reconcile(ACCOUNT.kind, raw, world, Memory(), AT_ONCE)
    assert isinstance(outcome.status, EmailAccountStatus)
    assert outcome.status.sync is not None
    assert outcome.status.sync.phase is SyncPhase.IDLE

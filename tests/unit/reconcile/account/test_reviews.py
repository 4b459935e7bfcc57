# SPDX-License-Identifier: Apache-2.0
"""What is worth a second look: by what it goes, that nothing of it gates Ready or churns, and that
a threshold is met by the look that is planned for it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.findings import Severity
from postroom.api.mailserver import ProbeStage as Stage
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import parse_spec
from postroom.api.times import timestamp
from postroom.mail.report import ProbeReport
from postroom.reconcile.account import reviews
from postroom.reconcile.engine import reconcile
from postroom.reconcile.signing_in.references import Written
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import secret_content
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, AT_ONCE, verdict
from unit.reconcile.message_worlds import MessageWorld

DAY = timedelta(days=1)
AWAY = ProbeReport(
    Stage.CONNECT, Reason.CONNECTION_TIMEOUT, "It does not answer.", conclusive=False
)
CODES = {"NO_OWNER", "NO_RECOVERY_CONTACT", "BACKFILL_LARGE", "PASSWORD_OLD", "SYNC_OVERDUE"}


def codes(status: EmailAccountStatus) -> set[str]:
    return {finding.code for finding in status.findings} & (CODES | {"REFRESH_TOKEN_AGING"})


def secret(written: datetime | None, version: str = "1") -> dict[str, Any]:
    """A Secret as the API server has it; `written` is when the password was."""
    owned: dict[str, Any] = {"f:data": {".": {}, "f:username": {}, "f:password": {}}}
    entry = {"manager": "kubectl", "time": timestamp(written or NOW), "fieldsV1": owned}
    managed = [entry] if written is not None else []
    # Its age tells nothing: a password may be newer, and is older after a restore.
    metadata = {"name": "login", "uid": "u", "resourceVersion": version, "managedFields": managed}
    data = {"username": "support@example.com", "password": "right"}
    return {
        "metadata": {**metadata, "creationTimestamp": "2001-01-01T00:00:00Z"},
        "stringData": data,
    }


async def seen(world: MessageWorld, wait: timedelta = timedelta(minutes=5)) -> EmailAccountStatus:
    return await world.run(wait.total_seconds())


async def test_an_account_without_a_profile_is_told_of_nothing() -> None:
    status = await MessageWorld().ready()
    assert status.findings == []
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


@pytest.mark.parametrize(
    ("profile", "missing"),
    [
        ({"purpose": "Support"}, {"NO_OWNER", "NO_RECOVERY_CONTACT"}),
        ({"inbound": {"ai": {"enabled": False}}}, {"NO_OWNER", "NO_RECOVERY_CONTACT"}),
        ({"owner": {"contact": "ops@example.com"}}, {"NO_RECOVERY_CONTACT"}),
        ({"recoveryContact": "it@example.net"}, {"NO_OWNER"}),
    ],
)
async def test_what_a_profile_lacks_is_told_without_a_warning(
    profile: dict[str, Any], missing: set[str]
) -> None:
    status = await MessageWorld(**profile).ready()
    assert codes(status) == missing
    assert {finding.severity for finding in status.findings} == {Severity.INFO}
    assert all(finding.fix is not None and finding.fix.instruction for finding in status.findings)
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


async def test_what_is_declared_is_not_asked_for() -> None:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b", sync={"backfillDays": 14})
    assert codes(await world.ready()) == set()
    world.add(ACCOUNT, **{**world.objects[ACCOUNT]["spec"], "sync": {"backfillDays": 15}})
    assert codes(await seen(world)) == {"BACKFILL_LARGE"}


@pytest.mark.parametrize(
    ("age", "old"),
    [(None, False), (364 * DAY, False), (366 * DAY, True), (timedelta(days=-1), False)],
)
async def test_a_password_is_as_old_as_when_it_was_written_last(
    age: timedelta | None, old: bool
) -> None:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b")
    world.secrets["login"] = secret_content(secret(None if age is None else NOW - age))
    await world.ready()
    assert codes(await seen(world)) == ({"PASSWORD_OLD"} if old else set())


async def test_a_new_password_ends_the_finding() -> None:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b")
    world.secrets["login"] = secret_content(secret(NOW - 400 * DAY))
    await world.ready()
    before = await seen(world)
    assert codes(before) == {"PASSWORD_OLD"}
    assert (await seen(world, DAY)).findings == before.findings
    world.secrets["login"] = secret_content(secret(world.time, "2"))
    assert codes(await seen(world)) == set()


def test_nothing_is_said_of_a_key_of_which_nobody_knows_when_it_was_written() -> None:
    raw = secret(NOW - 400 * DAY)
    managed = raw["metadata"]["managedFields"]
    assert dict(secret_content(raw).written)["password"] == NOW - 400 * DAY
    newer = {"time": timestamp(NOW), "fieldsV1": {"f:stringData": {"f:password": {}}}}
    raw["metadata"]["managedFields"] = [*managed, newer]
    assert secret_content(raw).written["password"] == NOW
    for broken in ({"time": None}, {"time": "yesterday"}, {"time": ["x"]}):
        raw["metadata"]["managedFields"] = [*managed, {**managed[0], **broken}]
        assert "password" not in secret_content(raw).written
    for odd in (None, "x", [None, 3, {"fieldsV1": "x"}, {"fieldsV1": {"f:data": [1]}}]):
        raw["metadata"]["managedFields"] = odd
        assert dict(secret_content(raw).written) == {}


async def test_a_mailbox_that_is_not_read_for_a_day_is_told_of_once_it_is() -> None:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b")
    await world.ready()
    await seen(world)
    world.office.away = AWAY
    assert codes(await seen(world, timedelta(hours=23))) == set()
    before = await seen(world, timedelta(hours=2))
    assert codes(before) == {"SYNC_OVERDUE"}
    told = [finding for finding in before.findings if finding.code == "SYNC_OVERDUE"]
    after = await seen(world, timedelta(hours=20))
    assert [finding for finding in after.findings if finding.code == "SYNC_OVERDUE"] == told
    world.office.away = None
    assert codes(await seen(world)) == set()


@pytest.mark.parametrize(
    ("messages", "duplicates", "told"),
    [(0, 0, False), (100, 9, False), (100, 10, True), (3, 1, True), (40, None, False)],
)
async def test_a_look_back_that_found_messages_twice_is_told(
    messages: int, duplicates: int | None, told: bool
) -> None:
    world = MessageWorld()
    await world.ready()
    last = {"nonce": "n", "phase": "Done", "time": timestamp(NOW), "reason": "Succeeded"}
    counts = {"messages": messages, "message": "So it was."}
    counts |= {} if duplicates is None else {"duplicates": duplicates}
    world.objects[ACCOUNT]["status"]["lastBackfill"] = {**last, **counts}
    found = {finding.code for finding in (await seen(world)).findings}
    assert ("DUPLICATES_AFTER_BACKFILL" in found) is told
    world.ask(backfill="two")
    found = {finding.code for finding in (await seen(world)).findings}
    assert "DUPLICATES_AFTER_BACKFILL" not in found


async def test_the_next_look_is_planned_for_the_threshold_and_is_no_busy_loop() -> None:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b", sync={"interval": "24h"})
    due = NOW + timedelta(hours=1)
    world.secrets["login"] = secret_content(secret(due - 365 * DAY))
    await world.ready()
    raw, memory = world.objects[ACCOUNT], Memory()
    outcome = await reconcile(Kind.EMAIL_ACCOUNT, raw, world, memory, AT_ONCE)
    assert outcome.next_check == due - world.time
    world.time = due
    outcome = await reconcile(Kind.EMAIL_ACCOUNT, raw, world, memory, AT_ONCE)
    assert isinstance(outcome.status, EmailAccountStatus)
    assert codes(outcome.status) == {"PASSWORD_OLD"}
    assert outcome.next_check is not None and outcome.next_check > timedelta(hours=20)


SPECS: list[dict[str, Any]] = [
    {},
    {"owner": {"team": "a"}, "recoveryContact": "b"},
    {
        "imap": {"host": "imap.example.com"},
        "credentialsRef": {"name": "login"},
        "sync": {"backfillDays": 15},
    },
]
moments = st.integers(0, 800 * 24 * 3600).map(lambda seconds: NOW - timedelta(seconds=seconds))
writings = st.lists(st.builds(Written, st.sampled_from("ab"), st.just("password"), moments)).map(
    tuple
)
facts = st.builds(reviews.Reviewed, writings, writings, st.none() | moments)
limits = st.builds(
    reviews.Thresholds,
    st.sampled_from([timedelta(), DAY, 365 * DAY]),
    st.sampled_from([timedelta(hours=1), DAY]),
    st.integers(1, 60),
)


@given(st.sampled_from(SPECS), facts, limits)
def test_findings_come_at_the_planned_moments_alone_and_never_go_by_time(
    fields: dict[str, Any], found: reviews.Reviewed, thresholds: reviews.Thresholds
) -> None:
    spec = parse_spec(Kind.EMAIL_ACCOUNT, {"address": "a@example.com", **fields})
    assert isinstance(spec, EmailAccountSpec)

    def at(moment: datetime) -> tuple[Any, timedelta | None]:
        return reviews.told(reviews.reviews_of(spec, found, thresholds), moment)

    now = NOW - 800 * DAY
    for _ in range(20):
        findings, wait = at(now)
        if wait is None:
            assert at(now + 9000 * DAY)[0] == findings
            return
        assert wait > timedelta()
        assert at(now + wait - timedelta(seconds=1))[0] == findings or wait <= timedelta(seconds=1)
        more, _ = at(now + wait)
        assert set(map(repr, more)) >= set(map(repr, findings))
        now += wait

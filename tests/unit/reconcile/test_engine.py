# SPDX-License-Identifier: Apache-2.0
"""What is kept of a stored status where nothing was found out: only what is about this spec, and as
long as it is not too old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest

from kstatus import compute, lint
from postroom.api.conditions import ConditionType, find
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.findings import FixAction
from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import SendingDomainStatus, Verification
from postroom.api.status import CommonStatus
from postroom.api.times import timestamp
from postroom.reconcile.engine import reconcile
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import LookupUnavailable, SecretContent
from unit.reconcile.assessments import Stored
from unit.reconcile.mail_worlds import ACCOUNT, AT_ONCE, SERVER, MailWorld, message, verdict

UNAVAILABLE = LookupUnavailable("The API server does not answer.")
FORBIDDEN = LookupUnavailable("Secret login could not be read.", Reason.READ_FORBIDDEN)
BUG = RuntimeError("a bug of ours")
LIFECYCLE = {ConditionType.READY, ConditionType.RECONCILING}


@dataclass
class Failing(MailWorld):
    """Fails where a Secret is asked for, if it is told to."""

    error: Exception | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self.add_secret("login", username="me", password="right")

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        if self.error is not None:
            raise self.error
        return await super().secret(namespace, name)


async def failed(error: Exception, **edit: str) -> tuple[CommonStatus, CommonStatus]:
    """The status of a server before and after a failure, perhaps with an edit in between."""
    world, spec = Failing(), {"credentialsRef": {"name": "login"}}
    world.add(SERVER, host="smtp.example.com", **spec)
    before = await world.look(SERVER)
    if edit:
        world.add(SERVER, **{"host": "smtp.example.com", **spec, **edit})
    world.error = error
    return before, await world.look(SERVER)


@pytest.mark.parametrize(
    ("wrong", "end"),
    [
        (1, "spec.host: must be text."),
        (2, "spec.host: must be text. There is 1 more problem."),
        (3, "spec.host: must be text. There are 2 more problems."),
    ],
)
async def test_a_spec_with_several_problems_says_how_many(wrong: int, end: str) -> None:
    world = MailWorld()
    fields = {"host": 1, "port": "x", "unknown": 2}
    world.add(SERVER, **dict(list(fields.items())[:wrong]))
    status = await world.look(SERVER)
    ready = find(status.conditions, ConditionType.READY)
    assert ready is not None
    assert ready.message == end


@pytest.mark.parametrize(
    ("error", "reason"), [(UNAVAILABLE, "Progressing"), (BUG, "InternalError")]
)
async def test_verdicts_on_another_spec_are_not_kept(error: Exception, reason: str) -> None:
    before, after = await failed(error, host="mx.example.net")
    assert {condition.type for condition in before.conditions} - LIFECYCLE
    assert {condition.type for condition in after.conditions} == LIFECYCLE
    assert verdict(after, ConditionType.READY) == ("Unknown", reason)
    assert {condition.observed_generation for condition in after.conditions} == {2}


@pytest.mark.parametrize(
    ("error", "action"), [(UNAVAILABLE, FixAction.WAIT), (FORBIDDEN, FixAction.EXTERNAL)]
)
async def test_who_waits_for_a_right_is_not_told_to_wait(
    error: LookupUnavailable, action: FixAction
) -> None:
    _, after = await failed(error, host="mx.example.net")
    assert verdict(after, ConditionType.READY) == ("Unknown", error.reason.value)
    (finding,) = cast("MailServerStatus", after).findings
    assert (finding.code, finding.message) == (error.reason.name, error.sentence)
    assert finding.fix is not None
    assert finding.fix.action is action


async def test_verdicts_on_this_spec_are_kept_through_a_bug() -> None:
    before, after = await failed(BUG)
    known = {
        condition.type: condition
        for condition in before.conditions
        if condition.type not in LIFECYCLE
    }
    assert known
    assert {
        condition.type: condition
        for condition in after.conditions
        if condition.type not in LIFECYCLE
    } == known
    assert verdict(after, ConditionType.READY) == ("Unknown", "InternalError")


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_want_of_memory_is_no_verdict(key: Key) -> None:
    world = Failing()
    world.add(SERVER, host="smtp.example.com", default=True, credentialsRef={"name": "login"})
    world.add(ACCOUNT, address="a@x.example", credentialsRef={"name": "login"})
    world.error = MemoryError()
    with pytest.raises(MemoryError):
        await reconcile(key.kind, world.objects[key], world, Memory(), AT_ONCE)


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_a_verdict_that_nothing_was_read_for_counts_until_it_is_too_old(key: Key) -> None:
    world = Failing()
    world.add(SERVER, host="smtp.example.com", default=True, credentialsRef={"name": "login"})
    world.add(ACCOUNT, address="a@x.example", credentialsRef={"name": "login"})
    for each in (SERVER, ACCOUNT):
        assert verdict(await world.look(each), ConditionType.READY) == ("True", "Succeeded")
    world.error = UNAVAILABLE
    outcome = await reconcile(key.kind, world.objects[key], world, Memory(), AT_ONCE)
    assert outcome.status is None
    status = await world.look(key, timedelta(hours=3))
    assert verdict(status, ConditionType.READY) == ("Unknown", "ObservationStale")
    assert message(status) == UNAVAILABLE.sentence
    assert (compute(world.objects[key]), lint(world.objects[key])) == ("InProgress", [])
    assert await world.look(key) == status, "nothing is written by the clock alone"
    if isinstance(status, EmailAccountStatus):
        assert status.effective_sender is not None
        assert status.effective_sender.address is None
    world.error = None
    assert verdict(await world.look(key), ConditionType.READY) == ("True", "Succeeded")


async def test_what_cannot_be_asked_is_asked_again_soon_and_ever_less_often() -> None:
    """A moment without the API server is over within seconds, for whoever was looked at in it."""
    world, memory = Failing(), Memory()
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    await world.look(SERVER)

    async def wait() -> timedelta | None:
        seen = await reconcile(SERVER.kind, world.objects[SERVER], world, memory, AT_ONCE)
        return seen.next_check

    world.error = UNAVAILABLE
    waits = [await wait() for _ in range(6)]
    assert waits == [timedelta(seconds=each) for each in (3, 6, 12, 24, 30, 30)]
    world.error = None
    await wait()
    world.error = UNAVAILABLE
    assert await wait() == timedelta(seconds=3)


@pytest.mark.parametrize("error", [None, UNAVAILABLE, BUG])
@pytest.mark.parametrize("suspend", [False, True])
async def test_reasons_that_another_version_knows_keep_nothing_from_being_looked_at(
    error: Exception | None, suspend: bool
) -> None:
    world = Failing()
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"}, suspend=suspend)
    await world.look(SERVER)
    stored = world.objects[SERVER]["status"]
    conditions = [{**each, "reason": "KnownToOthers"} for each in stored["conditions"]]
    world.objects[SERVER]["status"] = Stored({**stored, "conditions": conditions})
    world.error = error
    status = await world.look(SERVER)
    assert find(status.conditions, ConditionType.READY) is not None
    assert all(each.reason != "KnownToOthers" for each in status.conditions)


async def test_what_is_seen_in_dns_alone_outlasts_no_look_that_is_too_old() -> None:
    """Nothing of it was read anew, and whoever may write a status could have written it."""
    world, domain = Failing(), Key(Kind.SENDING_DOMAIN, SERVER.namespace, "example")
    key = {"selector": "s1", "publicKeyRef": {"name": "login", "key": "pub", "kind": "Secret"}}
    world.add(domain, domain="example.com", dkim=[key])
    moment = timestamp(world.now())
    forged = [
        {
            "type": type,
            "status": "True",
            "reason": "RecordMatched",
            "message": "There.",
            "lastTransitionTime": moment,
            "observedGeneration": 1,
        }
        for type in ("OwnershipVerified", "DKIMVerified", "Ready")
    ]
    world.objects[domain]["status"] = Stored(
        {
            "conditions": forged,
            "observedGeneration": 1,
            "lastReadyGeneration": 1,
            "lastCheckTime": moment,
            "lastReadyTime": moment,
            "verification": "Verified",
            "verifiedAt": moment,
        }
    )
    world.error = UNAVAILABLE
    outcome = await reconcile(domain.kind, world.objects[domain], world, Memory(), AT_ONCE)
    assert outcome.status is None, "an outage takes nothing from anybody at once"
    status = await world.look(domain, timedelta(hours=8))
    assert isinstance(status, SendingDomainStatus)
    for type in (ConditionType.OWNERSHIP_VERIFIED, ConditionType.DKIM_VERIFIED):
        assert verdict(status, type) == ("Unknown", "ObservationStale")
    assert verdict(status, ConditionType.READY) == ("Unknown", "ObservationStale")
    assert status.verification is Verification.UNKNOWN

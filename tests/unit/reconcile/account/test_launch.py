# SPDX-License-Identifier: Apache-2.0
"""The launch checklist: what each item goes by, since when it is so, and that it never churns.

Covers: proofs by messages and what takes them away, changes since the last test, what does not
concern an account, accounts at rest, and random histories.
"""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api import account_messages
from postroom.api.conditions import Condition, ConditionStatus, ConditionType
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender, EmailAccountStatus
from postroom.api.launch import Launch, LaunchItem, LaunchState
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.times import timestamp
from postroom.reconcile.account import launch
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, SERVER
from unit.reconcile.mail_worlds import REFUSED as REJECTED
from unit.reconcile.message_worlds import BUSY, JUNK, REFUSED, MessageWorld

LATER = timedelta(minutes=6)
WHOLE = {
    "displayName": "Support",
    "owner": {"team": "support"},
    "recoveryContact": "it@example.net",
}


def states(status: EmailAccountStatus) -> dict[str, str]:
    assert status.launch is not None
    assert [entry.item for entry in status.launch.items] == list(LaunchItem)
    return {entry.item.value: entry.state.value for entry in status.launch.items}


def open_items(status: EmailAccountStatus) -> set[str]:
    return {item for item, state in states(status).items() if state == "Open"}


async def proven(world: MessageWorld, nonce: str = "one") -> EmailAccountStatus:
    """Ask for a test message, and see what becomes of it."""
    world.ask(send_test=nonce)
    await world.run(LATER.total_seconds())
    return await world.run(times=3)


PROOFS = {"SendProven", "ReceiveProven", "TestSinceLastChange"}


async def test_a_bare_account_has_everything_open_that_somebody_can_do() -> None:
    status = await MessageWorld().ready()
    assert open_items(status) == PROOFS | {"SenderName", "OwnerAndRecoveryContact"}
    told = states(status)
    assert (told["ReplyAddress"], told["SmallBackfill"]) == ("NotNeeded", "Done")
    assert told["DomainVerified"] == "NotNeeded"
    assert status.launch is not None and status.launch.summary == "3/8"


async def test_a_message_that_arrives_proves_sending_and_receiving() -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    status = await proven(world)
    assert open_items(status) == set() and status.launch is not None
    assert status.launch.summary == "8/8"
    assert not [each for each in status.findings if "launch" in each.message.lower()]


async def test_nothing_is_written_again_while_nothing_changes() -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    before = (await proven(world)).launch
    for _ in range(3):
        assert (await world.run(3600)).launch == before


@pytest.mark.parametrize("change", ["spec", "secret", "server"])
async def test_a_change_asks_for_another_test_and_leaves_the_proofs(change: str) -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    before = (await proven(world)).launch
    assert before is not None
    match change:
        case "spec":
            world.add(ACCOUNT, **{**world.objects[ACCOUNT]["spec"], "displayName": "Helpdesk"})
            world.ask(send_test="one")
        case "secret":
            world.add_secret("login", version="2", username="support@example.com", password="new")
        case "server":
            world.add(SERVER, **{**world.objects[SERVER]["spec"], "interval": "10m"})
            await world.look(SERVER)
    status = await world.run(60)
    assert open_items(status) == {"TestSinceLastChange"} and status.launch is not None
    kept = {entry.item: entry.since or "" for entry in before.items}
    for entry in status.launch.items:
        moved = entry.item is LaunchItem.TEST_SINCE_LAST_CHANGE
        assert ((entry.since or "") > kept[entry.item]) is moved
    assert open_items(await proven(world, "two")) == set()


async def test_a_message_under_way_counts_for_what_it_was_sent_with() -> None:
    world = MessageWorld(**WHOLE)
    world.office.delivers_to = None
    await world.ready()
    world.ask(send_test="one")
    await world.run(LATER.total_seconds())
    await world.run(times=2)
    world.add(ACCOUNT, **{**world.objects[ACCOUNT]["spec"], "displayName": "Helpdesk"})
    world.ask(send_test="one")
    world.office.delivers_to = None
    status = await world.run(900)
    assert status.last_test is not None and status.last_test.result is not None
    basis = status.last_test.result.basis
    assert basis is not None and basis.generation == 1
    assert "TestSinceLastChange" in open_items(status)


async def test_what_is_refused_or_lost_opens_the_proof_again() -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    await proven(world)
    world.office.answer = REFUSED
    status = await proven(world, "two")
    # Nothing arrived, but nothing was sent either.
    assert open_items(status) == {"SendProven", "TestSinceLastChange"}


async def test_a_message_that_could_not_be_sent_now_leaves_the_proof() -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    await proven(world)
    world.office.answer = BUSY
    told = states(await proven(world, "two"))
    assert (told["SendProven"], told["ReceiveProven"]) == ("Done", "Done")


async def test_what_lands_in_the_junk_folder_was_sent_and_not_received_well() -> None:
    world = MessageWorld(**WHOLE)
    world.office.delivers_to = JUNK
    await world.ready()
    told = states(await proven(world))
    assert (told["SendProven"], told["ReceiveProven"]) == ("Done", "Open")


async def test_an_account_that_cannot_sign_in_has_nothing_proven() -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    await proven(world)
    world.office.refuses = {"right": REJECTED}
    told = states(await world.run(600))
    assert told["SendProven"] == "Open" and told["ReceiveProven"] != "Done"


async def test_where_no_messages_are_sent_nobody_knows_of_proofs() -> None:
    world = MessageWorld(**WHOLE)
    world.message_policy = None
    told = states(await world.ready())
    assert {told[item] for item in PROOFS} == {"Unknown"}


async def test_a_send_only_account_needs_an_address_for_answers() -> None:
    world = MessageWorld(imap=None)
    del world.objects[ACCOUNT]["spec"]["imap"]
    status = await world.ready()
    told = states(status)
    assert (told["ReceiveProven"], told["SmallBackfill"]) == ("NotNeeded", "NotNeeded")
    assert "ReplyAddress" in open_items(status)
    world.add(ACCOUNT, **{**world.objects[ACCOUNT]["spec"], "replyTo": "help@example.com"})
    assert states(await world.run(60))["ReplyAddress"] == "Done"


@pytest.mark.parametrize("rest", [{"suspend": True}, {"connection": "Disconnected"}])
async def test_at_rest_the_spec_counts_and_what_was_seen_stays(rest: dict[str, Any]) -> None:
    world = MessageWorld(**WHOLE)
    await world.ready()
    before = (await proven(world)).launch
    spec = {**world.objects[ACCOUNT]["spec"], **rest}
    del spec["owner"]
    world.add(ACCOUNT, **{**spec, "sync": {"backfillDays": 30}})
    status = await world.run(3600)
    opened = {"OwnerAndRecoveryContact", "SmallBackfill", "TestSinceLastChange"}
    assert open_items(status) == opened and before is not None and status.launch is not None
    kept = [entry for entry in before.items if entry.item.value not in opened]
    assert kept == [entry for entry in status.launch.items if entry.item.value not in opened]
    assert (await world.run(3600)).launch == status.launch


KINDS = [*launch.SENDING, ConditionType.IMAP_AVAILABLE, ConditionType.IMAP_AUTHENTICATED]
SPECS: list[dict[str, Any]] = [
    {},
    {"imap": {"host": "imap.example.com"}, "credentialsRef": {"name": "login"}},
    WHOLE,
    {"forwarding": {"technicalAddress": "in@example.net"}, "replyTo": "a@example.com"},
    {"sync": {"backfillDays": 60}, "imap": {"host": "h"}, "credentialsRef": {"name": "login"}},
]
BASES = [account_messages.MessageBasis(generation=generation) for generation in (1, 2)]
conditions = st.dictionaries(st.sampled_from(KINDS), st.sampled_from(ConditionStatus)).map(
    lambda found: tuple(
        Condition(
            type=kind,
            status=status,
            observed_generation=1,
            reason="Succeeded",
            message="So it is.",
            last_transition_time=timestamp(NOW),
        )
        for kind, status in found.items()
    )
)
results = st.lists(
    st.builds(
        account_messages.MessageResult,
        outcome=st.sampled_from(account_messages.MessageOutcome),
        time=st.just(timestamp(NOW)),
        recipient=st.sampled_from(["Support@example.com", "other@example.com"]),
        reason=st.sampled_from(["Delivered", "RecipientNotAllowed"]),
        message=st.just("So it was."),
        basis=st.sampled_from([None, *BASES]),
    ),
    max_size=3,
).map(tuple)
forwardings = st.none() | st.builds(
    account_messages.ForwardingState,
    verdict=st.sampled_from(account_messages.ForwardingVerdict),
    technicalAddress=st.just("in@example.net"),
)
known = st.builds(
    launch.Known,
    conditions=conditions,
    sender=st.sampled_from(
        ["DomainVerified", "DomainDegraded", "FallbackUsed", "NoDomain", "DomainUnknown"]
    ).map(lambda reason: EffectiveSender(reason=reason)),
    display_name=st.none() | st.just("Support"),
    results=results,
    forwarding=forwardings,
    basis=st.sampled_from(BASES),
    may_send=st.booleans(),
    under_way=st.booleans(),
)
histories = st.lists(st.tuples(st.sampled_from(SPECS), known), min_size=1, max_size=6)


def spec_of(fields: dict[str, Any]) -> EmailAccountSpec:
    spec = parse_spec(Kind.EMAIL_ACCOUNT, {"address": "support@example.com", **fields})
    assert isinstance(spec, EmailAccountSpec)
    return spec


@given(histories)
def test_times_move_with_states_alone_and_nothing_is_proven_without_proof(
    history: list[tuple[dict[str, Any], launch.Known]],
) -> None:
    before: Launch | None = None
    now, proofs = NOW, list[account_messages.MessageBasis | None]()
    for fields, facts in history:
        now += timedelta(minutes=1)
        spec = spec_of(fields)
        found = launch.checklist(spec, facts, 14, before, now)
        earlier = {entry.item: entry for entry in before.items} if before is not None else {}
        for entry in found.items:
            was = earlier.get(entry.item)
            same = was is not None and was.state is entry.state
            if entry.state is LaunchState.NOT_NEEDED:
                assert entry.since is None
            else:
                assert entry.since == (was.since if was is not None and same else timestamp(now))
        # What is looked at again, whenever, is written no more.
        assert launch.checklist(spec, facts, 14, found, now + timedelta(days=9)) == found
        settled = [each for each in found.items if each.state.value in ("Done", "NotNeeded")]
        assert found.summary == f"{len(settled)}/{len(LaunchItem)}"
        by_item = {entry.item: entry.state for entry in found.items}
        failing = [each for each in facts.conditions if each.status is not ConditionStatus.TRUE]
        if any(each.type in launch.SENDING for each in failing):
            assert by_item[LaunchItem.SEND_PROVEN] is not LaunchState.DONE
        arrived = [each for each in facts.results if each.outcome.value.startswith("Deliv")]
        taken = [each for each in facts.results if each.outcome.value == "Accepted"]
        if by_item[LaunchItem.SEND_PROVEN] is LaunchState.DONE:
            was = earlier.get(LaunchItem.SEND_PROVEN)
            assert arrived or taken or (was is not None and was.state is LaunchState.DONE)
        if by_item[LaunchItem.TEST_SINCE_LAST_CHANGE] is LaunchState.DONE:
            proofs.extend(each.basis for each in (*arrived, *taken))
            assert facts.basis in proofs and found.basis == facts.basis
        before, proofs = found, [found.basis]

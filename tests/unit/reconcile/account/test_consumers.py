# SPDX-License-Identifier: Apache-2.0
"""One application for each address: who is refused, who is named, and what status says.

Covers: an identity that is another account's address; two accounts with one identity; equal
consumers; none; discovered identities; disconnection as hand-over; duplicates; other namespaces,
which are not seen; random histories, after which no address serves two applications.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from unit.reconcile.account.test_identities import BILLING, OWN, Post, gmail, one, states
from unit.reconcile.account.test_relations import (
    ADDRESS,
    FALLBACK,
    RELAY_ADDRESS,
    Mail,
    message,
    ready,
    sender,
)
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, verdict

BOT, OTHER_BOT = {"name": "support-bot"}, {"name": "billing-bot"}
HOLDER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "billing")
REJECTED = ("Rejected", None)


async def test_an_address_of_another_application_is_no_identity() -> None:
    world = Post().at_a_server(BILLING, consumer=BOT)
    world.add(HOLDER, address=BILLING.upper().replace("EXAMPLE.COM", "example.com"))
    assert states(await world.seen())[BILLING] == ("Unverifiable", None)
    world.add(HOLDER, address=BILLING, consumer=OTHER_BOT)
    status = await world.seen()
    assert states(status)[BILLING] == REJECTED
    assert one(status, BILLING).reason == "ConsumerConflict"
    assert verdict(status, ConditionType.IDENTITIES_VERIFIED) == ("False", "IdentityRejected")
    assert ready(status)[0] == "False"
    assert "application billing-bot" in message(status)
    assert "EmailAccount billing" in message(status)
    assert status.consumer == "support-bot", "its own address is its own"
    for spec in ({"consumer": BOT}, {"consumer": OTHER_BOT, "connection": "Disconnected"}):
        world.add(HOLDER, address=BILLING, **spec)
        assert states(await world.seen())[BILLING] == ("Unverifiable", None)


async def test_who_is_for_no_application_in_particular_takes_none_of_ones_own() -> None:
    world = Post().at_a_server(BILLING)
    world.add(HOLDER, address=BILLING, consumer=OTHER_BOT)
    assert states(await world.seen())[BILLING] == REJECTED
    world.declaring({"address": BILLING, "enabled": False})
    status = await world.seen()
    assert states(status)[BILLING] == ("Disabled", None)
    assert ready(status)[0] == "True"


async def test_an_account_that_is_refused_its_own_address_keeps_no_application_out() -> None:
    world = Post().at_a_server(BILLING, consumer=BOT)
    world.add(HOLDER, address=BILLING, consumer=OTHER_BOT)
    assert states(await world.seen())[BILLING] == REJECTED
    # An older account of another namespace keeps the address (AddressConflict).
    keeper = Key(Kind.EMAIL_ACCOUNT, "elsewhere", "billing")
    world.add(keeper, address=BILLING)
    world.objects[HOLDER]["metadata"]["creationTimestamp"] = "2026-12-01T00:00:00Z"
    world.objects[keeper]["metadata"]["creationTimestamp"] = "2026-11-01T00:00:00Z"
    assert states(await world.seen())[BILLING] == ("Unverifiable", None)
    del world.objects[keeper]
    assert states(await world.seen())[BILLING] == REJECTED
    # An older account of the same namespace keeps it, for nobody in particular.
    older = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "older")
    world.add(older, address=BILLING)
    world.objects[older]["metadata"]["creationTimestamp"] = "2026-11-01T00:00:00Z"
    assert states(await world.seen())[BILLING] == ("Unverifiable", None)


async def test_a_refused_account_keeps_none_of_its_identities_either() -> None:
    shared = "shared@example.com"
    world = Post().at_a_server(shared, consumer=BOT)
    world.add(HOLDER, address=BILLING, identities=[{"address": shared}], consumer=OTHER_BOT)
    for key, day in ((HOLDER, 2), (ACCOUNT, 3)):
        world.objects[key]["metadata"]["creationTimestamp"] = f"2026-01-0{day}T00:00:00Z"
    assert states(await world.seen())[shared] == REJECTED
    keeper = Key(Kind.EMAIL_ACCOUNT, "elsewhere", "billing")
    world.add(keeper, address=BILLING)
    world.objects[keeper]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert states(await world.seen())[shared] == ("Unverifiable", None)


async def test_nobody_loses_the_address_of_the_account_to_an_identity() -> None:
    world = Post().at_a_server()
    world.add(HOLDER, address=BILLING, identities=[{"address": OWN}], consumer=OTHER_BOT)
    status = await world.seen()
    assert (ready(status)[0], states(status)[OWN]) == ("True", ("Verified", "SignIn"))


async def test_of_two_with_one_identity_the_older_one_keeps_it() -> None:
    shared = "shared@example.com"
    world = Post().at_a_server(shared, consumer=BOT)
    world.add(HOLDER, address=BILLING, identities=[{"address": shared}], consumer=OTHER_BOT)
    for held, mine, state in (("1", "2", "Rejected"), ("2", "1", "Unverifiable")):
        world.objects[HOLDER]["metadata"]["creationTimestamp"] = held
        world.objects[ACCOUNT]["metadata"]["creationTimestamp"] = mine
        assert states(await world.seen())[shared] == (state, None)


async def test_what_the_provider_lists_is_no_way_round() -> None:
    world = Post(gmail(BILLING)).at_gmail(consumer=BOT)
    assert states(await world.seen())[BILLING] == ("Verified", "Provider")
    world.add(HOLDER, address=BILLING, consumer=OTHER_BOT)
    status = await world.seen()
    assert states(status)[BILLING] == REJECTED
    assert ready(status)[0] == "True", "the spec asks for nothing that does not work"
    del world.objects[HOLDER]
    assert states(await world.seen())[BILLING] == ("Verified", "Provider")


async def test_nobody_falls_back_on_the_address_of_another_application() -> None:
    mail = Mail(fallbackSender=RELAY_ADDRESS, consumer=BOT)
    mail.domain(status="False")
    mail.domain(FALLBACK, "relay.example.net")
    mail.add(HOLDER, address=RELAY_ADDRESS)
    assert sender(await mail.account()) == (RELAY_ADDRESS, "FallbackUsed")
    mail.add(HOLDER, address=RELAY_ADDRESS, consumer=OTHER_BOT)
    status = await mail.account()
    assert (ready(status), sender(status)) == (
        ("False", "ConsumerConflict"),
        (None, "ConsumerConflict"),
    )
    assert "application billing-bot (spec.consumer of EmailAccount billing)" in message(status)
    mail.domain()
    well = await mail.account()
    assert (ready(well)[0], sender(well)[0]) == ("True", ADDRESS)
    assert [finding.code for finding in well.findings] == ["CONSUMER_CONFLICT"]
    mail.add(HOLDER, address=RELAY_ADDRESS, consumer=BOT)
    mail.domain(status="False")
    assert sender(await mail.account()) == (RELAY_ADDRESS, "FallbackUsed")


async def test_a_duplicate_is_told_whose_the_address_is() -> None:
    world = Post().at_a_server(consumer=BOT)
    older = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "a-twin")
    world.add(older, address=OWN, consumer=OTHER_BOT)
    status = await world.seen()
    assert ready(status) == ("False", "DuplicateAddress")
    assert "EmailAccount a-twin (for the application billing-bot)" in message(status)
    assert status.consumer is None
    del world.objects[older]
    assert (await world.seen()).consumer == "support-bot"


async def test_other_namespaces_are_not_seen() -> None:
    world = Post().at_a_server(BILLING, consumer=BOT)
    world.add(HOLDER._replace(namespace="secret-team"), address=BILLING, consumer=OTHER_BOT)
    status = await world.seen()
    assert states(status)[BILLING] == ("Unverifiable", None)
    assert "secret-team" not in status.model_dump_json()


NAMES, ADDRESSES = ("ada", "bob", "cyd"), tuple(f"{letter}@example.com" for letter in "abcd")
STEP = st.tuples(
    st.sampled_from(NAMES),
    st.none()
    | st.fixed_dictionaries(
        {
            "identities": st.sets(st.sampled_from(ADDRESSES), max_size=3),
            "consumer": st.none() | st.sampled_from([BOT, OTHER_BOT]),
            "connection": st.sampled_from(["Connected", "Connected", "Disconnected"]),
        }
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_no_address_serves_two_applications(history: list[tuple[str, Any]]) -> None:
    """Whoever has an application of its own shares no address with another one's."""

    async def live() -> None:
        world = Post().at_a_server()
        del world.objects[ACCOUNT]
        login = {"serverRef": {"name": "smtp"}, "credentialsRef": {"name": "login"}}
        await world.look(next(key for key in world.objects))
        for number, (name, spec) in enumerate(history):
            key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, name)
            if spec is None:
                world.objects.pop(key, None)
                world._memories.pop(key, None)
                continue
            own = f"{name[0]}@example.com"
            others = [{"address": each} for each in sorted(spec["identities"] - {own})]
            given = {**spec, "address": own, "identities": others, **login}
            fresh = key not in world.objects
            world.add(key, **{field: value for field, value in given.items() if value is not None})
            if fresh:
                world.objects[key]["metadata"]["creationTimestamp"] = f"{number:02}"
        used: dict[str, set[str]] = {}
        for key in [key for key in world.objects if key.kind is Kind.EMAIL_ACCOUNT]:
            status = cast("EmailAccountStatus", await world.look(key))
            consumer = world.objects[key]["spec"].get("consumer")
            if consumer is None or world.objects[key]["spec"]["connection"] == "Disconnected":
                assert status.consumer is None
                continue
            for entry in status.identities:
                if entry.state.value not in ("Rejected", "Disabled"):
                    used.setdefault(entry.address, set()).add(consumer["name"])
        for address, applications in used.items():
            # An account that is for nobody in particular gives its own address to no other.
            assert len(applications) == 1, address

    asyncio.run(live())

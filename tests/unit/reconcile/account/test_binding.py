# SPDX-License-Identifier: Apache-2.0
"""Bindings of accounts: a Secret for applications comes, is healed, follows and goes.

Covers: projection and reference; what a foreign Secret does; that only sure trouble withdraws;
suspension, disconnection, an invalid spec; another name, and none; restarts in the middle; a
process that may not write; `default-mail` that moves; random histories.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstatus import lint
from postroom.api.binding import DEFAULT_MAIL
from postroom.api.conditions import ConditionType, find
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.mailserver import ProbeStage
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.controller.children import Children
from postroom.controller.dependants import declared
from postroom.mail.report import ProbeReport
from unit.reconcile.binding_worlds import BindingWorld
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, REFUSED, SERVER, verdict

NAME = "support-mail"
ASKED = {"binding": {"secretName": NAME}}
OTHER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "billing")
AWAY = ProbeReport(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, "No answer.", conclusive=True)
BINDING = ConditionType.BINDING_READY


def text_in(world: BindingWorld, key: str, name: str = NAME) -> str | None:
    value = world.kube.there[name]["data"].get(key)
    return None if value is None else base64.b64decode(value).decode()


def bound(status: EmailAccountStatus) -> str | None:
    return status.binding.name if status.binding else None


async def published(**spec: Any) -> BindingWorld:
    world = BindingWorld(**ASKED, **spec)
    assert bound(await world.evaluate(ACCOUNT)) == NAME
    return world


async def test_what_an_application_needs_is_projected() -> None:
    world = await published(
        displayName="Support", sendLimits={"daily": 50}, consumer={"name": "bot"}, purpose="Support"
    )
    found = {key: text_in(world, key) for key in world.kube.there[NAME]["data"]}
    assert found == {
        "type": "smtp",
        "provider": "postroom",
        "host": "smtp.example.com",
        "port": "587",
        "security": "starttls",
        "auth": "password",
        "username": "support@send.example.com",
        "password": "p",
        "from": "support@send.example.com",
        "display-name": "Support",
        "daily-limit": "50",
        "purpose": "Support",
        "consumer": "bot",
    }
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert list(status.binding.keys) == sorted(found)
    assert verdict(status, BINDING) == ("True", "SecretProjected")
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert world.kube.there[NAME]["type"] == "servicebinding.io/smtp"
    assert lint(world.objects[ACCOUNT]) == []


async def test_ready_waits_for_the_secret() -> None:
    world = BindingWorld(**ASKED)
    assert await world.step(ACCOUNT)
    assert world.outcome is not None
    assert world.outcome.status is not None
    assert verdict(world.outcome.status, ConditionType.READY) == ("Unknown", "Progressing")
    assert NAME in world.kube.there
    assert not await world.step(ACCOUNT)
    assert verdict(world.outcome.status, ConditionType.READY) == ("True", "Succeeded")


async def test_nothing_is_written_twice_and_no_status_churns() -> None:
    world = await published()
    first = await world.evaluate(ACCOUNT)
    world.restart()
    again = await world.evaluate(ACCOUNT)
    assert world.kube.writes == [("create", NAME)]
    same = {"last_check_time": None, "last_ready_time": None}
    assert again.model_copy(update=same) == first.model_copy(update=same)


@pytest.mark.parametrize("edit", ["value", "more", "gone", "label"])
async def test_edits_are_healed(edit: str) -> None:
    world = await published()
    before = world.kube.there[NAME]["data"]
    edited = {**world.kube.there[NAME], "data": dict(before)}
    match edit:
        case "value":
            edited["data"]["host"] = base64.b64encode(b"evil.example.com").decode()
        case "more":
            edited["data"]["more"] = "eA=="
        case "label":
            metadata = edited["metadata"]
            labels = {"app.kubernetes.io/managed-by": "postroom"}
            edited["metadata"] = {**metadata, "labels": labels}
    if edit == "gone":
        del world.kube.there[NAME]
    else:
        world.kube.put(edited)
    await world.evaluate(ACCOUNT)
    assert world.kube.there[NAME]["data"] == before
    assert world.kube.there[NAME]["metadata"]["labels"]["postroom.dev/watch"] == "true"


async def test_a_new_password_reaches_it() -> None:
    world = await published()
    world.add_secret("mailbox", version="2", username="support@send.example.com", password="new")
    await world.evaluate(ACCOUNT)
    assert text_in(world, "password") == "new"


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "Opaque", "metadata": {"name": NAME}},
        {"type": "servicebinding.io/smtp", "metadata": {"name": NAME}},
    ],
)
async def test_a_foreign_secret_is_neither_overwritten_nor_adopted_nor_deleted(
    foreign: dict[str, Any],
) -> None:
    world = BindingWorld(**ASKED)
    world.kube.put({**foreign, "data": {"host": "eA=="}})
    before = dict(world.kube.there)
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, BINDING) == ("False", "SecretConflict")
    assert verdict(status, ConditionType.READY) == ("False", "SecretConflict")
    assert verdict(status, ConditionType.STALLED) == ("True", "SecretConflict")
    assert bound(status) is None
    world.add(ACCOUNT, **world.spec, connection="Disconnected")
    await world.evaluate(ACCOUNT)
    assert (world.kube.there, world.kube.writes) == (before, [])
    del world.kube.there[NAME]
    world.add(ACCOUNT, **world.spec)
    assert bound(await world.evaluate(ACCOUNT)) == NAME


async def test_two_accounts_that_name_one_secret_do_not_fight() -> None:
    world = await published()
    world.add(OTHER, **{**world.spec, "address": "billing@send.example.com"})
    for _ in range(3):
        assert verdict(await world.evaluate(OTHER), BINDING) == ("False", "SecretConflict")
        await world.evaluate(ACCOUNT)
    assert world.kube.holder(NAME) == "support"
    assert world.kube.writes == [("create", NAME)]


async def test_a_secret_of_an_earlier_account_of_the_name_is_taken_over() -> None:
    world = await published()
    world.objects[ACCOUNT]["metadata"]["uid"] = "another"
    world.objects[ACCOUNT]["status"] = None
    world.restart()
    await world.evaluate(ACCOUNT)
    owners = world.kube.there[NAME]["metadata"]["ownerReferences"]
    assert [each["uid"] for each in owners] == ["another"]


@pytest.mark.parametrize("asked", [{}, {"binding": {"secretName": "other"}}])
async def test_another_name_or_none_removes_what_was_ours(asked: dict[str, Any]) -> None:
    world = await published()
    del world.spec["binding"]
    world.add(ACCOUNT, **world.spec, **asked)
    status = await world.evaluate(ACCOUNT)
    assert set(world.kube.there) == ({"other"} if asked else set())
    assert bound(status) == ("other" if asked else None)
    assert status.binding is None or status.binding.secrets == ("other",)


@pytest.mark.parametrize(
    "change", [{"connection": "Disconnected"}, {"suspend": True}, {"serverRef": {"name": "none"}}]
)
async def test_who_may_not_send_has_no_binding(change: dict[str, Any]) -> None:
    world = await published()
    world.add(ACCOUNT, **{**world.spec, **change})
    status = await world.evaluate(ACCOUNT)
    assert (world.kube.there, status.binding) == ({}, None)
    assert verdict(status, BINDING) == ("False", "BindingWithdrawn")
    assert lint(world.objects[ACCOUNT]) == []
    world.add(ACCOUNT, **world.spec)
    assert bound(await world.evaluate(ACCOUNT)) == NAME


async def test_a_refused_password_and_a_missing_secret_withdraw() -> None:
    world = await published()
    world.add_secret("mailbox", version="2", username="support@send.example.com", password="bad")
    world.probes.refuses = {"bad": REFUSED}
    assert (await world.evaluate(ACCOUNT)).binding is None
    assert world.kube.there == {}
    world.add_secret("mailbox", version="3", username="support@send.example.com", password="p")
    await world.evaluate(ACCOUNT)
    assert NAME in world.kube.there
    del world.secrets["mailbox"]
    await world.evaluate(ACCOUNT)
    assert world.kube.there == {}


async def test_a_spec_that_cannot_be_understood_withdraws() -> None:
    world = await published()
    world.add(ACCOUNT, **{**world.spec, "address": "nonsense"})
    await world.evaluate(ACCOUNT)
    assert world.kube.there == {}


async def test_trouble_that_passes_takes_nothing_away() -> None:
    world = await published()
    before = dict(world.kube.there)
    world.probes.away = AWAY
    for _ in range(40):
        status = await world.evaluate(ACCOUNT)
    assert status.effective_sender is not None
    assert status.effective_sender.address is None
    assert bound(status) == NAME
    world.ready(SERVER, "False")
    assert bound(await world.evaluate(ACCOUNT)) == NAME
    assert world.kube.there == before
    world.probes.away = None
    world.ready(SERVER)
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


async def test_what_was_never_published_is_not_while_trouble_lasts() -> None:
    world = BindingWorld(**ASKED)
    world.probes.away = AWAY
    status = await world.evaluate(ACCOUNT)
    assert (world.kube.there, bound(status)) == ({}, None)


async def test_a_domain_that_is_given_up_withdraws_and_one_that_degrades_does_not() -> None:
    world = BindingWorld(**ASKED)
    world.domain()
    await world.evaluate(ACCOUNT)
    key = Key(Kind.SENDING_DOMAIN, NAMESPACE, "send")
    world.ready(key, "False", verification="Degraded")
    assert bound(await world.evaluate(ACCOUNT)) == NAME
    world.ready(key, "False", verification="Failed")
    assert (await world.evaluate(ACCOUNT)).binding is None
    assert world.kube.there == {}


@pytest.mark.parametrize(
    ("condition", "stays"), [("SMTPAvailable", True), ("SMTPAuthenticated", False)]
)
async def test_a_server_that_is_refused_withdraws_and_one_that_is_away_does_not(
    condition: str, stays: bool
) -> None:
    world = await published()
    world.ready(SERVER, "False")
    found = world.objects[SERVER]["status"]["conditions"]
    found.append({**found[0], "type": condition})
    await world.evaluate(ACCOUNT)
    assert (NAME in world.kube.there) is stays


async def test_what_comes_later_takes_nothing_from_who_was_ready() -> None:
    world = world_of_two()
    mark_other(world)
    await world.settle()
    world.vanish(OTHER)
    assert await world.step(ACCOUNT)
    assert world.outcome is not None
    assert world.outcome.status is not None
    assert verdict(world.outcome.status, ConditionType.READY) == ("True", "Succeeded")
    assert verdict(world.outcome.status, BINDING) == ("Unknown", "Progressing")
    assert world.outcome.notices == ()
    assert lint(world.objects[ACCOUNT]) == []
    await world.evaluate(ACCOUNT)
    assert world.kube.holder(DEFAULT_MAIL) == "support"


async def test_nothing_that_was_wanted_shows_its_content() -> None:
    world = BindingWorld(**ASKED)
    world.add_secret("mailbox", username="support@send.example.com", password="canary")
    await world.step(ACCOUNT)
    assert "canary" not in repr(world.outcome) + str(world.objects[ACCOUNT]["status"])


async def test_what_somebody_holds_is_named_until_it_is_gone() -> None:
    world = await published()
    (name,) = world.kube.there
    world.kube.hold(name)
    world.add(ACCOUNT, **world.spec, connection="Disconnected")
    status = await world.evaluate(ACCOUNT)
    (told,) = [each for each in status.findings if each.code == "BINDING_NOT_WITHDRAWN"]
    assert "finalizers" in told.message
    assert status.binding is not None
    assert (status.binding.name, status.binding.secrets) == (None, (name,))
    # Whoever connects it again has none before it is gone.
    world.add(ACCOUNT, **world.spec)
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, BINDING) == ("False", "SecretConflict")
    assert status.binding is not None
    assert status.binding.name is None
    world.kube.let_go(name)
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, BINDING) == ("True", "SecretProjected")


async def test_who_is_at_rest_is_rid_of_it_however_long_that_takes() -> None:
    world = await published()
    world.add(ACCOUNT, **world.spec, connection="Disconnected")
    world.kube.faults = [403] * 2
    status = await world.evaluate(ACCOUNT)
    assert "BINDING_NOT_WITHDRAWN" in [each.code for each in status.findings]
    assert world.outcome is not None
    assert world.outcome.next_check is not None
    status = await world.evaluate(ACCOUNT)
    assert (world.kube.there, status.binding) == ({}, None)
    assert "BINDING_NOT_WITHDRAWN" not in [each.code for each in status.findings]
    assert world.outcome.next_check is None


@pytest.mark.parametrize("moment", ["before", "between"])
async def test_a_restart_in_the_middle_forgets_nothing(moment: str) -> None:
    world = BindingWorld(**ASKED)
    if moment == "between":
        await world.step(ACCOUNT)
        world.restart()
    else:
        await world.step(ACCOUNT, crash=True)
        assert world.kube.there == {}
    del world.spec["binding"]
    world.add(ACCOUNT, **world.spec)
    await world.step(ACCOUNT, crash=True)
    status = await world.evaluate(ACCOUNT)
    assert (world.kube.there, status.binding) == ({}, None)


@pytest.mark.parametrize(("status", "reason"), [(403, "BindingForbidden"), (422, "BindingRefused")])
async def test_what_keeps_it_from_coming_is_told(status: int, reason: str) -> None:
    world = BindingWorld(**ASKED)
    world.kube.faults = [status] * 9
    assert verdict(await world.evaluate(ACCOUNT), ConditionType.READY) == ("False", reason)
    world.kube.faults = []
    assert bound(await world.evaluate(ACCOUNT)) == NAME


async def test_an_api_server_that_is_away_is_asked_again_soon() -> None:
    world = BindingWorld(**ASKED)
    world.kube.faults = [503, 503]
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, ConditionType.READY) == ("Unknown", "Progressing")
    assert world.outcome is not None
    assert world.outcome.next_check is not None
    assert world.outcome.next_check.total_seconds() <= 40


@pytest.mark.parametrize("lost", ["all", "that of bindings"])
async def test_without_policy_or_flag_nothing_is_written(lost: str) -> None:
    world = BindingWorld(**ASKED)
    world.kube.guarded, world.kube.only_tokens = lost != "all", lost != "all"
    found = await world.evaluate(ACCOUNT)
    assert verdict(found, ConditionType.READY) == ("False", "BindingUnguarded")
    world.children = Children({})
    found = await world.evaluate(ACCOUNT)
    assert verdict(found, ConditionType.READY) == ("False", "BindingNotEnabled")
    assert world.kube.writes == []


async def test_what_cannot_be_withdrawn_is_told_until_it_is_gone() -> None:
    world = await published()
    del world.spec["binding"]
    world.add(ACCOUNT, **world.spec)
    world.kube.faults = [403] * 9
    status = await world.evaluate(ACCOUNT)
    assert [each.code for each in status.findings] == ["BINDING_NOT_WITHDRAWN"]
    assert status.binding is not None
    assert (status.binding.name, status.binding.secrets) == (None, (NAME,))
    world.kube.faults = []
    status = await world.evaluate(ACCOUNT)
    assert (status.findings, status.binding, world.kube.there) == ([], None, {})


# -- the default ------------------------------------------------------------------------------

MARKED: dict[str, Any] = {"default": True, "binding": {"default": True}}


def world_of_two() -> BindingWorld:
    world = BindingWorld(**MARKED)
    world.objects[ACCOUNT]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    return world


def mark_other(world: BindingWorld, **changes: Any) -> None:
    spec = {**world.spec, "address": "billing@send.example.com", **changes}
    world.add(OTHER, **spec)
    world.objects[OTHER]["metadata"].setdefault("creationTimestamp", "2026-02-01T00:00:00Z")


async def test_the_default_is_had_under_its_own_name() -> None:
    world = world_of_two()
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert (status.binding.name, status.binding.default_name) == (DEFAULT_MAIL, DEFAULT_MAIL)
    assert text_in(world, "from", DEFAULT_MAIL) == "support@send.example.com"


@pytest.mark.parametrize("first", [ACCOUNT, OTHER])
async def test_adding_the_new_default_and_removing_the_old_is_no_outage(first: Key) -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    mark_other(world)
    for key in (first, OTHER, ACCOUNT, OTHER, ACCOUNT):
        await world.evaluate(key)
        assert DEFAULT_MAIL in world.kube.there
    assert world.kube.holder(DEFAULT_MAIL) == "billing"
    assert text_in(world, "from", DEFAULT_MAIL) == "billing@send.example.com"
    assert ("delete", DEFAULT_MAIL) not in world.kube.writes
    world.vanish(ACCOUNT)
    assert DEFAULT_MAIL in world.kube.there
    status = await world.evaluate(OTHER)
    assert status.binding is not None
    assert status.binding.default_name == DEFAULT_MAIL


async def test_who_loses_it_leaves_it_until_it_is_taken() -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    mark_other(world)
    await world.step(OTHER, crash=True)
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert (status.binding.default_name, status.binding.secrets) == (None, (DEFAULT_MAIL,))
    assert world.kube.holder(DEFAULT_MAIL) == "support"
    await world.evaluate(OTHER)
    assert world.kube.holder(DEFAULT_MAIL) == "billing"
    assert (await world.evaluate(ACCOUNT)).binding is None
    assert ("delete", DEFAULT_MAIL) not in world.kube.writes


async def test_a_conflict_elsewhere_does_not_make_two_fight_for_it() -> None:
    world = BindingWorld(default=True, binding={"default": True, "secretName": NAME})
    world.objects[ACCOUNT]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    await world.evaluate(ACCOUNT)
    mark_other(world)
    await world.settle()
    written = len(world.kube.writes)
    assert world.kube.holder(DEFAULT_MAIL) == "billing"
    await world.settle()
    assert len(world.kube.writes) == written
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert status.binding.default_name is None


async def test_the_mark_that_is_taken_off_gives_it_up_without_a_gap() -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    mark_other(world)
    await world.evaluate(OTHER)
    world.add(ACCOUNT, **{**world.spec, "default": False})
    await world.settle()
    assert world.kube.holder(DEFAULT_MAIL) == "billing"
    assert ("delete", DEFAULT_MAIL) not in world.kube.writes
    status = await world.evaluate(ACCOUNT)
    assert status.binding is None


async def test_a_new_default_that_cannot_send_yet_takes_nothing() -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    world.add_secret("other", username="x", password="bad")
    world.probes.refuses = {"bad": REFUSED}
    mark_other(world, credentialsRef={"name": "other"})
    await world.settle()
    assert world.kube.holder(DEFAULT_MAIL) == "support"
    world.add_secret("other", version="2", username="x", password="good")
    await world.settle()
    assert world.kube.holder(DEFAULT_MAIL) == "billing"


async def test_a_default_in_passing_trouble_keeps_it() -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    mark_other(world)
    await world.settle()
    world.probes.away = AWAY
    for _ in range(3):
        await world.evaluate(OTHER)
    world.probes.away = None
    await world.evaluate(ACCOUNT)
    assert world.kube.holder(DEFAULT_MAIL) == "billing"


async def test_a_default_that_does_not_ask_leaves_it_with_the_one_that_does() -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    mark_other(world, binding=None)
    await world.settle()
    assert world.kube.holder(DEFAULT_MAIL) == "support"


async def test_a_stale_view_does_not_take_it_back() -> None:
    world = world_of_two()
    await world.evaluate(ACCOUNT)
    mark_other(world)
    await world.evaluate(OTHER)
    stored = world.objects[OTHER]["status"]
    world.objects[OTHER]["status"] = None
    await world.step(ACCOUNT)
    assert world.kube.holder(DEFAULT_MAIL) == "billing"
    world.objects[OTHER]["status"] = stored
    await world.settle()
    assert world.kube.holder(DEFAULT_MAIL) == "billing"


# -- random histories -------------------------------------------------------------------------

NAMES = ("a", "b")
SPECS = st.fixed_dictionaries(
    {
        "binding": st.sampled_from(
            [{"secretName": "x"}, {"secretName": "y", "default": True}, {"default": True}]
        ),
        "default": st.booleans(),
    },
    optional={
        "suspend": st.booleans(),
        "connection": st.sampled_from(["Connected", "Disconnected"]),
    },
) | st.just({})
EVENTS = st.one_of(
    st.tuples(st.just("apply"), st.sampled_from(NAMES), SPECS),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("look"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("settle"), st.none(), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("password"), st.none(), st.sampled_from(["p", "bad"])),
    st.tuples(st.just("away"), st.none(), st.booleans()),
    st.tuples(st.just("edit"), st.sampled_from(["x", "y", DEFAULT_MAIL]), st.none()),
    st.tuples(st.just("remove"), st.sampled_from(["x", "y", DEFAULT_MAIL]), st.none()),
)


async def play(world: BindingWorld, history: list[tuple[str, Any, Any]]) -> None:
    del world.objects[ACCOUNT]
    world.probes.refuses = {"bad": REFUSED}
    for number, (event, name, detail) in enumerate(history):
        key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, str(name))
        match event:
            case "apply":
                address = {"address": f"{name}@send.example.com"}
                before = world.objects.get(key, {}).get("metadata", {})
                world.add(key, **{**world.spec, **address, **detail})
                created = f"2026-01-01T00:00:{number % 60:02}Z"
                new = {"uid": f"{name}-{number}", "creationTimestamp": created}
                for part, value in new.items():
                    world.objects[key]["metadata"][part] = before.get(part, value)
            case "delete" if key in world.objects:
                world.vanish(key)
            case "look" if key in world.objects:
                await world.step(key, crash=detail)
            case "settle":
                await world.settle(1)
            case "restart":
                world.restart()
            case "password":
                world.add_secret("mailbox", version=str(number), username="u", password=detail)
            case "away":
                world.probes.away = AWAY if detail else None
            case "edit" if name in world.kube.there:
                secret = world.kube.there[name]
                world.kube.put({**secret, "data": {"host": "ZXZpbA=="}})
            case "remove":
                world.kube.there.pop(name, None)
    world.probes.away = None
    await world.settle()


@settings(max_examples=40, deadline=None)
@given(SPECS, SPECS, st.lists(EVENTS, max_size=12))
def test_after_any_history_only_who_may_send_is_published(
    first: dict[str, Any], second: dict[str, Any], history: list[tuple[str, Any, Any]]
) -> None:
    world = BindingWorld()
    begin = [("apply", "a", first), ("settle", None, None), ("apply", "b", second)]
    asyncio.run(play(world, [*begin, *history]))
    holders = []
    for key, raw in world.objects.items():
        if key.kind is not Kind.EMAIL_ACCOUNT:
            continue
        status, spec = raw["status"], raw["spec"]
        binding = status.get("binding") or {}
        may_send = "address" in status["effectiveSender"]
        mine = {name for name in world.kube.there if world.kube.holder(name) == key.name}
        wanted = {(spec.get("binding") or {}).get("secretName")} | {DEFAULT_MAIL}
        assert mine <= wanted
        assert not (mine or binding.get("name")) or may_send
        assert binding.get("name") is None or binding["name"] in world.kube.there
        holders += [key.name] if binding.get("defaultName") else []
        marked = spec.get("default") and (spec.get("binding") or {}).get("default")
        assert marked or (DEFAULT_MAIL not in mine)
    assert len(holders) <= 1
    assert holders == [name for name in [world.kube.holder(DEFAULT_MAIL)] if name is not None]
    for secret in world.kube.there.values():
        owners = secret["metadata"]["ownerReferences"]
        assert [each["controller"] for each in owners] == [True]


@pytest.mark.parametrize("asked", [{"secretName": NAME}, {"secretName": NAME, "default": True}])
async def test_an_edit_of_what_was_written_brings_the_account_back(asked: dict[str, Any]) -> None:
    world = BindingWorld(binding=asked, default=True)
    await world.evaluate(ACCOUNT)
    assert world.outcome is not None
    ours = {f"Secret/{name}" for name in (NAME, DEFAULT_MAIL) if name in world.kube.there}
    assert len(ours) == len(asked)
    assert ours | {"Secret/mailbox"} <= world.outcome.references
    # After a restart, nothing may have run: what the object itself tells is all there is.
    assert ours <= declared(Kind.EMAIL_ACCOUNT, world.objects[ACCOUNT])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"suspend": True},
        {"connection": "Disconnected"},
        {"address": "nonsense"},
        {"serverRef": {"name": "none"}},
        {"binding": {"secretName": "other"}},
        {"credentialsRef": {"name": "mailbox"}, "imap": {"credentialsRef": {"name": NAME}}},
    ],
)
async def test_a_secret_of_ours_that_the_account_signs_in_with_is_not_taken_from_it(
    change: dict[str, Any],
) -> None:
    world = await published()
    data = world.kube.there[NAME]["data"]
    facts = {key: base64.b64decode(value).decode() for key, value in data.items()}
    world.add_secret(NAME, **facts)
    again = {**world.spec, "credentialsRef": {"name": NAME}}
    world.add(ACCOUNT, **{**again, **change})
    await world.evaluate(ACCOUNT)
    world.restart()
    status = await world.evaluate(ACCOUNT)
    assert world.kube.there[NAME]["data"] == data
    assert status.binding is not None
    assert NAME in status.binding.secrets
    # Once it signs in with another one, the Secret goes as any other.
    world.add(ACCOUNT, **{**world.spec, "suspend": True})
    await world.evaluate(ACCOUNT)
    assert world.kube.there == {}


async def test_what_is_left_when_the_operator_may_no_more_is_not_said_to_be_absent() -> None:
    world = await published()
    world.children = Children({})
    world.restart()
    status = await world.evaluate(ACCOUNT)
    told = find(status.conditions, BINDING)
    assert told is not None
    assert (told.reason, NAME in world.kube.there) == ("BindingNotEnabled", True)
    assert f"{NAME} is not made, and stays as it was if it is there" in told.message
    assert status.binding is not None
    assert status.binding.secrets == (NAME,)

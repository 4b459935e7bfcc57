# SPDX-License-Identifier: Apache-2.0
"""Couriers begin, are exchanged and end as specs, Secrets, Services and statuses change, and lose
no message by it. With a real spool, real couriers, and mailboxes that are lists."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.concurrency.places import Places
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.inbound.dispatch import Dispatcher
from postroom.controller.inbound.figures import Figures
from postroom.controller.inbound.progress import InboundStatus
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.world import ClusterWorld, unavailable
from postroom.delivery import status
from postroom.delivery.answers import Answer
from postroom.delivery.events import Format
from postroom.delivery.sinks.http import Destination
from postroom.delivery.spool import Spool, SpooledMessage
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile.world import Outbound
from unit.controller.inbound.office import Mailbox, judged
from unit.controller.inbound.statuses import SPEC, StatusServer, account, condition_of
from unit.controller.samples import ACCOUNT, stored

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEYS = ["whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in range(3)]
MAIL = b"Subject: a\r\nMessage-ID: <1@example.com>\r\n\r\nb\r\n"


@dataclass
class Sent:
    """One try to hand a message over."""

    destination: Destination
    keys: Sequence[Masked]
    told: Mapping[str, str]


@dataclass
class Office:
    """All that a dispatcher works on."""

    answer: Callable[[Sent], Awaitable[Answer]] | None = None
    sent: list[Sent] = field(default_factory=list)
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, str] | int] = field(default_factory=dict)
    services: dict[tuple[str, str], dict[str, Any] | int] = field(default_factory=dict)
    now: float = 0.0
    scraped_at: datetime = NOW

    def __post_init__(self) -> None:
        self.intake = Intake(Cache(), KeyedQueue())
        self.server = StatusServer(self.intake)
        self.tasks: list[asyncio.Task[None]] = []
        self.appoint()

    def appoint(self) -> None:
        """Have a dispatcher as a process begins with, which knows only what is in status."""
        self.figures = Figures()
        self.told = InboundStatus(
            self.server, self.intake, TokenBucket(1000, 1000), lambda: NOW, lambda: self.now, "w"
        )
        self.spool = Spool(1024 * 1024)
        nobody = cast("Any", None)
        outbound = Outbound(nobody, cast("Any", self), nobody)
        world = ClusterWorld(self.intake.cache, self, outbound, OwnershipRules(), now=lambda: NOW)
        world._secrets = type(world._secrets)(self.secret, 0.0)
        self.dispatcher = Dispatcher(
            self.intake,
            world,
            self,
            cast("Any", self),
            self.told,
            self.spool,
            cast("Any", self),
            Places(64, 64),
            lambda: NOW,
            observe=self.figures.offered,
            begun=self.figures.begun,
            erred=self.figures.errors.inc,
            clock=lambda: self.now,
        )
        self.figures.observe_accounts(self.dispatcher.progresses, lambda: self.scraped_at)

    def open(self) -> None:
        """Begin to work."""
        self.tasks = [asyncio.create_task(self.dispatcher.run()) for _ in range(2)]
        self.tasks.append(asyncio.create_task(self.told.run()))

    async def close(self) -> None:
        """End as a process does, once all is written."""
        await self.told.flush()
        await self.dispatcher.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    # -- what the dispatcher asks --------------------------------------------------------------

    async def secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        found = self.secrets.get((namespace, name))
        if isinstance(found, int):
            raise ApiError("GET secret", found, "away")
        if found is None:
            return None
        data = {key: base64.b64encode(text.encode()).decode() for key, text in found.items()}
        return {"metadata": {"name": name, "uid": "s", "resourceVersion": "1"}, "data": data}

    async def config_map(self, namespace: str, name: str) -> None:
        return None

    async def service(self, namespace: str, name: str) -> dict[str, Any] | None:
        found = self.services.get((namespace, name))
        if isinstance(found, int):
            raise unavailable(ApiError("GET service", found, "away"), "Service", namespace, name)
        return {"spec": found} if found is not None else None

    @asynccontextmanager
    async def reading(self, endpoint: Any, login: Any) -> AsyncIterator[Mailbox]:
        async with self.mailboxes[endpoint.namespace].reading(endpoint, login) as reader:
            yield reader

    def objection(self, destination: Destination, namespace: str) -> None:
        """Nothing is held against any of them."""

    def sink(self, destination: Destination, keys: Sequence[Masked], written_as: Format) -> Any:
        office = self

        class Sink:
            async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
                attempt = Sent(destination, keys, told)
                office.sent.append(attempt)
                return await office.answer(attempt) if office.answer else Answer(204)

        return Sink()

    def counted(self, metric: str, **labels: str) -> float | None:
        """What a scrape says of a counter."""
        return self.figures.registry.get_sample_value(f"postroom_deliver_{metric}_total", labels)

    # -- what happens --------------------------------------------------------------------------

    def furnish(self, namespace: str = "mail", *messages: bytes) -> Key:
        """An account that the operator has signed in to, with what it names."""
        key = Key(Kind.EMAIL_ACCOUNT, namespace, "support")
        self.mailboxes[namespace] = Mailbox(list(messages))
        self.secrets[namespace, "mailbox"] = {"username": "support", "password": "p"}
        self.secrets[namespace, "tickets-hook"] = {"current": KEYS[0]}
        self.services[namespace, "tickets"] = {
            "clusterIP": "10.0.0.7",
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }
        raw = account(judged())
        raw["metadata"]["namespace"] = namespace
        deliver = {**SPEC["inbound"]["deliver"], "start": "Backfill"}
        raw["spec"] = {**SPEC, "inbound": {"deliver": deliver}, "sync": {"backfillDays": 60}}
        self.server.put(raw, key)
        return key

    def edit(self, key: Key = ACCOUNT, *, looked_at: bool = True, **spec: Any) -> None:
        """Change a spec; `looked_at`: the operator has seen it already."""
        raw = self.server.objects[key]
        generation = raw["metadata"]["generation"] + 1
        raw["metadata"] = {**raw["metadata"], "generation": generation}
        changed = {name: each for name, each in {**raw["spec"], **spec}.items() if each is not None}
        of = {**raw["status"], "observedGeneration": generation} if looked_at else raw["status"]
        self.server.change(key, spec=changed, status=of)

    def judge(self, kind: str, state: str, reason: str, key: Key = ACCOUNT) -> None:
        """Have the operator find something."""
        of = self.server.objects[key]["status"]
        kept = [each for each in of["conditions"] if each["type"] != kind]
        found = {**judged()["conditions"][0], "type": kind, "status": state, "reason": reason}
        self.server.change(key, status={**of, "conditions": [found, *kept]})

    async def look(self, key: Key = ACCOUNT) -> None:
        """Have an account looked at, as the queue would, some time later."""
        self.now += 300
        self.intake.queue.add(key)
        await settled()

    def reason(self) -> str:
        found = condition_of(self.intake)
        return f"{found['status']} {found['reason']}" if found else ""

    async def uid(self, key: Key = ACCOUNT) -> int:
        """The cursor that another process would begin with."""
        await self.told.flush()
        inbound = self.server.objects[key]["status"].get("inbound", {})
        return int((inbound.get("cursors") or [{"uid": -1}])[0]["uid"])


async def settled(rounds: int = 60) -> None:
    """Let everything go on until it waits."""
    for _ in range(rounds):
        await asyncio.sleep(0)
    # What is written into the spool is written beside the loop.
    await asyncio.sleep(0.03)
    for _ in range(rounds):
        await asyncio.sleep(0)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    found = Office()
    found.open()
    yield found
    await found.close()
    assert found.spool.used == 0


async def test_mail_goes_out_as_soon_as_the_operator_has_signed_in(office: Office) -> None:
    office.furnish("mail", MAIL)
    office.judge("IMAPAuthenticated", "Unknown", "Progressing")
    await office.look()
    assert (office.sent, office.reason()) == ([], "Unknown AwaitingDependency")
    office.judge("IMAPAuthenticated", "True", "ProbeSucceeded")
    await office.look()
    assert len(office.sent) == 1 and office.sent[0].destination.address == "10.0.0.7"
    assert (office.reason(), await office.uid()) == ("True Delivering", 1)


async def test_accounts_that_hand_nothing_over_leave_turns_to_everything_else(
    office: Office,
) -> None:
    turn, looked = 0, list[int]()

    def pending(key: Key, uid: str) -> None:
        looked.append(turn)

    office.told.pending = pending  # type: ignore[method-assign]
    for number in range(12):
        key = Key(Kind.EMAIL_ACCOUNT, "mail", f"office-{number}")
        office.intake.seen(key.kind, stored(key, uid=key.name))
    office.intake.release()
    while len(looked) < 12:
        turn += 1
        await asyncio.sleep(0)
    # Two look at a time.
    assert len(set(looked)) >= 6


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"suspend": True}, "False Suspended"),
        ({"connection": "Disconnected"}, "False Disconnected"),
    ],
)
async def test_an_account_at_rest_is_left_alone_and_goes_on_where_it_was(
    office: Office, spec: dict[str, Any], reason: str
) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    office.edit(**spec)
    await office.look()
    assert office.reason().startswith(reason) and office.dispatcher.accounts == 0
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    assert len(office.sent) == 1
    nothing: dict[str, Any] = dict.fromkeys(spec)
    office.edit(**nothing)
    await office.look()
    assert [each.told["id"] for each in office.sent] == list({e.told["id"]: 0 for e in office.sent})
    assert len(office.sent) == 2 and office.reason() == "True Delivering"


async def test_an_account_that_goes_takes_its_courier_along(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    assert office.dispatcher.accounts == 1
    # Nobody has it looked at: that it is gone is all that is told.
    office.intake.gone(ACCOUNT)
    await settled()
    assert office.dispatcher.accounts == 0
    applied = len(office.server.put_onto)
    await office.told.flush()
    assert len(office.server.put_onto) == applied


async def test_another_account_of_the_same_name_begins_anew_and_is_told_what_it_knows(
    office: Office,
) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    raw = office.server.objects[ACCOUNT]
    office.server.change(
        metadata={**raw["metadata"], "uid": "uid-2"}, status=judged(), spec=raw["spec"]
    )
    await office.look()
    first, second = office.sent
    assert first.told["id"] == second.told["id"]
    assert await office.uid() == 1 and office.reason() == "True Delivering"


async def test_a_key_that_is_exchanged_loses_no_message_on_its_way(office: Office) -> None:
    office.furnish("mail", MAIL, MAIL)

    async def never(attempt: Sent) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    office.answer = never
    await office.look()
    assert len(office.sent) == 1
    office.answer = None
    office.secrets["mail", "tickets-hook"] = {"current": KEYS[1], "previous": KEYS[0]}
    await office.look()
    assert len(office.sent[1].keys) == 2
    ids = [each.told["id"] for each in office.sent]
    assert ids[0] == ids[1] != ids[2] and await office.uid() == 2


async def test_a_service_that_changes_gets_what_the_old_one_has_not_taken(office: Office) -> None:
    office.furnish("mail", MAIL)

    async def refuse(attempt: Sent) -> Answer:
        return Answer(503)

    office.answer = refuse
    await office.look()
    office.answer = None
    office.services["mail", "tickets"] = {
        "clusterIP": "10.0.0.8",
        "ports": [{"port": 8080}, {"port": 9}],
    }
    await office.look()
    assert office.sent[-1].destination.address == "10.0.0.8" and await office.uid() == 1


@pytest.mark.parametrize("down", [False, True], ids=["at work", "down"])
@pytest.mark.parametrize(
    ("change", "counted"),
    [
        ({"maxSize": "2Mi"}, 2),
        ({"format": "Raw"}, 2),
        ({"service": {"name": "tickets", "port": 8080, "path": "/other"}}, 1),
        ({"format": "CloudEvent"}, 1),
    ],
)
async def test_another_application_has_its_own_two_days(
    office: Office, change: dict[str, Any], counted: int, down: bool
) -> None:
    """What the one before refused till yesterday is not passed by when the first answer of the one
    that mends it is a 404, whether or not somebody was at work when it took its place."""
    office.furnish("mail", MAIL)

    async def refuse(attempt: Sent) -> Answer:
        return Answer(422)

    def attempts() -> int | None:
        ((_, progress),) = office.dispatcher.progresses()
        refused = progress.cursors["INBOX"].refused
        return refused.attempts if refused is not None else None

    office.answer = refuse
    await office.look()
    assert attempts() == 1
    deliver = office.server.objects[ACCOUNT]["spec"]["inbound"]["deliver"]
    if down:
        await office.close()
        office.appoint()
    # Something is in the way meanwhile, as while one is exchanged for another.
    service = office.services.pop(("mail", "tickets"))
    office.edit(inbound={"deliver": {**deliver, **change}})
    if down:
        office.open()
    await office.look()
    office.services["mail", "tickets"] = service
    await office.look()
    assert (len(office.sent), attempts()) == (2, counted)


OBSTACLES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"tickets-hook": None}, {}, "False SecretNotFound"),
    ({"tickets-hook": {"previous": KEYS[0]}}, {}, "False SecretKeyMissing"),
    ({"tickets-hook": {"current": "short"}}, {}, "False SigningKeyInvalid"),
    ({"tickets-hook": {"current": KEYS[0], "previous": ""}}, {}, "False SigningKeyInvalid"),
    ({}, {"tickets": None}, "False ServiceNotFound"),
    ({}, {"tickets": {"clusterIP": "10.0.0.7", "ports": [{"port": 80}]}}, "False ServiceNotFound"),
    (
        {},
        {"tickets": {"clusterIP": "10.0.0.7", "ports": [{"port": 8080, "protocol": "UDP"}]}},
        "False ServiceNotFound",
    ),
    (
        {},
        {"tickets": {"type": "ExternalName", "externalName": "evil.example"}},
        "False ServiceNotUsable",
    ),
    ({}, {"tickets": {"clusterIP": "None", "ports": [{"port": 8080}]}}, "False ServiceNotUsable"),
]


@pytest.mark.parametrize(("secrets", "services", "reason"), OBSTACLES)
async def test_what_is_in_the_way_is_said_and_ends_by_being_removed(
    office: Office, secrets: dict[str, Any], services: dict[str, Any], reason: str
) -> None:
    office.furnish("mail", MAIL)
    good = dict(office.secrets), dict(office.services)
    await office.look()
    for name, content in secrets.items():
        office.secrets["mail", name] = content
    for name, content in services.items():
        office.services["mail", name] = content
    office.secrets = {place: each for place, each in office.secrets.items() if each is not None}
    office.services = {place: each for place, each in office.services.items() if each is not None}
    office.mailboxes["mail"].messages.append(MAIL)
    await office.look()
    assert office.reason() == reason and office.dispatcher.accounts == 0
    # The cursor is not lost by it, and looking again is nothing to write.
    assert await office.uid() == 1
    writes = len(office.server.put_onto)
    for _ in range(3):
        office.now += 300
        await office.look()
    assert len(office.server.put_onto) == writes
    office.secrets, office.services = good
    await office.look()
    assert office.reason() == "True Delivering" and await office.uid() == 2
    assert len({each.told["id"] for each in office.sent}) == len(office.sent) == 2


async def test_an_edit_and_its_undoing_repeat_nothing_while_status_is_on_its_way(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.furnish("mail", MAIL)
    good = dict(office.services)
    on_its_way = asyncio.Event()
    put = office.server.replace_status_as

    async def slowly(*asked: Any) -> Any:
        await on_its_way.wait()
        return await put(*asked)

    await office.look()
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    monkeypatch.setattr(office.server, "replace_status_as", slowly)
    office.services.clear()
    await office.look()
    office.services = good
    await office.look()
    assert len(office.sent) == 2
    on_its_way.set()
    await settled()
    assert (office.reason(), await office.uid()) == ("True Delivering", 2)


async def test_what_could_not_be_looked_at_stops_nobody_at_work(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    office.secrets["mail", "tickets-hook"] = 503
    await office.look()
    office.judge("IMAPAuthenticated", "Unknown", "Timeout")
    await office.look()
    # Nor does an edit of what is none of a courier's.
    office.edit(looked_at=False, displayName="Support")
    await office.look()
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    assert len(office.sent) == 2 and office.mailboxes["mail"].opened == 1
    # Where another mailbox is named nobody goes on with the old one.
    office.edit(looked_at=False, imap={"host": "other.example.com"})
    await office.look()
    await office.told.flush()
    assert office.dispatcher.accounts == 0 and office.reason() == "Unknown Progressing"


async def test_a_new_spec_is_told_its_verdict_before_that_the_operator_is_still_to_look(
    office: Office,
) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    office.edit(looked_at=False, imap={"host": "other.example.com"})
    await office.look()
    assert office.reason() == "True Delivering"  # of the spec before
    # The operator looks, and no time passes.
    office.edit()
    office.intake.queue.add(ACCOUNT)
    await settled()
    found = condition_of(office.intake)
    assert found is not None
    assert (found["observedGeneration"], found["reason"]) == (3, "Delivering")


async def test_what_the_operator_refuses_ends_the_courier(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    office.judge("ReferencesResolved", "False", "ReferenceNotPermitted")
    await office.look()
    assert office.dispatcher.accounts == 0 and office.reason() == "False ReferenceNotPermitted"


async def test_one_namespace_fails_for_itself(office: Office) -> None:
    bad, good = office.furnish("bad", MAIL), office.furnish("mail", MAIL)
    office.secrets["bad", "tickets-hook"] = 503

    async def broken(namespace: str, name: str) -> Any:
        raise RuntimeError("a bug")

    service = office.service

    async def answered(namespace: str, name: str) -> Any:
        return await (broken if namespace == "bad" else service)(namespace, name)

    office.service = answered  # type: ignore[method-assign]
    for key in (bad, good, bad, good):
        await office.look(key)
    office.secrets["bad", "tickets-hook"] = {"current": KEYS[0]}
    for key in (bad, good):
        await office.look(key)
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    assert [each.told["account"] for each in office.sent] == 2 * ["mail/support"]


async def test_a_courier_that_dies_by_a_bug_is_begun_again_where_it_was(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.furnish("mail", MAIL, MAIL)

    async def once(attempt: Sent) -> Answer:
        if len(office.sent) == 2:
            raise RuntimeError("secret words of a message")
        return Answer(200)

    office.answer = once
    with caplog.at_level(logging.ERROR):
        await office.look()
    assert len(office.sent) == 2 and office.dispatcher.accounts == 0
    assert "RuntimeError" in caplog.text and "secret words" not in caplog.text
    # Nobody is at work, and that is not said to be well.
    assert office.reason() == "Unknown InternalError"
    assert office.counted("errors") == 1
    await office.look()
    ids = [each.told["id"] for each in office.sent]
    assert len(ids) == 3 and ids[1] == ids[2] != ids[0] and await office.uid() == 2


async def test_an_application_that_wants_nothing_more_is_left_alone_until_something_changes(
    office: Office,
) -> None:
    office.furnish("mail", MAIL)

    async def gone(attempt: Sent) -> Answer:
        return Answer(410)

    office.answer = gone
    for _ in range(4):
        await office.look()
    assert len(office.sent) == 1 and office.reason() == "False ConsumerGone"
    office.answer = None
    raw = office.server.objects[ACCOUNT]
    annotations = {"reconcile.fluxcd.io/requestedAt": "now"}
    office.server.change(metadata={**raw["metadata"], "annotations": annotations})
    await office.look()
    assert len(office.sent) == 2 and office.reason() == "True Delivering"


async def test_what_is_no_longer_handed_over_leaves_nothing_behind(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    office.edit(inbound=None)
    await office.look()
    assert office.reason() == "" and office.dispatcher.accounts == 0
    assert status.part_of(office.server.objects[ACCOUNT]["status"]) == {}


async def test_a_verdict_that_somebody_else_wrote_is_made_right(office: Office) -> None:
    """The operator may have taken us for absent."""
    office.furnish("mail", MAIL)
    await office.look()
    of = office.server.objects[ACCOUNT]["status"]
    others = [each for each in of["conditions"] if each["type"] != "InboundDelivering"]
    mine = status.condition_in(of)
    assert mine is not None
    absent = {**mine, "status": "Unknown", "reason": "WorkerAbsent"}
    office.server.change(status={**of, "conditions": [*others, absent]})
    await office.look()
    assert office.reason() == "True Delivering" and len(office.sent) == 1


async def test_mailboxes_have_the_name_that_the_protocol_gives_them(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    deliver = office.server.objects[ACCOUNT]["spec"]["inbound"]["deliver"]
    office.edit(inbound={"deliver": {**deliver, "mailboxes": ["inbox"]}})
    await office.look()
    assert len(office.sent) == 1
    with suppress(asyncio.CancelledError):
        await settled()


async def test_an_address_that_was_given_to_another_tenant_gets_no_mail(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    service = office.services["mail", "tickets"]
    assert isinstance(service, dict)
    # Deleted, and its address taken by whoever asked for it; nobody has looked at the account.
    del office.services["mail", "tickets"]
    office.now += 2
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    assert len(office.sent) == 1 and office.dispatcher.accounts == 0
    assert office.reason() == "False ServiceNotFound" and await office.uid() == 1
    office.services["mail", "tickets"] = {**service, "clusterIP": "10.0.0.9"}
    await office.look()
    assert [each.destination.address for each in office.sent] == ["10.0.0.7", "10.0.0.9"]


async def test_while_a_service_cannot_be_looked_at_its_mail_waits(office: Office) -> None:
    office.furnish("mail", MAIL)
    await office.look()
    service, office.services["mail", "tickets"] = office.services["mail", "tickets"], 503
    await office.look()
    assert office.dispatcher.accounts == 1
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    assert len(office.sent) == 1 and await office.uid() == 1
    office.services["mail", "tickets"] = service
    async with asyncio.timeout(10):
        while len(office.sent) < 2:
            await settled()


async def test_one_that_dies_again_and_again_is_never_said_to_work(office: Office) -> None:
    office.furnish("mail", MAIL)

    async def never(attempt: Sent) -> Answer:
        raise RuntimeError

    office.answer = never
    for _ in range(4):
        await office.look()
        assert office.reason() == "Unknown InternalError"
    office.answer = None
    await office.look()
    assert office.reason() == "True Delivering"


async def test_a_spec_that_is_not_understood_has_no_good_verdict(office: Office) -> None:
    """As with a CRD that is newer than this process."""
    office.furnish("mail", MAIL)
    await office.look()
    deliver = office.server.objects[ACCOUNT]["spec"]["inbound"]["deliver"]
    office.edit(inbound={"deliver": {**deliver, "format": "OfTomorrow"}})
    await office.look()
    assert office.dispatcher.accounts == 0 and office.reason() == "Unknown InvalidSpec"
    assert await office.uid() == 1
    office.edit(inbound={"deliver": deliver})
    await office.look()
    assert office.reason() == "True Delivering" and len(office.sent) == 1


async def test_a_bug_before_anybody_is_at_work_is_told_of(office: Office) -> None:
    """What the process before us has said does not stand for us."""
    office.furnish("mail", MAIL)
    await office.look()
    await office.dispatcher.close()

    async def broken(namespace: str, name: str) -> Any:
        raise RuntimeError

    office.service = broken  # type: ignore[method-assign]
    await office.look()
    assert office.reason() == "Unknown InternalError" and await office.uid() == 1
    assert office.counted("errors") == 1


async def test_counters_of_a_namespace_are_there_before_its_first_message(office: Office) -> None:
    office.furnish("mail")
    assert office.counted("delivered", namespace="mail") is None
    await office.look()
    assert office.sent == []
    for metric in ("delivered", "bytes", "rejected"):
        assert office.counted(metric, namespace="mail") == 0
    office.mailboxes["mail"].arrive(MAIL)
    await settled()
    assert office.counted("delivered", namespace="mail") == 1


async def test_nothing_is_offered_before_the_beginning_is_in_status(office: Office) -> None:
    office.furnish("mail", MAIL)
    office.server.faults = [500] * 100
    await office.look()
    assert office.sent == []
    office.server.faults = []
    async with asyncio.timeout(10):
        while not office.sent:
            await settled()
    assert office.server.objects[ACCOUNT]["status"]["inbound"]["cursors"]

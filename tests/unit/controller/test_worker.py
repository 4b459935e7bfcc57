# SPDX-License-Identifier: Apache-2.0
"""The worker: what follows a run, slow runs, and that one failing object harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postroom.api.emailaccount_status import EmailAccountStatus, SyncPhase, SyncState
from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Key, Kind
from postroom.api.resource import parse_status
from postroom.api.status import CommonStatus
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import worker
from postroom.controller.cache import Cache
from postroom.controller.children import Children, Owner
from postroom.controller.client import ApiError
from postroom.controller.events import EventPoster
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import Raw
from postroom.controller.request_limit import BURST, EVERY
from postroom.controller.worker import Evaluator, Worker
from postroom.controller.writer import Writer
from postroom.metrics import Metrics
from postroom.reconcile import engine
from postroom.reconcile.status.outcome import Memory, Notice, NoticeType, Outcome
from postroom.reconcile.status.wanted import Child, ChildState, Wanted
from unit.controller.samples import ACCOUNT, DOMAIN, SERVER, Object, ready, stored
from unit.reconcile.mail_worlds import AT_ONCE
from unit.reconcile.test_engine import BUG, UNAVAILABLE, Failing

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
Reconcile = Callable[[Kind, Raw, Memory], Awaitable[Outcome]]


def status_for(raw: Raw) -> CommonStatus:
    return MailServerStatus(observed_generation=raw["metadata"]["generation"], accounts=1)


async def settle(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
    """A reconciler that is done at once and looks again in a minute."""
    notice = Notice(NoticeType.NORMAL, "Succeeded", "")
    references = frozenset({"Secret/login"})
    return Outcome(status_for(raw), timedelta(minutes=1), (notice,), references)


class Bench:
    """A worker at a server that takes every write, or refuses each with one status."""

    def __init__(self, reconcile: Reconcile = settle, refuse: int = 0) -> None:
        self.refuse = refuse
        self.written: list[Mapping[str, Any]] = []
        self.announced: list[Key] = []
        self.queue = KeyedQueue()
        self.intake = Intake(Cache(), self.queue, now=lambda: NOW)
        self.metrics = Metrics()
        bucket = TokenBucket(1e6, 1e6)
        writer = Writer(self, self.intake, bucket, self.metrics, lambda: NOW)
        events = EventPoster(self.create_event, "pod", self.metrics)
        events.announce = lambda key, uid, notices: self.announced.append(key)  # type: ignore[method-assign]
        evaluator = Evaluator(reconcile, self.progressing)
        self.worker = Worker(
            self.intake, evaluator, writer, events, self.metrics, lambda: NOW, slow_run=0.02
        )

    def progressing(self, kind: Kind, raw: Raw, now: datetime) -> CommonStatus:
        return MailServerStatus(observed_generation=raw["metadata"]["generation"])

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.intake.cache.get(key)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        raise AssertionError("not posted here")

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self.written.append(status)
        if self.refuse:
            raise ApiError("PUT", self.refuse)
        raw = self.intake.cache.get(key)
        assert raw is not None
        return {"metadata": {**raw["metadata"], "resourceVersion": str(int(version) + 1)}}

    async def run(self, *objects: tuple[Key, Object], workers: int = 1) -> Bench:
        """Work on objects until nothing waits or runs."""
        for key, raw in objects or ((SERVER, stored(SERVER)),):
            self.intake.seen(key.kind, raw)
        self.intake.release()
        tasks = [asyncio.ensure_future(self.worker.run()) for _ in range(workers)]
        for _ in range(500):
            await asyncio.sleep(0.001)
            if not self.queue.waiting and not self.queue.running:
                break
        self.queue.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 1)
        return self


async def test_a_run_writes_announces_and_plans_the_next() -> None:
    one = await Bench().run()
    assert len(one.written) == 1
    assert one.announced == [SERVER]
    assert one.queue.scheduled == 1
    assert one.intake.dependants.of("mail", ["Secret/login"]) == [SERVER]


async def test_an_object_with_nothing_to_plan_is_not_planned() -> None:
    async def once(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        return Outcome(status_for(raw), None)

    one = await Bench(once).run()
    assert one.queue.scheduled == 0


async def test_a_key_without_object_is_forgotten() -> None:
    one = Bench()
    one.queue.add(SERVER)
    await one.run((ACCOUNT, stored(ACCOUNT, uid="uid-2")))
    assert len(one.written) == 1


async def test_a_terminating_object_is_not_evaluated() -> None:
    raw = stored(SERVER)
    raw["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    one = Bench()
    one.queue.add(SERVER)
    assert (await one.run((SERVER, raw))).written == []


async def test_a_bug_stays_with_its_object(caplog: pytest.LogCaptureFixture) -> None:
    async def buggy(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        if kind is Kind.EMAIL_ACCOUNT:
            raise RuntimeError("a bug")
        return await settle(kind, raw, memory)

    one = await Bench(buggy).run((ACCOUNT, stored(ACCOUNT)), (SERVER, stored(SERVER, uid="uid-2")))
    assert len(one.written) == 1
    assert one.queue.scheduled == 2
    record = next(one for one in caplog.records if one.exc_info)
    assert record.__dict__["object"]["name"] == "support"


@pytest.mark.parametrize("ours", [True, False])
async def test_an_evaluation_without_an_end_is_given_up_in_a_sentence(
    ours: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no bug of which a traceback would tell; a `TimeoutError` of the evaluation's own is."""

    async def endless(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        if not ours:
            raise TimeoutError
        await asyncio.sleep(3600)
        raise AssertionError("it went on")

    monkeypatch.setattr(worker, "_LONGEST_RUN", 0.05 if ours else 60.0)
    one = await Bench(endless).run()
    assert (errors(one), one.queue.scheduled) == (1, 1)
    record = next(one for one in caplog.records if "tried" in one.msg)
    assert (record.exc_info is None) is ours
    assert ("wants more CPU" in record.getMessage()) is ours
    assert record.__dict__["object"]["name"] == SERVER.name


def errors(bench: Bench, kind: str = "MailServer") -> float | None:
    """Evaluations that ended in an unexpected error, as the alert counts them."""
    told = bench.metrics.registry.get_sample_value
    return told("postroom_reconcile_errors_total", {"kind": kind})


def at_the_engine(world: Failing) -> Bench:
    """A worker with the real engine, which makes a verdict of each error of its world."""
    world.add(SERVER, **LOGIN)
    return Bench(lambda kind, raw, memory: engine.reconcile(kind, raw, world, memory, AT_ONCE))


LOGIN = {"host": "smtp.example.com", "credentialsRef": {"name": "login"}}


async def test_a_bug_that_the_engine_makes_a_verdict_of_is_counted_each_time() -> None:
    bench, server = at_the_engine(Failing(BUG)), stored(SERVER, spec=LOGIN)
    assert errors(bench) == 0
    bench.queue.add(SERVER)
    await bench.run((SERVER, server))
    (told,) = bench.written
    assert ("Ready", "InternalError") in [
        (condition["type"], condition["reason"]) for condition in told["conditions"]
    ]
    assert errors(bench) == 1
    # The same again: nothing is written, and it is an error all the same.
    again = at_the_engine(Failing(BUG))
    await again.run((SERVER, stored(SERVER, spec=LOGIN, status=dict(told))))
    assert (errors(again), errors(again, "EmailAccount")) == (1, 0)


async def test_a_bug_that_no_status_tells_of_is_counted() -> None:
    async def buggy(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        raise BUG

    assert errors(await Bench(buggy).run()) == 1


@pytest.mark.parametrize("error", [None, UNAVAILABLE])
async def test_what_is_no_bug_is_not_counted(error: Exception | None) -> None:
    bench = await at_the_engine(Failing(error)).run((SERVER, stored(SERVER, spec=LOGIN)))
    assert (len(bench.written), errors(bench)) == (1, 0)


async def test_what_an_object_at_rest_keeps_is_no_further_bug() -> None:
    status = ready("Unknown")
    status["conditions"][0]["reason"] = "InternalError"
    bench = at_the_engine(Failing(BUG))
    bench.queue.add(SERVER)
    await bench.run((SERVER, stored(SERVER, spec={**LOGIN, "suspend": True}, status=status)))
    (told,) = bench.written
    assert [each["reason"] for each in told["conditions"]] == ["InternalError", "SuspendedBySpec"]
    assert errors(bench) == 0


async def test_memory_lasts_from_run_to_run() -> None:
    async def remembering(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        memory.failures += 1
        return Outcome(status_for(raw), None)

    one = await Bench(remembering).run()
    assert one.intake.memory(SERVER).failures == 1


async def slow(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
    await asyncio.sleep(0.1)
    return await settle(kind, raw, memory)


async def test_a_slow_run_on_a_new_spec_says_that_it_is_at_work_once() -> None:
    one = await Bench(slow).run()
    assert len(one.written) == 2
    assert one.written[0]["observedGeneration"] == 1
    assert "accounts" not in one.written[0]
    assert one.written[1]["accounts"] == 1


async def test_each_status_is_sent_before_the_next_object_is_evaluated() -> None:
    """Else the answers to many writes, which come together, would lead to as many evaluations in a
    row, for which an API server has nothing to do."""
    history: list[str] = []

    async def looks(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        history.append("evaluated")
        return await settle(kind, raw, memory)

    class Sending(Bench):
        async def replace_status(
            self, key: Key, version: str, status: Mapping[str, Any]
        ) -> Mapping[str, Any]:
            history.append("sent")
            await asyncio.sleep(0.001)
            return await super().replace_status(key, version, status)

    keys = [Key(Kind.MAIL_SERVER, "mail", f"smtp{number}") for number in range(12)]
    await Sending(looks).run(*((key, stored(key, uid=key.name)) for key in keys), workers=4)
    assert history == ["evaluated", "sent"] * len(keys)


async def test_runs_that_wait_for_nothing_leave_turns_to_everything_else() -> None:
    """Else as many as find nothing new would keep health, the Lease and the watch waiting."""
    turn, looked = 0, list[int]()

    async def looks(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        looked.append(turn)
        return Outcome(None, None)

    async def turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    keys = [Key(Kind.MAIL_SERVER, "mail", f"smtp{number}") for number in range(12)]
    turning = asyncio.ensure_future(turns())
    await Bench(looks).run(*((key, stored(key, uid=key.name)) for key in keys))
    turning.cancel()
    assert len(set(looked)) == len(keys)


async def test_what_a_slow_run_is_at_is_told_to_the_end_before_the_run_counts() -> None:
    """A write that is not answered when the run ends would be another one's conflict."""
    answered: list[int] = []

    class Slow(Bench):
        async def replace_status(
            self, key: Key, version: str, status: Mapping[str, Any]
        ) -> Mapping[str, Any]:
            await asyncio.sleep(0.2)
            answered.append(status.get("accounts", 0))
            return await super().replace_status(key, version, status)

    one = await Slow(slow).run()
    assert (answered, len(one.written)) == ([0, 1], 2)
    assert errors(one) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.05])
async def test_whoever_stops_a_worker_stops_its_run_and_what_tells_of_it(seconds: float) -> None:
    ended = asyncio.Event()

    async def hangs(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return await settle(kind, raw, memory)

    class Silent(Bench):
        async def replace_status(
            self, key: Key, version: str, status: Mapping[str, Any]
        ) -> Mapping[str, Any]:
            await asyncio.sleep(60)
            raise AssertionError("it is waited for")

    one = Silent(hangs)
    one.intake.seen(SERVER.kind, stored(SERVER))
    one.intake.release()
    others = asyncio.all_tasks()
    working = asyncio.ensure_future(one.worker.run())
    await asyncio.sleep(seconds)
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 5)
    assert ended.is_set()
    assert asyncio.all_tasks() == others


class Speechless(Bench):
    """What tells of a slow run fails."""

    def progressing(self, kind: Kind, raw: Raw, now: datetime) -> CommonStatus:
        raise RuntimeError("a bug")


async def endless(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
    await asyncio.sleep(60)
    raise AssertionError("it went on")


async def test_a_run_of_which_nothing_can_be_told_is_bounded_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_LONGEST_RUN", 0.05)
    one = await Speechless(endless).run()
    assert (errors(one), one.queue.scheduled) == (1, 1)


async def test_whoever_stops_a_run_of_which_nothing_can_be_told_is_heard() -> None:
    one = Speechless(endless)
    one.intake.seen(SERVER.kind, stored(SERVER))
    one.intake.release()
    working = asyncio.ensure_future(one.worker.run())
    await asyncio.sleep(0.05)
    working.cancel()
    done, _ = await asyncio.wait({working}, timeout=5)
    one.queue.close()
    assert [each.cancelled() for each in done] == [True]


@pytest.mark.parametrize("tells", [True, False])
async def test_nothing_is_kept_of_what_goes_during_a_slow_run(tells: bool) -> None:
    async def goes(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        bench.intake.gone(SERVER)
        await asyncio.sleep(0.1)
        return Outcome(status_for(raw) if tells else None, None, (), frozenset({"Secret/login"}))

    bench = Bench(goes)
    await bench.run()
    assert bench.intake._memories == {}
    assert bench.intake.dependants.of("mail", ["Secret/login"]) == []


async def test_the_look_at_a_domain_ends_when_the_domain_is_gone() -> None:
    ended = asyncio.Event()

    async def hangs(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        bench.intake.gone(key)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return await settle(kind, raw, memory)

    bench, key = Bench(hangs), Key(Kind.SENDING_DOMAIN, "mail", "example-com")
    await bench.run((key, stored(key)))
    assert ended.is_set()
    assert (bench.written, bench.announced) == ([], [])
    assert bench.metrics.reconcile_errors.labels(kind=key.kind.value)._value.get() == 0


@pytest.mark.parametrize("verdict", ["True", "False", "Unknown"])
@pytest.mark.parametrize("was", ["True", "False", None])
@pytest.mark.parametrize("looks_for", [0.0, 0.1])
async def test_a_change_of_a_server_has_its_accounts_looked_at_once(
    looks_for: float, was: str | None, verdict: str
) -> None:
    looked: list[tuple[str, int]] = []

    async def looks(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        generation = raw["metadata"]["generation"]
        if kind is Kind.EMAIL_ACCOUNT:
            server = bench.intake.cache.get(SERVER) or {}
            looked.append((raw["metadata"]["name"], server["status"].get("observedGeneration", 0)))
            status: CommonStatus = parse_status(kind, ready(generation=generation))
            return Outcome(status, None, references=frozenset({"MailServer/smtp"}))
        await asyncio.sleep(looks_for)
        return Outcome(parse_status(kind, ready(verdict, generation)), None)

    bench = Bench(looks)
    bench.worker._evaluator = Evaluator(looks, engine.progressing)
    accounts = [Key(Kind.EMAIL_ACCOUNT, "mail", name) for name in ("sales", "support")]
    objects = [(key, stored(key, status=ready(), uid=key.name)) for key in accounts]
    status = ready(was) if was is not None else None
    server = stored(SERVER, version=2, generation=2, status=status)
    await bench.run(*objects, (SERVER, server), workers=3)
    # A spec that nobody could judge yet says nothing to anybody.
    assert sorted(looked) == ([] if verdict == "Unknown" else [("sales", 2), ("support", 2)])


async def test_a_slow_routine_check_says_nothing() -> None:
    status = {**ready(checked="2026-01-01T00:00:00Z"), "accounts": 5}
    one = await Bench(slow).run((SERVER, stored(SERVER, status=status)))
    assert len(one.written) == 1


async def test_a_slow_look_at_a_mailbox_is_told_once_and_ends_with_the_run() -> None:
    at, slow_bench = SyncState(phase=SyncPhase.SYNCING), Bench()

    async def looks(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        await asyncio.sleep(0.1 if parse_status(kind, raw["status"]) != busy else 0)
        return Outcome(idle, None) if raw["status"].get("sync") else Outcome(None, None)

    def syncing(kind: Kind, raw: Raw, memory: Memory, now: datetime) -> CommonStatus | None:
        return busy if parse_status(kind, raw["status"]) != busy else None

    idle = EmailAccountStatus(observed_generation=1, sync=SyncState())
    busy = idle.model_copy(update={"sync": at})
    slow_bench.worker._evaluator = Evaluator(looks, slow_bench.progressing, syncing)
    await slow_bench.run((ACCOUNT, stored(ACCOUNT, status={"observedGeneration": 1})))
    phases = [status["sync"]["phase"] for status in slow_bench.written]
    assert phases == ["Syncing", "Idle"]


async def test_a_change_during_the_run_leads_to_another() -> None:
    async def overtaken(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        if raw["metadata"]["generation"] == 1:
            one.intake.seen(kind, stored(SERVER, version=5, generation=2))
        return await settle(kind, raw, memory)

    one = Bench(overtaken)
    await one.run()
    assert [status["observedGeneration"] for status in one.written] == [2]


def edited(number: int) -> Object:
    return stored(SERVER, version=number, generation=number)


def created_again(number: int) -> Object:
    return stored(SERVER, version=number, uid=f"uid-{number}")


@pytest.mark.parametrize("overtaken_by", [edited, created_again])
async def test_whoever_overtakes_each_run_is_looked_at_no_more_often(
    overtaken_by: Callable[[int], Object],
) -> None:
    """In less time than a look takes, again and again: what then stands is looked at later."""
    runs = 0

    async def overtaken(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        nonlocal runs
        if (runs := runs + 1) < 4 * BURST:
            one.intake.seen(kind, overtaken_by(runs + 1))
        return await settle(kind, raw, memory)

    one = Bench(overtaken)
    await one.run()
    assert (runs, one.written) == (BURST + 1, [])
    assert 0 < next(iter(one.queue._due.values())) - one.queue._clock() <= EVERY


async def test_an_object_that_vanishes_during_the_run_leaves_nothing_behind() -> None:
    async def vanishing(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        one.intake.gone(SERVER)
        return await settle(kind, raw, memory)

    one = Bench(vanishing)
    await one.run()
    assert (one.written, one.announced, one.queue.scheduled) == ([], [], 0)
    assert one.intake.dependants.of("mail", ["Secret/login"]) == []


@pytest.mark.parametrize(("status", "least", "most"), [(403, 0, 10), (422, 100, 130)])
async def test_a_rejected_status_is_tried_again_much_later_and_a_forbidden_one_soon(
    status: int, least: float, most: float
) -> None:
    """Forbidden is everything for a moment where the API server has just begun."""
    one = await Bench(refuse=status).run()
    assert len(one.written) == 1
    assert one.announced == []
    assert one.queue.scheduled == 1
    assert least < next(iter(one.queue._due.values())) - one.queue._clock() < most


async def test_durations_are_measured_by_kind() -> None:
    one = await Bench().run()
    name = "postroom_reconcile_duration_seconds_count"
    assert one.metrics.registry.get_sample_value(name, {"kind": "MailServer"}) == 1


class Written:
    """Notes what is made of children, and answers as it is told."""

    def __init__(self, *answers: ChildState) -> None:
        self.answers = list(answers)
        self.applied: list[tuple[Owner, Wanted]] = []

    async def apply(self, namespace: str, owner: Owner, wanted: Wanted) -> ChildState:
        self.applied.append((owner, wanted))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


CHILD = Child("Secret", "binding")


async def with_child(written: Written, refuse: int = 0) -> tuple[Bench, list[ChildState | None]]:
    seen: list[ChildState | None] = []

    async def wanting(kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        seen.append(memory.children.get(CHILD))
        return Outcome(status_for(raw), None, children=(Wanted(CHILD, "content"),))

    bench = Bench(wanting, refuse)
    bench.worker._children = Children({"Secret": written})
    return await bench.run(), seen


async def test_what_became_of_a_child_is_told_to_the_next_run_and_no_further() -> None:
    written = Written(ChildState.APPLIED)
    one, seen = await with_child(written)
    assert seen == [None, ChildState.APPLIED]
    assert len(one.written) == 1
    assert written.applied == [(Owner("MailServer", "smtp", "uid-1"), Wanted(CHILD, "content"))] * 2


async def test_a_child_that_meets_trouble_is_told_once_for_each_kind_of_trouble() -> None:
    _, seen = await with_child(Written(ChildState.UNAVAILABLE, ChildState.CONFLICT))
    assert seen == [None, ChildState.UNAVAILABLE, ChildState.CONFLICT]


@pytest.mark.parametrize("anew", [False, True])
async def test_no_child_comes_for_what_is_gone_once_its_status_is_written(
    anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_status = Bench.replace_status

    async def late(self: Bench, key: Key, *args: Any) -> Mapping[str, Any]:
        answer = await replace_status(self, key, *args)
        self.intake.gone(key, "uid-1")  # the watch is faster than the answer
        if anew and not self.intake._memories:
            self.intake.seen(key.kind, stored(key, version=20, uid="uid-2"))
        return answer

    monkeypatch.setattr(Bench, "replace_status", late)
    written = Written(ChildState.APPLIED)
    one, _ = await with_child(written)
    assert {owner.uid for owner, _ in written.applied} == ({"uid-2"} if anew else set())
    assert [*one.intake._memories] == [SERVER] * anew


@pytest.mark.parametrize("status", [403, 422])
async def test_no_child_comes_before_the_status_that_names_it(status: int) -> None:
    written = Written(ChildState.APPLIED)
    await with_child(written, refuse=status)
    assert written.applied == []


@pytest.mark.parametrize(
    ("key", "status", "child"),
    [
        (ACCOUNT, {"binding": {"name": "mail", "secrets": ["mail"]}}, Child("Secret", "mail")),
        (DOMAIN, {"publication": {"endpoint": "d-mail"}}, Child("DNSEndpoint", "d-mail")),
        (ACCOUNT, {}, None),
        (SERVER, {}, None),
    ],
)
@pytest.mark.parametrize("answer", [ChildState.GONE, ChildState.UNAVAILABLE])
async def test_what_is_deleted_and_held_publishes_nothing(
    key: Key, status: dict[str, Any], child: Child | None, answer: ChildState
) -> None:
    """Also where it was deleted while no operator ran; nothing is written to itself."""
    raw = stored(key, status=status)
    raw["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    written, bench = Written(answer), Bench()
    bench.worker._children = Children({"Secret": written, "DNSEndpoint": written})
    await bench.run((key, raw))
    owner = Owner(key.kind.value, key.name, "uid-1")
    assert written.applied == ([] if child is None else [(owner, Wanted(child, None))])
    assert bench.written == []
    again = child is not None and answer is ChildState.UNAVAILABLE
    assert bench.queue.scheduled == (1 if again else 0)

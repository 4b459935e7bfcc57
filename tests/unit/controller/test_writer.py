# SPDX-License-Identifier: Apache-2.0
"""The writer: what is worth a write, how one looks, and what each refusal leads to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from postroom.api.conditions import Condition, ConditionStatus, ConditionType
from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Key
from postroom.concurrency.backoff import Backoff
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.writer import Evaluated, Writer, differs, marks_of
from postroom.metrics import Metrics, WriteResult
from unit.controller.samples import SERVER, Object, stored

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def status_of(verdict: str = "True", checked: str = "2026-06-01T12:00:00Z") -> MailServerStatus:
    """Return a desired status."""
    condition = Condition(
        type=ConditionType.READY,
        status=ConditionStatus(verdict),
        observed_generation=1,
        last_transition_time="2026-01-01T00:00:00Z",
        reason="Succeeded",
        message="",
    )
    return MailServerStatus(observed_generation=1, conditions=(condition,), last_check_time=checked)


def raw_status(verdict: str = "True", checked: str = "2026-06-01T12:00:00Z") -> Object:
    """Return the same as it is stored."""
    return status_of(verdict, checked).as_stored()


class Server:
    """Answers writes of status from a script, then as an API server does."""

    def __init__(self, raw: Object | None, *script: ApiError | Object) -> None:
        self.raw = raw
        self.script = list(script)
        self.written: list[tuple[str, Mapping[str, Any]]] = []

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.raw

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self.written.append((version, status))
        if self.script:
            next_one = self.script.pop(0)
            if isinstance(next_one, ApiError):
                raise next_one
            # Somebody was faster.
            self.raw = next_one
            raise refusal(409)
        assert self.raw is not None
        following = int(self.raw["metadata"]["resourceVersion"]) + 1
        metadata = {**self.raw["metadata"], "resourceVersion": str(following)}
        self.raw = {**self.raw, "metadata": metadata, "status": status}
        return {"kind": "PartialObjectMetadata", "metadata": metadata}

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        raise AssertionError("no event is due")


def refusal(status: int, retry_after: float | None = None) -> ApiError:
    return ApiError("PUT it", status, "no", retry_after)


class Bench:
    """A writer at a server, with an object in the cache."""

    def __init__(self, server: Server, cached: Object) -> None:
        self.server = server
        self.intake = Intake(Cache(), KeyedQueue(), now=lambda: NOW)
        self.intake.seen(SERVER.kind, cached)
        self.metrics = Metrics()
        backoff = Backoff(floor=0, base=0.001, draw=lambda: 1)
        self.writer = Writer(
            server, self.intake, TokenBucket(1e6, 1e6), self.metrics, lambda: NOW, backoff
        )

    async def write(self, status: MailServerStatus, generation: int = 1) -> WriteResult:
        evaluated = Evaluated(SERVER, "uid-1", generation, timedelta(minutes=15))
        return await self.writer.write(evaluated, status)

    def count(self, name: str, **labels: str) -> float | None:
        registry: CollectorRegistry = self.metrics.registry
        return registry.get_sample_value(name, labels)


def bench(*script: ApiError | Object, status: Object | None = None) -> Bench:
    raw = stored(SERVER, version=10, status=raw_status() if status is None else status)
    return Bench(Server(raw, *script), raw)


# -- the gate -------------------------------------------------------------------------------------


async def test_an_equal_status_is_not_written() -> None:
    one = bench()
    assert await one.write(status_of()) is WriteResult.UNCHANGED
    assert one.server.written == []


async def test_a_new_time_alone_is_not_written() -> None:
    one = bench(status=raw_status(checked="2026-06-01T11:50:00Z"))
    assert await one.write(status_of()) is WriteResult.UNCHANGED


async def test_a_time_that_is_older_than_the_heartbeat_is_refreshed() -> None:
    one = bench(status=raw_status(checked="2026-06-01T11:45:00Z"))
    assert await one.write(status_of()) is WriteResult.WRITTEN
    assert one.server.written == [("10", raw_status())]


async def test_a_time_that_lies_far_ahead_is_mended() -> None:
    """The clock was set back since it was written; it would stand until it is reached again."""
    one = bench(status=raw_status(checked="2026-06-03T12:00:00Z"))
    assert await one.write(status_of()) is WriteResult.WRITTEN
    assert one.server.written == [("10", raw_status())]
    one = bench(status=raw_status(checked="2026-06-01T12:02:00Z"))
    assert await one.write(status_of()) is WriteResult.UNCHANGED


async def test_that_all_is_still_well_is_told_with_the_last_check_and_not_by_itself() -> None:
    times = {"lastCheckTime": "2026-06-01T11:50:00Z", "lastReadyTime": "2026-06-01T11:50:00Z"}
    one = bench(status={**raw_status(), **times})
    still = status_of().model_copy(update={"last_ready_time": "2026-06-01T12:00:00Z"})
    assert await one.write(still) is WriteResult.UNCHANGED
    one = bench(status={**raw_status(), **times, "lastCheckTime": "2026-06-01T11:45:00Z"})
    assert await one.write(still) is WriteResult.WRITTEN
    times = {
        "lastCheckTime": "2026-06-01T12:00:00Z",
        "lastReadyTime": "2026-06-01T12:00:00Z",
    }
    assert one.server.written == [("10", {**raw_status(), **times})]


@pytest.mark.parametrize("time", ["", "yesterday", "2026-06-01"])
async def test_a_time_that_cannot_be_read_is_replaced(time: str) -> None:
    one = bench(status={**raw_status(), "lastCheckTime": time})
    assert await one.write(status_of(checked="2026-06-01T12:00:01Z")) is WriteResult.WRITTEN


async def test_a_different_verdict_is_written_with_the_version_as_precondition() -> None:
    one = bench()
    assert await one.write(status_of("False")) is WriteResult.WRITTEN
    assert one.server.written == [("10", raw_status("False"))]


async def test_what_is_not_in_the_status_any_more_is_removed() -> None:
    one = bench(status={**raw_status(), "foreign": 1, "accounts": 3})
    assert await one.write(status_of()) is WriteResult.WRITTEN
    assert one.server.written == [("10", raw_status())]


async def test_the_cache_holds_what_was_written() -> None:
    one = bench()
    await one.write(status_of("False"))
    assert await one.write(status_of("False")) is WriteResult.UNCHANGED
    cached = one.intake.cache.get(SERVER)
    assert cached is not None and cached["metadata"]["resourceVersion"] == "11"
    assert (cached["spec"], cached["status"]) == (stored(SERVER)["spec"], raw_status("False"))


async def test_the_cache_holds_what_is_kept_where_that_is_not_what_was_written() -> None:
    """Older definitions drop fields; what is told of them must not be taken for stored."""
    one = bench()
    replace = one.server.replace_status

    async def drop(key: Key, version: str, status: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = await replace(key, version, status)
        assert one.server.raw is not None
        return {**one.server.raw, **answer, "status": {"observedGeneration": 1}}

    one.server.replace_status = drop  # type: ignore[method-assign]
    assert await one.write(status_of("False")) is WriteResult.WRITTEN
    cached = one.intake.cache.get(SERVER)
    assert cached is not None and cached["status"] == {"observedGeneration": 1}


async def test_a_poisoned_stored_status_is_replaced() -> None:
    raw = {**stored(SERVER, version=10), "status": "text"}
    one = Bench(Server(raw), raw)
    assert await one.write(status_of()) is WriteResult.WRITTEN


# -- the object has moved on ----------------------------------------------------------------------


async def test_a_status_for_an_older_generation_is_not_written() -> None:
    assert await bench().write(status_of("False"), generation=2) is WriteResult.STALE


async def test_a_status_for_another_object_of_the_name_is_not_written() -> None:
    one = bench()
    one.intake.seen(SERVER.kind, stored(SERVER, version=20, uid="uid-2"))
    assert await one.write(status_of("False")) is WriteResult.STALE


async def test_a_status_for_a_deleted_object_is_not_written() -> None:
    one = bench()
    one.intake.gone(SERVER)
    assert await one.write(status_of("False")) is WriteResult.GONE


# -- conflicts ------------------------------------------------------------------------------------


async def test_after_a_conflict_the_fresh_object_is_written() -> None:
    fresh = stored(SERVER, version=12, status=raw_status())
    one = bench(fresh)
    assert await one.write(status_of("False")) is WriteResult.WRITTEN
    assert [version for version, _ in one.server.written] == ["10", "12"]
    assert one.count("postroom_status_write_conflicts_total") == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "waiting for the right to get mailservers in namespace mail: grant this service"),
        (503, "waiting for the API server, which answers 503"),
    ],
)
async def test_what_may_not_be_read_again_after_a_conflict_is_told_with_what_to_grant(
    status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = bench(stored(SERVER, version=12, status=raw_status()))

    async def refused(key: Key) -> Mapping[str, Any] | None:
        raise refusal(status)

    one.server.get = refused  # type: ignore[method-assign]
    assert await one.write(status_of("False")) is WriteResult.UNAVAILABLE
    assert said in caplog.text


async def test_after_a_conflict_with_a_new_generation_the_status_is_stale() -> None:
    one = bench(stored(SERVER, version=12, generation=2, status=raw_status()))
    assert await one.write(status_of("False")) is WriteResult.STALE


async def test_after_a_conflict_with_an_equal_write_nothing_is_left_to_do() -> None:
    one = bench(stored(SERVER, version=12, status=raw_status("False")))
    assert await one.write(status_of("False")) is WriteResult.UNCHANGED


async def test_what_is_deleted_while_it_is_read_again_is_not_there_again() -> None:
    one = bench(stored(SERVER, version=12, status=raw_status()))
    get = one.server.get

    async def late(key: Key) -> Mapping[str, Any] | None:
        answer = await get(key)
        one.intake.gone(key)  # the watch is faster than the answer
        return answer

    one.server.get = late  # type: ignore[method-assign]
    assert await one.write(status_of("False")) is WriteResult.GONE
    assert SERVER not in one.intake.cache


async def test_endless_conflicts_end() -> None:
    fresh = [stored(SERVER, version=20 + n, status=raw_status()) for n in range(10)]
    one = bench(*fresh)
    assert await one.write(status_of("False")) is WriteResult.UNAVAILABLE
    assert len(one.server.written) == 5


# -- refusals -------------------------------------------------------------------------------------


async def test_an_object_that_is_not_found_is_dropped() -> None:
    one = bench(refusal(404))
    assert await one.write(status_of("False")) is WriteResult.GONE
    assert SERVER not in one.intake.cache


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (422, WriteResult.INVALID),
        (400, WriteResult.INVALID),
        (413, WriteResult.INVALID),
        (403, WriteResult.FORBIDDEN),
    ],
)
async def test_a_refusal_is_not_retried_hot(status: int, result: WriteResult) -> None:
    one = bench(refusal(status))
    assert await one.write(status_of("False")) is result
    assert len(one.server.written) == 1
    assert one.count("postroom_status_writes_total", result=result.value) == 1


@pytest.mark.parametrize("uid", [None, "uid-2"])
async def test_nothing_was_refused_to_what_is_gone(uid: str | None) -> None:
    """The watch may be faster than the answer, and nobody would take back what is counted then."""

    class Slow(Server):
        async def replace_status(
            self, key: Key, version: str, status: Mapping[str, Any]
        ) -> Mapping[str, Any]:
            one.intake.gone(SERVER)
            if uid is not None:
                one.intake.seen(SERVER.kind, stored(SERVER, version=11, uid=uid))
            return await super().replace_status(key, version, status)

    raw = stored(SERVER, version=10, status=raw_status())
    one = Bench(Slow(raw, refusal(422)), raw)
    assert await one.write(status_of("False")) is WriteResult.INVALID
    assert one.count("postroom_status_refused", namespace="mail", result="invalid") is None


@pytest.mark.parametrize("status", [0, 401, 429, 500, 503])
async def test_a_passing_failure_is_retried(status: int) -> None:
    one = bench(refusal(status), refusal(status))
    assert await one.write(status_of("False")) is WriteResult.WRITTEN
    assert len(one.server.written) == 3


async def test_a_lasting_failure_is_given_back() -> None:
    one = bench(*(refusal(503) for _ in range(20)))
    assert await one.write(status_of("False")) is WriteResult.UNAVAILABLE
    assert len(one.server.written) == 5


async def test_the_server_decides_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("postroom.controller.writer.asyncio.sleep", sleep)
    await bench(refusal(429, 7), refusal(429, 3600)).write(status_of("False"))
    assert pauses == [7, 30]


# -- what differs ---------------------------------------------------------------------------------

values: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
statuses = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def told(status: Object) -> Object:
    return {name: value for name, value in status.items() if value != []}


@given(statuses, statuses)
def test_statuses_differ_exactly_when_they_do_not_tell_the_same(one: Object, other: Object) -> None:
    assert differs(one, other) == (told(one) != told(other))


def test_that_nothing_was_found_is_told_where_somebody_took_it_out() -> None:
    told = {"findings": [], "usedBy": []}
    assert differs({}, told)
    assert differs({"usedBy": []}, told)
    assert not differs({"findings": []}, told)


async def test_empty_lists_that_were_written_before_are_no_reason_to_write() -> None:
    empty = {"findings": [], "usedBy": [], "credentials": [], "resolvedRefs": []}
    one = bench(status={**raw_status(), **empty})
    assert await one.write(status_of()) is WriteResult.UNCHANGED
    assert await one.write(status_of("False")) is WriteResult.WRITTEN
    assert one.server.written == [("10", raw_status("False"))]
    # That nothing was found is told: `.status.findings[]` is asked for by scripts.
    assert empty.keys() & raw_status().keys() == {"findings"}


async def test_who_no_longer_leads_writes_nothing() -> None:
    one = bench()
    one.writer.may_write = lambda: False
    assert await one.write(status_of("False")) is WriteResult.UNAVAILABLE
    assert one.server.written == []


def announced(token: str, step: str = "Sending") -> Object:
    return {
        **raw_status(),
        "lastTest": {"nonce": "one", "inFlight": {"token": token, "step": step}},
    }


@pytest.mark.parametrize("by_the_watch", [True, False])
async def test_the_announcement_of_another_process_is_never_written_over(
    by_the_watch: bool,
) -> None:
    """Whether the watch brought it, or only the conflict tells."""
    theirs = stored(SERVER, version=11, status=announced("theirs"))
    one = bench() if by_the_watch else bench(theirs)
    if by_the_watch:
        one.intake.seen(SERVER.kind, theirs)
    evaluated = Evaluated(SERVER, "uid-1", 1, timedelta(minutes=15), marks_of(raw_status()))
    result = await one.writer.write(evaluated, status_of("False"))
    assert result is WriteResult.STALE
    assert len(one.server.written) == (0 if by_the_watch else 1)


@pytest.mark.parametrize("by_the_watch", [True, False])
async def test_a_write_whose_answer_was_lost_is_accounted_for(
    by_the_watch: bool, caplog: pytest.LogCaptureFixture
) -> None:
    one = bench()
    answer = one.server.replace_status

    async def lose(key: Key, version: str, status: Mapping[str, Any]) -> Mapping[str, Any]:
        one.server.replace_status = answer  # type: ignore[method-assign]
        await answer(key, version, status)
        after = one.server.raw
        assert after is not None
        if by_the_watch:
            one.intake.seen(SERVER.kind, after)
        # A second attempt names a version that is no more.
        one.server.script.append(dict(after))
        raise refusal(0)

    one.server.replace_status = lose  # type: ignore[method-assign]
    caplog.set_level("INFO", "audit")
    written = await one.write(status_of("False"))
    told = [vars(record)["audit"] for record in caplog.records if record.name == "audit"]
    assert written is WriteResult.WRITTEN
    verdict = {"action": "VerdictChanged", "condition": "Ready", "from": "True", "to": "False"}
    assert [len(events) for events in told] == [1]
    assert verdict.items() <= told[0][0].items()


async def test_what_we_announced_ourselves_may_be_written_on() -> None:
    """Also where the answer to the first attempt was lost."""
    ours = stored(SERVER, version=11, status=announced("ours"))
    one = bench()
    one.intake.seen(SERVER.kind, ours)
    one.server.raw = ours
    marks = marks_of(announced("ours"))
    evaluated = Evaluated(SERVER, "uid-1", 1, timedelta(minutes=15), marks)
    assert await one.writer.write(evaluated, status_of("False")) is WriteResult.WRITTEN


@pytest.mark.parametrize(
    "other",
    [
        announced("b"),
        announced("a", "Sent"),
        raw_status(),
        {**announced("a"), "lastMessageTime": "2026-06-01T12:00:00Z"},
        {"roundTrip": {"inFlight": {"token": "a", "step": "Sending"}}, "lastMessageTime": "x"},
    ],
)
def test_marks_tell_statuses_apart_by_their_messages(other: Object) -> None:
    assert marks_of(announced("a")) == marks_of({**announced("a"), "lastCheckTime": "other"})
    assert marks_of(other) != marks_of(announced("a"))


async def test_what_admission_makes_of_a_status_is_not_written_again_and_again() -> None:
    one = bench()
    assert await one.write(status_of("False")) is WriteResult.WRITTEN
    # The echo: admission has put another verdict there.
    assert one.server.raw is not None
    one.server.raw = {**one.server.raw, "status": raw_status("Unknown")}
    one.intake.seen(SERVER.kind, one.server.raw)
    assert await one.write(status_of("False")) is WriteResult.UNCHANGED
    assert len(one.server.written) == 1
    # News are written all the same.
    assert await one.write(status_of("True")) is WriteResult.WRITTEN

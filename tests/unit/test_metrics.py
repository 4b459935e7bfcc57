# SPDX-License-Identifier: Apache-2.0
"""The metrics of an operator: what is counted, what is read when asked, and no label of tenants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.names import Kind
from postroom.mail.operations import SESSIONS
from postroom.metrics import EventResult, Metrics, WriteResult
from scrapes import scraped
from unit.reconcile.mail_worlds import REFUSED, WELL


async def lines(metrics: Metrics) -> list[str]:
    return (await scraped(metrics)).splitlines()


async def test_sessions_are_counted_by_kind_stage_and_reason_alone() -> None:
    metrics = Metrics()
    metrics.observe_session("SMTP", 0.3, WELL)
    metrics.observe_session("SMTP", 3.0, replace(WELL, wrong="a@example.com"))
    metrics.observe_session("IMAP", 0.1, REFUSED)
    told = await lines(metrics)
    name = "postroom_mail_sessions_total"
    assert f'{name}{{kind="SMTP",reason="ProbeSucceeded",stage="Done"}} 2.0' in told
    assert f'{name}{{kind="IMAP",reason="AuthenticationRejected",stage="Auth"}} 1.0' in told
    assert not any("example.com" in line for line in told)


@pytest.mark.parametrize(
    "series",
    [
        *(f'postroom_reconcile_errors_total{{kind="{kind}"}}' for kind in Kind),
        *(f'postroom_reconcile_duration_seconds_count{{kind="{kind}"}}' for kind in Kind),
        *(f'postroom_status_writes_total{{result="{result}"}}' for result in WriteResult),
        *(f'postroom_events_total{{result="{result}"}}' for result in EventResult),
        *(f'postroom_mail_session_duration_seconds_count{{kind="{kind}"}}' for kind in SESSIONS),
        *(
            f'postroom_mail_sessions_total{{kind="{kind}",reason="ProbeSucceeded",stage="Done"}}'
            for kind in SESSIONS
        ),
        "postroom_status_write_conflicts_total",
        "postroom_watch_missed_total",
    ],
)
async def test_what_is_known_beforehand_is_told_from_the_start(series: str) -> None:
    """The first event is a rise, as Prometheus sees it, only where 0 was told before."""
    assert f"{series} 0.0" in await lines(Metrics())


async def test_durations_fall_into_buckets() -> None:
    metrics = Metrics()
    metrics.observe_session("SMTP", 0.3, WELL)
    metrics.observe_session("SMTP", 600.0, WELL)
    told = await lines(metrics)
    name = "postroom_mail_session_duration_seconds"
    assert f'{name}_bucket{{kind="SMTP",le="0.25"}} 0.0' in told
    assert f'{name}_bucket{{kind="SMTP",le="0.5"}} 1.0' in told
    assert f'{name}_bucket{{kind="SMTP",le="120.0"}} 1.0' in told
    assert f'{name}_bucket{{kind="SMTP",le="+Inf"}} 2.0' in told
    assert f'{name}_sum{{kind="SMTP"}} 600.3' in told


async def test_a_gauge_is_read_at_each_question() -> None:
    metrics, values = Metrics(), iter((1.0, 2.0))
    metrics.observe_gauge("postroom_queue_depth", lambda: next(values))
    assert "postroom_queue_depth 1.0" in await lines(metrics)
    assert "postroom_queue_depth 2.0" in await lines(metrics)


async def test_what_objects_tell_follows_once_there_is_who_tells_it() -> None:
    async def objects() -> list[bytes]:
        return [b"postroom_ready 1\n"]

    metrics = Metrics()
    assert "postroom_ready 1" not in await lines(metrics)
    metrics.observe_objects(objects)
    told = await lines(metrics)
    assert told[-1] == "postroom_ready 1"
    assert any(line.startswith("process_") for line in told[:-1])


async def test_much_is_sent_in_pieces_that_are_whole_together() -> None:
    lines_of_objects = [b'postroom_ready{n="%d"} 1.0\n' % number * 40 for number in range(400)]

    async def objects() -> list[bytes]:
        return lines_of_objects

    metrics = Metrics()
    metrics.observe_objects(objects)
    pieces = [piece async for piece in metrics.render()]
    assert len(pieces) > 2
    assert max(map(len, pieces)) < 200_000
    assert b"".join(pieces).endswith(b"".join(lines_of_objects))


@pytest.mark.parametrize("series", ["_created", "python_"])
async def test_nothing_is_exported_that_nobody_asks_for(series: str) -> None:
    metrics = Metrics()
    metrics.events.labels(result="posted").inc()
    told = await lines(metrics)
    assert 'postroom_events_total{result="posted"} 1.0' in told
    assert not any(series in line for line in told)


async def test_two_operators_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.watch_missed.inc()
    assert "postroom_watch_missed_total 1.0" in await lines(first)
    assert "postroom_watch_missed_total 0.0" in await lines(second)

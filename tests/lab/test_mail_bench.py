# SPDX-License-Identifier: Apache-2.0
"""The parts of the mail benchmark: its way of counting, its servers, its delay, and one quick run.

Speed is not judged here: only that every part measures what it says, and finds nothing wrong.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.mail_bench import Goal, Results, goals, print_goals
from bench.mail_clients import Attempt, bare_imap, bare_smtp, ours
from bench.mail_delay import LongWay
from bench.mail_peer import CASES, Peer, PeerMissing, Verdict, verdicts
from bench.mail_runs import (
    QUICK,
    Batch,
    Journey,
    Scale,
    Speed,
    batch,
    journeys,
    side_by_side,
    through_limits,
)
from bench.mail_servers import FAR, IMAP_TLS, SILENT, SMTP_STARTTLS, SMTP_TLS, MailServers
from bench.mail_stalled import queued
from loopback import own_address
from postroom.api.mailserver import TLSMode
from postroom.mail.connect.dial import Deadlines

SMALL = Scale(probes=6, rounds=2, stalled=110, hurry=40, far=0.02)


@pytest.fixture(scope="module")
def servers() -> Iterator[MailServers]:
    with MailServers(SMALL.far) as serving:
        yield serving


def speed(*cpu: float) -> Speed:
    """Batches of one probe that took so many seconds of CPU."""
    return Speed(tuple(Batch(1, 1.0, one, 0) for one in cpu))


def test_the_ratio_is_of_the_same_round() -> None:
    # The machine was slow in the second round, for both.
    assert speed(2, 20, 3).cpu_over(speed(1, 10, 1)) == 2


def test_a_batch_counts_what_went_wrong() -> None:
    async def every_third_fails(number: int) -> bool:
        await asyncio.sleep(0)
        return number % 3 != 0

    made = asyncio.run(batch(every_third_fails, 9, at_once=4))
    assert (made.probes, made.wrong) == (9, 3)


async def test_batches_of_all_alternate() -> None:
    order = list[str]()

    def named(name: str) -> Attempt:
        async def attempt(_: int) -> bool:
            order.append(name)
            return True

        return attempt

    scale = replace(SMALL, probes=1, rounds=2)
    made = await side_by_side({"a": named("a"), "b": named("b")}, scale)
    assert order == ["a", "b", *"ab", *"ba"]
    assert {name: len(one.batches) for name, one in made.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize("mode", [TLSMode.IMPLICIT, TLSMode.START_TLS])
async def test_both_sides_of_smtp_work(servers: MailServers, mode: TLSMode) -> None:
    port = SMTP_TLS if mode is TLSMode.IMPLICIT else SMTP_STARTTLS
    for attempt in (ours(servers.place).attempt(port, mode), bare_smtp(servers.place, mode)):
        assert (await batch(attempt, 3)).wrong == 0


async def test_all_sides_of_imap_work(servers: MailServers) -> None:
    mine = ours(servers.place).attempt(IMAP_TLS, TLSMode.IMPLICIT)
    for attempt in (mine, bare_imap(servers.place), bare_imap(servers.place, everything=True)):
        assert (await batch(attempt, 3)).wrong == 0


async def test_the_limits_let_all_through(servers: MailServers) -> None:
    assert (await batch(through_limits(servers.place, hosts=1), 8)).wrong == 0


async def test_a_silent_server_counts_as_wrong(servers: MailServers) -> None:
    short = Deadlines(tls=0.2, greeting=0.2, total=1)
    attempt = ours(servers.place, short).attempt(SILENT, TLSMode.START_TLS)
    assert (await batch(attempt, 2)).wrong == 2


async def test_the_long_way_takes_a_round_trip_to_connect_and_one_to_answer() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()
        writer.close()

    address, far = own_address(8), 0.03
    way = LongWay(address, SMTP_TLS, far)
    async with await asyncio.start_server(echo, address, SMTP_TLS):
        await way.start(SMTP_TLS + FAR)
        began = asyncio.get_running_loop().time()
        reader, writer = await asyncio.open_connection(address, SMTP_TLS + FAR)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        took = asyncio.get_running_loop().time() - began
        writer.close()
        await way.stop()
    assert 4 * far <= took < 4 * far + 0.5


async def test_round_trips_are_counted(servers: MailServers) -> None:
    found = {journey.name: journey for journey in await journeys(servers.place, SMALL, repeats=1)}
    assert all(one.wrong == 0 for one in found.values())
    # Fewer than the protocol needs would be a delay that does not delay.
    assert all(one.measured >= int(one.ideal[0]) for one in found.values())


async def test_stalled_probes_are_in_flight_and_the_healthy_one_is_well(
    servers: MailServers,
) -> None:
    # Deadlines that a machine under load meets as well.
    found = await queued(servers.place, TLSMode.IMPLICIT, replace(SMALL, hurry=5))
    assert found.in_flight > 0
    assert found.wrong == 0
    assert min(found.worst, found.alone) > 0


async def test_no_server_fools_us(servers: MailServers) -> None:
    found = {verdict.case: verdict for verdict in await verdicts(servers, None)}
    assert len(found) == len(CASES)
    assert {one.ours for one in found.values()} == {"CapabilityMissing", "StartTLSNotOffered"}
    assert not any(one.fooled or one.we_sent_login for one in found.values())


def test_without_npm_there_is_no_peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerMissing, match="not installed"):
        Peer(tmp_path)


def test_only_counts_decide() -> None:
    slow = Journey("far", "5", 5, measured=9, wrong=0)
    fooled = Verdict("case", None, None, "ProbeSucceeded", we_sent_login=True, fooled=True)
    judged = {goal.name: goal for goal in goals(results(journeys=[slow], verdicts=[fooled]))}
    assert not judged["round trips: far"].met and not judged["round trips: far"].counts
    blocking = [one.name for one in judged.values() if one.counts and not one.met]
    assert blocking == ["fooled by a server that proves nothing"]


def results(journeys: list[Journey], verdicts: list[Verdict]) -> Results:
    return Results(defaultdict(lambda: speed(1)), (), (), journeys, verdicts)


def test_the_table_says_what_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    print_goals(
        [Goal("a", "0", "1", False, True), Goal("b", "1", "2", False), Goal("c", "", "", True)]
    )
    marks = [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert marks == ["MISSED", "missed (not gated)", "ok"]


def test_the_quick_run_is_small() -> None:
    assert QUICK.probes < Scale().probes
    assert SMTP_TLS + FAR < 65536

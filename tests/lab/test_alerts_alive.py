# SPDX-License-Identifier: Apache-2.0
"""No alert is dead: of each, the program itself is brought to what the alert is about, its metrics
are scraped before and after, and the alert fires on what was scraped.

Each scene drives the real parts: the engine in its worlds, the worker and its writer, the gauges of
the process, the dispatcher of `postroom deliver`. Nothing counts or names a series but they.
promtool knows no time but the seconds since 0, so that times lie before and after that as they do
before and after the scrape.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import yaml
from prometheus_client.parser import text_string_to_metric_families as parsed

from lab.promtool import each_alone
from postroom.api.mailserver import TLSFacts
from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import RecordState
from postroom.api.times import timestamp
from postroom.controller.run import _Operator
from postroom.delivery.answers import Answer
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.refresh_token_store import Keeping
from postroom.reconcile.world import secret_content
from postroom.settings import load
from promql import RULES
from scrapes import scraped, told_of
from unit.controller.inbound.office import ARRIVED
from unit.controller.inbound.test_dispatch import MAIL, Office, settled
from unit.controller.samples import SERVER as STORED_SERVER
from unit.controller.samples import stored
from unit.controller.test_sweep import Bench as SweepBench
from unit.controller.test_sweep import Cluster as Listing
from unit.controller.test_worker import LOGIN, Bench, at_the_engine
from unit.reconcile import domain_worlds, mail_worlds
from unit.reconcile.account.messages.test_round_trips import ENABLED, through
from unit.reconcile.account.test_reviews import AWAY, DAY, secret
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER, WELL, MailWorld, Tokens
from unit.reconcile.message_worlds import JUNK, REFUSED, MessageWorld
from unit.reconcile.signing_in.test_refresh_tokens import SPEC as REFRESHED
from unit.reconcile.test_engine import BUG, UNAVAILABLE, Failing

RULE: Mapping[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.load(RULES.read_text(), Loader=yaml.CSafeLoader)["groups"]
    for rule in group["rules"]
}
HOUR = timedelta(hours=1)
Objects = Mapping[Key, Mapping[str, Any]]


@dataclass
class Told:
    """Scrapes before and after; what rose between them rises `again` as much in each minute."""

    before: str
    after: str
    again: int = 0


Scene = Callable[[], Awaitable[Told]]


async def of(objects: Objects, **bound: int) -> str:
    """What a scrape has of objects."""
    return b"".join(await told_of(objects, **bound).pieces()).decode()


async def since(objects: Objects, before: str = "") -> Told:
    return Told(before, await of(objects))


# -- objects --------------------------------------------------------------------------------------


async def refused() -> Told:
    """A server that was Ready, and refuses the password now."""
    world = Failing()
    world.add(SERVER, **LOGIN)
    await world.look(SERVER)
    before = await of(world.objects)
    world.probes.refuses = {"right": mail_worlds.REFUSED}
    await world.look(SERVER)
    return await since(world.objects, before)


async def one_look(**spec: Any) -> Told:
    world = MailWorld()
    world.add(SERVER, **spec)
    await world.look(SERVER)
    return await since(world.objects)


async def failed_domain() -> Told:
    domain, key = domain_worlds.degraded(), Key(Kind.SENDING_DOMAIN, "n", "d")
    before = await of({key: domain.raw})
    domain.wait(domain_worlds.GRACE)
    domain.look(domain_worlds.but(dkim_k1=RecordState.MISSING))
    return await since({key: domain.raw}, before)


async def not_ready() -> Told:
    world = MailWorld()
    world.add(SERVER, host="smtp.example.com")
    world.probes.away = replace(AWAY, conclusive=True)
    await world.look(SERVER)
    return await since(world.objects)


async def blind() -> Told:
    world = Failing()
    world.add(SERVER, **LOGIN)
    await world.look(SERVER)
    world.error = UNAVAILABLE
    await world.look(SERVER, timedelta(hours=3))
    return await since(world.objects)


async def bug() -> Told:
    world = Failing()
    world.add(SERVER, **LOGIN)
    await world.look(SERVER)
    before = await of(world.objects)
    world.error = BUG
    await world.look(SERVER)
    return await since(world.objects, before)


def certificate(ends_in: timedelta) -> Scene:
    async def scene() -> Told:
        world = MailWorld()
        world.add(SERVER, host="smtp.example.com")
        facts = TLSFacts(version="TLSv1.3", not_after=timestamp(NOW + ends_in))
        world.probes.away = replace(WELL, tls=facts)
        await world.look(SERVER)
        return await since(world.objects)

    return scene


class Kept(Tokens):
    """Refresh tokens that were kept some time ago."""

    kept_for = timedelta()

    def keeping(self, grant: Grant) -> Keeping:
        return Keeping(kept_at=NOW - self.kept_for)


def refresh_token(kept_for: timedelta) -> Scene:
    async def scene() -> Told:
        world = MailWorld()
        kept = Kept([mail_worlds.token()])
        kept.kept_for = kept_for
        world.source = cast("Any", kept)
        world.add_secret("client", secret="s")
        world.add_secret("oauth", refreshToken="canary")
        world.add(ACCOUNT, address="support@example.com", provider="Microsoft365", oauth=REFRESHED)
        await world.look(ACCOUNT)
        return await since(world.objects)

    return scene


async def old_password() -> Told:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b")
    world.secrets["login"] = secret_content(secret(NOW - 400 * DAY))
    await world.ready()
    await world.run(300)
    return await since(world.objects)


async def overcommitted() -> Told:
    world = MailWorld()
    world.add(SERVER, host="smtp.example.com", limits={"daily": 10}, default=True)
    for name in ("one", "two"):
        key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, name)
        world.add(key, address=f"{name}@example.com", sendLimits={"daily": 6})
    await world.look(SERVER)
    return await since({SERVER: world.objects[SERVER]})


async def unread() -> Told:
    world = MessageWorld(owner={"team": "a"}, recoveryContact="b")
    await world.ready()
    await world.run(300)
    before = await of(world.objects)
    world.office.away = AWAY
    await world.run(timedelta(hours=25).total_seconds())
    return await since(world.objects, before)


def round_trip(**office: Any) -> Scene:
    async def scene() -> Told:
        world = MessageWorld(roundTrip=ENABLED)
        for name, value in office.items():
            setattr(world.office, name, value)
        await through(world)
        return await since(world.objects)

    return scene


async def too_many() -> Told:
    world = MailWorld()
    objects = []
    for name in ("one", "two"):
        key = Key(Kind.MAIL_SERVER, NAMESPACE, name)
        world.add(key, host="smtp.example.com", credentialsRef={"name": "gone"})
        await world.look(key)
        objects.append(key)
    return Told("", await of(world.objects, most=1))


# -- the operator ---------------------------------------------------------------------------------


def operator(shard: str = "0/1") -> _Operator:
    """One whose parts are wired as in its process, and not begun."""
    settings = load({"ownership_key": "a-key", "health_address": "off", "shard": shard}, {})
    return _Operator(cast("Any", None), settings, cast("Any", None))


def moved(part: Any, seconds: float) -> None:
    """Have the clock of a part go ahead."""
    clock = part._clock
    part._clock = lambda: clock() + seconds


async def standby() -> Told:
    """An operator at work, and one that waits to be."""
    at_work = operator()
    at_work._sweep._last_end = at_work._sweep._clock()
    return Told(await scraped(at_work._metrics), await scraped(operator()._metrics))


async def second_installation() -> Told:
    """An operator that stands by for one of another namespace."""
    running = operator()
    before = await scraped(running._metrics)
    running._stands_by = lambda: True
    return Told(before, await scraped(running._metrics))


async def no_sweep() -> Told:
    running = operator()
    running._sweep._last_end = running._sweep._clock()
    before = await scraped(running._metrics)
    moved(running._sweep, 4000)
    return Told(before, await scraped(running._metrics))


async def left_out() -> Told:
    """A sweep to which one object was refused."""
    swept = SweepBench(Listing((STORED_SERVER, stored(STORED_SERVER)))).released()
    before = await scraped(swept.metrics)
    swept.cluster.unreadable = {STORED_SERVER: 403}
    await swept.sweep.once()
    return Told(before, await scraped(swept.metrics))


async def missing_shard() -> Told:
    """One process that works on everything, and one of three where the others are not there."""
    scrapes: list[str] = []
    for running in (operator(), operator("0/3")):
        for number in range(12):
            metadata = {"namespace": f"team-{number}", "name": "smtp", "resourceVersion": "1"}
            running._intake.seen(Kind.MAIL_SERVER, {"metadata": metadata, "spec": {}})
        scrapes.append(await scraped(running._metrics))
    alone, of_three = scrapes
    return Told(alone, of_three)


async def slow_queue() -> Told:
    running = operator()
    before = await scraped(running._metrics)
    running._queue.add(SERVER)
    moved(running._queue, 700)
    return Told(before, await scraped(running._metrics))


async def held_loop() -> Told:
    """Something holds the thread between two beats of the heart."""
    running, seen = operator(), asyncio.Event()
    before = await scraped(running._metrics)
    observe = running._health.late

    def late(seconds: float) -> None:
        observe(seconds)
        seen.set()

    running._health.late = late
    beating = asyncio.create_task(running._health.beat())
    asyncio.get_running_loop().call_later(0, time.sleep, 1)
    await seen.wait()
    beating.cancel()
    return Told(before, await scraped(running._metrics), again=1)


async def at_work(bench: Bench, **spec: Any) -> tuple[str, str]:
    before = await scraped(bench.metrics)
    await bench.run((STORED_SERVER, stored(STORED_SERVER, spec=spec or LOGIN)))
    return before, await scraped(bench.metrics)


async def evaluation_errors() -> Told:
    return Told(*await at_work(at_the_engine(Failing(BUG))))


def refused_writes(status: int) -> Scene:
    async def scene() -> Told:
        return Told(*await at_work(Bench(refuse=status)))

    return scene


async def many_writes() -> Told:
    before, after = await at_work(Bench())
    known = await scraped(operator()._metrics)
    (objects,) = (line for line in known.splitlines() if line.startswith("postroom_objects "))
    return Told(f"{before}{objects}\n", f"{after}{objects}\n", again=60)


# -- postroom deliver -----------------------------------------------------------------------------


async def delivered(scene: Callable[[Office], Awaitable[None]], again: int = 0) -> Told:
    """A worker before and after something, and what the operator tells of its accounts."""
    office = Office()
    office.told.wrote = office.figures.wrote
    office.figures.observe_gauge("postroom_deliver_spool_bytes", lambda: office.spool.used)
    office.figures.observe_gauge("postroom_deliver_spool_limit_bytes", lambda: office.spool.limit)
    tasks = [asyncio.create_task(each) for each in (office.dispatcher.run(), office.told.run())]

    async def scrape() -> str:
        return await of(office.server.objects) + await scraped(office.figures)

    try:
        office.furnish("mail", MAIL)
        before = await scrape()
        await scene(office)
        return Told(before, await scrape(), again)
    finally:
        await office.dispatcher.close()
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)


async def answering(office: Office, *codes: int) -> None:
    """Look at the account once for each answer of its application."""
    for code in codes:

        async def answer(attempt: Any, code: int = code) -> Answer:
            return Answer(code)

        office.answer = answer
        await office.look()
    await office.told.flush()


async def nobody_delivers() -> Told:
    told = await delivered(lambda office: answering(office))
    only = "\n".join(line for line in told.after.splitlines() if "postroom_deliver_" not in line)
    return Told("", f"{only}\n")


async def stopped(office: Office) -> None:
    await answering(office, 410)


async def busy(office: Office) -> None:
    """An application that is long with a message."""

    async def stays(attempt: Any) -> Answer:
        await asyncio.sleep(3600)
        raise AssertionError

    office.answer = stays
    await office.look()
    office.scraped_at = ARRIVED + HOUR
    office.spool.limit = office.spool.used


async def rejecting(office: Office) -> None:
    """A refusal that has stood for two days by the time of the next one."""
    await answering(office, 422)
    await office.dispatcher.close()
    status = office.server.objects[ACCOUNT]["status"]
    (cursor,) = status["inbound"]["cursors"]
    refused = {**cursor["refused"], "since": timestamp(NOW - 49 * HOUR), "attempts": 24}
    inbound = {**status["inbound"], "cursors": [{**cursor, "refused": refused}]}
    office.server.change(status={**status, "inbound": inbound})
    await answering(office, 422)


async def courier_bug(office: Office) -> None:
    async def broken(attempt: Any) -> Answer:
        raise RuntimeError

    office.answer = broken
    await office.look()


async def refused_progress(office: Office) -> None:
    office.server.faults = [422] * 10
    await office.look()
    await settled()


SCENES: Mapping[str, tuple[Scene, ...]] = {
    "PostroomRegressed": (refused,),
    "PostroomStalled": (lambda: one_look(host=1),),
    "PostroomDomainFailed": (failed_domain,),
    "PostroomNotReady": (not_ready,),
    "PostroomObservationStale": (blind,),
    "PostroomCertificateExpiresIn21Days": (certificate(10 * DAY),),
    "PostroomCertificateExpiresIn7Days": (certificate(3 * DAY),),
    "PostroomRefreshTokenAging": (refresh_token(61 * DAY),),
    "PostroomRefreshTokenEndsIn7Days": (refresh_token(85 * DAY),),
    "PostroomPasswordOld": (old_password,),
    "PostroomSendLimitsOvercommitted": (overcommitted,),
    "PostroomSyncStale": (unread,),
    "PostroomRoundTripFailing": (round_trip(answer=REFUSED),),
    "PostroomRoundTripInSpam": (round_trip(delivers_to=JUNK),),
    "PostroomSignInRefused": (refused,),
    "PostroomInternalError": (bug,),
    "PostroomAbsent": (standby,),
    "PostroomOtherInstallation": (second_installation,),
    "PostroomSweepStale": (no_sweep,),
    "PostroomSweepIncomplete": (left_out,),
    "PostroomObjectsUnowned": (missing_shard,),
    "PostroomQueueSlow": (slow_queue,),
    "PostroomLoopSlow": (held_loop,),
    "PostroomReconcileErrors": (evaluation_errors,),
    "PostroomStatusWritesRefused": (
        refused_writes(403),
        refused_writes(422),
        lambda: delivered(refused_progress),
    ),
    "PostroomObjectsRefused": (refused_writes(422),),
    "PostroomStatusWritesAbnormal": (many_writes,),
    "PostroomSeriesLeftOut": (too_many,),
    "PostroomDeliverAbsent": (nobody_delivers,),
    "PostroomDeliverStopped": (lambda: delivered(stopped),),
    "PostroomDeliverLagging": (lambda: delivered(busy),),
    "PostroomDeliverRejected": (lambda: delivered(rejecting),),
    "PostroomDeliverSpoolFull": (lambda: delivered(busy),),
    "PostroomDeliverErrors": (lambda: delivered(courier_bug),),
}

#: Minutes for which it was as before.
_BEFORE = 10
_MINUTES = {"m": 1, "h": 60, "d": 1440}


def series(told: Told, minutes: int) -> list[dict[str, str]]:
    """The scrapes as promtool takes them, one a minute."""
    before, after = samples(told.before), samples(told.after)
    made = []
    for name in {**before, **after}:
        first, last = before.get(name), after.get(name)
        values = f"_x{_BEFORE + 1} " if first is None else f"{first:f}x{_BEFORE} "
        if last is None:
            values += "stale"
        elif told.again:
            values += f"{last:f}+{(last - (first or 0.0)) * told.again:f}x{minutes}"
        else:
            values += f"{last:f}x{minutes}"
        made.append({"series": name, "values": values})
    return made


def samples(scrape: str) -> dict[str, float]:
    """What a scrape has of postroom, times as seconds after it."""
    found = {}
    for family in parsed(scrape):
        for sample in family.samples:
            if sample.name.startswith("postroom_"):
                labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                moment = NOW.timestamp() if sample.name.endswith("_timestamp_seconds") else 0.0
                found[f"{sample.name}{{{labels}}}"] = sample.value - moment
    return found


def case(alert: str, told: Told) -> dict[str, Any]:
    """A case in which the alert has to fire once its wait is over."""
    wait = RULE[alert]["for"]
    minutes = int(wait[:-1]) * _MINUTES[wait[-1]] + 2 * _BEFORE
    fires = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0'
    return {
        "name": alert,
        "interval": "1m",
        "input_series": series(told, minutes),
        "promql_expr_test": [
            {
                "expr": fires,
                "eval_time": f"{_BEFORE + minutes}m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
        ],
    }


def failing(directory: Path, rules: str, cases: list[dict[str, Any]]) -> str:
    """What promtool has to say against the cases; nothing where each alert fires."""
    ran = each_alone(directory, rules, cases, "1m")
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def test_there_is_a_scene_of_each_alert() -> None:
    assert SCENES.keys() == RULE.keys()


async def test_each_alert_fires_on_what_the_program_tells(tmp_path: Path) -> None:
    cases = [case(name, await scene()) for name, scenes in SCENES.items() for scene in scenes]
    assert failing(tmp_path, RULES.read_text(), cases) == ""

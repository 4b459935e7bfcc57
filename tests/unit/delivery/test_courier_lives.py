# SPDX-License-Identifier: Apache-2.0
"""Lives of the courier, each of which may be ended at any step, with what was written until then.

Meanwhile messages come, are expunged, mailboxes are made anew, sessions break, the application
answers as it likes and clocks are set. Then all goes well for some days, and nothing is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.delivery.answers import Answer
from postroom.delivery.cursors import Start
from postroom.delivery.spool import Spool
from unit.delivery.courier_world import MAX_SIZE, OK, Killed, Worker, World

BOXES = ("INBOX", "Junk")
DAY = 24 * 3600.0
HALF_A_DAY = timedelta(hours=12)

ANSWERS = st.sampled_from(
    [Answer(200)] * 6
    + [Answer(status) for status in (202, 302, 400, 401, 408, 413, 425, 429, 500, 503)]
    + [Answer(503, timedelta(minutes=50)), Answer(None, trouble="does not answer in time")]
)
#: What happens at a step, by name, with a number that says more.
HAPPENINGS = st.tuples(
    st.sampled_from(
        ["come"] * 6 + ["expunge", "make anew", "exchange", "clock", "break", "break", "lie"]
    ),
    st.integers(0, 2**16),
)


@dataclass(frozen=True)
class Life:
    """A process: how long it works, what happens meanwhile, at which step it is killed (None: it is
    told to end), and by how many notes what is written is behind then."""

    lasts: float
    happens: Mapping[int, tuple[str, int]]
    answers: list[Answer]
    killed_at: int | None
    behind: int
    restored: bool = False


LIVES = st.builds(
    Life,
    lasts=st.sampled_from([0.05, 1.0, 30.0, 4000.0, DAY]),
    happens=st.dictionaries(st.integers(1, 120), HAPPENINGS, max_size=12),
    answers=st.lists(ANSWERS, max_size=12),
    killed_at=st.none() | st.integers(1, 120),
    behind=st.integers(0, 6),
    restored=st.booleans(),
)


class Play:
    """A world through several lives."""

    def __init__(self, poisonous: bool) -> None:
        self.world = World(BOXES)
        self.spool = Spool(3 * MAX_SIZE)
        self.poisonous = poisonous
        self.epochs: dict[str, int] = defaultdict(int)

    def is_poison(self, content: bytes | None) -> bool:
        return self.poisonous and content is not None and content.startswith(b"Message-ID: <3@")

    def happen(self, what: str, number: int) -> Callable[[], None]:
        world, name = self.world, BOXES[number % 3 == 0]

        def it() -> None:
            match what:
                case "come":
                    size = (40, 300, 600, 999, MAX_SIZE, 1500)[number % 6]
                    world.arrive(name, size, says=None if number % 5 else number % 1200)
                case "expunge":
                    world.expunge(name, number)
                case "make anew":
                    world.make_anew(name)
                case "exchange":
                    world.exchange()
                case "clock":
                    world.off = HALF_A_DAY * (number % 201 - 100) / 100
                case "break":
                    once = iter([True])
                    world.breaks = lambda *_: next(once, False)
                case _:
                    world.lies = not world.lies

        return it

    async def live(self, life: Life, stored: Worker | None) -> Worker:
        world, answers = self.world, iter(life.answers)
        before = stored.progress if stored is not None else None
        worker = Worker(world, self.spool, before, interval=timedelta(hours=1))
        world.at = {
            world.steps + step: self.happen(*happening) for step, happening in life.happens.items()
        }
        if life.killed_at is not None:
            world.at[world.steps + life.killed_at] = kill
        world.answer = lambda content, told: (
            Answer(422) if self.is_poison(content) else next(answers, OK)
        )
        ended = await worker.works(life.lasts)
        assert ended is None or isinstance(ended, Killed), ended
        if ended is not None:
            # What is written last is behind by some notes.
            worker.told = worker.told[: max(1, len(worker.told) - life.behind)]
        assert world.sessions == 0 and self.spool.used == 0
        return worker

    async def restore(self, worker: Worker) -> Worker:
        """Mailboxes of which all is handed over and written are restored from a snapshot, and
        somebody looks: what is not noticed then cannot be (docs/limits.md)."""
        for name, box in self.world.boxes.items():
            if worker.progress.cursors[name].uid == box.uid_next - 1:
                self.world.snapshot(name)
        self.world.breaks = lambda *_: False
        return await self.live(Life(60.0, {}, [], None, 0), worker)

    def judge(self, worker: Worker) -> None:
        taken, world = self.world.taken, self.world
        known = {content for _, content in world.came}
        owed = {
            content
            for _, content in world.came
            if content not in world.expunged and not self.is_poison(content)
        }
        got = set(world.received())
        oversized = {told.told["messageid"].encode() for told in taken if told.content is None}
        lost = {
            content for content in owed - got if content[13:].partition(b">")[0] not in oversized
        }
        assert not lost
        assert got <= known, "byte for byte"
        by_event: dict[str, bytes | None] = {}
        events: dict[bytes, set[str]] = defaultdict(set)
        last: dict[tuple[str, str], int] = {}
        for each in taken:
            content = each.content
            assert by_event.setdefault(each.uid, content) in (content, None) or content is None
            if content is None:
                continue
            if content in events and each.uid not in events[content]:
                assert each.told.get("mayberepeated") == "true"
            if content not in events:
                self.in_order(each.told, content, last)
            events[content].add(each.uid)
        assert worker.progress.waiting == 0
        assert worker.progress.reason is None

    def in_order(
        self, told: Mapping[str, str], content: bytes, last: dict[tuple[str, str], int]
    ) -> None:
        """Messages of a mailbox are taken first in the order in which they came, as long as it is
        not made anew: then those of a day come again."""
        number = int(content.partition(b"<")[2].partition(b"@")[0])
        if told.get("mayberepeated") == "true":
            return
        key = (told["mailbox"], "")
        assert number > last.get(key, -1)
        last[key] = number


def name_of(content: bytes) -> bytes:
    return content.partition(b"<")[2].partition(b">")[0]


def kill() -> None:
    raise Killed


@settings(max_examples=50)
@given(st.lists(LIVES, min_size=1, max_size=4), st.booleans())
@example([Life(30.0, {5: ("come", 1), 9: ("make anew", 1)}, [], 30, 6)], False)
@example([Life(30.0, {5: ("come", 1), 20: ("exchange", 1), 30: ("come", 1)}, [], 60, 6)], False)
@example(
    [Life(30.0, dict.fromkeys((2, 4, 6, 8), ("come", 1)), [], None, 0, restored=True)] * 2, False
)
def test_nothing_is_lost_in_any_lives(lives: list[Life], poisonous: bool) -> None:
    async def perform() -> None:
        play = Play(poisonous)
        worker = await play.live(Life(1.0, {}, [], None, 0), None)
        for life in lives:
            worker = await play.live(life, worker)
            if life.restored and life.killed_at is None:
                worker = await play.restore(worker)
        play.world.off, play.world.lies = timedelta(), False
        play.world.breaks = lambda *_: False
        # Long enough for a poisonous message of each mailbox to be passed by.
        worker = await play.live(Life(3 * DAY, {}, [], None, 0), worker)
        play.judge(worker)

    run(perform())


@dataclass(frozen=True)
class Object:
    """An account's object, which is deleted some time and created again."""

    lasts: float
    come: int
    killed_at: int | None
    #: Whether the mailbox is restored from a snapshot before the next one comes.
    restored: bool


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            Object,
            lasts=st.sampled_from([0.05, 1.0, 30.0]),
            come=st.integers(0, 4),
            killed_at=st.none() | st.integers(1, 40),
            restored=st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
@example([Object(30.0, 4, None, restored=True), Object(30.0, 4, None, restored=False)])
def test_who_deletes_an_account_and_creates_it_again_gets_its_mail_under_the_same_ids(
    objects: list[Object],
) -> None:
    async def perform() -> None:
        world = World(BOXES[:1])
        for number, each in enumerate([*objects, Object(DAY, 0, None, restored=False)]):
            for _ in range(each.come):
                world.arrive()
            if each.killed_at is not None:
                world.at = {world.steps + each.killed_at: kill}
            made = Worker(world, start=Start.BACKFILL, account_uid=f"u{number}")
            ended = await made.works(each.lasts)
            assert ended is None or isinstance(ended, Killed), ended
            world.at = {}
            if each.restored:
                world.snapshot("INBOX")
        events: dict[bytes, set[str]] = defaultdict(set)
        for taken in world.taken:
            events[taken.content or b""].add(taken.uid)
        assert {content for _, content in world.came} - world.expunged <= events.keys()
        assert all(len(ids) == 1 for ids in events.values()), "recognised"
        assert len(set().union(*events.values())) == len(events), "none is taken for another"

    run(perform())

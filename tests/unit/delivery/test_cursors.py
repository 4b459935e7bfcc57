# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost and nothing is handed over twice under one key, whatever a mailbox does."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postroom.api import inbound_delivery
from postroom.delivery import cursors
from postroom.delivery.cursors import (
    OVERLAP,
    Cursor,
    Refused,
    Start,
    addressee_of,
    begin,
    resume,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
LATER = NOW + timedelta(minutes=1)


def test_now_begins_after_what_is_there() -> None:
    cursor = begin("INBOX", 7, 4712, NOW, owner="a", start=Start.NOW, backfill=WEEK)
    assert (cursor.uid, cursor.since, cursor.known_below) == (4711, None, 0)
    assert not cursor.wants(4711, NOW) and cursor.wants(4712, NOW - 100 * WEEK)


def test_backfill_takes_what_arrived_lately_and_all_that_comes() -> None:
    cursor = begin("INBOX", 7, 100, NOW, owner="a", start=Start.BACKFILL, backfill=WEEK)
    assert cursor.wants(1, NOW - WEEK) and not cursor.wants(1, NOW - WEEK - timedelta(seconds=1))
    assert cursor.wants(100, NOW - 100 * WEEK) and not cursor.repeats(1, NOW)


def test_an_empty_mailbox_has_nothing_to_fill_back() -> None:
    assert (
        begin("INBOX", 7, 1, NOW, owner="a", start=Start.BACKFILL, backfill=WEEK).known_below == 0
    )


def test_the_bound_on_time_ends_with_the_messages_that_it_is_for() -> None:
    cursor = begin("INBOX", 7, 3, NOW, owner="a", start=Start.BACKFILL, backfill=WEEK)
    assert cursor.past(1).since is not None
    assert cursor.past(1).past(2, NOW).since is None


def test_what_comes_now_was_not_there_before_whatever_status_says() -> None:
    written = Cursor("INBOX", 7, 5, NOW, known_below=2**32 - 1, since=NOW + 100 * WEEK, owner="a")
    cursor = resume(written, 7, 9, NOW, owner="a")
    assert cursor.wants(9, NOW) and not cursor.wants(8, NOW)


def test_a_mailbox_that_was_made_anew_is_read_from_a_day_before_and_never_from_the_beginning() -> (
    None
):
    cursor = Cursor("INBOX", 7, 4711, NOW)
    anew = resume(cursor, 8, 501, NOW, owner="a")
    assert anew.uid == 0 and anew.uid_validity == 8
    assert anew.wants(1, NOW - OVERLAP) and not anew.wants(1, NOW - OVERLAP - timedelta(seconds=1))
    assert anew.repeats(500, LATER) and not anew.repeats(501, LATER)
    assert anew.wants(501, NOW - 10 * OVERLAP)
    assert resume(anew, 8, 900, NOW, owner="a") == anew


def test_a_mailbox_that_is_made_anew_twice_forgets_nothing_that_it_owes() -> None:
    backfilling = begin("INBOX", 7, 100, NOW, owner="a", start=Start.BACKFILL, backfill=WEEK)
    half = resume(backfilling.past(50, NOW), 8, 100, NOW, owner="a")
    assert half.since is not None and half.since <= NOW - WEEK
    twice = resume(half.past(50, NOW), 9, 100, NOW, owner="a")
    assert twice.since is not None and twice.since <= NOW - WEEK


def test_a_refusal_counts_on_while_it_is_the_same_message() -> None:
    cursor = Cursor("INBOX", 7, 10, NOW).refusing(11, 422, NOW)
    later = cursor.refusing(11, 400, NOW + WEEK)
    assert later.refused == cursors.Refused(11, NOW, 2, 400)
    other = later.past(11).refusing(12, 400, NOW + WEEK)
    assert other.refused == cursors.Refused(12, NOW + WEEK, 1, 400)


def test_a_refusal_counts_for_nothing_with_another_application() -> None:
    cursor = Cursor("INBOX", 7, 10, NOW).refusing(11, 422, NOW, "one")
    assert cursor.refusing(11, 422, NOW + WEEK, "one").refused == Refused(11, NOW, 2, 422, "one")
    other = cursor.refusing(11, 404, NOW + WEEK, "two")
    assert other.refused == Refused(11, NOW + WEEK, 1, 404, "two")
    # Who refused it is not known of what was stored before that was.
    unknown = Cursor("INBOX", 7, 10, NOW).refusing(11, 422, NOW)
    assert unknown.refusing(11, 422, NOW + WEEK, "one").refused == Refused(11, NOW, 2, 422, "one")


def test_an_application_is_told_by_where_mail_goes_and_how_it_is_written() -> None:
    to: dict[str, Any] = {
        "service": {"name": "tickets", "port": 8080},
        "signingKeyRef": {"name": "hook"},
    }

    def addressee(**changed: object) -> str:
        return addressee_of(inbound_delivery.Deliver.model_validate({**to, **changed}))

    same = {addressee(), addressee(format="Raw"), addressee(maxSize="1Mi", mailboxes=["Sales"])}
    same.add(addressee(signingKeyRef={"name": "other"}))
    same.add(addressee(service={**to["service"], "scheme": "HTTP"}))
    others = {
        addressee(format="CloudEvent"),
        addressee(service={"name": "tickets", "port": 8081}),
        addressee(service={"name": "desk", "port": 8080}),
        addressee(service=None, signingKeyRef=None, jetStream={}),
    }
    assert len(same) == 1
    assert len(same | others) == 5


@pytest.mark.parametrize("uid", [0, 5, 10])
def test_a_cursor_never_goes_back(uid: int) -> None:
    assert Cursor("INBOX", 7, 10, NOW).past(uid, NOW - WEEK) == Cursor("INBOX", 7, 10, NOW)


@pytest.mark.parametrize(
    ("owner", "uid_next", "promised", "goes_on"),
    [
        ("a", 90_001, True, True),
        ("a", 95_000, True, True),
        ("a", 90_000, True, False),
        ("a", 500, True, False),
        ("a", 1, True, False),
        ("a", 500, False, True),
        ("b", 90_001, True, False),
        ("b", 95_000, False, False),
    ],
)
@pytest.mark.parametrize("stored", ["a", ""])
def test_an_equal_uidvalidity_is_no_proof_of_the_same_mailbox(
    owner: str, uid_next: int, promised: bool, goes_on: bool, stored: str
) -> None:
    cursor = Cursor("INBOX", 1, 90_000, NOW, owner=stored, epoch=1 if stored else 0)
    goes_on = goes_on or (not stored and (uid_next > cursor.uid or not promised))
    found = resume(cursor, 1, uid_next, NOW, owner=owner, promised=promised)
    assert found.owner == owner
    if goes_on:
        assert found == replace(cursor, owner=owner)
        assert stored or not found.epoch, "ids that were given stay"
    else:
        assert found.uid == 0 and found.epoch == cursor.epoch + 1
        assert found.repeats(1, NOW) and found.wants(uid_next, NOW - WEEK)


@pytest.mark.parametrize(("uid_validity", "uid_next"), [(7, 11), (7, 10), (8, 11)])
def test_a_cursor_by_the_uid_of_its_object_goes_on_until_the_mailbox_is_made_anew(
    uid_validity: int, uid_next: int
) -> None:
    cursor = Cursor("INBOX", 7, 10, NOW, owner="by uid", epoch=1)
    found = resume(cursor, uid_validity, uid_next, NOW, owner="a", owner_once="by uid")
    assert (found == cursor) is ((uid_validity, uid_next) == (7, 11))
    assert found == cursor or (found.owner, found.epoch) == ("a", 2)


@pytest.mark.parametrize("uid_next", [1, 3])
def test_what_is_copied_into_a_mailbox_that_was_made_anew_is_said_to_be_a_repetition(
    uid_next: int,
) -> None:
    anew = resume(Cursor("INBOX", 7, 10, NOW), 8, uid_next, LATER, owner="a")
    filled = anew.past(uid_next - 1)
    assert filled.repeats(uid_next, NOW - WEEK) and filled.wants(uid_next, NOW - WEEK)
    assert not filled.repeats(uid_next, LATER + timedelta(seconds=1))


def test_an_empty_mailbox_forgets_no_backfill_that_it_owes() -> None:
    backfilling = begin("INBOX", 7, 100, NOW, owner="a", start=Start.BACKFILL, backfill=WEEK)
    empty = resume(backfilling.past(50, NOW), 8, 1, NOW, owner="a")
    assert resume(empty, 9, 100, NOW, owner="a").wants(1, NOW - WEEK)


def test_whose_mailbox_it_is_does_not_depend_on_how_it_is_written_and_shows_nobody() -> None:
    owner = cursors.owner_of("mail/a", "imap.example.com", 993, "support@example.com")
    assert owner == cursors.owner_of("mail/a", "IMAP.example.com.", 143, "Support@Example.com")
    others = [
        ("mail/b", "imap.example.com", 993, "support@example.com"),
        ("mail/a", "imap.example.net", 993, "support@example.com"),
        ("mail/a", "imap.example.com", 1993, "support@example.com"),
        ("mail/a", "imap.example.com", 993, "sales@example.com"),
    ]
    assert len({owner, *(cursors.owner_of(*other) for other in others)}) == 5
    assert len(owner) == 16 and int(owner, 16) >= 0


@dataclass
class _Mail:
    number: int
    arrived_at: datetime


Key = tuple[int, int, str]


class MailboxMachine(RuleBasedStateMachine):
    """A mailbox that gets mail, loses some, is made anew in any order, under the same UIDVALIDITY
    too, while part of it is copied in later; a reader that crashes."""

    @initialize(before=st.integers(0, 5), start=st.sampled_from(Start))
    def opened(self, before: int, start: Start) -> None:
        self.now, self.number = NOW, 0
        self.validity, self.uid_next, self.owner = 1, 1, "a"
        self.box: dict[int, _Mail] = {}
        self.left_behind: list[_Mail] = []
        self.handed: list[tuple[int, Key, bool]] = []
        self.owed: set[int] = set()
        for _ in range(before):
            self._arrive()
        self.cursor = begin(
            "INBOX",
            self.validity,
            self.uid_next,
            self.now,
            owner=self.owner,
            start=start,
            backfill=WEEK,
        )
        self.owed = (
            {mail.number for mail in self.box.values()} if start is Start.BACKFILL else set()
        )
        self.stored = self.cursor

    def _arrive(self) -> None:
        self.number += 1
        self._put(_Mail(self.number, self.now))

    def _put(self, mail: _Mail) -> None:
        self.box[self.uid_next] = mail
        self.uid_next += 1

    @rule(hours=st.integers(0, 12))
    def arrives(self, hours: int) -> None:
        self.now += timedelta(hours=hours, minutes=1)
        self._arrive()
        self.owed.add(self.number)

    @rule(data=st.data())
    def expunged(self, data: st.DataObject) -> None:
        if self.box:
            gone = self.box.pop(data.draw(st.sampled_from(sorted(self.box))))
            self.owed.discard(gone.number)

    @rule(
        order=st.randoms(use_true_random=False),
        moves=st.booleans(),
        copied=st.integers(0, 9),
    )
    def made_anew(self, order: Random, moves: bool, copied: int) -> None:
        """By UIDVALIDITY, or at another server where that is the same; some of it comes later."""
        self.now += timedelta(minutes=1)
        mails = list(self.box.values())
        order.shuffle(mails)
        self.left_behind += mails[copied:]
        if moves:
            self.owner += "x"
        else:
            self.validity += 1
        self.box = dict(enumerate(mails[:copied], 1))
        self.uid_next = len(self.box) + 1
        self.cursor = self._resumed()

    @rule()
    def copied(self) -> None:
        for mail in self.left_behind:
            self._put(mail)
        self.left_behind = []
        self.read(10_000)

    @rule(back=st.integers(1, 6))
    def restored(self, back: int) -> None:
        """From a snapshot, while a worker looks: what came since is gone, its UIDs come again.

        Of what one handed over that crashed before it was written nobody could know then: its
        successor has to have handed that over again.
        """
        self.cursor = self._resumed()
        here = self.validity, f"{self.cursor.owner}.{self.cursor.epoch}"
        if any(
            (validity, era) == here and uid > self.cursor.uid
            for _, (validity, uid, era), _ in self.handed
        ):
            self.read(10_000)
        self.written()
        self.now += timedelta(minutes=1)
        self.uid_next = max(self.uid_next - back, 1)
        for uid in [uid for uid in self.box if uid >= self.uid_next]:
            self.owed.discard(self.box.pop(uid).number)
        self.cursor = self._resumed()
        self.written()

    def _resumed(self) -> Cursor:
        return resume(self.cursor, self.validity, self.uid_next, self.now, owner=self.owner)

    @rule(most=st.integers(1, 4))
    def read(self, most: int) -> None:
        self.cursor = self._resumed()
        for uid in sorted(self.box):
            if uid <= self.cursor.uid:
                continue
            mail = self.box[uid]
            if not self.cursor.wants(uid, mail.arrived_at):
                self.cursor = self.cursor.past(uid)
                continue
            if not most:
                return
            most -= 1
            key = self.validity, uid, f"{self.cursor.owner}.{self.cursor.epoch}"
            self.handed.append((mail.number, key, self.cursor.repeats(uid, mail.arrived_at)))
            self.cursor = self.cursor.past(uid, mail.arrived_at)
        self.cursor = self.cursor.past(self.uid_next - 1)

    @rule()
    def written(self) -> None:
        self.stored = self.cursor

    @rule()
    def crashes(self) -> None:
        self.cursor = self.stored

    @invariant()
    def every_second_time_is_told(self) -> None:
        seen: dict[int, set[Key]] = {}
        for number, key, may_repeat in getattr(self, "handed", []):
            earlier = seen.setdefault(number, set())
            assert not earlier or key in earlier or may_repeat
            earlier.add(key)

    @invariant()
    def no_key_is_of_two_messages(self) -> None:
        pairs = {(number, key) for number, key, _ in getattr(self, "handed", [])}
        assert len({key for _, key in pairs}) == len(pairs)

    def teardown(self) -> None:
        if hasattr(self, "cursor"):
            self.copied()
            assert self.owed <= {number for number, _, _ in self.handed}


MailboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestMailbox = MailboxMachine.TestCase


@given(st.integers(1, 50), st.integers(0, 60))
def test_what_is_wanted_is_wanted_until_it_is_past(uid: int, last: int) -> None:
    cursor = Cursor("INBOX", 7, last, NOW)
    assert cursor.wants(uid, NOW) == (uid > last)
    assert not cursor.past(uid).wants(uid, NOW)


def test_cursors_of_other_mailboxes_are_kept_as_far_as_there_is_room_the_latest_first() -> None:
    found = {f"m{n}": Cursor(f"m{n}", 1, n, NOW + timedelta(seconds=n)) for n in range(40)}
    kept = cursors.bounded(found, ["m0", "new"], 16)
    assert kept == {name: found[name] for name in ["m0", *(f"m{n}" for n in range(26, 40))]}
    assert cursors.bounded(found, list(found), 3) == found

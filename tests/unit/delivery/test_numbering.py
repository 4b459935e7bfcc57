# SPDX-License-Identifier: Apache-2.0
"""Numbers that a server does not keep: nothing is handed over without end, and nothing is lost."""

from datetime import UTC, datetime, timedelta

import pytest

from postroom.api.reasons import Reason
from postroom.delivery import cursors
from postroom.delivery.cursors import Cursor
from postroom.delivery.numbering import Numbering
from postroom.mail.connect.dial import Failure
from unit.delivery.courier_world import FakeReader, Worker, World
from unit.delivery.test_courier import play

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BEFORE = Cursor("INBOX", 7, 10, NOW, owner="me", epoch=1)


def found(validity: int, uid_next: int = 11, owner: str = "me", before: Cursor = BEFORE) -> Cursor:
    return cursors.resume(before, validity, uid_next, NOW, owner=owner)


def test_what_two_sessions_in_a_row_find_is_believed() -> None:
    numbering = Numbering()
    for validity in (8, 9, 8):
        with pytest.raises(Failure, match="mailbox INBOX another UIDVALIDITY") as caught:
            numbering.settled(BEFORE, found(validity))
        assert caught.value.reason is Reason.CAPABILITY_MISSING
    assert numbering.settled(BEFORE, found(8)).epoch == 2
    # One session of the old numbers in between, and it is to be found twice again.
    with pytest.raises(Failure):
        numbering.settled(BEFORE, found(8))
    assert numbering.settled(BEFORE, found(7)) == found(7)
    with pytest.raises(Failure):
        numbering.settled(BEFORE, found(8))


def test_what_is_plain_is_believed_at_once() -> None:
    numbering = Numbering()
    assert numbering.settled(BEFORE, found(7, 3)).epoch == 2, "UIDs went back"
    assert numbering.settled(BEFORE, found(8, owner="another")).epoch == 2
    lost = cursors.lost("INBOX", NOW)
    assert numbering.settled(lost, found(8, before=lost)).epoch == lost.epoch + 1


def test_a_server_that_numbers_anew_whenever_it_is_asked_floods_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settled, opens = False, FakeReader.open

    async def opens_anew(self: FakeReader, mailbox: str) -> tuple[int, int]:
        if not settled:
            self._world.make_anew(mailbox)
        return await opens(self, mailbox)

    monkeypatch.setattr(FakeReader, "open", opens_anew)

    async def scene(world: World, worker: Worker) -> None:
        nonlocal settled
        came = [world.arrive() for _ in range(3)]
        await worker.works(timedelta(minutes=10).total_seconds())
        assert world.offers == [] and world.logins < 20
        assert worker.progress.reason is Reason.CAPABILITY_MISSING and worker.progress.sure
        settled = True
        await worker.works(timedelta(minutes=10).total_seconds())
        assert world.received() == came and worker.progress.reason is None

    play(scene)

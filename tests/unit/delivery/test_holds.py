# SPDX-License-Identifier: Apache-2.0
"""Which mailboxes wait: each alone, all for the session, and what of it is worth telling."""

from postroom.api.reasons import Reason
from postroom.delivery.holds import SESSION, Holds, Trouble

DOWN = Trouble(Reason.CONSUMER_UNAVAILABLE, "is down")
NO = Trouble(Reason.CONSUMER_REJECTS, "refuses")
BOXES = ("INBOX", "Junk")


def test_a_mailbox_waits_alone_and_all_wait_for_the_session() -> None:
    holds = Holds()
    holds.hold("INBOX", 10, NO)
    assert (holds.due(BOXES, 9), holds.due(BOXES, 10)) == (["Junk"], ["INBOX", "Junk"])
    assert (holds.next_due(BOXES), holds.next_end(0), holds.next_end(10)) == (0, 10, float("inf"))
    holds.hold(SESSION, 20, DOWN)
    assert holds.due(BOXES, 19) == [] and holds.next_due(BOXES) == 20
    holds.release(SESSION)
    assert holds.next_due(("INBOX",)) == 10


def test_failures_are_counted_until_it_works() -> None:
    holds = Holds()
    holds.hold("INBOX", 1, NO)
    holds.hold("INBOX", 2, NO)
    assert (holds.failures("INBOX"), holds.failures("Junk")) == (2, 0)
    holds.release("INBOX")
    assert holds.failures("INBOX") == 0


def test_what_is_told_is_the_trouble_that_lasts_longest() -> None:
    holds = Holds()
    holds.hold("INBOX", 1, NO, told=False)
    assert holds.trouble is None
    holds.hold("Junk", 1, DOWN)
    holds.hold("INBOX", 2, NO)
    assert holds.trouble == NO
    holds.release("INBOX")
    assert holds.trouble == DOWN

# SPDX-License-Identifier: Apache-2.0
"""What is written of an account is what is read back, and fits what the definition allows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import MESSAGE_LIMIT, Condition
from postroom.api.inbound_delivery import CURSORS_LIMIT, PROGRESS_FIELDS
from postroom.api.profile import InboundStatus
from postroom.api.reasons import Reason
from postroom.delivery import status
from postroom.delivery.contract import Progress
from postroom.delivery.cursors import OVERLAP, Cursor, Refused, resume

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MOMENTS = st.integers(0, 10**9).map(lambda seconds: NOW - timedelta(seconds=seconds))
UIDS = st.integers(1, 2**32 - 1)
MAILBOXES = st.text(min_size=1, max_size=255).filter(lambda name: name.isprintable())
NUMBERS = st.integers(0, 2**32 - 1)
CODES, HASHES = st.integers(400, 499), st.text("0123456789abcdef", max_size=16)
CURSORS = st.builds(
    Cursor,
    MAILBOXES,
    NUMBERS,
    NUMBERS,
    MOMENTS,
    NUMBERS,
    st.none() | MOMENTS,
    st.booleans(),
    st.none() | st.builds(Refused, UIDS, MOMENTS, st.integers(1, 10**6), CODES, HASHES),
    HASHES,
    st.integers(0, 2**40),
    st.none() | MOMENTS,
)


@st.composite
def progresses(draw: st.DrawFn) -> Progress:
    cursors = draw(st.lists(CURSORS, max_size=CURSORS_LIMIT, unique_by=lambda one: one.mailbox))
    reason = draw(
        st.none() | st.sampled_from([Reason.CONSUMER_UNAVAILABLE, Reason.MESSAGE_REJECTED])
    )
    return Progress(
        {cursor.mailbox: cursor for cursor in cursors},
        waiting=draw(st.integers(0, 2**32)),
        delivered_at=draw(st.none() | MOMENTS),
        rejected=draw(st.integers(0, 2**32)),
        last_rejected=draw(st.none() | st.tuples(MAILBOXES, UIDS, st.integers(400, 499))),
        reason=reason,
        message=draw(st.text(max_size=2 * MESSAGE_LIMIT)) if reason else "",
        sure=draw(st.booleans()) if reason else True,
    )


@given(progresses())
def test_what_is_written_is_read_back_and_fits_the_definition(progress: Progress) -> None:
    part = status.written(progress, "Service tickets", 3, None, NOW, "postroom-deliver")
    assert set(part) == {"conditions", "inbound"} and set(part["inbound"]) <= set(PROGRESS_FIELDS)
    InboundStatus.model_validate(part["inbound"])
    Condition.model_validate(part["conditions"][0])
    assert status.part_of({**part, "identities": [], "conditions": part["conditions"]}) == part
    found = status.read(part)
    assert found.cursors == progress.cursors
    assert found.delivered_at == progress.delivered_at
    assert (found.rejected, found.last_rejected) == (progress.rejected, progress.last_rejected)
    # Written again nothing is another one, but for what was not looked at since.
    again = status.written(replace(found, waiting=progress.waiting), "", 3, None, NOW, "x")
    for name in set(PROGRESS_FIELDS) - {"worker"}:
        assert again["inbound"].get(name) == part["inbound"].get(name)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(PROGRESS_FIELDS, JUNK)))
def test_what_cannot_be_read_counts_as_absent(inbound: dict[str, Any]) -> None:
    found = status.read({"inbound": inbound})
    status.written(found, "", 1, None, NOW)


def damaged(waiting: int = 0, **wrong: Any) -> dict[str, Any]:
    """The status of mailboxes a and b, where the cursor of a has these fields (None: not there)."""
    earlier = NOW - timedelta(hours=5)
    cursors = {name: Cursor(name, 7, 5, earlier, owner="o", epoch=1) for name in "ab"}
    part = status.written(Progress(cursors, waiting=waiting, delivered_at=NOW), "", 1, None, NOW)
    first = part["inbound"]["cursors"][0] | wrong
    part["inbound"]["cursors"][0] = {k: v for k, v in first.items() if v is not None}
    part["inbound"]["lastRejected"] = {"mailbox": 7}
    return part


@pytest.mark.parametrize(
    "wrong",
    [
        {"unknown": 1, "another": {"deep": []}},
        {
            "refused": {
                "uid": 6,
                "since": "2026-11-29T12:00:00Z",
                "attempts": 2,
                "code": 422,
                "x": 1,
            }
        },
        {"refused": {"uid": "six"}},
        {"refused": 5, "since": "yesterday", "knownBelow": -1, "mayRepeat": [], "anewAt": 9},
        {"since": "2026-13-41T99:00:00Z"},
    ],
)
def test_what_another_version_wrote_beside_it_takes_no_cursor_away(wrong: dict[str, Any]) -> None:
    found = status.read(damaged(**wrong))
    assert (found.cursors["a"].uid, found.cursors["a"].owner) == (5, "o")
    assert (found.cursors["a"].refused is not None) == ("422" in str(wrong))
    assert not found.unreadable and found.delivered_at == NOW


@pytest.mark.parametrize(
    ("wrong", "waiting", "goes_by"),
    [
        ({"uid": "five"}, 3, NOW - timedelta(hours=5)),
        ({"uid": None}, 0, NOW - timedelta(hours=5)),
        ({"uidValidity": -7}, 0, NOW - timedelta(hours=5)),
        ({"arrivedAt": None}, 0, NOW),
        ({"arrivedAt": "2026-13-41T99:00:00Z"}, 0, NOW),
        ({"arrivedAt": None}, 3, None),
    ],
)
def test_a_cursor_that_cannot_be_read_goes_on_by_time_or_waits_and_never_begins_anew(
    wrong: dict[str, Any], waiting: int, goes_by: datetime | None
) -> None:
    part = damaged(waiting, **wrong)
    found = status.read(part)
    assert (found.cursors["b"].uid, found.cursors["b"].epoch) == (5, 1)
    if goes_by is None:
        assert found.unreadable == {"a": part["inbound"]["cursors"][0]}
        again = status.read(status.written(found, "", 1, None, NOW))
        assert again.unreadable == found.unreadable, "it is kept until somebody decides"
        return
    assert status.read(status.written(found, "", 1, None, NOW)).cursors == found.cursors
    anew = resume(found.cursors["a"], 7, 100, NOW, owner="o")
    assert anew.uid == 0 and anew.repeats(99, NOW) and anew.epoch > 1
    assert anew.wants(1, goes_by - OVERLAP)
    assert not anew.wants(1, goes_by - OVERLAP - timedelta(seconds=1))


@pytest.mark.parametrize("name", ["arrivedAt", "since", "anewAt"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("uid", [5, "five"])
def test_whatever_times_somebody_wrote_are_reckoned_with(
    name: str, moment: str, uid: object
) -> None:
    found = status.read(damaged(**{"uid": uid, name: moment}))
    anew = resume(found.cursors["a"], 9, 100, NOW, owner="o")
    again = resume(anew, 10, 100, NOW, owner="o")
    assert anew.wants(99, NOW) or name == "since"
    assert status.read(status.written(replace(found, cursors={"a": again}), "", 1, None, NOW))


def test_whatever_number_somebody_wrote_is_counted_on_from() -> None:
    largest = 2**63 - 1
    refused = {"uid": 6, "since": "2026-11-29T10:00:00Z", "attempts": largest, "code": 422}
    part = damaged(epoch=largest, refused=refused)
    part["inbound"]["rejected"] = largest
    found = status.read(part)
    cursor = resume(found.cursors["a"].refusing(6, 422, NOW), 9, 100, NOW, owner="o")
    again = replace(
        found.cursors["b"], mailbox="b", refused=found.cursors["a"].refusing(6, 422, NOW).refused
    )
    more = replace(found, cursors={"a": cursor, "b": again}, rejected=found.rejected + 1)
    inbound = status.written(more, "", 1, None, NOW)["inbound"]
    assert inbound["rejected"] <= largest and inbound["cursors"][0]["epoch"] <= largest
    assert inbound["cursors"][1]["refused"]["attempts"] <= largest


def stands(state: str, reason: str) -> dict[str, Any]:
    told = {"type": "InboundDelivering", "status": state, "reason": reason, "message": "m"}
    return {"conditions": [{**told, "lastTransitionTime": "2026-11-01T00:00:00Z"}]}


@pytest.mark.parametrize(
    ("before", "reason", "sure"),
    [
        ({}, Reason.PROGRESSING, False),
        (stands("True", "Delivering"), None, True),
        (stands("Unknown", "WorkerAbsent"), Reason.PROGRESSING, False),
        (stands("Unknown", "WorkerUnknown"), Reason.PROGRESSING, False),
        (stands("False", "SecretNotFound"), Reason.PROGRESSING, False),
        (stands("False", "ConsumerGone"), Reason.PROGRESSING, False),
        (stands("False", "ConsumerUnavailable"), Reason.CONSUMER_UNAVAILABLE, True),
        (stands("False", "ConsumerRejects"), Reason.CONSUMER_REJECTS, True),
        (stands("False", "NoSuchReason"), Reason.PROGRESSING, False),
    ],
)
def test_only_what_an_application_said_holds_at_a_new_start(
    before: dict[str, Any], reason: Reason | None, sure: bool
) -> None:
    found = status.read(before)
    assert (found.reason, found.sure) == (reason, sure)


@pytest.mark.parametrize(
    ("progress", "state", "moves"),
    [
        (Progress(), "True", False),
        (Progress(reason=Reason.CONSUMER_GONE, message="m"), "False", True),
        (Progress(reason=Reason.PROGRESSING, message="m", sure=False), "Unknown", True),
    ],
)
def test_the_time_moves_only_with_the_status(progress: Progress, state: str, moves: bool) -> None:
    before = status.condition_in(stands("True", "Delivering"))
    made = status.written(progress, "Service a", 4, before, NOW, "a/b")["conditions"][0]
    assert made["status"] == state and made["observedGeneration"] == 4
    assert (made["lastTransitionTime"] == "2026-11-29T12:00:00Z") == moves

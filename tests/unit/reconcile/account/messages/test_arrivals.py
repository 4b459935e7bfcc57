# SPDX-License-Identifier: Apache-2.0
"""From what is known of a message to status and back, and which copies of it are removed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from postroom.api.account_messages import MessageInFlight, MessageOutcome, MessageStep
from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.mail.operations import Position, Removal
from postroom.mail.round_trip.recognise import Expected, Found, Sighting, Stray
from postroom.mail.round_trip.trace import Hop
from postroom.mail.round_trip.verdict import Arrival, Sent
from postroom.reconcile.account.messages.arrivals import (
    Search,
    new_token,
    position_of,
    result_of,
    stored,
)
from unit.reconcile.assessments import NOW

FLIGHT = MessageInFlight(
    step=MessageStep.SENT,
    token="t",
    time="2026-11-21T11:55:00Z",
    sender="support@example.com",
    recipient="other@example.net",
    reply_to="back@example.com",
)


def copy(uid: int) -> Removal:
    return Removal("INBOX", 7, uid, f"proof {uid}")


def search(found: list[Removal | None], strays: list[tuple[str, str, Removal | None]]) -> Search:
    sighting = Sighting(
        tuple(cast("Found", SimpleNamespace(removal=removal)) for removal in found),
        tuple(
            cast("Stray", SimpleNamespace(account_uid=uid, token=token, removal=removal))
            for uid, token, removal in strays
        ),
    )
    sent = Sent(Expected("own", "t"), "a@example.com", "b@example.com", NOW)
    return Search(sent, sighting, Arrival(None, Reason.PENDING, ""))


@pytest.mark.parametrize(
    ("found", "strays", "removed"),
    [
        ([], [], []),
        ([copy(1), None, copy(2)], [], [1, 2]),
        ([copy(1)], [("own", "old", copy(3))], [1, 3]),
        # Those of another account, or still looked for, or without proof stay.
        ([], [("other", "old", copy(3))], []),
        ([], [("own", "flying", copy(3))], []),
        ([], [("own", "old", None)], []),
    ],
)
def test_what_is_proven_ours_and_over_is_removed(
    found: list[Removal | None], strays: list[tuple[str, str, Removal | None]], removed: list[int]
) -> None:
    removals = search(found, strays).removals({"flying"})
    assert [removal.uid for removal in removals] == removed


def test_no_two_messages_have_one_token() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {32}


@pytest.mark.parametrize("position", [Position("INBOX", 7, 10), Position("Junk", 8, 3, "\\Junk")])
def test_a_position_is_read_back_from_status(position: Position) -> None:
    assert position_of(stored(position)) == position


def arrival(**changes: object) -> Arrival:
    values: dict[str, object] = {"message": "It arrived.", **changes}
    return Arrival(MessageOutcome.DELIVERED, Reason.DELIVERED, **values)  # type: ignore[arg-type]


def test_a_result_tells_what_arrived_of_what_was_sent() -> None:
    found = result_of(
        FLIGHT,
        arrival(mailbox="INBOX", latency=3, received_from=""),
        MessageOutcome.DELIVERED,
    )
    assert (found.time, found.recipient, found.reply_to) == (
        FLIGHT.time,
        "other@example.net",
        "back@example.com",
    )
    assert (found.outcome, found.reason, found.message) == (
        MessageOutcome.DELIVERED,
        "Delivered",
        "It arrived.",
    )
    assert (found.mailbox, found.latency_seconds) == ("INBOX", 3)
    assert (found.received_from, found.authentication, found.hops, found.warnings) == (
        None,
        None,
        [],
        [],
    )


def test_what_foreign_servers_wrote_is_bounded_and_what_they_left_out_is_unknown() -> None:
    hop = Hop(None, None, None, None, None)
    long = Hop(None, "s.example", "p" * 999, None, 2)
    finding = Finding(
        code="SENDER_REWRITTEN", severity=Severity.WARNING, subject="x", message="m" * 1024
    )
    found = result_of(
        FLIGHT,
        arrival(hops=(hop, *[long] * 99), findings=(finding,) * 99, message="x" * 9999),
        MessageOutcome.DELIVERED,
    )
    assert (len(found.hops), len(found.warnings)) == (16, 8)
    assert (found.hops[0].by, found.hops[0].protocol) == ("unknown", None)
    assert found.hops[1].protocol == "p" * 64
    assert len(found.message) == len(found.warnings[0].message) == MESSAGE_LIMIT

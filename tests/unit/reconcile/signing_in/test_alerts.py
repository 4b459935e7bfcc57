# SPDX-License-Identifier: Apache-2.0
"""Alerts of servers that work: told at once, and whatever a farm of them says, seldom anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in.alerts import LASTS, standing
from postroom.reconcile.status.outcome import Memory

NOW, EVERY = datetime(2026, 12, 1, tzinfo=UTC), timedelta(minutes=5)
WELL = ProbeReport(ProbeStage.DONE, Reason.PROBE_SUCCEEDED, "Works.", conclusive=True)
FULL = "[ALERT] Your mailbox is almost full (node alpha)"
OTHER_NODE = "[ALERT] Your mailbox is almost full (node bravo)"
EXPIRES = "[ALERT] Your password expires soon"


def told(
    memory: Memory, said: str | None, at: datetime, request: str | None = None, inputs: str = "x"
) -> str | None:
    report = replace(WELL, server_text=said)
    return standing(report, "IMAP", (inputs,), request, memory, at).server_text


@pytest.mark.parametrize(
    "says", [(FULL,), (FULL, None), (FULL, OTHER_NODE), (FULL, EXPIRES), (FULL, None, EXPIRES)]
)
def test_what_a_farm_says_in_turns_is_written_once(says: tuple[str | None, ...]) -> None:
    memory, turn = Memory(), cycle(says)
    seen = {told(memory, next(turn), NOW + number * EVERY) for number in range(2000)}
    assert seen == {FULL}


def test_what_is_said_no_more_ends_within_a_day_and_makes_room() -> None:
    memory = Memory()
    assert told(memory, FULL, NOW) == FULL
    assert told(memory, None, NOW + LASTS - EVERY) == FULL
    assert told(memory, None, NOW + LASTS) is None
    assert told(memory, FULL, NOW + LASTS + EVERY) == FULL
    assert told(memory, EXPIRES, NOW + 2 * LASTS) == FULL
    assert told(memory, EXPIRES, NOW + 2 * LASTS + EVERY) == EXPIRES
    memory.tidy()


@pytest.mark.parametrize("now_said", [None, EXPIRES])
def test_a_request_and_other_inputs_are_answered_with_what_is_said_now(
    now_said: str | None,
) -> None:
    memory = Memory()
    told(memory, FULL, NOW)
    assert told(memory, now_said, NOW + EVERY, request="r") == now_said
    told(memory := Memory(), FULL, NOW)
    assert told(memory, now_said, NOW + EVERY, inputs="y") == now_said


def test_a_failure_is_told_in_its_own_words_and_ends_no_alert() -> None:
    memory = Memory()
    told(memory, FULL, NOW)
    failed = replace(WELL, stage=ProbeStage.AUTH, server_text="no")
    assert standing(failed, "IMAP", ("x",), None, memory, NOW) is failed
    assert told(memory, None, NOW + EVERY) == FULL

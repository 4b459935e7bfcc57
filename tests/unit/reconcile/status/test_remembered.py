# SPDX-License-Identifier: Apache-2.0
"""Every time that a memory can hold is moved, and nothing else of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import SyncPhase
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.report import ProbeReport
from postroom.reconcile.status.outcome import (
    IdentityLook,
    Lag,
    Memory,
    Pause,
    RecentProbe,
    Rejection,
    StandingAlert,
)
from postroom.reconcile.status.remembered import shift
from unit.reconcile.message_worlds import TAKEN

THEN, BY = datetime(2026, 11, 29, 12, tzinfo=UTC), timedelta(hours=-2)
NOW = THEN + BY
REPORT = ProbeReport(ProbeStage.DONE, Reason.PROBE_SUCCEEDED, "Works.", conclusive=True)


def filled(at: datetime) -> Memory:
    memory = Memory()
    memory.first_failures = {(ConditionType.READY, ""): at}
    memory.wrong = {"spf": (at, ("a", "b"))}
    memory.lag = Lag(frozenset({"spf"}), at, 2)
    memory.deep_day = 7
    memory.asked_at = memory.deferred_since = at
    memory.rejections = {"s": Rejection("t", REPORT, at, 3, at), "r": Rejection(None, REPORT, at)}
    memory.at_mailbox = next(iter(SyncPhase)), at
    memory.probes = {"SMTP": RecentProbe(("x", 1), at, REPORT)}
    memory.sends, memory.sent_at = {"token": TAKEN}, {"token": at}
    memory.looks_for_overdue = {"token": at}
    memory.pauses = {"h": Pause("SMTP", REPORT, at, at + timedelta(hours=1), ("x",), None)}
    memory.alerts = {"IMAP": StandingAlert(("x",), None, "[ALERT] hi", at)}
    memory.due = {"SMTP": at}
    memory.identities = IdentityLook(("x",), at, timedelta(minutes=1))
    memory.failures = 4
    return memory


def test_every_time_moves_and_nothing_else() -> None:
    memory = filled(THEN)
    unfilled = {name for name, value in Memory().known().items() if memory.known()[name] == value}
    # No times: or they are to be filled above.
    assert unfilled == {
        "failed_probes",
        "evaluated",
        "unasked",
        "generation",
        "children",
        "clock_set_by",
    }
    shift(memory, BY)
    assert memory.known() == filled(NOW).known()
    shift(memory, -BY)
    assert memory.known() == filled(THEN).known()

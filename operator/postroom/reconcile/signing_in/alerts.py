# SPDX-License-Identifier: Apache-2.0
"""Alerts of servers that work, in status: told at once, and not written anew at every look.

A user must see them (RFC 9051 section 7.1). But machines of one server tell different ones, or
none: what is told stays until it has not been said for a day, and what else was said meanwhile may
take its place then. Other credentials, an edit and a request are answered with what is said now.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from postroom.api.mailserver import ProbeStage
from postroom.mail.replies import is_same_refusal
from postroom.mail.report import ProbeReport
from postroom.reconcile.status.outcome import Memory, StandingAlert

#: For so long what is not said any more stands.
LASTS = timedelta(days=1)


def standing(
    report: ProbeReport,
    protocol: str,
    inputs: tuple[object, ...],
    request: str | None,
    memory: Memory,
    now: datetime,
) -> ProbeReport:
    """Return a report with the alert that is told of the server where nothing is wrong."""
    if report.stage is not ProbeStage.DONE:
        return report
    said, before = report.server_text, memory.alerts.get(protocol)
    if before is not None and (before.inputs, before.request) != (inputs, request):
        before = None
    same = before is not None and said is not None and is_same_refusal(before.text, said)
    if before is not None and same:
        before = replace(before, at=now)
    elif before is None or now - before.at >= LASTS:
        before = StandingAlert(inputs, request, said, now) if said is not None else None
    if before is None:
        memory.alerts.pop(protocol, None)
        return replace(report, server_text=None)
    memory.alerts[protocol] = before
    return replace(report, server_text=before.text)

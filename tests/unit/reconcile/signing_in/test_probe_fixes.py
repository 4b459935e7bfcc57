# SPDX-License-Identifier: Apache-2.0
"""The fix of a failed probe is what the probe itself says to do: one reason stands for
failures that are mended in different ways, over two protocols."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postroom.api.findings import FixAction
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import CATALOGUE, Reason
from postroom.mail.replies import Cause
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in.probing import IMAP, SMTP, Protocol, findings_of
from postroom.reconcile.status.explained import with_fix

NOW = datetime(2026, 11, 30, tzinfo=UTC)
EXTERNAL, WAIT = FixAction.EXTERNAL, FixAction.WAIT


def report(
    reason: Reason, wrong: str, fix: str, *, conclusive: bool = True, cause: Cause | None = None
) -> ProbeReport:
    stage = ProbeStage.CAPABILITIES
    return ProbeReport(stage, reason, wrong, conclusive=conclusive, cause=cause, fix=fix)


@pytest.mark.parametrize(
    ("says", "action", "told"),
    [
        # The catalogue has advice on SMTP for these, on ports, and to wait.
        (
            report(Reason.CAPABILITY_MISSING, "i:993 does not know EXAMINE:", "set i: on. Or not."),
            *(EXTERNAL, "Set i: on. Or not."),
        ),
        (
            report(Reason.SERVICE_UNAVAILABLE, "s:587 greets with 554.", "Have the entry removed."),
            *(EXTERNAL, "Have the entry removed."),
        ),
        (
            report(Reason.HANDSHAKE_FAILED, "s:587 says 454.", "Mend it.", conclusive=False),
            *(EXTERNAL, "Mend it."),
        ),
        (
            report(
                *(Reason.SERVICE_UNAVAILABLE, "s:587 greets with 554.", "Wait; if not, ask."),
                cause=Cause.SERVER_BUSY,
            ),
            *(WAIT, "Wait; if not, ask."),
        ),
        # What passes by itself is waited for, whatever the probe guesses.
        (
            report(
                *(Reason.PROBE_INCONCLUSIVE, "i:993 ends:", "it may be overloaded."),
                conclusive=False,
            ),
            *(WAIT, CATALOGUE[Reason.PROBE_INCONCLUSIVE].remedy),
        ),
        (
            report(
                *(Reason.TEMPORARY_FAILURE, "s:587 says 454.", "Wait: postroom keeps looking."),
                cause=Cause.AUTH_TEMPORARY_FAILURE,
                conclusive=False,
            ),
            *(WAIT, CATALOGUE[Reason.TEMPORARY_FAILURE].remedy),
        ),
        # Unless its cause is known, and someone can do something about it.
        (
            report(
                *(Reason.TEMPORARY_FAILURE, "s:587 says 535 5.2.2.", "Delete messages."),
                cause=Cause.MAILBOX_FULL,
                conclusive=False,
            ),
            *(EXTERNAL, "Delete messages."),
        ),
        # Or its words say that someone must act.
        (
            replace(
                report(Reason.TEMPORARY_FAILURE, "h:1 says 454.", "Correct it.", conclusive=False),
                needs_someone=True,
            ),
            *(EXTERNAL, "Correct it."),
        ),
        # Who says nothing of it leaves it to the catalogue, however the sentence is built.
        (
            report(Reason.HOST_AUTH_COOLDOWN, "It pauses: too many were refused.", ""),
            *(EXTERNAL, CATALOGUE[Reason.HOST_AUTH_COOLDOWN].remedy),
        ),
    ],
)
@pytest.mark.parametrize("protocol", [SMTP, IMAP])
def test_the_fix_is_what_the_probe_says(
    says: ProbeReport, action: FixAction, told: str, protocol: Protocol
) -> None:
    (found,) = map(with_fix, findings_of(says, protocol, NOW, "h"))
    assert found.message == says.message
    assert found.fix is not None
    assert (found.fix.action, found.fix.instruction) == (action, told)


@pytest.mark.parametrize("after", ["", "They are not sent again."])
def test_what_becomes_of_it_is_no_part_of_what_is_wrong(after: str) -> None:
    said = report(Reason.AUTHENTICATION_REJECTED, "h:1 answers with 535: no.", "Correct it.")
    (found,) = findings_of(replace(said, after=after), SMTP, NOW, "h")
    assert found.message == f"h:1 answers with 535: no. Correct it. {after}".rstrip()
    assert found.summary == "h:1 answers with 535: no."
    assert found.fix is not None
    assert (found.fix.instruction, found.fix.meanwhile) == ("Correct it.", after)


def test_what_becomes_of_it_is_no_fix_where_there_is_none() -> None:
    said = report(Reason.SERVER_THROTTLED, "h wants to be left alone.", "", conclusive=False)
    (found,) = findings_of(replace(said, after="It is left alone."), SMTP, NOW, "h")
    assert found.message == "h wants to be left alone. It is left alone."
    assert found.fix is None

# SPDX-License-Identifier: Apache-2.0
"""The fix of a failed probe is what the probe's own sentence says to do: one reason stands for
failures that are mended in different ways, over two protocols."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postroom.api.findings import FixAction
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import CATALOGUE, Reason
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in.probing import IMAP, SMTP, Protocol, findings_of
from postroom.reconcile.status.explained import with_fix

NOW = datetime(2026, 11, 30, tzinfo=UTC)
EXTERNAL, WAIT = FixAction.EXTERNAL, FixAction.WAIT


@pytest.mark.parametrize(
    ("protocol", "reason", "message", "conclusive", "action", "told"),
    [
        # The catalogue has advice on SMTP for these, on ports, and to wait.
        (
            *(IMAP, Reason.CAPABILITY_MISSING),
            *("i:993 does not know EXAMINE: set imap.allowSelect to true.", True),
            *(EXTERNAL, "Set imap.allowSelect to true."),
        ),
        (
            *(SMTP, Reason.CONNECTION_TIMEOUT),
            *("s:587 accepts the connection, but does not greet: look at its load.", True),
            *(EXTERNAL, "Look at its load."),
        ),
        (
            *(SMTP, Reason.SERVICE_UNAVAILABLE),
            *("s:587 greets with 554. Have the entry removed by the list.", True),
            *(EXTERNAL, "Have the entry removed by the list."),
        ),
        (
            *(SMTP, Reason.HANDSHAKE_FAILED),
            *("s:587 answers STARTTLS with 454. Mend the TLS settings of the server.", False),
            *(EXTERNAL, "Mend the TLS settings of the server."),
        ),
        (
            *(SMTP, Reason.SERVICE_UNAVAILABLE),
            *("s:587 greets with 554. Wait; if it stays, ask its operator.", True),
            *(WAIT, "Wait; if it stays, ask its operator."),
        ),
        # What passes by itself is waited for, whatever a sentence guesses.
        (
            *(IMAP, Reason.PROBE_INCONCLUSIVE),
            *("i:993 says BYE. It may be overloaded.", False),
            *(WAIT, CATALOGUE[Reason.PROBE_INCONCLUSIVE].remedy),
        ),
        # A sentence that says nothing of it leaves it to the catalogue.
        (
            *(SMTP, Reason.LOOKUP_FAILED),
            *("The addresses of s could not be looked up now.", False),
            *(EXTERNAL, CATALOGUE[Reason.LOOKUP_FAILED].remedy),
        ),
    ],
)
def test_the_fix_is_what_the_sentence_says(
    protocol: Protocol,
    reason: Reason,
    message: str,
    conclusive: bool,
    action: FixAction,
    told: str,
) -> None:
    report = ProbeReport(ProbeStage.CAPABILITIES, reason, message, conclusive=conclusive)
    (found,) = map(with_fix, findings_of(report, protocol, NOW))
    assert found.message == message
    assert found.fix is not None
    assert (found.fix.action, found.fix.instruction) == (action, told)

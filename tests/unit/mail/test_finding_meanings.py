# SPDX-License-Identifier: Apache-2.0
"""The catalogue of mail findings: codes that are explained once, as severe as they are reported."""

from __future__ import annotations

import pytest

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.mail.finding_meanings import catalogue
from postroom.mail.replies import Cause
from postroom.mail.round_trip import conclusions
from postroom.mail.round_trip.authentication import Authentication
from postroom.mail.round_trip.authentication_results import Outcome

FAIL = Outcome.FAIL
JUDGED = Authentication(None, spf=FAIL, dkim=FAIL, dmarc=FAIL)
A = "a@example.com"
FINDINGS = [
    conclusions.spam(A, None),
    conclusions.rewritten(A, A),
    conclusions.reply_to_dropped(A),
    conclusions.reply_to_changed(A, A),
    conclusions.undelivered(A, bounced=False),
    conclusions.late(A),
    conclusions.archived(A),
    conclusions.looping(A),
    *conclusions.authentication_findings(JUDGED),
]


def upper_snake(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name)[1:].upper()


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.code)
def test_what_is_said_of_a_message_is_as_severe_as_it_is_explained(finding: Finding) -> None:
    reasons = {upper_snake(each.value) for each in (*Reason, *Cause)}
    entry = catalogue().get(finding.code)
    assert (entry is not None) or finding.code in reasons
    assert entry is None or entry.severity is finding.severity

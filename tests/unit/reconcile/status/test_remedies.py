# SPDX-License-Identifier: Apache-2.0
"""Every code has something to do, and what is only waited for says so in both of its ways."""

from __future__ import annotations

from postroom.api.findings import FixAction
from postroom.api.reasons import CATALOGUE
from postroom.mail import finding_meanings
from postroom.mail.replies import Cause
from postroom.reconcile.status.remedies import WAITS, remedy_of
from rows import over

CODES = [*(each.name for each in CATALOGUE), *(each.name for each in Cause)]


@over(sorted({*CODES, *finding_meanings.catalogue()}))
def test_a_code_has_a_remedy_and_its_action(code: str) -> None:
    remedy = remedy_of(code)
    assert remedy is not None and remedy.instruction
    # Who reads only one of the two is told the same.
    assert remedy.instruction.startswith("Wait") == (remedy.action is FixAction.WAIT)


def test_what_is_no_code_has_none() -> None:
    assert remedy_of("NOTHING_THAT_IS_KNOWN") is None


def test_what_is_waited_for_is_known() -> None:
    assert set(CATALOGUE) >= WAITS

# SPDX-License-Identifier: Apache-2.0
"""What the steps of an account's reconciliation are given, and what each contributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding
from postroom.api.resource import EmailAccount
from postroom.reconcile.account.dependencies import Backing
from postroom.reconcile.account.protocols import Leg
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account, what stands behind it, and its two protocols after they were looked at.

    `begun` are the tokens of messages that were announced in this run.
    """

    resource: EmailAccount
    behind: Backing
    smtp: Leg
    imap: Leg
    world: World
    memory: Memory
    begun: list[str] = field(default_factory=list)

    @property
    def asked(self) -> bool:
        """Whether somebody asks for a look that was not made yet."""
        asked = self.resource.metadata.requested_at
        return asked not in (None, self.resource.status.last_handled_reconcile_at)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one step adds to an assessment.

    `fields` are status fields by their Python names; a field that no step gives keeps nothing.
    `advisory` are the condition types that do not gate Ready. `look_again` is when the step wants
    the account looked at anew, if that is before its interval.
    """

    verdicts: tuple[Verdict, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    references: frozenset[str] = frozenset()
    advisory: frozenset[ConditionType] = frozenset()
    look_again: timedelta | None = None

# SPDX-License-Identifier: Apache-2.0
"""Why an object is not looked at, and what its status says meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.reasons import Reason
from postroom.reconcile.status.assessment import passed
from postroom.reconcile.status.outcome import Notice


@dataclass(frozen=True, slots=True)
class Rest:
    """A state in which nothing is checked, sent or read.

    `suspended` is the condition that says so, `silenced` why nobody sends, `unknown` what is said
    of a spec that was never evaluated. `fields`, `references` and `notices` are as in an outcome.
    """

    suspended: Verdict
    silenced: Reason
    unknown: str
    fields: Mapping[str, object] = field(default_factory=dict)
    references: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()


def resting(reason: Reason, message: str) -> Verdict:
    """The condition that an object is at rest."""
    return passed(ConditionType.SUSPENDED, reason, message)


SUSPENDED = Rest(
    resting(Reason.SUSPENDED_BY_SPEC, "spec.suspend is true: nothing is checked."),
    Reason.SUSPENDED,
    "Suspended before this spec was evaluated.",
)

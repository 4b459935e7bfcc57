# SPDX-License-Identifier: Apache-2.0
"""Every type of condition, and what it is about."""

from made.page import page, prose, table
from postroom.api.conditions import ABNORMAL_TRUE, ConditionType
from postroom.cli.condition_meanings import CONDITIONS

_LEAD = """What stands as `type` in `status.conditions`. How the types work together is told in
[reading status](../status.md), the causes are [reasons](../reasons.md). `postroom explain TYPE`
prints the same."""


def pages() -> dict[str, str]:
    """Return the page."""
    rows = [(f"`{kind.value}`", _present(kind), prose(CONDITIONS[kind])) for kind in ConditionType]
    lines = table(("Type", "Present", "Meaning"), rows)
    return {"reference/conditions.md": page("Conditions", _LEAD, lines)}


def _present(kind: ConditionType) -> str:
    if kind is ConditionType.READY:
        return "always"
    return "only while True" if kind in ABNORMAL_TRUE else "when asked for"

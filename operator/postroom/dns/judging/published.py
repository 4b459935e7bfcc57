# SPDX-License-Identifier: Apache-2.0
"""Replacing what is published at a name, be it records of its own or a CNAME that leads to them."""

from __future__ import annotations

from collections.abc import Iterable

from postroom.api.findings import Fix
from postroom.dns.answers import Answer, RecordType
from postroom.dns.judging.fixes import replace
from postroom.dns.requirements import PlannedRecord


def replacing(
    planned: PlannedRecord, answer: Answer, there: Iterable[str], value: str | None = None
) -> Fix | None:
    """Put the record in the place of the values `there`, or of the CNAME that led to them.

    What stands behind a CNAME is not in this zone, and nothing stands beside one.
    """
    if answer.aliases:
        return replace(planned, answer.aliases[:1], value, type=RecordType.CNAME)
    return replace(planned, there, value)

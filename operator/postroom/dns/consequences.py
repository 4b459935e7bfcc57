# SPDX-License-Identifier: Apache-2.0
"""What follows for mail while a record is not as it must be, and how long caches keep that.

The clauses are data: ``consequences.yaml``. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated

from pydantic import StringConstraints

from postroom.api.data_files import read
from postroom.api.fields import Model
from postroom.api.sendingdomain import DKIMRole, Purpose
from postroom.dns.answers import Answer
from postroom.dns.finding_codes import Code
from postroom.dns.requirements import CNAMEWanted, DKIMKeyWanted, PlannedRecord

#: How long something may be kept, in words that do not change with every second.
_BOUNDS = (
    (300, "at most five minutes"),
    (3600, "at most an hour"),
    (86_400, "at most a day"),
)
_BEYOND = "more than a day"


class Consequence(Model):
    """What follows, behind "Until then"; `source` is the standard or document."""

    clause: Annotated[str, StringConstraints(max_length=120, pattern=r"^([a-zA-Z].*[^.])?$")]
    source: Annotated[str, StringConstraints(min_length=3, max_length=300)]


class Consequences(Model):
    """By what is wanted, for aliases by their purpose, and by code where that knows better."""

    kinds: dict[str, Consequence]
    aliases: dict[Purpose, Consequence]
    codes: dict[Code, Consequence]


@cache
def consequences() -> Consequences:
    """Load the clauses; raises `InvalidData` where the file is broken."""
    return read("postroom.dns", "consequences.yaml", Consequences)


def bound(seconds: int, bounds: tuple[tuple[int, str], ...] = _BOUNDS) -> str:
    """How long something lasts at most."""
    return next((word for most, word in bounds if seconds <= most), _BEYOND)


def what_follows(planned: PlannedRecord, code: Code, answer: Answer) -> str:
    """What follows for mail, and how long caches keep what is there; "" where neither is known.

    `answer` is that to the record's own question: by a server of the zone, its TTL counts down
    nowhere, and the words stay the same.
    """
    clause = _clause(planned, code)
    kept = ""
    if answer.conclusive and answer.authoritative and answer.ttl:
        what = "what is there" if answer.values else "that nothing is there"
        kept = f"caches keep {what} for {bound(answer.ttl)}"
    if clause:
        return f"Until then {clause}{f'; {kept}' if kept else ''}."
    return f"{kept[:1].upper()}{kept[1:]}." if kept else ""


def _clause(planned: PlannedRecord, code: Code) -> str:
    known, wanted = consequences(), planned.wanted
    if isinstance(wanted, DKIMKeyWanted | CNAMEWanted) and wanted.role is not DKIMRole.ACTIVE:
        return ""  # nothing is signed with it
    by_kind: Mapping[str, Consequence] = known.kinds
    if code in known.codes:
        return known.codes[code].clause
    if isinstance(wanted, CNAMEWanted):
        found = known.aliases.get(planned.purpose)
    else:
        found = by_kind.get(type(wanted).__name__)
    return found.clause if found is not None else ""

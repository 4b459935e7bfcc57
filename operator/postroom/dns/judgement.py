# SPDX-License-Identifier: Apache-2.0
"""The shape of a judgement on one record, and what all judges share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer
from postroom.dns.expected import Expected
from postroom.dns.spf import Fetched

_QUOTE_LIMIT = 256
_OBSERVED_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that one view shows of one expected record, asked before judging.

    `answer` is for the record's own name and type. `text` is for TXT at the same name, where a
    CNAME is expected. `doubled` is for the name with the zone added once more. `spf` are the
    records that includes lead to; `authorizations` answers of report destinations by name;
    `exchanges` whether mail exchanges have addresses, None where that could not be looked at.
    """

    answer: Answer
    text: Answer | None = None
    doubled: Answer | None = None
    spf: dict[str, Fetched] = field(default_factory=dict)
    authorizations: dict[str, Answer] = field(default_factory=dict)
    exchanges: dict[str, bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a record amounts to in one view."""

    state: RecordState
    reason: Reason
    message: str
    finding: Finding | None = None
    #: The value to publish, where it depends on what is there.
    value: str | None = None
    observed: tuple[str, ...] = ()
    advice: tuple[Finding, ...] = ()


def valid(reason: Reason, message: str, observed: Sequence[str]) -> Judgement:
    """The record is as it must be."""
    return Judgement(RecordState.VALID, reason, message, observed=shown(observed))


def where(expected: Expected) -> str:
    """Name a record for people: ``TXT at _dmarc.example.com``."""
    return f"{expected.type.value} at {expected.name}"


def shown(values: Sequence[str]) -> tuple[str, ...]:
    """Make foreign values fit for status: sorted, printable, bounded."""
    return tuple(quoted(one) for one in sorted(values)[:_OBSERVED_LIMIT])


def quoted(value: str) -> str:
    """Make a foreign text printable, and cut it with a hash that still tells versions apart."""
    printable = "".join(
        one if " " <= one <= "~" else f"\\{ord(one):03d}" if ord(one) < 256 else "?"
        for one in value
    )
    if len(printable) <= _QUOTE_LIMIT:
        return printable
    digest = hashlib.sha256(value.encode()).hexdigest()[:12]
    return f"{printable[: _QUOTE_LIMIT - 24]}… (sha256 {digest})"

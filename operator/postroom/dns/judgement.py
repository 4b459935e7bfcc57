# SPDX-License-Identifier: Apache-2.0
"""The shape of a judgement on one record, and what all judges share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from postroom.api.findings import Finding, Fix, FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer
from postroom.dns.expected import VALUE_LIMIT, Expected
from postroom.dns.findings import change, finding
from postroom.dns.spf import Fetched

_QUOTE_LIMIT = 256
_OBSERVED_LIMIT = 10
#: Where a sentence points to for a value: inside the sentence, its full stop would be copied too.
LISTED = "the value that status.records lists for it"
#: Fewest characters of a wanted value by which a cut-off copy of it is known.
_RECOGNISABLE = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that one view shows of one expected record, asked before judging.

    `answer` is for the record's own name and type. Where a CNAME is expected, `text` is for TXT at
    the same name and `target_text` for TXT at the target. `doubled` is the name at which the
    record stands instead, the zone added once more. `spf` are the records that includes lead to;
    `authorizations` answers of report destinations by name; `exchanges` whether mail exchanges
    have addresses, None where that could not be looked at.
    """

    answer: Answer
    text: Answer | None = None
    target_text: Answer | None = None
    doubled: str | None = None
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


def valid(
    reason: Reason,
    message: str,
    observed: Sequence[str],
    value: str | None = None,
    advice: tuple[Finding, ...] = (),
) -> Judgement:
    """The record is as it must be; `value` is how it is published, where that may vary."""
    return Judgement(
        RecordState.VALID, reason, message, value=value, observed=shown(observed), advice=advice
    )


def faulty(
    state: RecordState,
    reason: Reason,
    code: str,
    expected: Expected,
    message: str,
    observed: Sequence[str],
    fix: Fix | None = None,
    value: str | None = None,
) -> Judgement:
    """The record is not as it must be."""
    found = finding(code, expected.id, message, fix)
    return Judgement(state, reason, message, found, value=value, observed=shown(observed))


def missing(
    expected: Expected, seen: Seen, code: str, reason: Reason, until_then: str = ""
) -> Judgement:
    """Nothing of the kind is there, or it stands at a name with the zone doubled.

    `until_then` is a sentence on what holds while it is so.
    """
    message = f"There is no {where(expected)}: publish {LISTED}."
    message = f"{message} {until_then}".rstrip()
    if seen.doubled is not None:
        code = "NAME_ZONE_DOUBLED"
        message = (
            f"The record stands at {seen.doubled}: your DNS host added the zone to the name. "
            f"Publish it at {expected.name} by entering the name relative to the zone."
        )
    fix = fix_for(FixAction.CREATE, expected)
    values = seen.answer.values
    return faulty(RecordState.MISSING, reason, code, expected, message, values, fix)


def blind(expected: Expected, what: str | None = None, observed: Sequence[str] = ()) -> Judgement:
    """What must be seen could not be looked at, which says nothing about the record.

    A single `observed` value is also the one to publish, for now: it may be as it must be.
    """
    message = f"DNS could not be asked for {what or where(expected)}; the look is repeated."
    found = finding("LOOKUP_FAILED", expected.id, message)
    keep = len(observed) == 1 and len(observed[0]) <= VALUE_LIMIT
    return Judgement(
        RecordState.UNKNOWN,
        Reason.LOOKUP_FAILED,
        message,
        found,
        value=observed[0] if keep else None,
        observed=shown(observed),
    )


def fix_for(action: FixAction, expected: Expected, value: str | None = None) -> Fix | None:
    """The change to the expected record; None where the value is absurd (see `VALUE_LIMIT`)."""
    wanted = expected.value if value is None else value
    if len(wanted) > VALUE_LIMIT:
        return None
    return change(action, expected.name, expected.type.value, wanted)


def spoiled(values: Sequence[str], wanted: str) -> tuple[str, str] | None:
    """Recognise a wanted value that was mangled on its way into DNS: (code, sentence)."""
    flat = [one.strip() for one in values]
    if any(one != wanted and unquoted(one) == wanted for one in flat):
        return "VALUE_QUOTED", "has quotation marks inside its value: enter it without them"
    pieces = [one for one in flat if one and one in wanted and one != wanted]
    if len(pieces) > 1 and sorted("".join(pieces)) == sorted(wanted):
        return "VALUE_SPLIT_RECORDS", "was split into several records: it must be one"
    if any(len(one) >= _RECOGNISABLE and wanted.startswith(one) for one in pieces):
        return "VALUE_TRUNCATED", "was cut off: enter the whole value"
    return None


def unquoted(text: str) -> str:
    """Take away the quotation marks, also escaped ones, that a user entered around a value."""
    return text.strip().replace('\\"', '"').strip('"').strip()


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
        for one in value[: _QUOTE_LIMIT + 1]
    )
    if len(printable) <= _QUOTE_LIMIT:
        return printable
    digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()[:12]
    return f"{printable[: _QUOTE_LIMIT - 24]}… (sha256 {digest})"

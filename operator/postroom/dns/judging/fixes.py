# SPDX-License-Identifier: Apache-2.0
"""Building fixes: what has to go, and what has to be there instead.

The name to type and the zone-file form are filled in by `told`, when the zone is known.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile

from postroom.api.findings import (
    REMOVED_LIMIT,
    REMOVED_VALUE_LIMIT,
    Fix,
    FixAction,
    RecordToRemove,
)
from postroom.dns.answers import Answer, RecordType
from postroom.dns.dkim import concealed
from postroom.dns.names import host_label
from postroom.dns.requirements import VALUE_LIMIT, PlannedRecord
from postroom.dns.texts.presentation import presentation
from postroom.dns.texts.quoting import quoted

#: Most characters that all records to remove have, as there may be many findings in a status.
_REMOVED_SIZE = 20_000


def create(planned: PlannedRecord, value: str | None = None) -> Fix | None:
    """Add the record; None where there is no value to hand out."""
    return _publish(FixAction.CREATE, planned, value, ())


def replace(
    planned: PlannedRecord,
    there: Iterable[str],
    value: str | None = None,
    type: RecordType | None = None,
    more: Iterable[RecordToRemove] = (),
) -> Fix | None:
    """Put the record in the place of the values `there`, of the same name and of `type`."""
    gone = removal(planned.name, type or planned.type, there)
    return _publish(FixAction.REPLACE, planned, value, (*gone, *more))


def replacing(
    planned: PlannedRecord, answer: Answer, there: Iterable[str], value: str | None = None
) -> Fix | None:
    """Put the record in the place of the values `there`, or of the CNAME that led to them.

    What stands behind a CNAME is not in this zone, and nothing stands beside one.
    """
    if answer.aliases:
        return replace(planned, answer.aliases[:1], value, type=RecordType.CNAME)
    return replace(planned, there, value)


def move(
    planned: PlannedRecord, name: str, there: Iterable[str], value: str | None = None
) -> Fix | None:
    """Take the record from the wrong `name` to the right one."""
    gone = removal(name, planned.type, there)
    return _publish(FixAction.MOVE, planned, value, gone)


def delete(records: Sequence[RecordToRemove]) -> Fix:
    """Take records away; the rest is as it must be."""
    first = records[0]
    return Fix(
        action=FixAction.DELETE,
        name=first.name,
        type=first.type,
        remove=bounded(records),
    )


def wait() -> Fix:
    """Nothing is to be changed."""
    return Fix(action=FixAction.WAIT)


def external() -> Fix:
    """Someone else has to act: a provider, a registrar, who runs another zone."""
    return Fix(action=FixAction.EXTERNAL)


def removal(name: str, type: RecordType, values: Iterable[str]) -> tuple[RecordToRemove, ...]:
    """Name the records that have to go, as `as_removed` writes their values."""
    return tuple(
        RecordToRemove(name=name, type=type.value, value=as_removed(value))
        for value in sorted(values)
    )


def bounded(records: Iterable[RecordToRemove]) -> list[RecordToRemove]:
    """As many records as a fix has room for; what is left is told when these are gone."""
    named = list(records)
    sizes = accumulate(len(f"{gone.name}{gone.type}{gone.value}") for gone in named)
    fitting = takewhile(lambda pair: pair[1] <= _REMOVED_SIZE, zip(named, sizes, strict=True))
    return [gone for gone, _ in fitting][:REMOVED_LIMIT]


def as_removed(value: str) -> str:
    """A value that has to go, without private keys: whole where people and tools are to find it by
    it, so that a key of DKIM is."""
    return quoted(concealed(value), REMOVED_VALUE_LIMIT)


def _publish(
    action: FixAction, planned: PlannedRecord, value: str | None, gone: Sequence[RecordToRemove]
) -> Fix | None:
    wanted = planned.value if value is None else value
    if not wanted or len(wanted) > VALUE_LIMIT:
        return None
    return Fix(
        action=action,
        name=planned.name,
        type=planned.type.value,
        value=wanted,
        remove=bounded(gone),
    )


def told(fix: Fix, zone: str | None, label: str | None = None) -> Fix:
    """Fill in what to type as name, where the cause left that open, and how a long text is cut."""
    if not fix.name:
        return fix
    long = fix.type == RecordType.TXT.value and len(fix.value) > 255
    return fix.model_copy(
        update={
            "host_label": fix.host_label or label or host_label(fix.name, zone),
            "presentation": presentation(fix.value) if long else "",
        }
    )

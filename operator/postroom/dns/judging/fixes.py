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
    return with_removed(Fix(action=FixAction.DELETE, name=first.name, type=first.type), records)


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


def with_removed(fix: Fix, records: Iterable[RecordToRemove]) -> Fix:
    """A fix with exactly these records to remove: all of them, until `fitting` is asked.

    What takes something away is told as that: of what is only created nobody deletes anything.
    """
    gone = list(records)
    takes = bool(gone) and fix.action is FixAction.CREATE
    action = FixAction.REPLACE if takes else fix.action
    return fix.model_copy(update={"remove": gone, "action": action})


def fitting(fix: Fix) -> Fix:
    """A fix that names as many records as a status has room for; `beyond` tells of the others.

    Nothing stands beside a CNAME, so that all that is at its name goes, and needs no list.
    """
    records = fix.remove
    if len(_with_room(records)) < len(records) and fix.type == RecordType.CNAME.value:
        whole = {
            (gone.name, gone.type, "" if gone.name == fix.name else gone.value): gone
            for gone in records
        }
        records = [
            gone.model_copy(update={"value": value}) for (_, _, value), gone in whole.items()
        ]
    return with_removed(fix, _with_room(records))


def beyond(fix: Fix) -> str:
    """What is to be said of the records that a fix has no room for; "" where it names all."""
    named = fitting(fix).remove
    if len(named) == len(fix.remove) or any(not gone.value for gone in named):
        return ""
    return (
        f"The fix has room for {len(named)} of the {len(fix.remove)} records that have to go: once "
        "these are gone, the next look names the rest."
    )


def _with_room(named: Sequence[RecordToRemove]) -> list[RecordToRemove]:
    sizes = accumulate(len(f"{gone.name}{gone.type}{gone.value}") for gone in named)
    held = takewhile(lambda pair: pair[1] <= _REMOVED_SIZE, zip(named, sizes, strict=True))
    return [gone for gone, _ in held][:REMOVED_LIMIT]


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
    fix = Fix(action=action, name=planned.name, type=planned.type.value, value=wanted)
    return with_removed(fix, gone)


def told(fix: Fix, zone: str | None, label: str | None = None) -> Fix:
    """Fill in what to type as name, where the cause left that open, and how a long text is cut,
    with no more to remove than there is room for."""
    if not fix.name:
        return fix
    fix = fitting(fix)
    long = fix.type == RecordType.TXT.value and len(fix.value) > 255
    return fix.model_copy(
        update={
            "host_label": fix.host_label or label or host_label(fix.name, zone),
            "presentation": presentation(fix.value) if long else "",
        }
    )

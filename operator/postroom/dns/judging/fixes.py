# SPDX-License-Identifier: Apache-2.0
"""Building fixes: what has to go, and what has to be there instead.

The name to type and the zone-file form are filled in by `told`, when the zone is known.
"""

from collections.abc import Iterable, Sequence

from postroom.api.findings import Fix, FixAction, RecordToRemove
from postroom.dns.answers import Answer, RecordType
from postroom.dns.dkim import concealed
from postroom.dns.names import host_label
from postroom.dns.requirements import VALUE_LIMIT, PlannedRecord
from postroom.dns.texts.presentation import presentation
from postroom.dns.texts.quoting import QUOTE_LIMIT, quoted

_REMOVE_LIMIT = 16
#: Longest value that a sentence repeats.
_SAID_LIMIT = 120
#: How the policies begin that are merged with what is there.
_MERGED = ("v=spf1", "v=dmarc1")


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
        remove=list(records[:_REMOVE_LIMIT]),
    )


def wait() -> Fix:
    """Nothing is to be changed."""
    return Fix(action=FixAction.WAIT)


def external() -> Fix:
    """Someone else has to act: a provider, a registrar, who runs another zone."""
    return Fix(action=FixAction.EXTERNAL)


def removal(name: str, type: RecordType, values: Iterable[str]) -> tuple[RecordToRemove, ...]:
    """Name the records that have to go; values as `quoted` writes them, without private keys."""
    return tuple(
        RecordToRemove(name=name, type=type.value, value=quoted(concealed(value)))
        for value in sorted(values)
    )


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
        remove=list(gone[:_REMOVE_LIMIT]),
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


def instruction(fix: Fix | None) -> str:
    """What to do, in the same words for all causes; the value comes last, without full stop."""
    if fix is None:
        return ""
    said = fix.value if len(fix.value) <= _SAID_LIMIT else "the value of the fix in status.findings"
    record = f"{fix.type} {fix.host_label or fix.name}: {said}"
    match fix.action:
        case FixAction.CREATE:
            return f"Publish {record}"
        case FixAction.REPLACE:
            return _changed(fix, said) or _deleted(map(_short, fix.remove), record)
        case FixAction.MOVE:
            return _deleted((f"{removed.type} {removed.name}" for removed in fix.remove), record)
        case FixAction.DELETE:
            return "Delete " + "; ".join(
                f"{removed.type} {removed.name}: {removed.value}" for removed in fix.remove
            )
        case FixAction.WAIT | FixAction.EXTERNAL:
            return ""


def _changed(fix: Fix, said: str) -> str:
    """What a merge changes in place, so that nobody deletes what others still need; "" for
    records that hold nothing of what they replace."""
    same = [
        removed for removed in fix.remove if (removed.name, removed.type) == (fix.name, fix.type)
    ]
    if not same or not fix.value.lower().startswith(_MERGED):
        return ""
    old = same[0].value
    shown = old if len(old) <= _SAID_LIMIT else f"{old[:_SAID_LIMIT]}..."
    change = f"{fix.type} {fix.host_label or fix.name} from {shown} to: {said}"
    gone = ", ".join(_short(removed) for removed in fix.remove if removed is not same[0])
    return f"Delete {gone}, and change {change}" if gone else f"Change {change}"


def _deleted(names: Iterable[str], record: str) -> str:
    gone = ", ".join(dict.fromkeys(names))
    return f"Delete {gone}, then publish {record}" if gone else f"Publish {record}"


def _short(gone: RecordToRemove) -> str:
    """Name a record that has to go, its value only as far as it tells it from others."""
    tells = 0 < len(gone.value) <= QUOTE_LIMIT // 4
    return f"{gone.type} {gone.name} ({gone.value})" if tells else f"{gone.type} {gone.name}"

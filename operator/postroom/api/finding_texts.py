# SPDX-License-Identifier: Apache-2.0
"""What a finding says: what is wrong, then what to do, made into one text.

A status holds the whole text, and what is wrong and the fix beside it: nothing reads the text.
"""

from collections.abc import Iterable

from postroom.api.findings import FINDING_LIMIT, Fix, FixAction, RecordToRemove

#: Longest value that a sentence repeats, if all of it can be seen, and longest that only tells a
#: record from others.
_SAID_LIMIT, _TELLING_LIMIT = 120, 64
#: As much of a value that is to be deleted tells it from others that begin alike, as keys do.
_DELETED_LIMIT = 256
#: How the policies begin that are merged with what is there.
_MERGED = ("v=spf1", "v=dmarc1")
#: What stands for steps that are longer, and would leave no room for what is wrong.
_STEPS_LIMIT = FINDING_LIMIT - 256
_LONG = "Make the change of the fix in status.findings, which names each record"


def joined(wrong: str, fix: Fix | None, more: str = "") -> tuple[str, str]:
    """What is wrong, what follows from it if there is room, and what to do, with the value at the
    end and no full stop; and the same without what to do, "" where nothing is to be done."""
    told = steps(fix)
    room = FINDING_LIMIT - len(told) - 1
    said = wrong if len(wrong) <= room else f"{wrong[: room - 3]}..."
    if more and len(said) + len(more) < room:
        said = f"{said} {more}"
    return (f"{said} {told}", as_summary(said)) if told else (said, "")


#: What to do where nothing is; nobody keeps looking after a check of files.
KEEPS_LOOKING = "Wait: postroom keeps looking."
#: What stands in the place of a value that is too long for a message; where the fix is shown beside
#: it, something else does.
VALUE_APART = "the value of the fix in status.findings"


def as_summary(wrong: str) -> str:
    """What is wrong as a text of its own, which may end with a colon where another goes on; "" for
    what is no sentence without that."""
    if wrong.endswith((":", ";")):
        return f"{wrong[:-1]}."
    return wrong if wrong.endswith((".", "!", "?")) else ""


def in_full(wrong: str, fix: str) -> str:
    """One text of what is wrong, a sentence or one that a colon ends, and what to do, if anything.

    They are carried apart until somebody reads them: nothing tells them apart again for certain.
    """
    return f"{wrong} {fix}" if fix else wrong


def as_instruction(fix: str) -> str:
    """What to do as a text of its own, which may go on where another text ends with a colon."""
    return f"{fix[:1].upper()}{fix[1:]}"


def steps(fix: Fix | None) -> str:
    """What to do with records; "" where it is nothing of the kind. Many long ones are named by the
    fix alone."""
    told = _steps(fix) if fix is not None else ""
    return told if len(told) <= _STEPS_LIMIT else _LONG


def _steps(fix: Fix) -> str:
    is_told = len(fix.value) <= _SAID_LIMIT and fix.value.isprintable()
    said = fix.value if is_told else VALUE_APART
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
                f"{removed.type} {removed.name}: {_cut(removed.value, _DELETED_LIMIT)}"
                for removed in fix.remove
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
    old = _cut(same[0].value, _SAID_LIMIT)
    change = f"{fix.type} {fix.host_label or fix.name} from {old} to: {said}"
    gone = ", ".join(_short(removed) for removed in fix.remove if removed is not same[0])
    return f"Delete {gone}, and change {change}" if gone else f"Change {change}"


def _cut(value: str, limit: int) -> str:
    return value if len(value) <= limit else f"{value[:limit]}..."


def _deleted(names: Iterable[str], record: str) -> str:
    gone = ", ".join(dict.fromkeys(names))
    return f"Delete {gone}, then publish {record}" if gone else f"Publish {record}"


def _short(gone: RecordToRemove) -> str:
    """Name a record that has to go, its value only as far as it tells it from others."""
    tells = 0 < len(gone.value) <= _TELLING_LIMIT
    return f"{gone.type} {gone.name} ({gone.value})" if tells else f"{gone.type} {gone.name}"

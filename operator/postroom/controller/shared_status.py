# SPDX-License-Identifier: Apache-2.0
"""Which part of a status is whose: `postroom deliver` writes how far incoming mail is, the operator
all the rest, and each leaves what is the other's as it stands.

A status is put whole, onto the version that was seen, by both of them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from postroom.api.conditions import ConditionType
from postroom.api.inbound_delivery import PROGRESS_FIELDS as FIELDS
from postroom.api.resource import MAPPINGS

_CONDITION = ConditionType.INBOUND_DELIVERING.value


def without_delivery(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The operator's part of a status."""
    conditions, inbound = status.get("conditions"), status.get("inbound")
    changed: dict[str, Any] = {}
    if isinstance(conditions, list) and any(map(_is_ours, conditions)):
        changed["conditions"] = [each for each in conditions if not _is_ours(each)]
    # What was taken away from may stay as an empty object.
    if isinstance(inbound, MAPPINGS) and (not inbound or any(name in inbound for name in FIELDS)):
        changed["inbound"] = {name: value for name, value in inbound.items() if name not in FIELDS}
    if not changed:
        return status
    left = {**status, **changed}
    if not left.get("inbound", True):
        del left["inbound"]
    return left


def moved(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the operator's part of a status differs: mail handed over is no news to it."""
    return was != now and without_delivery(was) != without_delivery(now)


def with_delivery(
    desired: Mapping[str, Any], stored: Mapping[str, Any], spec: object
) -> dict[str, Any]:
    """What the operator wants of a status, with what stands there of the other's.

    Of a spec that hands no mail over any more nothing is left standing: nobody may be there to take
    it away. Where the API server has put the other's condition it stays, so that its place alone is
    nothing to write.
    """
    own = without_delivery(desired)
    if not delivers(spec):
        return dict(own)
    conditions = _list(stored.get("conditions"))
    placed = [(place, each) for place, each in enumerate(conditions) if _is_ours(each)]
    inbound = stored.get("inbound")
    return _joined(own, placed, inbound if isinstance(inbound, MAPPINGS) else {})


def with_progress(stored: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """What stands of a status, with another part of `postroom deliver`'s in the place of its own.

    Its condition stays in its place, and a new one comes last.
    """
    conditions = _list(stored.get("conditions"))
    place = next((at for at, each in enumerate(conditions) if _is_ours(each)), len(conditions))
    placed = [(place, each) for each in part.get("conditions", ())]
    return _joined(without_delivery(stored), placed, part.get("inbound", {}))


def _joined(
    own: Mapping[str, Any],
    placed: Iterable[tuple[int, Mapping[str, Any]]],
    inbound: Mapping[str, Any],
) -> dict[str, Any]:
    """The operator's part of a status, with delivery's conditions at their places and its fields of
    `inbound`."""
    found = dict(own)
    conditions = list(_list(found.get("conditions")))
    for place, condition in placed:
        conditions.insert(place, condition)
        found["conditions"] = conditions
    kept = {name: inbound[name] for name in FIELDS if name in inbound}
    if kept:
        found["inbound"] = {**found.get("inbound", {}), **kept}
    return found


def delivers(spec: object) -> bool:
    """Whether a spec, as it was written, hands mail over."""
    inbound = spec.get("inbound") if isinstance(spec, MAPPINGS) else None
    return isinstance(inbound, MAPPINGS) and isinstance(inbound.get("deliver"), Mapping)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_ours(condition: object) -> bool:
    return isinstance(condition, MAPPINGS) and condition.get("type") == _CONDITION

# SPDX-License-Identifier: Apache-2.0
"""What kube-state-metrics makes of a custom resource by a CustomResourceStateMetrics config, as far
as ours goes: paths without lookups; Gauge, Info and StateSet; conversions of values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from postroom.api.times import parse_timestamp

_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0, "unknown": 0.0}


class Series(NamedTuple):
    """A series of an object: the labels sorted, and the value."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


def series(resource: Mapping[str, Any], obj: Mapping[str, Any]) -> Iterator[Series]:
    """Every series of an object; raises `ValueError` for a value that is no number."""
    common = _labels(resource["labelsFromPath"], obj)
    for metric in resource["metrics"]:
        each = metric["each"]
        name = f"{resource['metricNamePrefix']}_{metric['name']}"
        details = each[each["type"][0].lower() + each["type"][1:]]
        for element in _elements(at(obj, details.get("path", ()))):
            for labels, value in _values(each["type"], details, element):
                yield Series(name, tuple(sorted({**common, **labels}.items())), value)


def at(value: Any, path: Sequence[str]) -> Any:
    """What is at a path, or None."""
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _elements(value: Any) -> list[Any]:
    found = value if isinstance(value, list) else [value]
    return [element for element in found if element is not None]


def _values(
    kind: str, details: Mapping[str, Any], element: Any
) -> Iterator[tuple[dict[str, str], float]]:
    own = _labels(details.get("labelsFromPath", {}), element)
    if kind == "Info":
        if own:
            yield own, 1.0
    elif kind == "StateSet":
        for state in details["list"]:
            yield {**own, details["labelName"]: state}, float(state == element)
    else:
        found = at(element, details.get("valueFrom", ()))
        if found is not None:
            yield own, _number(found)


def _labels(paths: Mapping[str, Sequence[str]], value: Any) -> dict[str, str]:
    found = {name: at(value, path) for name, path in paths.items()}
    return {name: str(text) for name, text in found.items() if text is not None}


def _number(value: Any) -> float:
    if not isinstance(value, str):
        return float(value)
    word = _WORDS.get(value.lower())
    return word if word is not None else parse_timestamp(value).timestamp()

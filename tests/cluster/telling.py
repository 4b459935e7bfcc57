# SPDX-License-Identifier: Apache-2.0
"""What a failure on a cluster tells by itself: what is not well with the objects of the test, and
how the logs of its processes end. It is short, for who has no more than the end of a run."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.api_client import read
from cluster.objects import path_of
from kstatus import ABNORMAL_TRUE, conditions_of
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

#: Lines of conditions and of each log, columns, and logs.
_CONDITIONS, _LINES, _COLUMNS, _LOGS = 20, 12, 220, 3
_NAME = re.compile(r"^[a-z0-9-]+$")
#: What is at the head of each line of a log, and tells nothing here.
_DATE = re.compile(r"^\d{4}-\d\d-\d\dT")


def sections(item: pytest.Item, began: float) -> Iterator[tuple[str, str]]:
    """What to show beneath a failure of a test that began at a time: headings and texts."""
    told = [_cut(line) for line in _conditions(item)]
    if told:
        more = [f"... and {len(told) - _CONDITIONS} more"] if len(told) > _CONDITIONS else []
        yield "what is not well", "\n".join([*told[:_CONDITIONS], *more])
    # A test may have made them without a fixture, so that nothing but the traceback knows them.
    running = [each for each in gc.get_objects() if _is_process(each)]
    logs = {each.log: each for each in running if each.log.exists()}
    late = sorted(path for path in logs if path.stat().st_mtime >= began)
    for path in late[:_LOGS]:
        lines = path.read_text(errors="replace").splitlines()[-_LINES:]
        ended = logs[path].exit_code()
        state = "runs" if ended is None else f"ended with {ended}"
        text = "\n".join(_cut(_DATE.sub("", line)) for line in lines)
        yield f"end of {path.name}, whose process {state}", text


def _is_process(found: object) -> bool:
    """Without asking the object itself, which may be a proxy of one that is gone."""
    return issubclass(type(found), OperatorProcess)


def _cut(line: str) -> str:
    return line if len(line) <= _COLUMNS else line[:_COLUMNS] + "..."


def _conditions(item: pytest.Item) -> Iterator[str]:
    """What is not well in the namespaces that the fixtures of a test name."""
    given = list(getattr(item, "funcargs", {}).values())
    plane = next((each for each in given if isinstance(each, ControlPlane)), None)
    if plane is None:
        return
    # A namespace, or what has one, such as the place of a fault.
    named = [*given, *(getattr(each, "namespace", None) for each in given)]
    named += [getattr(each, "name", None) for each in given]
    for namespace in sorted(
        {each for each in named if isinstance(each, str) and _NAME.match(each)}
    ):
        for kind in Kind:
            try:
                there = read(plane, path_of(namespace, kind))["items"]
            except Exception as error:
                # A report on one failure makes no other.
                yield f"{namespace}: {error}"
                return
            for each in there:
                yield from (f"{kind} {each['metadata']['name']}: {said}" for said in _unwell(each))


def _unwell(found: dict[str, Any]) -> Iterator[str]:
    """What is not well with one object."""
    conditions = conditions_of(found)
    if not conditions:
        yield "no condition at all"
    for name, said in conditions.items():
        if (said["status"] == "True") is (name in ABNORMAL_TRUE):
            yield f"{name} {said['status']} {said['reason']}: {said['message']}"

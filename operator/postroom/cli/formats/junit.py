# SPDX-License-Identifier: Apache-2.0
"""JUnit's XML, as Jenkins' schema has it: a test for each object, and one for each file that could
not be read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.cli.formats.remarks import INVALID_INPUT, Level, Remark
from postroom.cli.formats.results import CheckResult, path_of
from postroom.log import on_one_line, without_commands

#: What XML 1.0 has no way to write (section 2.2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: CheckResult) -> str:
    """One suite; what is broken is a failure, what could not be looked at is skipped."""
    cases = [*_of_input(result.remarks), *(_of_object(raw, result) for raw in result.objects)]
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    said = {"name": "postroom check", **{name: str(count) for name, count in counts.items()}}
    top = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(top, "testsuite", said)
    suite.extend(cases)
    ElementTree.indent(top)
    lines = ElementTree.tostring(top, "unicode").split("\n")
    text = "\n".join(without_commands(line, "&#{};") for line in lines)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _of_input(remarks: Sequence[Remark]) -> Iterator[ElementTree.Element]:
    of_files: dict[str, list[Remark]] = {}
    for remark in remarks:
        if remark.key is None:
            of_files.setdefault(remark.file, []).append(remark)
    for file, mine in of_files.items():
        case = _case("input", path_of(file))
        is_unread = all(remark.level is not Level.ERROR for remark in mine)
        _put(case, "skipped" if is_unread else "error", mine)
        yield case


def _of_object(raw: Mapping[str, Any], result: CheckResult) -> ElementTree.Element:
    metadata, mine = raw["metadata"], result.of(raw)
    case = _case(f"{raw['kind']}", f"{metadata['namespace']}/{metadata['name']}")
    errors = [remark for remark in mine if remark.level is Level.ERROR]
    told: Sequence[Remark] = ()
    conditions = (raw.get("status") or {}).get("conditions", [])
    status = {each["type"]: each["status"] for each in conditions}
    if any(remark.code == INVALID_INPUT for remark in mine):
        _put(case, "error", told := errors)
    elif status.get(ConditionType.SUSPENDED) == ConditionStatus.TRUE:
        ElementTree.SubElement(case, "skipped", {"message": "is suspended"})
    elif status.get(ConditionType.READY) == ConditionStatus.FALSE:
        _put(case, "failure", told := errors)
    elif status.get(ConditionType.READY) != ConditionStatus.TRUE:
        _put(case, "skipped", told := mine)
    # What is not required is wrong, too, though nothing fails by it.
    if rest := [remark for remark in mine if remark not in told]:
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(map(_line, rest)))
    return case


def _case(group: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", {"classname": _clean(group), "name": _clean(name)})


def _put(case: ElementTree.Element, tag: str, remarks: Sequence[Remark]) -> None:
    """Add how a test ended: the first remark in short, all of them in full."""
    about = {"message": _clean(remarks[0].message)} if remarks else {}
    kind = {"type": remarks[0].code} if remarks else {}
    ended = ElementTree.SubElement(case, tag, about | kind)
    ended.text = _clean("\n".join(map(_line, remarks)))


def _line(remark: Remark) -> str:
    """A remark with its place, as compilers write it, which editors and CI make links of."""
    where = on_one_line(path_of(remark.file))
    if remark.region is not None:
        where += f":{remark.region.start.line}:{remark.region.start.column}"
    return f"{where}: {remark.level.value}: {remark.code}: {remark.sentence}"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)

# SPDX-License-Identifier: Apache-2.0
"""Runs the published RFC 7208 test suite against the evaluator: every case, none left out.

The file is in the source distribution of pyspf, as test/rfc7208-tests.yml:

    pip download --no-deps --no-binary pyspf pyspf
    PYTHONPATH=operator:tests python -m differential.rfc7208_suite rfc7208-tests.yml

Exits with 1 if a case fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.spf import check_host_with

_ALIASES_LIMIT = 8
_EVERY_TYPE = "every type"

#: By name: pairs of a type and a value.
Zone = dict[str, list[tuple[str, Any]]]


def zone_of(data: dict[str, list[Any]]) -> Zone:
    """Read the zone of a scenario; a record of type SPF stands for a TXT unless there are some."""
    zone: Zone = {}
    for name, entries in data.items():
        records = [
            (_EVERY_TYPE, entry) if isinstance(entry, str) else next(iter(entry.items()))
            for entry in entries
        ]
        if not any(kind == "TXT" for kind, _value in records):
            records += [("TXT", value) for kind, value in records if kind == "SPF"]
        zone[name.lower()] = [record for record in records if record[1] != "NONE"]
    return zone


def answer(zone: Zone, name: str, kind: RecordType, depth: int = 0) -> Answer:
    """Answer as a resolver would that serves the zone."""
    question = Question(name, kind)
    records = zone.get(name)
    if records is None:
        return Answer(question, Outcome.NX_DOMAIN)
    found = [value for type_, value in records if type_ == kind]
    if "TIMEOUT" in found:
        return Answer(question, Outcome.TIMEOUT)
    if found:
        return Answer(question, Outcome.FOUND, tuple(_written(kind, one) for one in found))
    if any(type_ == _EVERY_TYPE for type_, _value in records):
        return Answer(question, Outcome.TIMEOUT)
    targets = [value for type_, value in records if type_ == "CNAME"]
    if targets and depth >= _ALIASES_LIMIT:
        return Answer(question, Outcome.SERVER_FAILURE)
    if targets:
        return answer(zone, targets[0].removesuffix(".").lower(), kind, depth + 1)
    return Answer(question, Outcome.NO_DATA)


def _written(kind: RecordType, value: Any) -> str:
    if kind is RecordType.MX:
        return f"{value[0]} {value[1]}"
    text = "".join(value) if isinstance(value, list) else str(value)
    return text.encode().decode("latin-1") if kind is RecordType.TXT else text


def failures(scenario: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong, one line per failed case of a scenario."""
    zone = zone_of(scenario["zonedata"])
    for name, case in scenario["tests"].items():
        found = check_host_with(
            case["host"],
            case["mailfrom"],
            case["helo"],
            lambda host, kind: answer(zone, host, kind),
        )
        wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
        if found.result not in wanted:
            yield f"{name}: {found.result} instead of {' or '.join(wanted)}"
        text = case.get("explanation")
        if text and found.result == "fail" and (found.explanation or "DEFAULT") != text:
            yield f"{name}: {found.explanation!r} instead of {text!r}"


def main() -> int:
    """Run the suite that the first argument names."""
    scenarios = list(yaml.load_all(Path(sys.argv[1]).read_bytes(), Loader=yaml.CSafeLoader))
    failed = [failure for scenario in scenarios for failure in failures(scenario)]
    total = sum(len(scenario["tests"]) for scenario in scenarios)
    print(*failed, f"{total - len(failed)} of {total} cases pass", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

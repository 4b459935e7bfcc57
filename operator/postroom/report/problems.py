# SPDX-License-Identifier: Apache-2.0
"""A finding of a status, or a condition without one, as a reader meets it."""

from collections.abc import Mapping
from typing import Any

from postroom.api import reasons
from postroom.api.conditions import ConditionStatus
from postroom.api.finding_texts import in_full
from postroom.api.findings import FIELD_LIMIT, FINDINGS_LIMIT, REMOVED_LIMIT, FixAction, Severity
from postroom.api.names import Kind
from postroom.report import shape, turns, untrusted, waiting

#: Records that a status lists at most, and values that it has seen of one.
_RECORDS, _OBSERVED = 64, 10
_SEVERITIES = [severity.value for severity in Severity]
_GRAVE, _MILD = Severity.ERROR.value, Severity.WARNING.value
_TYPE = 10


class Reader:
    """Reads what one object's status says is wrong with it."""

    def __init__(self, kind: Kind, raw: Mapping[str, Any], source: shape.ReportSource) -> None:
        self.status = untrusted.mapping(raw.get("status"))
        self.outlook = turns.Outlook.of(raw)
        self.interval = waiting.interval_of(kind, untrusted.mapping(raw.get("spec")))
        self._source = source
        records = untrusted.mappings(self.status.get("records"), _RECORDS)
        self._states = {untrusted.text(each.get("id")): str(each.get("state")) for each in records}

    def problems(self) -> list[shape.ReportedProblem]:
        """What the findings say, worst first; of one that is not Ready at least its condition."""
        found = untrusted.mappings(self.status.get("findings"), FINDINGS_LIMIT)
        problems = [self._problem(finding) for finding in found]
        outlook = self.outlook
        if not problems and outlook.ready and not outlook.works and outlook.message:
            turn = turns.of_reason(outlook.reason)
            problems = [
                self._timed(
                    shape.ReportedProblem(
                        code=outlook.reason,
                        severity=_GRAVE if outlook.ready == ConditionStatus.FALSE else _MILD,
                        turn=turn,
                        message=outlook.message,
                    )
                )
            ]
        if outlook.undelivered is not None and not outlook.resting:
            undelivered = outlook.undelivered
            state, reason, message = undelivered
            known = reasons.Reason(reason) if reason in reasons.CATALOGUE else None
            problems.append(
                self._timed(
                    shape.ReportedProblem(
                        code=reason,
                        severity=_GRAVE if state == ConditionStatus.FALSE else _MILD,
                        turn=turns.of_delivery(undelivered),
                        message=message,
                        instruction=reasons.CATALOGUE[known].remedy if known is not None else "",
                    )
                )
            )
        return sorted(problems, key=lambda problem: _SEVERITIES.index(problem.severity))

    def records(self) -> list[shape.DeclaredRecord]:
        """Every record that a domain needs."""
        return [
            shape.DeclaredRecord(
                **_values(record),
                host=untrusted.text(record.get("hostLabel"), untrusted.NAME),
                purpose=untrusted.text(record.get("purpose"), untrusted.NAME),
                required=record.get("required") is True,
                state=untrusted.text(record.get("state"), untrusted.NAME),
                observed=untrusted.texts(record.get("observed"), _OBSERVED, untrusted.SENTENCE),
            )
            for record in untrusted.mappings(self.status.get("records"), _RECORDS)
        ]

    def _problem(self, finding: Mapping[str, Any]) -> shape.ReportedProblem:
        fix = untrusted.mapping(finding.get("fix"))
        gone = untrusted.mappings(fix.get("remove"), REMOVED_LIMIT)
        remove = [shape.RecordValue(**_values(each)) for each in gone]
        told = untrusted.text(fix.get("instruction"), untrusted.SENTENCE)
        severity = untrusted.text(finding.get("severity"), untrusted.NAME)
        return self._timed(
            shape.ReportedProblem(
                code=untrusted.text(finding.get("code"), untrusted.NAME),
                severity=severity if severity in _SEVERITIES else _MILD,
                turn=turns.of_finding(finding, self._states),
                field=untrusted.text(finding.get("field"), FIELD_LIMIT),
                # Without what to do, which is shown as steps, if more is said than that.
                message=untrusted.text(finding.get("summary"))
                or untrusted.text(finding.get("message")),
                instruction=in_full(told, untrusted.text(fix.get("meanwhile"))),
                paste=untrusted.text(fix.get("manifest"), untrusted.SENTENCE),
                remove=remove,
                publish=_published(fix),
                ask=untrusted.text(finding.get("ask")),
                because=untrusted.texts(finding.get("because"), 8),
            ),
            untrusted.count(finding.get("cachedSeconds")),
        )

    def _timed(
        self, problem: shape.ReportedProblem, cached: int | None = None
    ) -> shape.ReportedProblem:
        takes = waiting.of_problem(problem, self.interval, self._source, cached)
        return problem.model_copy(update={"takes": takes})


def _published(fix: Mapping[str, Any]) -> shape.RecordValue | None:
    """The record that a fix adds; None where it adds none."""
    value = untrusted.text(fix.get("value"), untrusted.VALUE)
    if not value or fix.get("action") in (FixAction.DELETE, FixAction.WAIT, FixAction.EXTERNAL):
        return None
    return shape.RecordValue(
        **_values(fix),
        host=untrusted.text(fix.get("hostLabel"), untrusted.NAME),
        zone_file=untrusted.text(fix.get("presentation"), untrusted.VALUE),
    )


def _values(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        "type": untrusted.text(record.get("type"), _TYPE),
        "name": untrusted.text(record.get("name"), untrusted.NAME),
        "value": untrusted.text(record.get("value"), untrusted.VALUE),
    }

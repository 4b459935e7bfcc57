# SPDX-License-Identifier: Apache-2.0
"""What a check has to remark, worst first of each object: what is wrong with the input, and the
findings, each with the field that it is about and the place of that field."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from postroom.api.conditions import ConditionStatus, ConditionType, find, is_true
from postroom.api.field_paths import written
from postroom.api.finding_texts import KEEPS_LOOKING
from postroom.api.findings import Finding, FixAction, Severity
from postroom.api.names import Key
from postroom.api.reasons import Reason
from postroom.api.status import CommonStatus
from postroom.cli.formats.finding_fields import place_of
from postroom.cli.formats.origins import Origins
from postroom.cli.manifests import Manifests
from postroom.cli.text_places import Region, Spot
from postroom.cli.yaml_documents import Complaint
from postroom.log import on_one_line

#: The code of everything that is wrong with the input itself.
INVALID_INPUT = "INVALID_INPUT"


class Level(StrEnum):
    """How much a remark weighs. By an error the check fails where what it is about is required."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_LEVELS = {
    Severity.ERROR: Level.ERROR,
    Severity.WARNING: Level.WARNING,
    Severity.INFO: Level.NOTE,
}


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a reader of the manifests should see, and where.

    `key` is None, and `field` empty, where the input could not be read as far. `fingerprint` stays
    the same while lines move. `region` is None where no line is known.
    """

    code: str
    level: Level
    message: str
    fix: str = ""
    key: Key | None = None
    field: str = ""
    subject: str = ""
    file: str = ""
    region: Region | None = None
    fingerprint: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, and on a line of its own what to do about it."""
        return f"{self.message}\nFix: {self.fix}" if self.fix else self.message

    @property
    def place(self) -> str:
        """The object and its field, as one reads them: ``SendingDomain mail/example spec.spf``."""
        if self.key is None:
            return ""
        name = f"{self.key.kind.value} {self.key.namespace}/{self.key.name}"
        return f"{name} {self.field}".rstrip()


def remarks_of(
    found: Manifests, statuses: Iterable[tuple[Key, CommonStatus]], origins: Origins
) -> list[Remark]:
    """Everything there is to remark, the input first."""
    keys = {id(manifest): key for key, manifest in found.resources.items()}
    remarks = [_of_complaint(complaint, keys, origins) for complaint in found.complaints]
    for key, status in statuses:
        remarks += _of_object(key, status, found, origins)
    return list(_marked(remarks))


def _of_complaint(complaint: Complaint, keys: Mapping[int, Key], origins: Origins) -> Remark:
    manifest, region = complaint.manifest, complaint.region
    if region is None and complaint.line:
        region = Region(Spot(complaint.line, 1, 1))
    place = (complaint.file, region)
    if manifest is not None:
        place = origins.place(manifest, complaint.path)
    return Remark(
        INVALID_INPUT,
        Level.WARNING if complaint.unread else Level.ERROR,
        on_one_line(complaint.message),
        key=keys.get(id(manifest)),
        field=written(complaint.path),
        file=place[0],
        region=place[1],
    )


def _of_object(
    key: Key, status: CommonStatus, found: Manifests, origins: Origins
) -> Iterator[Remark]:
    manifest = found.resources.get(key)
    if manifest is None or is_true(status.conditions, ConditionType.SUSPENDED):
        return
    said = {complaint.file for complaint in found.complaints}
    for finding in _findings(status):
        if finding.code == Reason.INVALID_SPEC.name and manifest.file in said:
            continue  # the input has a better word on it, with its line
        path = place_of(finding, manifest.raw)
        file, region = origins.place(manifest, path)
        yield Remark(
            finding.code,
            _LEVELS[finding.severity],
            finding.message,
            fix_in_words(finding),
            key,
            written(path),
            finding.subject,
            file,
            region,
        )


def _findings(status: CommonStatus) -> Sequence[Finding]:
    """The findings of a status, one of which tells why an object is not Ready."""
    findings: Sequence[Finding] = getattr(status, "findings", ())
    ready = find(status.conditions, ConditionType.READY)
    if ready is None or ready.status is ConditionStatus.TRUE:
        return findings
    is_broken = ready.status is ConditionStatus.FALSE
    if any(finding.severity is Severity.ERROR for finding in findings) or (
        findings and not is_broken
    ):
        return findings
    severity = Severity.ERROR if is_broken else Severity.WARNING
    code = Reason(ready.reason).name
    told = Finding(code=code, severity=severity, subject="Ready", message=ready.message)
    return (told, *(finding for finding in findings if finding.code != code))


def fix_in_words(finding: Finding) -> str:
    """What to do about a finding, in a line; "" where its message says that."""
    fix = finding.fix
    if fix is None:
        return ""
    if fix.action is FixAction.WAIT:
        # Nobody keeps looking after a check.
        return "Wait." if fix.instruction in ("", KEEPS_LOOKING) else fix.instruction
    if fix.action is FixAction.EXTERNAL:
        is_said = finding.summary or finding.message == fix.instruction
        return "" if is_said else fix.instruction
    gone = [
        f"delete {record.type} {record.name}" + (f" {record.value}" if record.value else "")
        for record in fix.remove
    ]
    come = [] if fix.action is FixAction.DELETE else [f"add {fix.type} {fix.name} {fix.value}"]
    return f"{fix.action.value}: {'; '.join(gone + come)}"


def _marked(remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Give each its fingerprint: of what it is about, not of where that stands today."""
    seen: Counter[str] = Counter()
    for remark in remarks:
        # Of bad input little else is known; its message holds no value.
        about = remark.message if remark.code == INVALID_INPUT else ""
        parts = (remark.code, remark.place, remark.subject, remark.file, about)
        mark = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
        again = seen[mark]
        seen[mark] += 1
        if again:
            mark = hashlib.sha256(f"{mark} {again}".encode()).hexdigest()
        yield replace(remark, fingerprint=mark)

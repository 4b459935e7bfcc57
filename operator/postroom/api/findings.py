# SPDX-License-Identifier: Apache-2.0
"""Findings: root causes with one fix each, worst first."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.fields import Model, no_entries

#: Most findings that a status holds, and most characters of what one says.
FINDINGS_LIMIT, FINDING_LIMIT = 32, 1024
#: Longest path of a field that a finding names, in characters.
FIELD_LIMIT = 256
#: Longest instruction of a fix, and what is said of the time until then, in characters.
INSTRUCTION_LIMIT, MEANWHILE_LIMIT = 1024, 256
#: Longest object to apply, in characters.
MANIFEST_LIMIT = 1024
#: Longest value of a record to remove that is told whole: an RSA key of 4096 bits has some 750
#: characters. All that stands at a name is much more, and there are many findings in a status.
REMOVED_VALUE_LIMIT = 1024


#: Most records that a fix removes: where more stand at one name, some go in a second step.
REMOVED_LIMIT = 64


class Severity(StrEnum):
    """How bad it is: Error keeps something from working, Warning may, Info is advice."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


class FixAction(StrEnum):
    """What to do about a finding."""

    CREATE = "Create"
    REPLACE = "Replace"
    DELETE = "Delete"
    MOVE = "Move"
    WAIT = "Wait"
    EXTERNAL = "External"  # something that no record of this zone can mend


class RecordToRemove(Model):
    """One record that has to go, as it stands in DNS."""

    name: Annotated[str, StringConstraints(max_length=253)] = Field(
        description="Fully qualified name."
    )
    type: Annotated[str, StringConstraints(max_length=10)] = Field(description="Record type.")
    value: Annotated[str, StringConstraints(max_length=4096)] = Field(
        description="Its value, characters outside of printable ASCII as \\DDD; empty: all records "
        "of this name and type. Of more than 1024 characters the beginning, with a hash; a private "
        "key is left out."
    )


class Fix(Model):
    """One change that mends a finding; applying it to the zone makes the record valid.

    First everything in `remove` goes, then, but for Delete, Wait and External, the record is added.
    """

    action: FixAction = Field(
        description="Create, Replace, Delete, Move, Wait, or External: up to someone else."
    )
    name: Annotated[str, StringConstraints(max_length=253)] = Field(
        default="", description="Fully qualified name of the record."
    )
    host_label: Annotated[str, StringConstraints(max_length=253)] = Field(
        default="", description="What to type as name at the DNS host."
    )
    type: Annotated[str, StringConstraints(max_length=10)] = Field(
        default="", description="Record type."
    )
    value: Annotated[str, StringConstraints(max_length=4096)] = Field(
        default="", description="The value to publish."
    )
    presentation: Annotated[str, StringConstraints(max_length=8192)] = Field(
        default="",
        description="The value as a zone file writes it, where a text is longer than one string "
        "of 255 bytes.",
    )
    instruction: Annotated[str, StringConstraints(max_length=INSTRUCTION_LIMIT)] = Field(
        default="",
        description="What to do where it is no record that mends it.",
    )
    manifest: Annotated[str, StringConstraints(max_length=MANIFEST_LIMIT)] = Field(
        default="",
        description="The object to apply, as YAML, where the instruction asks for that.",
    )
    meanwhile: Annotated[str, StringConstraints(max_length=MEANWHILE_LIMIT)] = Field(
        default="",
        description="What postroom does until then, where that is not the usual: credentials that "
        "were refused are not sent again, say.",
    )
    remove: Annotated[list[RecordToRemove], Field(max_length=REMOVED_LIMIT)] = Field(
        default_factory=no_entries, description="Records that have to go first."
    )


class Finding(Model):
    """A cause that was found, with the sentence for people and the fix for hands or tools."""

    code: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Z][A-Z0-9_]*$")] = Field(
        description="Stable code of the cause."
    )
    severity: Severity = Field(description="Error, Warning or Info.")
    subject: Annotated[str, StringConstraints(max_length=253)] = Field(
        default="", description="What it is about: the id of a record, or a stage."
    )
    field: Annotated[str, StringConstraints(max_length=FIELD_LIMIT)] = Field(
        default="",
        description="The field of the object that it is about, such as spec.dkim[0]: always one "
        "that the object had when it was looked at. Absent in what an earlier version wrote.",
    )
    message: Annotated[str, StringConstraints(max_length=FINDING_LIMIT)] = Field(
        description="What was found, what was expected and what to do."
    )
    summary: Annotated[str, StringConstraints(max_length=FINDING_LIMIT)] = Field(
        default="",
        description="What is wrong, without what to do, which the fix says; empty where the "
        "message says no more.",
    )
    cached_seconds: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="How long caches keep what is there, at most, in seconds; absent where that is "
        "not known.",
    )
    ask: Annotated[str, StringConstraints(max_length=600)] = Field(
        default="",
        description="The question to DNS that shows it, to be typed into a shell.",
    )
    because: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(max_length=8)
    ] = Field(default=(), description="Codes of what else was found about the same record.")
    fix: Fix | None = Field(
        default=None, description="The one change that mends it, if there is one."
    )

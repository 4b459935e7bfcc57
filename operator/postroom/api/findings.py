# SPDX-License-Identifier: Apache-2.0
"""Findings: root causes with one fix each, worst first."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.fields import Model

#: Most findings that a status holds.
FINDINGS_LIMIT = 32


class Severity(StrEnum):
    """How bad it is: Error keeps something from working, Warning may, Info is advice."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


class FixAction(StrEnum):
    """What to do with the DNS record that a fix names."""

    CREATE = "Create"
    REPLACE = "Replace"
    DELETE = "Delete"
    WAIT = "Wait"


class Fix(Model):
    """One change that mends a finding; applying it to the zone makes the record valid."""

    action: FixAction = Field(
        description="Create, Replace (all records of this purpose), Delete or Wait."
    )
    name: Annotated[str, StringConstraints(max_length=253)] = Field(
        default="", description="Fully qualified name of the record."
    )
    type: Annotated[str, StringConstraints(max_length=10)] = Field(
        default="", description="Record type."
    )
    value: Annotated[str, StringConstraints(max_length=4096)] = Field(
        default="", description="The value to publish; for Delete the value to remove."
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
    message: Annotated[str, StringConstraints(max_length=1024)] = Field(
        description="What was found, what was expected and what to do."
    )
    fix: Fix | None = Field(
        default=None, description="The one change that mends it, if there is one."
    )

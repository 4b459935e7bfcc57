# SPDX-License-Identifier: Apache-2.0
"""The shape of a report, as `postroom report --json` prints it and the page shows it.

`SCHEMA` names the version: within it fields are added, never renamed, removed, or given another
meaning.
"""

from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from postroom.api.fields import Model

SCHEMA = "postroom.dev/report/v1"


class Turn(StrEnum):
    """Whose turn it is, the most urgent first."""

    #: Somebody has to publish, correct or grant something.
    YOURS = "Yours"
    #: It goes on by itself once another object works.
    BEHIND = "Behind"
    #: A look failed for a passing reason, or is under way: postroom looks again.
    RETRIED = "Retried"
    #: What was published is there; others still remember what was there before.
    SPREADING = "Spreading"
    #: postroom has not looked at it yet, as it is now.
    UNSEEN = "Unseen"
    #: It works, and something about it could be better.
    ADVISED = "Advised"
    NOBODY = "Nobody"
    #: Somebody switched it off.
    RESTING = "Resting"


#: In that order.
TURNS = tuple(Turn)


#: Kind, namespace and name of an object.
Place = tuple[str, str, str]


class ReportSource(StrEnum):
    """What was looked at."""

    FILES = "Files"
    INPUT = "Input"
    CLUSTER = "Cluster"
    OPERATOR = "Operator"


class ReportedName(Model):
    """An object, and where the page has it."""

    kind: str = Field(description="Its kind.")
    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")
    anchor: str = Field(description="Fragment of the page; empty: the report does not have it.")


class RecordValue(Model):
    """A DNS record."""

    type: str = Field(description="Record type.")
    host: str = Field(default="", description="What to type as name at the DNS host.")
    name: str = Field(description="Fully qualified name.")
    value: str = Field(description="Its value; empty: all records of this name and type.")
    zone_file: str = Field(default="", description="The value as a zone file writes it, if long.")


class DeclaredRecord(RecordValue):
    """A record that a domain needs."""

    purpose: str = Field(description="What it is for.")
    required: bool = Field(description="Whether the domain counts as verified only with it.")
    state: str = Field(description="Valid, Missing, Wrong, Conflicting, Propagating or Unknown.")
    observed: list[str] = Field(description="What the zone's name servers answer now.")


class ReportedProblem(Model):
    """One cause, and the one change that mends it."""

    code: str = Field(description="Stable code of the cause.")
    severity: str = Field(description="Error, Warning or Info.")
    turn: Turn = Field(description="Whose turn it is.")
    field: str = Field(default="", description="The field of the object that it is about.")
    message: str = Field(description="What was found and what it means.")
    instruction: str = Field(default="", description="What to do where it is no record.")
    paste: str = Field(default="", description="The object or text to paste for it.")
    remove: list[RecordValue] = Field(default=[], description="Records that have to go first.")
    publish: RecordValue | None = Field(default=None, description="The record to publish.")
    takes: str = Field(default="", description="How long it takes to count.")
    ask: str = Field(default="", description="The question to DNS that shows it, for a shell.")
    because: list[str] = Field(default=[], description="Codes of what else was found about it.")


class Listed(NamedTuple):
    """An object in a list of many: what it is found by, and in what order."""

    kind: str
    namespace: str
    name: str
    turn: Turn
    title: str
    #: The code of the first problem, else the reason of Ready.
    cause: str
    #: What it waits for.
    behind: tuple[Place, ...]
    #: What a search looks through, without case.
    text: str
    rank: tuple[int, str, int, str]


class ReportedObject(ReportedName):
    """One object."""

    title: str = Field(description="The domain, the address or the server; else its name.")
    turn: Turn = Field(description="Whose turn it is.")
    ready: str = Field(description="True, False or Unknown; empty: nobody looked.")
    reason: str = Field(description="Stable reason of that.")
    message: str = Field(description="The sentence of that, where no problem says it.")
    problems: list[ReportedProblem] = Field(description="Causes, worst first.")
    records: list[DeclaredRecord] = Field(description="All DNS records that a domain needs.")
    behind: list[ReportedName] = Field(description="What it waits for.")
    holds_up: list[ReportedName] = Field(description="What waits for it.")
    dns_host: str = Field(default="", description="Who hosts the zone, as far as is known.")
    zone: str = Field(default="", description="The DNS zone that holds the domain.")
    checked: str | None = Field(default=None, description="When it was looked at.")
    since: str | None = Field(default=None, description="Since when it is so.")
    deadline: str | None = Field(
        default=None, description="Until when the first success is waited for."
    )
    takes: str = Field(default="", description="What happens next, and when.")
    waiting: int | None = Field(
        default=None,
        description="Messages that wait for the application that gets incoming mail; absent: none "
        "gets it.",
    )
    handed_over: str | None = Field(
        default=None, description="When it was given a message last, as far as is known."
    )
    passed_by: int = Field(
        default=0, description="Messages that it refused for so long that they were passed by."
    )


class ReportCounts(Model):
    """How many objects there are, by whose turn it is."""

    total: int = Field(description="All objects.")
    turns: dict[Turn, int] = Field(description="How many of each turn; those of none are absent.")


class EmailReport(Model):
    """All of it."""

    schema_: str = Field(default=SCHEMA, alias="schema", description="Version of this shape.")
    made: str = Field(description="When it was made.")
    made_by: str = Field(description="Program and version.")
    source: ReportSource = Field(description="What was looked at: Files, Input, Cluster, Operator.")
    namespaces: list[str] = Field(description="Namespaces of the objects, sorted.")
    counts: ReportCounts = Field(description="The summary.")
    objects: list[ReportedObject] = Field(description="By turn, then namespace, kind and name.")

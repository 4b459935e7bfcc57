# SPDX-License-Identifier: Apache-2.0
"""The catalogue of DNS findings: stable codes, how bad each is, and what it means.

``postroom explain CODE`` and the pages below ``docs/findings/`` are made from it. It is data: one
file per family in ``catalogue/``.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.data_files import Row, read
from postroom.api.findings import FINDING_LIMIT, Finding, Fix, Severity
from postroom.dns.answers import PORT, RecordType, Zone
from postroom.dns.finding_codes import Code
from postroom.dns.names import is_within

_ASKABLE = re.compile(r"[A-Za-z0-9_.-]{1,253}")
#: What can be asked for where the shell is kept from reading it.
_ASKABLE_QUOTED = re.compile(r"(?:[A-Za-z0-9_.*-]|\\[0-9]{3}){1,253}")
_PACKAGE = "postroom.dns"
#: The files, in the order in which the documentation has them.
FAMILIES = (
    "names",
    "types",
    "values",
    "ownership",
    "dkim",
    "spf",
    "dmarc",
    "mx",
    "transport",
    "resolution",
    "publishing",
    "receivers",
)
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]
_Sentence = Annotated[str, StringConstraints(min_length=10, max_length=400, pattern=r"\.$")]


class FindingEntry(Row):
    """What a code means, and what to do about it; `source` is the standard or document."""

    severity: Severity
    meaning: _Sentence
    remedy: _Sentence
    source: Annotated[str, StringConstraints(min_length=3, max_length=300)]


class Family(Row):
    """The codes of one family."""

    title: str
    lead: _Sentence
    codes: Annotated[dict[_Code, FindingEntry], Field(min_length=1)]


@cache
def families() -> Mapping[str, Family]:
    """Load the catalogue, by family; raises `InvalidData` where a file is broken."""
    return {name: read(_PACKAGE, f"catalogue/{name}.yaml", Family) for name in FAMILIES}


@cache
def catalogue() -> Mapping[str, FindingEntry]:
    """Load the catalogue, by code."""
    return {code: entry for family in families().values() for code, entry in family.codes.items()}


def finding(
    code: Code, subject: str, message: str, fix: Fix | None = None, summary: str = ""
) -> Finding:
    """Build a finding of the catalogue."""
    return Finding(
        code=code.value,
        severity=catalogue()[code].severity,
        subject=subject,
        message=message[:FINDING_LIMIT],
        summary=summary[:FINDING_LIMIT],
        fix=fix,
    )


def question(name: str, type: RecordType, zone: Zone | None = None, *, cached: bool = False) -> str:
    """Write the question to DNS that shows a finding, as ``dig`` takes it.

    To the first name server of the zone by its name, so that it is always the same, but where it
    listens at a port of its own by its address, as in a lab; to whatever resolver is configured
    for names outside of the zone, and for what only caches show.
    """
    # What a shell would read otherwise cannot stand in a name that was asked for.
    if not _ASKABLE_QUOTED.fullmatch(name):
        return ""
    typed = name if _ASKABLE.fullmatch(name) else f"'{name}'"
    plain = f"dig {type.value} {typed}"
    if cached or zone is None or not zone.nameservers or not is_within(name, zone.apex):
        return plain
    server = min(zone.nameservers)
    if not _ASKABLE.fullmatch(server):
        return plain
    port = f" -p {zone.port}" if zone.port != PORT else ""
    return f"dig +norecurse {type.value} {typed} @{zone.addresses.get(server, server)}{port}"

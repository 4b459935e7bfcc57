# SPDX-License-Identifier: Apache-2.0
"""What follows for mail while a record is not as it must be, and how long caches keep that.

The clauses are data: ``consequences.yaml``. Pure.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated

from pydantic import StringConstraints

from postroom.api.data_files import Row, read
from postroom.api.sendingdomain import DKIMRole, Purpose
from postroom.dns import requirements, spf
from postroom.dns.answers import Answer
from postroom.dns.finding_codes import Code
from postroom.dns.requirements import PlannedRecord

#: How long something may be kept, in words that do not change with every second.
_BOUNDS = (
    (300, "at most five minutes"),
    (3600, "at most an hour"),
    (86_400, "at most a day"),
)
_BEYOND = "more than a day"


class Consequence(Row):
    """What follows, behind "Until then"; `source` is the standard or document."""

    clause: Annotated[str, StringConstraints(max_length=120, pattern=r"^([a-zA-Z].*[^.])?$")]
    source: Annotated[str, StringConstraints(min_length=3, max_length=300)]


class Standard(StrEnum):
    """What a record that is no alias follows, as its standard calls it."""

    VERIFICATION = "domain verification"
    DKIM = "DKIM"
    DKIM_DELEGATION = "DKIM delegation"
    SPF = "SPF"
    DMARC = "DMARC"
    MX = "MX"
    MTA_STS = "MTA-STS"
    TLS_RPT = "TLS-RPT"
    BIMI = "BIMI"
    DANE = "DANE"
    REVERSE_DNS = "reverse DNS"


_STANDARDS: Mapping[type, Standard] = {
    requirements.TextWanted: Standard.VERIFICATION,
    requirements.DKIMKeyWanted: Standard.DKIM,
    requirements.DelegationWanted: Standard.DKIM_DELEGATION,
    spf.Requirement: Standard.SPF,
    requirements.DMARCWanted: Standard.DMARC,
    requirements.MXWanted: Standard.MX,
    requirements.MTASTSWanted: Standard.MTA_STS,
    requirements.TLSRPTWanted: Standard.TLS_RPT,
    requirements.BIMIWanted: Standard.BIMI,
    requirements.TLSAWanted: Standard.DANE,
    requirements.PTRWanted: Standard.REVERSE_DNS,
}


class Consequences(Row):
    """By standard, for aliases by their purpose, and by code where that knows better."""

    standards: dict[Standard, Consequence]
    aliases: dict[Purpose, Consequence]
    codes: dict[Code, Consequence]


@cache
def consequences() -> Consequences:
    """Load the clauses; raises `InvalidData` where the file is broken."""
    return read("postroom.dns.verifying", "consequences.yaml", Consequences)


def bound(seconds: int, bounds: tuple[tuple[int, str], ...] = _BOUNDS) -> str:
    """How long something lasts at most."""
    return next((word for most, word in bounds if seconds <= most), _BEYOND)


def seconds_cached(answer: Answer) -> int | None:
    """How long caches keep what is there, at most; None where nobody knows, or for longer than a
    day. A number that does not change with every TTL."""
    if not (answer.conclusive and answer.authoritative and answer.ttl):
        return None
    return next((most for most, _ in _BOUNDS if answer.ttl <= most), None)


def what_follows(planned: PlannedRecord, code: Code, answer: Answer) -> str:
    """What follows for mail, and how long caches keep what is there; "" where neither is known.

    `answer` is that to the record's own question: by a server of the zone, its TTL counts down
    nowhere, and the words stay the same.
    """
    clause = _clause(planned, code)
    kept = ""
    if answer.conclusive and answer.authoritative and answer.ttl:
        what = "what is there" if answer.values else "that nothing is there"
        kept = f"caches keep {what} for {bound(answer.ttl)}"
    if clause:
        return f"Until then {clause}{f'; {kept}' if kept else ''}."
    return f"{kept[:1].upper()}{kept[1:]}." if kept else ""


def _clause(planned: PlannedRecord, code: Code) -> str:
    known, wanted = consequences(), planned.wanted
    signs = requirements.DKIMKeyWanted | requirements.CNAMEWanted
    if isinstance(wanted, signs) and wanted.role is not DKIMRole.ACTIVE:
        return ""  # nothing is signed with it
    if code in known.codes:
        return known.codes[code].clause
    if isinstance(wanted, requirements.CNAMEWanted):
        found = known.aliases.get(planned.purpose)
    else:
        found = known.standards.get(_STANDARDS[type(wanted)])
    return found.clause if found is not None else ""

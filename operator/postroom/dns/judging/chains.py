# SPDX-License-Identifier: Apache-2.0
"""How many CNAMEs it takes to get to a record: resolvers do not follow them for ever."""

from __future__ import annotations

from postroom.api.findings import Finding
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.judgement import where
from postroom.dns.requirements import PlannedRecord

#: From how many CNAMEs on some resolvers give up; RFC 1034 section 3.6.2 sets no limit.
LONG_CHAIN = 8


def chain_advice(planned: PlannedRecord, length: int) -> tuple[Finding, ...]:
    """Warn of a chain of this many CNAMEs, if that is long."""
    if length < LONG_CHAIN:
        return ()
    message = (
        f"From the {where(planned)} it takes {length} CNAMEs to get to what is wanted; some "
        "resolvers give up: point it nearer to the last name."
    )
    return (finding(Code.CNAME_CHAIN_LONG, planned.id, message),)

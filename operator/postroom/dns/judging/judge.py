# SPDX-License-Identifier: Apache-2.0
"""Which judge is for which kind of record."""

from collections.abc import Callable
from typing import Any, NamedTuple

from postroom.dns import requirements, spf
from postroom.dns.judging import (
    bimi,
    cname,
    dkim,
    dmarc,
    domainkey_delegation,
    mta_sts,
    mx,
    ownership,
    ptr,
    tls_rpt,
    tlsa,
)
from postroom.dns.judging import spf as spf_judge
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.seen import Needs, Seen


class Judge(NamedTuple):
    """What a kind of record needs to be asked, and what the answers amount to.

    Both take the expected record, what is wanted of it, what was seen, and the context. `needs`
    grows with what was seen, and stops growing.
    """

    needs: Callable[[requirements.PlannedRecord, Any, Seen, Context], Needs]
    judge: Callable[[requirements.PlannedRecord, Any, Seen, Context], Judgement]


JUDGES: dict[type, Judge] = {
    requirements.TextWanted: Judge(ownership.needs, ownership.judge),
    requirements.CNAMEWanted: Judge(cname.needs, cname.judge),
    requirements.DKIMKeyWanted: Judge(dkim.needs, dkim.judge),
    requirements.DelegationWanted: Judge(domainkey_delegation.needs, domainkey_delegation.judge),
    spf.Requirement: Judge(spf_judge.needs, spf_judge.judge),
    requirements.DMARCWanted: Judge(dmarc.needs, dmarc.judge),
    requirements.MXWanted: Judge(mx.needs, mx.judge),
    requirements.MTASTSWanted: Judge(mta_sts.needs, mta_sts.judge),
    requirements.TLSRPTWanted: Judge(tls_rpt.needs, tls_rpt.judge),
    requirements.BIMIWanted: Judge(bimi.needs, bimi.judge),
    requirements.TLSAWanted: Judge(tlsa.needs, tlsa.judge),
    requirements.PTRWanted: Judge(ptr.needs, ptr.judge),
}


def needs(planned: requirements.PlannedRecord, seen: Seen, context: Context) -> Needs:
    """Return every question that judging this record takes, as far as can be told by now."""
    return JUDGES[type(planned.wanted)].needs(planned, planned.wanted, seen, context)


def judge(planned: requirements.PlannedRecord, seen: Seen, context: Context) -> Judgement:
    """Judge one record by what one view shows of it."""
    return JUDGES[type(planned.wanted)].judge(planned, planned.wanted, seen, context)

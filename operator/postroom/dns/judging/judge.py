# SPDX-License-Identifier: Apache-2.0
"""Which judge is for which kind of record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from postroom.dns import spf
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
from postroom.dns.requirements import (
    AliasWanted,
    CertificateAssociationWanted,
    DelegationWanted,
    ExchangeWanted,
    Expected,
    IndicatorWanted,
    KeyWanted,
    PolicyWanted,
    ReverseWanted,
    TextWanted,
    TransportPolicyWanted,
    TransportReportWanted,
)


class Judge(NamedTuple):
    """What a kind of record needs to be asked, and what the answers amount to.

    Both take the expected record, what is wanted of it, what was seen, and the context. `needs`
    grows with what was seen, and stops growing.
    """

    needs: Callable[[Expected, Any, Seen, Context], Needs]
    judge: Callable[[Expected, Any, Seen, Context], Judgement]


JUDGES: dict[type, Judge] = {
    TextWanted: Judge(ownership.needs, ownership.judge),
    AliasWanted: Judge(cname.needs, cname.judge),
    KeyWanted: Judge(dkim.needs, dkim.judge),
    DelegationWanted: Judge(domainkey_delegation.needs, domainkey_delegation.judge),
    spf.Requirement: Judge(spf_judge.needs, spf_judge.judge),
    PolicyWanted: Judge(dmarc.needs, dmarc.judge),
    ExchangeWanted: Judge(mx.needs, mx.judge),
    TransportPolicyWanted: Judge(mta_sts.needs, mta_sts.judge),
    TransportReportWanted: Judge(tls_rpt.needs, tls_rpt.judge),
    IndicatorWanted: Judge(bimi.needs, bimi.judge),
    CertificateAssociationWanted: Judge(tlsa.needs, tlsa.judge),
    ReverseWanted: Judge(ptr.needs, ptr.judge),
}


def needs(expected: Expected, seen: Seen, context: Context) -> Needs:
    """Return every question that judging this record takes, as far as can be told by now."""
    return JUDGES[type(expected.wanted)].needs(expected, expected.wanted, seen, context)


def judge(expected: Expected, seen: Seen, context: Context) -> Judgement:
    """Judge one record by what one view shows of it."""
    return JUDGES[type(expected.wanted)].judge(expected, expected.wanted, seen, context)

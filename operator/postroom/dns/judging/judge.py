# SPDX-License-Identifier: Apache-2.0
"""Which judge is for which kind of record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from postroom.dns import spf
from postroom.dns.judging import (
    alias,
    certificate_association,
    delegation,
    exchange,
    indicator,
    key,
    ownership,
    report_policy,
    reverse,
    sender_policy,
    transport_policy,
    transport_reports,
)
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.seen import Needs, Seen
from postroom.dns.wanted import (
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
    AliasWanted: Judge(alias.needs, alias.judge),
    KeyWanted: Judge(key.needs, key.judge),
    DelegationWanted: Judge(delegation.needs, delegation.judge),
    spf.Requirement: Judge(sender_policy.needs, sender_policy.judge),
    PolicyWanted: Judge(report_policy.needs, report_policy.judge),
    ExchangeWanted: Judge(exchange.needs, exchange.judge),
    TransportPolicyWanted: Judge(transport_policy.needs, transport_policy.judge),
    TransportReportWanted: Judge(transport_reports.needs, transport_reports.judge),
    IndicatorWanted: Judge(indicator.needs, indicator.judge),
    CertificateAssociationWanted: Judge(
        certificate_association.needs, certificate_association.judge
    ),
    ReverseWanted: Judge(reverse.needs, reverse.judge),
}


def needs(expected: Expected, seen: Seen, context: Context) -> Needs:
    """Return every question that judging this record takes, as far as can be told by now."""
    return JUDGES[type(expected.wanted)].needs(expected, expected.wanted, seen, context)


def judge(expected: Expected, seen: Seen, context: Context) -> Judgement:
    """Judge one record by what one view shows of it."""
    return JUDGES[type(expected.wanted)].judge(expected, expected.wanted, seen, context)

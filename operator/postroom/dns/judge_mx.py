# SPDX-License-Identifier: Apache-2.0
"""The judge for MX: each required mail exchange among the records, with its preference."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.api.findings import Finding, FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.expected import ExchangeWanted, Expected
from postroom.dns.findings import finding
from postroom.dns.judgement import (
    Judgement,
    Seen,
    blind,
    faulty,
    fix_for,
    missing,
    quoted,
    valid,
)

#: How a null MX says that a domain accepts no mail (RFC 7505 section 3).
_NOBODY = "."


def exchange(
    expected: Expected, wanted: ExchangeWanted, siblings: Sequence[ExchangeWanted], seen: Seen
) -> Judgement:
    """Judge one required mail exchange; `siblings` are all that are required, with this one."""
    values = seen.answer.values
    if not values:
        return missing(expected, seen, "MX_MISSING", Reason.RECORD_NOT_FOUND)
    hosts = {value: value.partition(" ")[2] for value in values}
    if _NOBODY in hosts.values():
        message = (
            f"{expected.name} has a null MX, which says that it accepts no mail: replace it by "
            f"MX {expected.value}."
        )
        # One of several replaces, the rest are added, or each would take the others away.
        first = wanted == siblings[0]
        fix = fix_for(FixAction.REPLACE if first else FixAction.CREATE, expected)
        state, reason = RecordState.CONFLICTING, Reason.NULL_MX
        return faulty(state, reason, "MX_NULL", expected, message, values, fix)
    if expected.value not in values:
        message = f"{expected.name} has no MX {expected.value}: add it to the MX records."
        if wanted.host in hosts.values():
            message = (
                f"The MX {wanted.host} of {expected.name} has another preference than "
                f"{wanted.preference}: change it."
            )
        fix = fix_for(FixAction.CREATE, expected)
        reason = Reason.EXCHANGE_MISMATCH
        return faulty(RecordState.WRONG, reason, "MX_MISMATCH", expected, message, values, fix)
    return _reachable(expected, wanted, siblings, seen)


def _reachable(
    expected: Expected, wanted: ExchangeWanted, siblings: Sequence[ExchangeWanted], seen: Seen
) -> Judgement:
    """The record is there; its host must have an address, and mail should go to it first."""
    values, has_address = seen.answer.values, seen.exchanges.get(wanted.host)
    if has_address is None:
        return blind(expected, f"the addresses of {wanted.host}")
    if not has_address:
        message = f"The mail exchange {wanted.host} has no address: give it one, or name another."
        code, reason = "MX_UNRESOLVABLE", Reason.EXCHANGE_UNRESOLVABLE
        return faulty(RecordState.WRONG, reason, code, expected, message, values)
    advice = _foreign(expected, siblings, values) if wanted == siblings[0] else ()
    return valid(Reason.RECORDS_MATCHED, "The MX record is published.", values, advice=advice)


def _foreign(
    expected: Expected, siblings: Sequence[ExchangeWanted], values: Sequence[str]
) -> tuple[Finding, ...]:
    """Warn of one mail exchange that is not of the spec, but takes mail as soon or sooner."""
    ours, first = {one.host for one in siblings}, min(one.preference for one in siblings)
    for value in sorted(values):
        preference, _, host = value.partition(" ")
        if host not in ours and preference.isdecimal() and int(preference) <= first:
            message = (
                f"The MX {quoted(host)} is not of this spec, but takes mail as soon as the "
                "required ones or sooner: delete it if it belongs to a former provider."
            )
            return (finding("MX_FOREIGN", expected.id, message),)
    return ()

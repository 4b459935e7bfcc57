# SPDX-License-Identifier: Apache-2.0
"""Causes in the zone: the record was added where nobody asks for it (codes 11 and 12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postroom.api.sendingdomain import RecordState
from postroom.dns import dmarc
from postroom.dns.answers import Question, RecordType
from postroom.dns.codes import Code
from postroom.dns.diagnosis.case import Case, Family, Probe
from postroom.dns.diagnosis.dns_hosts import host_of, hosts_of
from postroom.dns.diagnosis.standing import parent
from postroom.dns.judging.fixes import create
from postroom.dns.judging.judgement import Cause, Evidence, lacking
from postroom.dns.names import host_label, is_within
from postroom.dns.quoting import quoted
from postroom.dns.requirements import DelegationWanted

_NAMED_LIMIT = 4


def probes(case: Case) -> Iterable[Probe]:
    """Ask whether a name on the way is delegated, and by whom the zone says it was made."""
    if case.judgement.state is not RecordState.MISSING or case.apex is None:
        return
    above = parent(case.planned.name)
    if above != case.domain and is_within(above, case.domain):
        yield Probe(5, Question(above, RecordType.NS))
    if _nothing_is_there(case):
        yield Probe(9, Question(case.apex, RecordType.SOA))


def causes(case: Case) -> Iterable[Cause]:
    if case.judgement.state is RecordState.MISSING:
        yield from _delegated_below(case)
        if _nothing_is_there(case):
            yield from _delegated(case)
            yield from _made_elsewhere(case)


def _nothing_is_there(case: Case) -> bool:
    """Whether no record of the whole plan is in the zone: then it may be the wrong zone."""
    own = [record for record in case.context.plan.records if is_within(record.name, case.domain)]
    seen = [(one, case.seen.get(one.name, one.type)) for one in own]
    return not any(
        answer is not None and any(value == one.value for value in answer.values)
        for one, answer in seen
    ) and all(answer is not None and answer.conclusive for _, answer in seen)


def _servers(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _NAMED_LIMIT} more" if len(found) > _NAMED_LIMIT else ""
    return ", ".join(map(quoted, found[:_NAMED_LIMIT])) + more


def _delegated_below(case: Case) -> Iterator[Cause]:
    """A name between the domain and the record is delegated, so that its zone has the word."""
    above = parent(case.planned.name)
    deliberate = any(
        isinstance(record.wanted, DelegationWanted) and record.name == above
        for record in case.context.plan.records
    )
    answer = case.at(above, RecordType.NS)
    if deliberate or answer is None or not answer.values or answer.aliases or above == case.domain:
        return
    message = (
        f"{above} is delegated to {_servers(answer.values)}: what is added to the zone above has "
        f"no effect there. {lacking(case.planned, case.answer.values)}"
    )
    fix = create(case.planned)
    if fix is not None:
        fix = fix.model_copy(update={"host_label": host_label(case.planned.name, above)})
    yield Cause(Code.SUBDOMAIN_DELEGATED, message, fix, Evidence.SHOWN)


def _delegated(case: Case) -> Iterator[Cause]:
    """The sending domain is a zone of its own below one in which the records may have been put."""
    zone, above = case.context.zone, parent(case.domain)
    if zone is None or zone.apex != case.domain:
        return
    if "." not in above or dmarc.is_public_suffix(above):
        return
    message = (
        f"{case.domain} is a zone of its own, delegated to {_servers(zone.nameservers)}: what is "
        f"added to {above} has no effect there. {lacking(case.planned, case.answer.values)}"
    )
    yield Cause(Code.SUBDOMAIN_DELEGATED, message, create(case.planned), Evidence.LIKELY)


def _made_elsewhere(case: Case) -> Iterator[Cause]:
    """The zone names a primary server at another DNS host than the one that serves it."""
    zone, apex = case.context.zone, case.apex
    soa = case.at(apex, RecordType.SOA) if apex is not None else None
    if zone is None or soa is None or not any(value.split() for value in soa.values[:1]):
        return
    primary = soa.values[0].split()[0].removesuffix(".").lower()
    maker, hosts = host_of([primary]), hosts_of(zone.nameservers)
    if maker is None or not hosts or maker in hosts:
        return
    serving = " and ".join(host.name for host in hosts)
    message = (
        f"{zone.apex} is served by {serving} ({_servers(zone.nameservers)}), although its SOA "
        f"still names {quoted(primary)} of {maker.name}: unless {serving} takes the zone from "
        f"there, what is added at {maker.name} has no effect. "
        f"{lacking(case.planned, case.answer.values)}"
    )
    yield Cause(Code.WRONG_DNS_HOST, message, create(case.planned), Evidence.LIKELY)


FAMILY = Family(probes, causes)

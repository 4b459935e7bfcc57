# SPDX-License-Identifier: Apache-2.0
"""Causes in the zone: the record was added where nobody asks for it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace as changed

from postroom.api.sendingdomain import RecordState
from postroom.dns import dmarc
from postroom.dns.answers import Delegation, Outcome, Question, RecordType
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.dns_hosts import host_of, hosts_of
from postroom.dns.diagnosis.nameservers import has_no_address, is_denied, is_lame
from postroom.dns.diagnosis.synthesis import parent
from postroom.dns.finding_codes import Code
from postroom.dns.judging import domainkey_delegation, judgement
from postroom.dns.judging.fixes import create, removal, replace
from postroom.dns.names import host_label, is_within
from postroom.dns.requirements import DelegationWanted, PlannedRecord
from postroom.dns.texts.quoting import quoted

_NAMED_LIMIT = 4


def probes(case: Case) -> Iterable[Probe]:
    """Whether a name on the way is delegated, and by whom the zone says it was made."""
    if case.judgement.state is not RecordState.MISSING or case.apex is None:
        return
    for name in below_the_domain(case.planned, case.context):
        # A zone of its own exists at its apex.
        if name != case.planned.name or case.answer.outcome is not Outcome.NX_DOMAIN:
            yield Probe(5, Question(name, RecordType.NS))
    if _nothing_is_there(case):
        yield Probe(9, Question(case.apex, RecordType.SOA))


def causes(case: Case) -> Iterable[judgement.Cause]:
    if case.judgement.state is RecordState.MISSING:
        yield from _delegated_below(case)
        if _nothing_is_there(case):
            yield from _put_elsewhere(case)


def _nothing_is_there(case: Case) -> bool:
    """Whether no record of the whole plan is in the zone: then it may be the wrong zone."""
    own = [record for record in case.context.plan.records if is_within(record.name, case.domain)]
    seen = [(record, case.seen.get(record.name, record.type)) for record in own]
    return not any(
        answer is not None and any(value == record.value for value in answer.values)
        for record, answer in seen
    ) and all(answer is not None and answer.conclusive for _, answer in seen)


def _servers(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _NAMED_LIMIT} more" if len(found) > _NAMED_LIMIT else ""
    return ", ".join(map(quoted, found[:_NAMED_LIMIT])) + more


def _delegated_below(case: Case) -> Iterator[judgement.Cause]:
    """A name between the domain and the record is delegated, so that its zone has the word."""
    for name in below_the_domain(case.planned, case.context):
        answer = case.at(name, RecordType.NS)
        if answer is None or not answer.values or answer.aliases:
            continue
        message = (
            f"{name} is delegated to {_servers(answer.values)}, so that what is added to the zone "
            "above has no effect there: publish the record at those name servers, or delete the "
            f"NS records at {name}. {judgement.lacking(case.planned, case.answer.values)}"
        )
        fix = create(case.planned)
        if case.planned.type is RecordType.CNAME and name == case.planned.name:
            # Beside the SOA and NS of a zone no CNAME can stand (RFC 1034 section 3.6.2).
            fix = replace(case.planned, (), more=removal(name, RecordType.NS, answer.values))
            message = f"{message} What else those servers have at {name} or below goes with them."
        elif fix is not None:
            fix = fix.model_copy(update={"host_label": host_label(case.planned.name, name)})
        yield judgement.Cause(
            Code.SUBDOMAIN_DELEGATED, message, fix, judgement.Evidence.SHOWN, answer.question
        )
        return


def below_the_domain(planned: PlannedRecord, context: judgement.Context) -> tuple[str, ...]:
    """The names that a delegation takes the record away at: its own, and those up to the domain.

    Not where the plan itself demands a delegation.
    """
    demanded = {
        record.name
        for record in context.plan.records
        if isinstance(record.wanted, DelegationWanted)
    }
    found = list[str]()
    name, domain = planned.name, context.plan.domain
    while name != domain and is_within(name, domain):
        found.append(name)
        name = parent(name)
    return tuple(ancestor for ancestor in found if ancestor not in demanded)


def handed_away(planned: PlannedRecord, context: judgement.Context) -> tuple[str, ...]:
    """The names whose delegation tells why nobody answers for a record: of one that is required to
    be a delegation, its own."""
    if isinstance(planned.wanted, DelegationWanted):
        return (planned.name,)
    return below_the_domain(planned, context)


def cut_off(
    planned: PlannedRecord, name: str, delegation: Delegation
) -> judgement.Judgement | None:
    """The judgement on a record that nobody answers for, because its name is handed to servers
    that do not; None where one of them has the zone."""
    if not delegation.servers or any(server.answer.conclusive for server in delegation.servers):
        return None
    if isinstance(planned.wanted, DelegationWanted):
        return domainkey_delegation.referred(planned, planned.wanted, delegation)
    judged = judgement.blind(planned)
    several = len(delegation.servers) > 1
    silence = "of which none serves it" if several else "which does not answer"
    if any(map(is_denied, delegation.servers)):
        silence = "which postroom could not ask"
    elif all(map(is_lame, delegation.servers)):
        silence = f"which {'answer' if several else 'answers'}, but not for that zone"
    elif all(map(has_no_address, delegation.servers)):
        silence = f"which {'have' if several else 'has'} no address"
    message = (
        f"{name} is delegated to {_servers(delegation.nameservers)}, {silence}: "
        f"nobody sees the {judgement.where(planned)}. Unless that zone is to be set up there, the "
        f"NS records at {name} must go."
    )
    gone = removal(name, RecordType.NS, delegation.nameservers)
    shows = Question(name, RecordType.NS)
    fix = replace(planned, (), more=gone)
    cause = judgement.Cause(Code.SUBDOMAIN_DELEGATED, message, fix, judgement.Evidence.SHOWN, shows)
    return changed(judged, message=message, cause=cause)


def _put_elsewhere(case: Case) -> Iterator[judgement.Cause]:
    """The records may have been put into the zone above, or at the DNS host that had the zone."""
    zone, above = case.context.zone, parent(case.domain)
    if zone is None:
        return
    lack, fix = judgement.lacking(case.planned, case.answer.values), create(case.planned)
    if zone.apex == case.domain and "." in above and not dmarc.is_public_suffix(above):
        message = (
            f"{case.domain} is a zone of its own, delegated to {_servers(zone.nameservers)}: what "
            f"is added to {above} has no effect there. {lack}"
        )
        shows = Question(case.domain, RecordType.NS)
        likely = judgement.Evidence.LIKELY
        yield judgement.Cause(Code.SUBDOMAIN_DELEGATED, message, fix, likely, shows)
    soa = case.at(zone.apex, RecordType.SOA)
    if soa is None or not any(value.split() for value in soa.values[:1]):
        return
    primary = soa.values[0].split()[0].removesuffix(".").lower()
    maker, hosts = host_of([primary]), hosts_of(zone.nameservers)
    if maker is not None and hosts and maker not in hosts:
        serving = " and ".join(host.name for host in hosts)
        message = (
            f"{zone.apex} is served by {serving} ({_servers(zone.nameservers)}), although its SOA "
            f"still names {quoted(primary)} of {maker.name}: unless {serving} takes the zone from "
            f"there, what is added at {maker.name} has no effect. {lack}"
        )
        shows = Question(zone.apex, RecordType.SOA)
        yield judgement.Cause(Code.WRONG_DNS_HOST, message, fix, judgement.Evidence.LIKELY, shows)


FAMILY = CauseFamily(probes, causes)

# SPDX-License-Identifier: Apache-2.0
"""Handing a domain's records to external-dns: what is wanted of the DNSEndpoint, and what is said.

Nothing here makes a record verified: that is what stands in DNS.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Fix, FixAction
from postroom.api.reasons import Reason
from postroom.api.resource import SendingDomain
from postroom.api.sendingdomain import Purpose
from postroom.api.sendingdomain_publish import Publication as StatusOfPublication
from postroom.api.sendingdomain_status import RecordStatus
from postroom.api.status import CommonStatus
from postroom.dns.answers import Asker, RecordType
from postroom.dns.dkim import concealed
from postroom.dns.finding_codes import Code
from postroom.dns.findings import catalogue, finding
from postroom.dns.publishing import publication, records
from postroom.dns.publishing.dns_endpoint import KIND, HandedSet
from postroom.dns.requirements import DomainPlan
from postroom.dns.texts.quoting import quoted
from postroom.dns.verifying import compromised, inheritance, standing
from postroom.reconcile.status import assessment
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.wanted import Child, ChildState, Wanted
from postroom.reconcile.world import EndpointReader

#: How soon to look again at what is not done yet; an edit of the object, or a request, is sooner.
_AGAIN = timedelta(minutes=5)
_TYPE = ConditionType.RECORDS_PUBLISHED
#: What findings are about that are about no single record.
_SUBJECT = "publishing"
#: Most characters that are shown of a record of others.
_SHOWN = 200
#: What is done to what stands in DNS, which external-dns would undo where it owns the set.
_IN_DNS = frozenset({FixAction.REPLACE, FixAction.DELETE, FixAction.MOVE})


def endpoint_name(domain: str) -> str:
    """Return the name of the DNSEndpoint for a SendingDomain, by its name."""
    return f"{domain[:240]}-mail"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run has at hand; `exposed` are the fingerprints of keys that nobody may use."""

    resource: SendingDomain
    plan: DomainPlan
    exposed: Iterable[str]
    asker: Asker
    memory: Memory

    @property
    def child(self) -> Child:
        """The DNSEndpoint: the one that status names, else the one that would be made."""
        known = self.resource.status.publication
        name = known.endpoint if known else endpoint_name(self.resource.metadata.name)
        return Child(KIND, name)

    @property
    def state(self) -> ChildState | None:
        """What became of what the last run wanted."""
        return self.memory.children.get(self.child)


async def with_publication(
    found: assessment.Assessment, asked: Asked, reader: EndpointReader | None
) -> assessment.Assessment:
    """Add to an assessment what follows for publishing; nothing where nobody publishes."""
    publish, metadata = asked.resource.spec.publish, asked.resource.metadata
    if reader is None:
        return found
    if publish is None:
        followed = _withdrawn(asked)
        return found if followed is None else _following(found, followed)
    before = await reader.read(metadata.namespace, asked.child.name, metadata.uid)
    if isinstance(before, ChildState):
        verdict, findings = _obstructed(before, asked)
        fields = {"publication": asked.resource.status.publication}
        return _following(found, assessment.Followed((verdict,), fields, None, findings))
    owned = ConditionType.OWNERSHIP_VERIFIED
    proven = any(verdict.passed for verdict in found.verdicts if verdict.type is owned)
    seen = _seen(found, publish.purposes)
    domain = asked.resource.spec.domain
    rules = publication.Rules(domain, proven, publish.apex, seen.there, seen.faulty)
    plan = compromised.without_compromised(asked.plan, tuple(asked.exposed))
    wanted = [record for record in records.from_plan(plan) if record.purpose in publish.purposes]
    # Until control is proven no policy is handed over.
    policies = [record for record in plan.records if proven and record.purpose in publish.purposes]
    carried = await inheritance.carried_over(asked.asker, policies, before)
    wanted = [replace(each, value=carried.get(each.name) or each.value) for each in wanted]
    places = await standing.look(asked.asker, publication.in_question(wanted, before, rules))
    weaker = {name for name, value in carried.items() if value is None}
    places = publication.left_alone(places, weaker, before)
    decided = publication.decide(wanted, before, places, rules)
    return _following(found, _handing_over(asked, before, decided, seen))


def _following(
    found: assessment.Assessment, followed: assessment.Followed
) -> assessment.Assessment:
    """Add verdicts that gate nothing, and have what is not done yet looked at soon."""

    def follow(verdicts: Sequence[Verdict], before: CommonStatus) -> assessment.Followed:
        return followed

    done = all(verdict.passed for verdict in followed.verdicts)
    again = found.look_again if done else min(_AGAIN, found.look_again or _AGAIN)
    advisory = found.advisory | {_TYPE}
    return replace(found, follow=follow, advisory=advisory, look_again=again)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the look found: the records that are there as they must be, by id; what is told of those
    that stand otherwise, and mended in DNS; the names and types of which all, or any, are so."""

    ids: frozenset[str]
    mended: Mapping[str, Finding]
    there: frozenset[tuple[str, RecordType]]
    faulty: frozenset[tuple[str, RecordType]]


def _seen(found: assessment.Assessment, purposes: Iterable[Purpose]) -> _Seen:
    fields = found.fields or {}
    listed, told = fields.get("records"), fields.get("findings")
    statuses = [each for each in _list(listed) if isinstance(each, RecordStatus)]
    findings = [each for each in _list(told) if isinstance(each, Finding)]
    ids = {
        status.id
        for status in statuses
        if any(record.is_there for record in records.from_status([status], findings))
    }
    mended = {
        each.subject: each
        for each in reversed(findings)
        if each.fix is not None and each.fix.action in _IN_DNS
    }
    keys: dict[tuple[str, RecordType], list[str]] = {}
    for status in statuses:
        if status.purpose in purposes:
            keys.setdefault((status.name, RecordType(status.type)), []).append(status.id)
    return _Seen(
        frozenset(ids),
        mended,
        frozenset(key for key, of_set in keys.items() if ids.issuperset(of_set)),
        frozenset(key for key, of_set in keys.items() if not mended.keys().isdisjoint(of_set)),
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _withdrawn(asked: Asked) -> assessment.Followed | None:
    """Take back what was handed over, as long as status tells that something was."""
    known, state = asked.resource.status.publication, asked.state
    if known is None or state in (ChildState.GONE, ChildState.CONFLICT):
        return None
    message = f"DNSEndpoint {known.endpoint} is withdrawn, as spec.publish is gone."
    verdict = assessment.unknown(_TYPE, Reason.AWAITING_PUBLISHER, message)
    findings: tuple[Finding, ...] = ()
    if state not in (None, ChildState.APPLIED):
        verdict, findings = _obstructed(state, asked)
    gone = Wanted(asked.child, None)
    return assessment.Followed((verdict,), {"publication": known}, (gone,), findings)


def _handing_over(
    asked: Asked,
    before: tuple[HandedSet, ...],
    decided: publication.Publication,
    seen: _Seen,
) -> assessment.Followed:
    """What the DNSEndpoint is to have, and what is said of it."""
    child, state = asked.child, asked.state
    empty = not decided.endpoints
    keys = {(endpoint.name, endpoint.type) for endpoint in decided.endpoints}
    handed = [
        planned.id for planned in asked.plan.records if (planned.name, planned.type.value) in keys
    ]
    if state is None and before == decided.endpoints:
        state = ChildState.APPLIED
    if state in (None, ChildState.APPLIED, ChildState.GONE):
        verdict, findings = _told(asked, decided, [id for id in handed if id not in seen.ids], seen)
    else:
        verdict, findings = _obstructed(state, asked)
    status = StatusOfPublication(endpoint=child.name, records=handed)
    if empty and not before:
        # Nothing is there, and nothing is to be.
        return assessment.Followed((verdict,), {"publication": None}, None, findings)
    wanted = Wanted(child, None if empty else decided.endpoints)
    return assessment.Followed((verdict,), {"publication": status}, (wanted,), findings)


_OBSTACLES = {
    publication.Obstacle.APEX: Code.PUBLISH_AT_APEX,
    publication.Obstacle.BESIDE: Code.PUBLISH_BESIDE_OTHERS,
    publication.Obstacle.CONTRADICTION: Code.PUBLISH_BESIDE_OTHERS,
    publication.Obstacle.WILDCARD: Code.PUBLISH_ENDS_WILDCARD,
    publication.Obstacle.OUTSIDE: Code.PUBLISH_NOT_POSSIBLE,
    publication.Obstacle.TYPE: Code.PUBLISH_NOT_POSSIBLE,
}
_BESIDE = (
    publication.Obstacle.BESIDE,
    publication.Obstacle.CONTRADICTION,
    publication.Obstacle.WILDCARD,
)


def _told(
    asked: Asked, decided: publication.Publication, missing: Sequence[str], seen: _Seen
) -> tuple[Verdict, tuple[Finding, ...]]:
    """The verdict where the API server keeps nobody from anything: the first that hinders."""
    findings = [_refusal(asked, refused, seen) for refused in decided.refused]
    if missing:
        code, name = Code.PUBLISH_AWAITED, asked.child.name
        message = f"DNSEndpoint {name} has {', '.join(missing)}; the zone does not have it so."
        # Others put something beside what was handed over, say, and a fix would merge the two.
        undone = [id for id in missing if id in seen.mended]
        todo = catalogue()[code].remedy
        if undone:
            what = ", ".join(dict.fromkeys(seen.mended[id].code for id in undone))
            todo += (
                f" Before you do by hand what {what} says, take the purpose of {', '.join(undone)} "
                "out of spec.publish.records: external-dns would undo it."
            )
        fix = Fix(action=FixAction.EXTERNAL, instruction=todo)
        findings.append(finding(code, missing[0], message, fix))
    told = tuple(findings)
    if decided.refused:
        beside = any(refused.obstacle in _BESIDE for refused in decided.refused)
        reason = Reason.CONFLICT if beside else Reason.PUBLISHING_DENIED
        return assessment.failed(_TYPE, reason, findings[0].message), told
    if decided.waiting:
        message = (
            f"Control of {asked.resource.spec.domain} is not proven, so that only its proof is "
            "handed to external-dns."
        )
        return assessment.unknown(_TYPE, Reason.AWAITING_OWNERSHIP, message), told
    if decided.unseen:
        first = decided.unseen[0]
        above = ", or what a parent's record asks of its mail until then,"
        of_parents = any(record.purpose is Purpose.DMARC for record in first.records)
        message = (
            f"What stands at {first.name}{above if of_parents else ''} could not be seen at the "
            "zone's own name servers, so that nothing is handed to external-dns there."
        )
        return assessment.unknown(_TYPE, Reason.LOOKUP_FAILED, message), told
    if missing:
        return assessment.unknown(_TYPE, Reason.AWAITING_PUBLISHER, findings[0].message), told
    message = "Every record that spec.publish names stands in DNS."
    return assessment.passed(_TYPE, Reason.ENDPOINT_APPLIED, message), told


def _refusal(asked: Asked, refused: publication.Refusal, seen: _Seen) -> Finding:
    """What is not handed over, why, and what to do instead."""
    wanted, code = refused.wanted, _OBSTACLES[refused.obstacle]
    ids = [
        planned.id
        for planned in asked.plan.records
        if (planned.name, planned.type) == (wanted.name, wanted.type)
    ]
    id = next((each for each in ids if each not in seen.ids), ids[0])
    what = f"{wanted.type.value} at {wanted.name} is not handed to external-dns"
    why = catalogue()[code].meaning
    first = quoted(concealed(refused.others[0]))[:_SHOWN] if refused.others else ""
    if refused.obstacle is publication.Obstacle.WILDCARD:
        why = f"{first} is answered by a wildcard, which answers no more once the record stands."
    elif refused.others:
        why = (
            f"{first} stands there and was not published by postroom; external-dns makes a set "
            "exactly what it is told, so that it would go, or the record could not be made."
        )
    elif refused.obstacle is publication.Obstacle.CONTRADICTION:
        why = "the spec asks for another record there, beside which it cannot stand."
    todo = (
        f"Publish {wanted.type.value} at {wanted.name} by hand, with the value that status.records "
        f"has under {id}."
    )
    if id in seen.mended:
        todo = f"Do by hand what {seen.mended[id].code} of {id} says."
    if code in (Code.PUBLISH_AT_APEX, Code.PUBLISH_ENDS_WILDCARD):
        todo = catalogue()[code].remedy
    fix = Fix(action=FixAction.EXTERNAL, instruction=todo)
    return finding(code, id, f"{what}: {why}", fix)


_FAILURES = {
    ChildState.NOT_ALLOWED: (Reason.PUBLISHING_DENIED, Code.PUBLISH_NOT_ENABLED),
    ChildState.FORBIDDEN: (Reason.PUBLISHING_DENIED, Code.PUBLISH_FORBIDDEN),
    ChildState.UNGUARDED: (Reason.PUBLISHING_DENIED, Code.PUBLISH_UNGUARDED),
    ChildState.REFUSED: (Reason.PUBLISHING_DENIED, Code.PUBLISH_ZONE_DENIED),
    ChildState.NOT_SERVED: (Reason.PUBLISHER_UNAVAILABLE, Code.PUBLISHER_UNAVAILABLE),
    ChildState.CONFLICT: (Reason.CONFLICT, Code.PUBLISH_NAME_TAKEN),
}


def _obstructed(state: ChildState | None, asked: Asked) -> tuple[Verdict, tuple[Finding, ...]]:
    """The verdict where the DNSEndpoint could not be written."""
    name, namespace = asked.child.name, asked.resource.metadata.namespace
    if state not in _FAILURES:
        message = f"DNSEndpoint {name} could not be written now; it is tried again."
        if state is ChildState.ENDING:
            message = (
                f"DNSEndpoint {name} is deleted, but stands until its finalizers are taken off: "
                "see who set them."
            )
        return assessment.unknown(_TYPE, Reason.AWAITING_PUBLISHER, message), ()
    reason, code = _FAILURES[state]
    message = f"DNSEndpoint {name} of namespace {namespace}: {catalogue()[code].meaning}"
    told = _with_remedy(finding(code, _SUBJECT, message))
    return assessment.failed(_TYPE, reason, message), (told,)


def _with_remedy(made: Finding) -> Finding:
    remedy = catalogue()[Code(made.code)].remedy
    fix = Fix(action=FixAction.EXTERNAL, instruction=remedy)
    return made.model_copy(update={"fix": fix})

# SPDX-License-Identifier: Apache-2.0
"""Causes in how servers answer, seen across all answers about a domain."""

from collections.abc import Iterable, Iterator, Sequence

from postroom.api.findings import Finding, Fix
from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import TCP_FAILED, Answer, Outcome, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import beyond, delete, external, fitting, removal
from postroom.dns.judging.mx import NOBODY, host_of
from postroom.dns.judging.seen import Seen
from postroom.dns.names import is_within
from postroom.dns.requirements import CNAMEWanted, DomainPlan, MXWanted

_DAY = 86400
_NAMED_LIMIT = 4


def findings(
    plan: DomainPlan, seen: Seen, more: Iterable[Answer], *, all_valid: bool
) -> Iterator[Finding]:
    """Yield what the answers show; `more` are answers of single servers."""
    own = [seen.at(record.name, record.type) for record in plan.records]
    cut = [
        f"{answer.question.type.value} at {answer.question.name}"
        for answer in own
        if cut_off(answer)
    ]
    if cut:
        message = (
            f"The answer for {_listed(cut)} does not fit into a datagram, and could not be had "
            "over TCP: open TCP port 53 at the name servers or, if answers of other zones get lost "
            "as well, on the way from here to them."
        )
        yield finding(Code.TCP_BLOCKED, "domain", message, external())
    yield from _denied_above([*seen.answers.values(), *more], plan.domain)
    yield from _no_mail(plan, seen)
    kept_long = {
        answer.question.name
        for answer in own
        if answer.authoritative and answer.conclusive and (answer.ttl or 0) > _DAY
    }
    if kept_long and not all_valid:
        message = (
            f"What is, or is not, at {_listed(sorted(kept_long))} may be kept for more than a day: "
            "others see a change that late."
        )
        yield finding(Code.TTL_HIGH, "domain", message)


def cut_off(answer: Answer) -> bool:
    """Whether an answer was lost because it needs TCP."""
    return TCP_FAILED in answer.errors


def _denied_above(answers: Iterable[Answer], domain: str) -> Iterator[Finding]:
    """A server that denies a name must not have anything below it (RFC 8020 section 2)."""
    own = [
        answer
        for answer in answers
        if answer.authoritative and is_within(answer.question.name, domain)
    ]
    denied = {
        (answer.server, answer.question.name)
        for answer in own
        if answer.outcome is Outcome.NX_DOMAIN
    }
    broken = {
        name
        for server, name in denied
        for answer in own
        if answer.values
        and not answer.aliases
        and answer.server == server
        and answer.question.name.endswith(f".{name}")
        # Denied as well by the same server: the zone changed meanwhile.
        and (server, answer.question.name) not in denied
    }
    if broken:
        message = (
            f"A name server denies {_listed(sorted(broken))} although it has records below: "
            "resolvers that trust the denial do not see them (RFC 8020)."
        )
        yield finding(Code.ENT_NXDOMAIN_BROKEN, "domain", message, external())


def sidelong(plan: DomainPlan) -> tuple[tuple[str, RecordType], ...]:
    """Names of the domain that need no MX, but must not have a null MX."""
    if any(
        isinstance(record.wanted, MXWanted) and record.name == plan.domain
        for record in plan.records
    ):
        return ()
    return ((plan.domain, RecordType.MX),)


def bounce_targets(plan: DomainPlan) -> tuple[tuple[str, RecordType], ...]:
    """Where bounces go by way of an alias."""
    return tuple(
        (record.wanted.target, RecordType.MX)
        for record in plan.of(Purpose.RETURN_PATH)
        if isinstance(record.wanted, CNAMEWanted)
    )


def _no_mail(plan: DomainPlan, seen: Seen) -> Iterator[Finding]:
    """A null MX at a name that mail comes from makes receivers refuse it (RFC 7505 section 4.2)."""
    for name, kind in sidelong(plan):
        answer = seen.at(name, kind)
        null = [value for value in answer.values if host_of(value) == NOBODY]
        if null:
            code = Code.MX_NULL if len(null) == len(answer.values) else Code.MX_NULL_MIXED
            message = (
                f"{name} has a null MX, which says that it accepts no mail: receivers may refuse "
                "what comes from there (RFC 7505)."
            )
            fix: Fix = external()
            if not answer.aliases:
                fix = delete(removal(name, kind, null))
            message = f"{message} {beyond(fix)}".rstrip()
            yield finding(code, "domain", message, fitting(fix))
    for record in plan.of(Purpose.RETURN_PATH):
        if isinstance(record.wanted, CNAMEWanted):
            values = seen.at(record.wanted.target, RecordType.MX).values
            if values and all(host_of(value) == NOBODY for value in values):
                message = (
                    f"{record.wanted.target} has a null MX, so that bounces to {record.name} are "
                    "lost: that is up to the provider."
                )
                yield finding(Code.MX_NULL, record.id, message, external())


def _listed(names: Sequence[str]) -> str:
    more = " and more" if len(names) > _NAMED_LIMIT else ""
    return ", ".join(names[:_NAMED_LIMIT]) + more

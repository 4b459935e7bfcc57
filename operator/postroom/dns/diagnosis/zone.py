# SPDX-License-Identifier: Apache-2.0
"""Causes in the way to the zone: what makes every single record moot, or slow to be seen."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from postroom.api.findings import Finding, Severity
from postroom.dns import dmarc
from postroom.dns.answers import Answer, Delegation, Outcome, RecordType, ServerAnswer, Zone
from postroom.dns.diagnosis import nameservers, resolving
from postroom.dns.diagnosis.parking import Disuse, disuse, seems_disused
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import external

#: The subject of findings that are about no single record.
DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class ZoneView:
    """What was seen of the zone itself.

    `serials` is what each of its servers answered for the SOA. All else is asked only where there
    is reason to: `versions` is their whole SOA; `delegation` what the parent says; `resolver` what
    the resolver says of the SOA, or of a record that it fails at, and `unvalidated` what it has
    of the same without DNSSEC; `families` which types of address the silent servers have.
    """

    domain: str
    zone: Zone | Answer
    serials: tuple[ServerAnswer, ...] = ()
    versions: tuple[ServerAnswer, ...] = ()
    delegation: Delegation | Answer | None = None
    resolver: Answer | None = None
    unvalidated: Answer | None = None
    families: Mapping[str, frozenset[RecordType]] = field(default_factory=dict)

    @property
    def denied(self) -> bool:
        """Whether nobody who could answer for the zone may be asked."""
        if isinstance(self.zone, Answer):
            return self.zone.outcome is Outcome.DENIED
        return bool(self.serials) and all(map(nameservers.is_denied, self.serials))

    @property
    def open(self) -> bool:
        """Whether the way to name servers is known to be open: some of them answered something."""
        heard = any(serial.answer.server is not None for serial in self.serials)
        return heard or isinstance(self.delegation, Delegation)


@dataclass(frozen=True, slots=True)
class Root:
    """What makes records moot.

    `moot` are the codes of what follows from it at records; None: all of them. `blinds`: what was
    seen of the records is not what the world sees.
    """

    finding: Finding
    moot: frozenset[Code] | None = frozenset({Code.LOOKUP_FAILED})
    blinds: bool = False


#: What a resolver that fails, or sees another zone, does to the findings about records.
_OF_RESOLVER = frozenset({Code.LOOKUP_FAILED, Code.STALE_NEGATIVE, Code.STALE_POSITIVE})


def agreed(serials: Sequence[ServerAnswer]) -> bool:
    """Whether all servers that answered have the same version of the zone."""
    return len({serial.answer.values for serial in serials if serial.answer.conclusive}) <= 1


def root_cause(view: ZoneView, outcomes: Collection[Outcome], *, kept: bool = False) -> Root | None:
    """Find what makes the records moot: there is no such domain, or no way to its zone.

    `outcomes` are those of the records at and below the domain; `kept`: the resolver has some that
    the servers of the zone do not answer with.
    """
    gone = isinstance(view.zone, Answer) and view.zone.conclusive
    apex = view.zone.apex if isinstance(view.zone, Zone) else view.domain
    if apex != view.domain and set(outcomes) == {Outcome.NX_DOMAIN}:
        # Nobody's records stand in the zone of a registry: it denies that the domain is delegated.
        gone = "." not in apex or dmarc.is_public_suffix(apex)
    if gone:
        message = f"{view.domain} does not exist in DNS: register it, or correct spec.domain."
        return Root(finding(Code.DOMAIN_NXDOMAIN, DOMAIN, message, external()), None)
    parked = _parked(view)
    if parked is not None:
        return parked
    if view.denied:
        names = sorted(serial.nameserver for serial in view.serials)
        message = nameservers.not_asked(apex, names or ["what holds the zone above"])
        made = finding(Code.NS_NOT_ASKED, DOMAIN, message, external())
        return Root(
            made.model_copy(update={"severity": Severity.ERROR}),
            frozenset({Code.LOOKUP_FAILED, Code.RESOLVER_ONLY}),
        )
    bogus = resolving.bogus(view.domain, view.resolver, view.unvalidated, view.delegation)
    if bogus is not None:
        return Root(finding(Code.DNSSEC_BOGUS, DOMAIN, bogus, external()), _OF_RESOLVER)
    unserved = None
    if view.open:
        unserved = nameservers.unserved(view.serials, view.families, kept=kept)
    if unserved is not None:
        code, message = unserved
        made = finding(code, DOMAIN, message, external())
        moot = frozenset({Code.LOOKUP_FAILED, Code.RESOLVER_ONLY})
        return Root(made.model_copy(update={"severity": Severity.ERROR}), moot)
    if view.resolver is not None and view.resolver.outcome is Outcome.SERVER_FAILURE:
        message = resolving.failure(view.domain, view.resolver)
        return Root(finding(Code.SERVFAIL_OTHER, DOMAIN, message, external()), _OF_RESOLVER)
    if isinstance(view.zone, Answer):
        message = f"DNS could not be asked for the zone of {view.domain}; the look is repeated."
        return Root(finding(Code.LOOKUP_FAILED, DOMAIN, message))
    split = resolving.split(view.zone, view.resolver, view.versions, view.delegation)
    if split is not None:
        made = finding(Code.SPLIT_HORIZON, DOMAIN, split.message, external())
        return Root(made, None if split.private else _OF_RESOLVER, blinds=split.private)
    return None


_USES = {
    Disuse.PARKING: (
        "a parking service",
        "set the name servers of the DNS host that is to serve it at the registrar",
    ),
    Disuse.EXPIRED: (
        "a registrar, for registrations that have expired",
        "renew it at the registrar, and set its name servers there again where that does not do it",
    ),
    Disuse.HELD: (
        "a registrar, for domains whose owner has not confirmed the contact data",
        "confirm them with the link that the registrar has mailed, or have it sent again",
    ),
}


def _parked(view: ZoneView) -> Root | None:
    """Whether the domain is out of use; a likeness of names takes no other finding away."""
    delegated = isinstance(view.delegation, Delegation)
    named: Sequence[str] = view.zone.nameservers if isinstance(view.zone, Zone) else ()
    if delegated and isinstance(view.delegation, Delegation):
        named = view.delegation.nameservers
    known, alike = disuse(named), seems_disused(named)
    if known is not None:
        what, todo = _USES[known]
        message = (
            f"The name servers of {view.domain} are those of {what}: {', '.join(named)}. Nobody "
            f"sees its records: {todo}."
        )
        return Root(finding(Code.DOMAIN_PARKED, DOMAIN, message, external()), None)
    if alike is not None:
        what, todo = _USES[alike]
        message = (
            f"The name servers of {view.domain} are named like those of {what}: "
            f"{', '.join(named)}. If the registrar has set them: {todo}."
        )
        return Root(finding(Code.DOMAIN_PARKED, DOMAIN, message, external()), frozenset())
    return None


def findings(view: ZoneView) -> Iterator[Finding]:
    """Yield what is wrong with the zone's servers or its delegation."""
    if isinstance(view.zone, Zone):
        yield from nameservers.findings(
            view.zone,
            view.serials,
            view.versions,
            view.delegation,
            view.families,
            heard=view.open,
        )
    if view.delegation is not None and dmarc.is_public_suffix(view.domain):
        message = f"{view.domain} is a public suffix, below which others register their domains."
        yield finding(Code.PUBLIC_SUFFIX, DOMAIN, message, external())

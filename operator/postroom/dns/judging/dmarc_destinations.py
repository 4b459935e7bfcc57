# SPDX-License-Identifier: Apache-2.0
"""Whether those who are to receive DMARC reports have agreed to (RFC 9990 section 4)."""

from dataclasses import dataclass

from postroom.api.findings import Fix, FixAction
from postroom.dns import dmarc
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import external
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.judging.seen import Needs, Seen, shared
from postroom.dns.names import can_be_asked, is_within
from postroom.dns.requirements import DMARCWanted

#: Most destinations that are looked at besides those of the spec.
_OTHERS_LIMIT = 6


def needs(
    domain: str, wanted: DMARCWanted, seen: Seen, record: dmarc.PolicyRecord | None = None
) -> Needs:
    """The questions of whom the destinations belong to, and whether those agree that look foreign.

    Those of the spec, and those of the `record` that is published.
    """
    needed = Needs()
    ours = _organisation(domain, seen)
    for destination in (*_destinations(domain, wanted), *_others(domain, wanted, record)):
        needed |= shared(*((name, RecordType.TXT) for name in dmarc.walk_names(destination)))
        asked = dmarc.ExternalDestination(domain, destination)
        near = is_within(destination, domain) or is_within(domain, destination)
        theirs = _organisation(destination, seen)
        apart = ours is not None and theirs is not None and ours != theirs
        if can_be_asked(asked.name) and (apart or not near):
            needed |= shared((asked.name, RecordType.TXT))
            answer = seen.get(asked.name, RecordType.TXT)
            if answer is not None and dmarc.consent(asked, answer) is dmarc.Consent.ABSENT:
                needed |= shared((asked.wildcard, RecordType.TXT))
    return needed


def _destinations(domain: str, wanted: DMARCWanted) -> tuple[str, ...]:
    found = set(map(dmarc.report_domain, wanted.rua))
    return tuple(sorted(destination for destination in found if destination != domain))


def _others(domain: str, wanted: DMARCWanted, record: dmarc.PolicyRecord | None) -> tuple[str, ...]:
    """The destinations of a record that the spec does not ask for."""
    there = dmarc.destinations(record) if record is not None else ()
    known = {domain, *_destinations(domain, wanted)}
    return tuple(destination for destination in there if destination not in known)[:_OTHERS_LIMIT]


@dataclass(frozen=True, slots=True)
class NoConsent:
    """Why a destination gets no reports, and who has to do what, to end in whatever follows."""

    destination: str
    clause: str
    fix: Fix


def unasked(
    domain: str, wanted: DMARCWanted, seen: Seen, record: dmarc.PolicyRecord
) -> tuple[NoConsent, ...]:
    """Tell which destinations of a published record, that the spec does not name, get no reports.

    Only what is known counts: one that could not be asked is left out.
    """
    there = _others(domain, wanted, record)
    organisations = {name: _organisation(name, seen) for name in (domain, *there)}
    found = list[NoConsent]()
    for destination in dmarc.external(domain, there, organisations)[0]:
        wildcard = seen.get(destination.wildcard, RecordType.TXT)
        said = dmarc.consent(destination, seen.at(destination.name, RecordType.TXT), wildcard)
        if said in _WHY and not (
            _is_near(destination) and said is not dmarc.Consent.OVERRIDE_FOREIGN
        ):
            found.append(_refused(destination, said, None))
    return tuple(found)


def _organisation(domain: str, seen: Seen) -> str | None:
    return _walked(domain, seen).organisational_domain


def _walked(domain: str, seen: Seen) -> dmarc.Discovery:
    asked = ((name, seen.get(name, RecordType.TXT)) for name in dmarc.walk_names(domain))
    return dmarc.discover(domain, {name: answer for name, answer in asked if answer is not None})


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the required destinations get reports.

    `cause` says why one does not, `unseen` what could not be looked at; `apart` are destinations
    that only the tree walk takes for another organisation.
    """

    cause: Cause | None = None
    unseen: str | None = None
    apart: tuple[dmarc.ExternalDestination, ...] = ()


def verdict(domain: str, wanted: DMARCWanted, seen: Seen, zone: str | None) -> Agreement:
    """Judge the required destinations; `zone` is the apex of the user's own zone, where known."""
    there = _destinations(domain, wanted)
    organisations = {name: _organisation(name, seen) for name in (domain, *there)}
    foreign, unseen = dmarc.external(domain, there, organisations)
    unknown: str | None = None
    apart: list[dmarc.ExternalDestination] = []
    for destination in (*(dmarc.ExternalDestination(domain, name) for name in unseen), *foreign):
        wildcard = seen.get(destination.wildcard, RecordType.TXT)
        found = dmarc.consent(destination, seen.at(destination.name, RecordType.TXT), wildcard)
        if found is dmarc.Consent.GIVEN:
            continue
        if destination.destination in unseen:
            # Whether it has to agree is not known; one that is near gets reports in any case.
            if not _is_near(destination):
                walks = (_walked(name, seen) for name in (destination.destination, domain))
                failed = next(walk.failed[0] for walk in walks if walk.failed)
                unknown = unknown or f"TXT at _dmarc.{failed}"
        elif _is_near(destination) and found is not dmarc.Consent.OVERRIDE_FOREIGN:
            apart.append(destination)
        elif found is dmarc.Consent.UNKNOWN:
            unknown = unknown or f"TXT at {destination.name}"
        else:
            missed = _refused(destination, found, zone)
            code = Code.DMARC_EXTERNAL_RUA_UNAUTHORISED
            return Agreement(Cause(code, f"{missed.clause}.", missed.fix, Evidence.SHOWN))
    return Agreement(unseen=unknown, apart=tuple(apart))


def _is_near(external: dmarc.ExternalDestination) -> bool:
    """Whether the Public Suffix List, by which most receivers still go, sees one organisation."""
    near = is_within(external.destination, external.policy_domain) or is_within(
        external.policy_domain, external.destination
    )
    return near and dmarc.aligned_by_list(
        external.policy_domain, external.destination, dmarc.AlignmentMode.RELAXED
    )


_WHY = {
    dmarc.Consent.ABSENT: "has not agreed to receive the DMARC reports of this domain",
    dmarc.Consent.MASKED: "has agreed for all domains, but another record below hides that",
    dmarc.Consent.OVERRIDE_FOREIGN: "has agreed, but names an address elsewhere",
    dmarc.Consent.UNASKABLE: "cannot agree: the name where it would is too long for DNS",
}
_AGREEMENT = "v=DMARC1"


def _refused(
    destination: dmarc.ExternalDestination, found: dmarc.Consent, zone: str | None
) -> NoConsent:
    clause = f"{destination.destination} {_WHY[found]}"
    fix = external()
    if found in (dmarc.Consent.ABSENT, dmarc.Consent.MASKED):
        clause += f": who runs it must publish TXT {_AGREEMENT} at {destination.name}"
        mine = zone is not None and is_within(destination.name, zone)
        fix = Fix(
            action=FixAction.CREATE if mine else FixAction.EXTERNAL,
            name=destination.name,
            type=RecordType.TXT.value,
            value=_AGREEMENT,
        )
    return NoConsent(destination.destination, clause, fix)

# SPDX-License-Identifier: Apache-2.0
"""Who may use a domain that several namespaces claim.

Two claims contend where they are of different namespaces and their domains are equal or one lies
below the other. A published ownership token, which is bound to namespace and key, decides for its
domain and what lies below; of a domain above it says nothing. Among those without one the domain
that was verified earlier keeps it (ties: the older object, then namespace and name), as long as its
verification is kept up: who is suspended, or has failed or not been seen for long, gives way to
whoever verifies it. What is being deleted is looked at no more, however long a finalizer keeps it:
neither its verification nor its proof keeps anybody from the domain. Everything follows from the
stored object, so that the order of events and a restart change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from postroom.api.fields import parse_duration
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import Metadata, SendingDomain
from postroom.api.sendingdomain import Purpose, RecordState, RecordStatus, Verification
from postroom.api.times import parse_timestamp
from postroom.dns import dmarc, ownership
from postroom.dns.names import and_ancestors, is_within

_OWNERSHIP = Purpose.OWNERSHIP.value
#: How long a domain that fails keeps others from it without a proof, whatever grace its own spec
#: gives it: the default one.
_LONGEST_GRACE = timedelta(hours=72)
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Claim:
    """One namespace's claim on a domain, as its SendingDomain's stored status has it.

    `proven` tells that its token is published; `verified_at` is empty where it is not verified;
    `refused` tells that the status says DomainClaimed. `suspended` is what the spec says, `lapsed`
    that the verification is not kept up (`has_lapsed`), `leaving` that the object is being deleted.
    """

    namespace: str
    name: str
    domain: str
    created: str = ""
    verified_at: str = ""
    proven: bool = False
    refused: bool = False
    suspended: bool = False
    lapsed: bool = False
    leaving: bool = False

    def left(self) -> Claim:
        """The claim once its object is being deleted."""
        return replace(self, proven=False, suspended=True, leaving=True)

    @property
    def key(self) -> Key:
        return Key(Kind.SENDING_DOMAIN, self.namespace, self.name)

    @property
    def holds(self) -> bool:
        """Whether it keeps those from the domain who are not verified themselves."""
        return bool(self.verified_at) and not (self.lapsed or self.suspended)

    @property
    def seniority(self) -> tuple[bool, str, str, str, str]:
        """What is less goes before, among claims that are verified."""
        return not self.holds, self.verified_at, self.created, self.namespace, self.name

    def contends_with(self, other: Claim) -> bool:
        """Whether both cannot be had, unless both are proven."""
        if self.namespace == other.namespace:
            return False
        return is_within(self.domain, other.domain) or is_within(other.domain, self.domain)

    def is_settled_below(self, other: Claim) -> bool:
        """Whether this has what it claims by proof, and leaves the rest to a domain above.

        Who controls a subdomain may have been given just that: its token says nothing about the
        domain above, whose own name is not contended for.
        """
        below = self.domain != other.domain and is_within(self.domain, other.domain)
        return self.proven and below

    def is_too_wide_for(self, other: Claim) -> bool:
        """Whether this would take all names that a registry or a host gives away."""
        if self.proven or self.domain == other.domain:
            return False
        return is_within(other.domain, self.domain) and dmarc.is_shared(self.domain)


def is_lost(mine: Claim, others: Iterable[Claim]) -> bool:
    """Whether a claim must give way to others that it contends with.

    Nobody is kept from a domain by a claim that is neither proven nor verified, nor by an unproven
    one on a public suffix above it, of which nobody who has a name below it can know, nor by an
    unproven one that is not kept up.
    """
    if mine.proven:
        return False
    rivals = [
        other
        for other in others
        if other.contends_with(mine)
        and not other.is_too_wide_for(mine)
        and not other.is_settled_below(mine)
    ]
    if any(rival.proven for rival in rivals):
        return True
    if not mine.verified_at:
        return any(rival.holds for rival in rivals)
    return any(rival.verified_at and rival.seniority < mine.seniority for rival in rivals)


def has_lapsed(
    verification: Verification | None,
    grace_period: timedelta,
    degraded_at: datetime | None,
    looked_at: datetime | None,
) -> bool:
    """Whether what a status says of a verified domain is no hold against others any more.

    A regression is borne with for the domain's own grace period, but for no more than
    `_LONGEST_GRACE`, and not at all where that period never ends: nobody may keep a domain for ever
    that is not verified. `looked_at` is when the status was found.
    """
    if verification is not Verification.DEGRADED:
        return verification not in (Verification.VERIFIED, None)
    if degraded_at is None or looked_at is None:
        return True
    return looked_at - degraded_at >= min(grace_period, _LONGEST_GRACE)


def claim_of(resource: SendingDomain, keys: Sequence[bytes]) -> Claim:
    """Read the claim of a typed object."""
    metadata, status = resource.metadata, resource.status
    mine = Claim(
        metadata.namespace,
        metadata.name,
        resource.spec.domain,
        metadata.creation_timestamp,
        verified_at=status.verified_at or "",
        refused=any(
            condition.reason == Reason.DOMAIN_CLAIMED.value for condition in status.conditions
        ),
        suspended=resource.spec.suspend,
        lapsed=has_lapsed(
            status.verification,
            resource.spec.grace_period,
            _moment(status.degraded_at),
            _moment(status.last_check_time),
        ),
    )
    return with_proof(mine, status.records, keys)


def with_proof(claim: Claim, records: Iterable[RecordStatus], keys: Sequence[bytes]) -> Claim:
    """Whether the records of a status prove a claim.

    What was observed counts, not what was to be published: that changes with the keys.
    """
    seen = [
        (record.name, text)
        for record in records
        if record.purpose is Purpose.OWNERSHIP and record.state is RecordState.VALID
        for text in record.observed
    ]
    proven = ownership.proves(seen, keys, claim.namespace, claim.domain)
    return replace(claim, proven=proven)


class ClaimBook:
    """All claims of a world, found by domain. For one event loop."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self.keys = tuple(key for key in keys if key)
        self._claims: dict[Key, Claim] = {}
        self._at: dict[str, set[Key]] = {}
        self._below: dict[str, set[Key]] = {}

    def note(self, claim: Claim) -> None:
        """Take in the present picture of a domain."""
        before = self._claims.get(claim.key)
        if before is not None and before.domain != claim.domain:
            self.forget(claim.key)
        self._claims[claim.key] = claim
        domain, *above = and_ancestors(claim.domain)
        self._at.setdefault(domain, set()).add(claim.key)
        for parent in above:
            self._below.setdefault(parent, set()).add(claim.key)

    def hold(self, claim: Claim) -> None:
        """Let a claim count as it is about to be stored: who is judged meanwhile must know it."""
        before = self._claims.get(claim.key)
        if before is not None and not before.leaving:
            self._claims[claim.key] = claim

    def forget(self, key: Key) -> None:
        """A domain is no more, or claims nothing."""
        claim = self._claims.pop(key, None)
        if claim is None:
            return
        domain, *above = and_ancestors(claim.domain)
        _take(self._at, domain, key)
        for parent in above:
            _take(self._below, parent, key)

    def rivals(self, namespace: str, domain: str) -> tuple[Claim, ...]:
        """Return the claims of other namespaces that contend for a domain, sorted."""
        keys = {key for name in and_ancestors(domain) for key in self._at.get(name, ())}
        keys |= self._below.get(domain, set())
        return tuple(self._claims[key] for key in sorted(keys) if key.namespace != namespace)

    def is_lost(self, claim: Claim) -> bool:
        """Whether a claim must give way now."""
        return is_lost(claim, self.rivals(claim.namespace, claim.domain))

    def is_contested(self, key: Key) -> bool:
        """Whether other namespaces claim a domain, too."""
        claim = self._claims.get(key)
        return claim is not None and bool(self.rivals(claim.namespace, claim.domain))

    def refuses(self, key: Key) -> bool:
        """Whether a domain must give way now, whatever its status says."""
        claim = self._claims.get(key)
        return claim is not None and self.is_lost(claim)

    def vouches(self, namespace: str, domain: str) -> bool:
        """Whether a namespace holds a domain: it verified it, or proved control of one above."""
        for name in and_ancestors(domain):
            for key in self._at.get(name, ()):
                claim = self._claims[key]
                if key.namespace == namespace and claim.holds and (name == domain or claim.proven):
                    return not self.is_lost(claim)
        return False

    def is_unsettled(self, key: Key) -> bool:
        """Whether the claims treat a domain otherwise than its status says."""
        claim = self._claims.get(key)
        if claim is None or not (claim.refused or claim.verified_at):
            return False
        if claim.suspended and claim.refused:
            return False  # it asks for nothing until it is resumed
        return self.is_lost(claim) is not claim.refused

    def unsettled_by(self, namespace: str, domain: str) -> list[Key]:
        """Return whom news of a claim on a domain concerns: they must be looked at again."""
        rivals = self.rivals(namespace, domain)
        return [rival.key for rival in rivals if self.is_unsettled(rival.key)]


def _take(index: dict[str, set[Key]], name: str, key: Key) -> None:
    keys = index[name]
    keys.discard(key)
    if not keys:
        del index[name]


def claim_from(
    metadata: Metadata,
    domain: str,
    status: Mapping[str, Any],
    keys: Sequence[bytes],
    spec: Mapping[str, Any] = _NOTHING,
) -> Claim:
    """Read the claim of a raw object, without the cost of its models; any status will do.

    `spec` has been understood, or is not known.
    """
    seen = [
        (str(entry.get("name")), str(text))
        for entry in _entries(status, "records")
        if entry.get("purpose") == _OWNERSHIP and entry.get("state") == RecordState.VALID.value
        for text in (entry.get("observed") or ())
    ]
    return Claim(
        metadata.namespace,
        metadata.name,
        domain,
        metadata.creation_timestamp,
        verified_at=str(status.get("verifiedAt") or ""),
        proven=ownership.proves(seen, keys, metadata.namespace, domain),
        refused=any(
            entry.get("reason") == Reason.DOMAIN_CLAIMED.value
            for entry in _entries(status, "conditions")
        ),
        suspended=spec.get("suspend") is True,
        lapsed=has_lapsed(
            next((each for each in Verification if each == status.get("verification")), None),
            parse_duration(spec.get("gracePeriod") or _LONGEST_GRACE),
            _moment(status.get("degradedAt")),
            _moment(status.get("lastCheckTime")),
        ),
    )


def _moment(text: object) -> datetime | None:
    try:
        return parse_timestamp(text) if isinstance(text, str) else None
    except ValueError:
        return None


def standing_of(status: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what of a raw status claims stand on, to notice when it moves."""
    records = [entry for entry in _entries(status, "records") if entry.get("purpose") == _OWNERSHIP]
    proofs = (
        (record.get("name"), record.get("state"), str(record.get("observed"))) for record in records
    )
    return (status.get("verifiedAt"), *proofs)


def _entries(status: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
    found = status.get(field)
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping):
            yield entry

# SPDX-License-Identifier: Apache-2.0
"""Which SendingDomain of the namespace covers an address: the one for its very domain.

A SendingDomain for a domain above covers nothing below it. SPF is looked up at the very domain of
the envelope sender and is not inherited (RFC 7208 section 4.1); DKIM for the domain above aligns
only where no DMARC record of the subdomain asks for strict alignment (RFC 9989), and what was
looked at there was looked at for the domain above alone.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import yaml

from postroom.api import (
    emailaccount,
    findings,
    identities,
    names,
    reasons,
    resource,
    sendingdomain,
)
from postroom.api.conditions import ConditionStatus
from postroom.dns.names import and_ancestors
from postroom.mail.identities.judging import Judgement
from postroom.reconcile import indexes
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status import assessment
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class Coverage:
    """The longest match among the SendingDomains at an address's domain and above.

    `covering` is for the very domain; where there is none, `above` is the nearest one above it, and
    `invalid` the name of one for the very domain whose spec is invalid.
    """

    covering: resource.SendingDomain | None = None
    above: resource.SendingDomain | None = None
    invalid: str | None = None

    @property
    def reason(self) -> reasons.Reason:
        """Why nothing covers the address."""
        is_there = self.invalid is not None
        return (
            reasons.Reason.REFERENCE_INVALID
            if is_there
            else reasons.Reason.SENDING_DOMAIN_NOT_FOUND
        )


async def coverage_of(domain: str, namespace: str, world: World) -> Coverage:
    """Find what covers a domain; of several SendingDomains for one domain the oldest counts."""
    ruined = world.names_under(
        names.Kind.SENDING_DOMAIN, namespace, indexes.unusable(indexes.by_domain(domain))
    )
    invalid = next(iter(ruined), None)
    for name in _declarable(domain):
        found = await world.find(names.Kind.SENDING_DOMAIN, namespace, indexes.by_domain(name))
        if found:
            oldest = cast("resource.SendingDomain", min(found, key=indexes.age))
            return Coverage(oldest) if name == domain else Coverage(None, oldest, invalid)
    return Coverage(invalid=invalid)


@functools.lru_cache(maxsize=256)
def references_to(domain: str) -> frozenset[str]:
    """Return what decides what covers a domain."""
    marks = [*map(indexes.by_domain, _declarable(domain))]
    marks.append(indexes.unusable(indexes.by_domain(domain)))
    return frozenset(reference_to(names.Kind.SENDING_DOMAIN, mark) for mark in marks)


def _declarable(domain: str) -> list[str]:
    """The domain and those above it, but for the top-level domain, for which nobody declares."""
    return [name for name in and_ancestors(domain) if "." in name]


def missing(
    spec: emailaccount.EmailAccountSpec, coverage: Coverage, lost: str | None
) -> str | None:
    """Return what is wrong with an account whose address nothing covers; None: nothing is.

    `lost` is the SendingDomain that the account stood on before.
    """
    if coverage.invalid is not None and (lost is not None or spec.needs_domain):
        return is_invalid(coverage.invalid, spec.domain)
    if lost is not None:
        without = (
            "If the address is to be used without, delete this EmailAccount and create it again, "
            "too."
        )
        return (
            f"SendingDomain {lost} is gone, and nothing in this namespace is for {spec.domain} any "
            f"more: create it again.{'' if spec.needs_domain else f' {without}'}"
        )
    if not spec.needs_domain:
        return None
    why = "spec.domainPolicy is Required" if spec.requires_domains else "spec.fallbackSender is set"
    return _uncovered(why, spec.domain, coverage)


def is_invalid(name: str, domain: str) -> str:
    """The sentence on a SendingDomain that cannot be understood."""
    return (
        f"The spec of SendingDomain {name} is invalid, so that nothing shows that {domain} may "
        "send: its status tells what to correct there."
    )


def _uncovered(why: str, domain: str, coverage: Coverage) -> str:
    """The sentence on a domain that must be covered and is not."""
    if coverage.invalid is not None:
        return is_invalid(coverage.invalid, domain)
    return (
        f"{why}, but no SendingDomain of this namespace is for {domain}: create one."
        f"{_not_inherited(coverage.above)}"
    )


def is_degraded(domain: resource.SendingDomain | None) -> bool:
    """Whether a domain fails within its grace period, in which sending goes on."""
    if domain is None or assessment.readiness(domain) is not ConditionStatus.FALSE:
        return False
    return domain.status.verification is sendingdomain.Verification.DEGRADED


async def withheld(
    account: resource.EmailAccount, addresses: Iterable[str], world: World
) -> Mapping[str, Judgement]:
    """Hold back those of an account's further addresses whose domains are not verified, where
    `domainPolicy` is Required; by folded address.

    Pending, not Rejected: it says nothing against the account's own address.
    """
    spec, held = account.spec, dict[str, Judgement]()
    others = {address.lower() for address in addresses} - {spec.address.lower()}
    for address in sorted(others if spec.requires_domains else ()):
        domain = address.rpartition("@")[2]
        found = await coverage_of(domain, account.metadata.namespace, world)
        why = _why_held(domain, found, world)
        if why is not None:
            held[address] = Judgement(identities.IdentityState.PENDING, None, *why)
    return held


def _why_held(
    domain: str, found: Coverage, world: World
) -> tuple[reasons.Reason, str, bool] | None:
    """Why nobody is to send under a domain that must be verified, and whether that passes."""
    if (covering := found.covering) is None:
        sentence = _uncovered("spec.domainPolicy is Required", domain, found)
        return found.reason, sentence, False
    name = f"SendingDomain {covering.metadata.name}"
    state = assessment.readiness(covering)
    if world.claims.refuses(covering.key) or (
        state is ConditionStatus.FALSE and not is_degraded(covering)
    ):
        sentence = f"{name} is not ready: read its status."
        return reasons.Reason.SENDING_DOMAIN_NOT_READY, sentence, False
    if state is ConditionStatus.UNKNOWN:
        sentence = f"The state of {name} is not known yet."
        passing = not assessment.is_out_of_sight(covering)
        return reasons.Reason.DEPENDENCY_UNKNOWN, sentence, passing
    return None


def _not_inherited(above: resource.SendingDomain | None) -> str:
    """Why a domain above does not do; empty where there is none."""
    if above is None:
        return ""
    return (
        f" SendingDomain {above.metadata.name} is for {above.spec.domain} alone: SPF is not "
        "inherited, and neither DKIM nor DMARC was looked at for what lies below."
    )


def not_covered(domain: str, namespace: str, above: resource.SendingDomain) -> findings.Finding:
    """What is told of an account that nothing covers, and need not be covered."""
    return findings.Finding(
        code="SUBDOMAIN_NOT_COVERED",
        severity=findings.Severity.INFO,
        subject="domain",
        message=f"Nothing shows that mail from {domain} is authorised.{_not_inherited(above)} "
        "Create one for it, or leave it so if others look after its records.",
        fix=declaring(domain, namespace),
    )


def not_found(message: str, reason: reasons.Reason, fix: findings.Fix | None) -> findings.Finding:
    """That a SendingDomain is missed, with the object that mends it, or cannot be understood."""
    return findings.Finding(
        code=reason.name,
        severity=findings.Severity.ERROR,
        subject="domain",
        message=message,
        fix=fix,
    )


def declaring(domain: str, namespace: str, name: str | None = None) -> findings.Fix:
    """The fix that declares a domain: an object that can be applied as it is printed."""
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.Kind.SENDING_DOMAIN.value,
        "metadata": {"name": name or domain, "namespace": namespace},
        "spec": {"domain": domain},
    }
    return findings.Fix(
        action=findings.FixAction.EXTERNAL,
        instruction="Apply this, with spf and dkim in its spec as whoever sends the mail names "
        "them, and publish what its status lists:",
        # The names may be such as YAML takes for numbers and the like: it quotes what must be.
        manifest=yaml.safe_dump(manifest, sort_keys=False, width=1000),
    )

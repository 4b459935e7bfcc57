# SPDX-License-Identifier: Apache-2.0
"""The Public Suffix List: what receivers of the time before RFC 9989 go by. Advice only."""

from dataclasses import dataclass
from functools import cache

from publicsuffixlist import PublicSuffixList

from postroom.dns.dmarc.record import AlignmentMode
from postroom.dns.dmarc.walk import Discovery


@cache
def _list(only_icann: bool) -> PublicSuffixList:
    """Load the list that comes with the library, once and only when asked: it takes 0.1 s."""
    return PublicSuffixList(only_icann=only_icann)


def organisational_domain(domain: str) -> str:
    """Return the organisational domain by the list (RFC 7489 section 3.2).

    A domain that is itself a public suffix is its own.
    """
    return _list(only_icann=False).privatesuffix(domain) or domain


def registered_domain(domain: str) -> str:
    """Return the name at or above a domain that a registry has, by the list's ICANN part.

    A domain that is itself a public suffix, or in none, is its own.
    """
    return _list(only_icann=True).privatesuffix(domain) or domain


def is_public_suffix(domain: str) -> bool:
    """Whether names are registered directly below a domain, by the list's ICANN part.

    Unknown top-level domains, as in a private network, are not.
    """
    return bool(_list(only_icann=True).is_public(domain, accept_unknown=False))


def is_shared(domain: str) -> bool:
    """Whether names directly below a domain are in many hands, by any part of the list."""
    return bool(_list(only_icann=False).is_public(domain, accept_unknown=False))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What old receivers take differently.

    `walk` and `suffix_list` are the organisational domains. `policies_differ` is whether the
    records that apply stand at different domains; None where the walk did not ask there.
    """

    domain: str
    walk: str
    suffix_list: str
    policies_differ: bool | None


def disagreement(domain: str, discovery: Discovery) -> Disagreement | None:
    """Compare the walk with the list; None where they agree, or the walk could not be finished.

    Without any record on the way there is nothing to disagree on: no DMARC applies.
    """
    walk = discovery.organisational_domain
    if walk is None or (discovery.record is None and not discovery.records):
        return None
    listed = organisational_domain(domain)
    # RFC 7489 section 6.6.3: the domain's own record, else that of the organisational domain.
    policy_domain = next((name for name in (domain, listed) if name in discovery.records), None)
    asked = {step.domain for step in discovery.steps if not step.failed}
    known = policy_domain is not None or listed in asked
    differ = policy_domain != discovery.policy_domain if known else None
    if walk == listed and not differ:
        return None
    return Disagreement(domain, walk, listed, differ)


def aligned_by_list(author: str, identifier: str, mode: AlignmentMode) -> bool:
    """Whether an old receiver takes two domains for aligned."""
    if author == identifier or mode is AlignmentMode.STRICT:
        return author == identifier
    return organisational_domain(author) == organisational_domain(identifier)

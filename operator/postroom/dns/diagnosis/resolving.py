# SPDX-License-Identifier: Apache-2.0
"""Causes at the resolver: DNSSEC that does not hold, no way to the servers, another zone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postroom.dns.answers import Answer, Delegation, Outcome, ServerAnswer, Zone

#: Extended errors (RFC 8914 section 4) that say that validation failed, and in which way.
_VALIDATION = {
    6: "signatures that do not verify",
    7: "signatures that have expired",
    8: "signatures that are not valid yet",
    9: "a DS record that matches no key of the zone",
    10: "no signatures, although the parent zone says that it is signed",
    11: "no key that signs the zone",
    12: "no signed denials",
}
_REASONS = {
    22: "no name server of the zone gives it an answer",
    23: "it cannot reach the name servers of the zone",
}


def bogus(
    domain: str,
    resolver: Answer | None,
    unvalidated: Answer | None,
    delegation: Delegation | Answer | None,
) -> str | None:
    """The message on a zone that fails DNSSEC validation (RFC 4035 section 4.7), else None.

    It fails where the resolver says so, or has without checking what it fails at with it. Without
    a DS at the parent nothing is validated.
    """
    if resolver is None or resolver.outcome is not Outcome.SERVER_FAILURE:
        return None
    said = [_VALIDATION[error] for error in sorted(resolver.errors) if error in _VALIDATION]
    signed = delegation.signed if isinstance(delegation, Delegation) else None
    without_checking = unvalidated is not None and unvalidated.conclusive and signed is not False
    if not (said or without_checking):
        return None
    how = f" ({said[0]})" if said else ""
    return (
        f"The zone of {domain} fails DNSSEC validation{how}, so that validating resolvers refuse "
        "all its records: remove or renew the DS record at the registrar, or sign the zone anew."
    )


def failure(domain: str, resolver: Answer) -> str:
    """Why the resolver fails, as far as it tells."""
    said = [_REASONS[error] for error in sorted(resolver.errors) if error in _REASONS]
    why = f": {said[0]}" if said else ""
    return f"The resolver fails at the zone of {domain}{why}; others may fail likewise."


@dataclass(frozen=True, slots=True)
class Split:
    """Two zones of one name; `private`: the one that was looked at is not the public one."""

    message: str
    private: bool


def split(
    zone: Zone,
    resolver: Answer | None,
    versions: Sequence[ServerAnswer],
    delegation: Delegation | Answer | None,
) -> Split | None:
    """Whether the resolver sees another zone than the public name servers serve.

    Zones are told apart by the primary and the mailbox in their SOA, which copies share.
    """
    seen = _origins([resolver] if resolver is not None else [])
    if isinstance(delegation, Delegation) and not set(delegation.nameservers) & set(
        zone.nameservers
    ):
        public = _origins(server.answer for server in delegation.servers)
        own = seen | _origins(version.answer for version in versions)
        if public and own and not public & own:
            message = (
                f"The resolver takes {', '.join(zone.nameservers)} for the name servers of "
                f"{zone.apex}, the zone {delegation.parent or '.'} names "
                f"{', '.join(delegation.nameservers)}, and they serve different zones: the "
                "resolver has a private one, or the name servers were changed lately. Publish the "
                "records at the latter, and have postroom ask a resolver that sees the public "
                "zone; after a change of name servers, wait for a day or two."
            )
            return Split(message, private=True)
    served = _origins(version.answer for version in versions)
    if seen and served and not seen & served:
        message = (
            f"The resolver has another zone {zone.apex} than the public name servers "
            f"{', '.join(zone.nameservers)}: what is published there does not show in it. "
            "Receivers see the public one: have postroom ask a resolver that does, or publish the "
            "records in both."
        )
        return Split(message, private=False)
    return None


def _origins(answers: Iterable[Answer]) -> set[tuple[str, ...]]:
    """The primaries and mailboxes of the SOA records (RFC 1035 section 3.3.13)."""
    found = set[tuple[str, ...]]()
    for answer in answers:
        found |= {tuple(value.split()[:2]) for value in answer.values if len(value.split()) == 7}
    return found

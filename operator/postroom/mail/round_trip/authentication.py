# SPDX-License-Identifier: Apache-2.0
"""How the receiver judged a message: which stamps are its own (RFC 8601), and what they say."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postroom.mail.round_trip import authentication_results
from postroom.mail.round_trip.header import Header, host_name
from postroom.mail.round_trip.receiving_side import same_side
from postroom.mail.round_trip.trace import hops

_FIELD = "authentication-results"
#: The end of a public host name: those within a provider, such as compute2.internal, and addresses
#: tell no side.
_PUBLIC = re.compile(r"\.(?!(?:internal|local)\Z)[a-z][a-z0-9-]*\Z")
_FIELDS_LIMIT = 32
_SIGNATURES_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """How a DKIM signature was judged; `domain` is that of header.d, else of header.i."""

    outcome: authentication_results.Outcome
    domain: str | None


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the receiver says of a message; None: it does not say.

    `dkim` is the best of the signatures', of which `dkim_domain` is the domain.
    """

    server: str | None
    spf: authentication_results.Outcome | None = None
    spf_domain: str | None = None
    dkim: authentication_results.Outcome | None = None
    dkim_domain: str | None = None
    signatures: tuple[Signature, ...] = ()
    dmarc: authentication_results.Outcome | None = None
    dmarc_domain: str | None = None
    arc: authentication_results.Outcome | None = None


def authentication(header: Header, receivers: Iterable[str] = ()) -> Authentication | None:
    """Return what the receiver says of a message; None where it says nothing that can be trusted.

    Whoever sends may write such fields, too (RFC 8601 section 7.1), and servers on the way do.
    Trusted is the topmost field, if it is the receiving side's: the server that it names is of the
    side of one of `receivers` (host names, such as that of the IMAP server), or of those that took
    the message last; where it names none, only servers of the side that wrote it took the message
    afterwards. With it count the fields below it of the same stop on the way and the same side,
    since some servers write one for each method.
    """
    # The fields, each with the number of Received fields above it.
    stamps: list[tuple[int, authentication_results.AuthenticationResults]] = []
    above = 0
    for field in header.fields:
        if field.name == "received":
            above += 1
        elif field.name == _FIELD and len(stamps) < _FIELDS_LIMIT:
            stamps.append((above, authentication_results.parse(field.value)))
    if not stamps:
        return None
    known = tuple(receiver.lower().rstrip(".") for receiver in receivers)
    stop, first = stamps[0]
    named = (hop.server for hop in hops(header.all("Received")))
    servers = [server if server and _PUBLIC.search(server) else None for server in named]
    if not _is_receiving_side(first.server, known, servers, stop):
        return None
    results: list[authentication_results.MethodResult] = []
    for place, stamp in stamps:
        together = stamp.server == first.server or (
            stamp.server and first.server and same_side(stamp.server, first.server)
        )
        if place == stop and together:
            results += stamp.results
    return _summary(first.server, results)


def _is_receiving_side(
    server: str | None, known: Sequence[str], servers: Sequence[str | None], stop: int
) -> bool:
    """Whether the server of a field at a stop is of the side that took the message last.

    `servers` are those of the Received fields, topmost first, where their names are public.
    """
    above = [host for host in servers[:stop] if host is not None]
    below = [host for host in servers[stop : stop + 1] if host is not None]
    if server is None:
        # Microsoft also stamps what it sends out.
        return all(same_side(host, each) for host in above for each in below)
    if any(same_side(server, host) for host in known):
        return True
    nearest = above or below
    # Delivered locally, a message may have passed no server at all.
    return not any(servers) or any(same_side(server, host) for host in nearest)


def _summary(
    server: str | None, results: Sequence[authentication_results.MethodResult]
) -> Authentication:
    signatures = tuple(
        Signature(result.outcome, _domain(result, "header.d", "header.i"))
        for result in results
        if result.method == "dkim"
    )[:_SIGNATURES_LIMIT]
    best = min(signatures, key=lambda signature: _ORDER.index(signature.outcome), default=None)
    return Authentication(
        server=host_name(server) if server else None,
        spf=_outcome(results, "spf"),
        spf_domain=_domain(_first(results, "spf"), "smtp.mailfrom", "smtp.helo"),
        dkim=best.outcome if best else None,
        dkim_domain=best.domain if best else None,
        signatures=signatures,
        dmarc=_outcome(results, "dmarc"),
        dmarc_domain=_domain(_first(results, "dmarc"), "header.from"),
        arc=_outcome(results, "arc"),
    )


#: Best first: one good signature is enough (RFC 6376 section 6.1).
_ORDER = (
    authentication_results.Outcome.PASS,
    authentication_results.Outcome.SOFT_PASS,
    authentication_results.Outcome.TEMPORARY_ERROR,
    authentication_results.Outcome.NEUTRAL,
    authentication_results.Outcome.POLICY,
    authentication_results.Outcome.PERMANENT_ERROR,
    authentication_results.Outcome.SOFT_FAIL,
    authentication_results.Outcome.FAIL,
    authentication_results.Outcome.UNKNOWN,
    authentication_results.Outcome.NONE,
)


def _first(
    results: Iterable[authentication_results.MethodResult], method: str
) -> authentication_results.MethodResult | None:
    return next((result for result in results if result.method == method), None)


def _outcome(
    results: Iterable[authentication_results.MethodResult], method: str
) -> authentication_results.Outcome | None:
    found = _first(results, method)
    return found.outcome if found else None


def _domain(result: authentication_results.MethodResult | None, *names: str) -> str | None:
    """Return the domain of the first property that has one: an address's, or the value itself."""
    for name in names:
        value = result.get(name) if result else None
        if value:
            domain = host_name(value.rpartition("@")[2])
            if domain is not None and "." in domain:
                return domain
    return None

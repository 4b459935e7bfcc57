# SPDX-License-Identifier: Apache-2.0
"""How the receiver judged a message: which stamps are its own (RFC 8601), and what they say."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postroom.mail.round_trip import authentication_results, receiving_side
from postroom.mail.round_trip.header import Header, host_name
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
    stamps = _stamps(header)
    if not stamps:
        return None
    known = tuple(receiver.lower().rstrip(".") for receiver in receivers)
    stop, first = stamps[0]
    servers = _servers(header)
    if not _is_receiving_side(first.server, known, servers, stop):
        return None
    results: list[authentication_results.MethodResult] = []
    for place, stamp in stamps:
        together = stamp.server == first.server or (
            stamp.server and first.server and receiving_side.same_side(stamp.server, first.server)
        )
        if place == stop and together:
            results += stamp.results
    return _summary(first.server, results)


def of_strangers(header: Header, receivers: Iterable[str] = ()) -> Authentication | None:
    """Return what the receiver says of a message that anybody may have written; None where that
    cannot be told from what the sender wrote.

    A sender writes whatever stands below the receiver's own Received fields, and names there
    whatever serves. So the topmost field counts, and only where its name is of the domain or the
    provider of one of `receivers`, such as the IMAP server: whoever has that name removes it from
    what comes in (RFC 8601 section 5), or writes its own above. Under another name it counts where
    nothing but servers of that name's own side took the message after it was written. Nothing
    that stands below adds to a method that was told.
    """
    stamps = _stamps(header)
    if not stamps:
        return None
    servers = _servers(header)
    known = [receiver.lower().rstrip(".") for receiver in receivers]
    stop, first = stamps[0]
    # The topmost server is the receiver's, whether it wrote the field before or after its own.
    took_it = servers[:stop] or servers[:1]
    if not _is_of(first.server, known) and not _has_passed(first.server, known, took_it):
        return None
    apart = any(map(receiving_side.judges_apart, known))
    if any(map(receiving_side.judges_once, known)):
        stamps = stamps[:1]
    results: list[authentication_results.MethodResult] = []
    for place, stamp in stamps:
        told = {result.method for result in results}
        if place == stop and (
            stamp.server == first.server or (apart and _is_of(stamp.server, known))
        ):
            results += [result for result in stamp.results if result.method not in told]
    return _summary(first.server, results)


def _is_of(server: str | None, hosts: Iterable[str]) -> bool:
    return server is not None and any(
        receiving_side.of_one_owner(server.lower().rstrip("."), host) for host in hosts
    )


def _has_passed(server: str | None, known: Sequence[str], took_it: Sequence[str | None]) -> bool:
    """Whether all who took a message after it was judged are of the side of who judged it, which
    may leave out its name only where its provider does."""
    owners = [server] if server else [*filter(receiving_side.leaves_name_out, known)]
    return bool(took_it) and all(_is_of(each, owners) for each in took_it)


def _stamps(header: Header) -> list[tuple[int, authentication_results.AuthenticationResults]]:
    """The fields, each with the number of Received fields above it."""
    stamps: list[tuple[int, authentication_results.AuthenticationResults]] = []
    above = 0
    for field in header.fields:
        if field.name == "received":
            above += 1
        elif field.name == _FIELD and len(stamps) < _FIELDS_LIMIT:
            stamps.append((above, authentication_results.parse(field.value)))
    return stamps


def _servers(header: Header) -> list[str | None]:
    """The servers of the Received fields, topmost first, where their names are public."""
    named = (hop.server for hop in hops(header.all("Received")))
    return [server if server and _PUBLIC.search(server) else None for server in named]


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
        return all(receiving_side.same_side(host, each) for host in above for each in below)
    if any(receiving_side.same_side(server, host) for host in known):
        return True
    nearest = above or below
    # Delivered locally, a message may have passed no server at all.
    return not any(servers) or any(receiving_side.same_side(server, host) for host in nearest)


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

# SPDX-License-Identifier: Apache-2.0
"""Reads the way of a message from its Received fields (RFC 5321 section 4.4)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from postroom.mail.round_trip.header import Header, host_name, words

#: Hops that are kept: the last ones, since the receiver's own are of most use.
HOPS_LIMIT = 16
#: Servers stop a loop after as many, or fewer (RFC 5321 section 6.3).
_FIELDS_LIMIT = 100
_KEYWORDS = frozenset({"from", "by", "via", "with", "id", "for"})
_PROTOCOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 /+-]{0,39}", re.ASCII)
_ADDRESS_LITERAL = re.compile(r"\[?(IPv6:)?[0-9a-fA-F.:]{2,45}\]?", re.ASCII)
#: Longer texts are no date-time (RFC 5322 section 3.3).
_DATE_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Hop:
    """A server that took the message; what its field does not say is None.

    `sender` and `server` are host names or address literals as the server wrote them, `protocol`
    is that of RFC 3848 or the server's own word. `delay` is in whole seconds since the hop before,
    never negative: clocks differ.
    """

    sender: str | None
    server: str | None
    protocol: str | None
    time: datetime | None
    delay: int | None


def trace(header: Header) -> tuple[Hop, ...]:
    """Return the hops, first to last; at most `HOPS_LIMIT`, of the last ones."""
    # One more is read, for the delay of the first that is kept.
    read = hops(header.all("Received")[: HOPS_LIMIT + 1])
    return tuple(reversed(read[:HOPS_LIMIT]))


def hops(bodies: Sequence[str]) -> list[Hop]:
    """Read the bodies of Received fields, in their order: topmost, which is the last hop, first."""
    found: list[Hop] = []
    before: datetime | None = None
    for body in reversed(bodies[:_FIELDS_LIMIT]):
        parts = words(body, ";")
        named = _named(parts[0] if parts else [])
        time = _time(parts[-1]) if len(parts) > 1 else None
        protocol = " ".join(named.get("with", ()))
        hop = Hop(
            sender=_host(named.get("from", ())),
            server=_host(named.get("by", ())),
            protocol=protocol if _PROTOCOL.fullmatch(protocol) else None,
            time=time,
            delay=max(0, int((time - before).total_seconds())) if time and before else None,
        )
        found.append(hop)
        before = time or before
    return found[::-1]


def _named(part: Sequence[str]) -> dict[str, list[str]]:
    """Return the words behind each keyword; a keyword that comes again is a word."""
    named: dict[str, list[str]] = {}
    current: list[str] = []
    for word in part:
        if word.lower() in _KEYWORDS - named.keys():
            current = named[word.lower()] = []
        else:
            current.append(word)
    return named


def _host(value: Sequence[str]) -> str | None:
    if not value:
        return None
    if _ADDRESS_LITERAL.fullmatch(value[0]):
        return value[0].lower()
    return host_name(value[0])


def _time(part: Sequence[str]) -> datetime | None:
    text = " ".join(part)
    if not text or len(text) > _DATE_LIMIT:
        return None
    try:
        found = parsedate_to_datetime(text)
        # "-0000" (RFC 5322 section 3.3) says UTC, and nothing about where.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

# SPDX-License-Identifier: Apache-2.0
"""Mail exchanges that nobody asked for and that can receive no mail, or must not stand there.

Senders try what MX records name in the order of their preference, and equal ones in any order (RFC
5321 section 5.1): what names no host at all costs some of the mail time, or all of its way. A host
without address they pass over: only where none is usable must mail fail.
A further exchange that exists is no mistake where mail goes to the required ones first: it may be
the domain's backup.
"""

import re
from collections.abc import Container, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from postroom.api.hosts import is_one_slip_from
from postroom.dns.answers import Answer, RecordType
from postroom.dns.dmarc import organisational_domain
from postroom.dns.finding_codes import Code
from postroom.dns.judging.host_slips import form_of, is_host
from postroom.dns.judging.judgement import Context, is_crowded
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.names import can_be_asked, is_within
from postroom.dns.presets.identify import identify, title_of
from postroom.dns.requirements import MXWanted, PlannedRecord
from postroom.dns.texts.quoting import quoted

#: How a null MX says that a domain accepts no mail (RFC 7505 section 3).
NOBODY = "."
ADDRESSES = (RecordType.A, RecordType.AAAA)
#: A preference that was typed into the field for the host, as DNS writes the space after it.
WITH_PREFERENCE = re.compile(r"[0-9]{1,5}(?:\\032|\\009|[ ._])+(?P<host>[a-z].*)")
#: Most hosts that are looked up besides those of the spec; one that takes the mail before these
#: may stand behind many that nobody reaches.
_HOSTS_LIMIT = 24
#: Shorter labels are too much alike to call one the other's misspelling.
_TELLING = 5


class Stray(NamedTuple):
    """An MX value that has to go: the code of its cause, and what to say of the host."""

    value: str
    code: Code
    what: str


def host_of(value: str) -> str:
    """Return the host of an MX value."""
    return value.partition(" ")[2]


def siblings(planned: PlannedRecord, context: Context) -> tuple[MXWanted, ...]:
    """Return all exchanges that are required at the same name, this one among them."""
    return tuple(
        record.wanted
        for record in context.plan.records
        if record.name == planned.name and isinstance(record.wanted, MXWanted)
    )


def _preference(value: str) -> tuple[int, str]:
    written = value.partition(" ")[0]
    return (int(written) if written.isdecimal() else 0), value


def others(
    planned: PlannedRecord, values: Sequence[str], context: Context
) -> tuple[tuple[str, str], ...]:
    """Return the values that name no required exchange, with their hosts; preferred ones first."""
    ours = {sibling.host for sibling in siblings(planned, context)} | {NOBODY, ""}
    found = ((value, host_of(value)) for value in sorted(values, key=_preference))
    return tuple((value, host) for value, host in found if host not in ours)


def needs(planned: PlannedRecord, seen: Seen, context: Context) -> Needs:
    """The addresses of those hosts; the second type only where there is none of the first."""
    values = seen.at(planned.name, RecordType.MX).values
    needed = Needs()
    hosts = dict.fromkeys(host for _, host in others(planned, values, context))
    for host in [name for name in hosts if _form(name, (), context) is None][:_HOSTS_LIMIT]:
        first = seen.get(host, RecordType.A)
        asked = ADDRESSES if first is not None and not _shows_one(first) else ADDRESSES[:1]
        ask = own if is_within(host, _inside(context)) else shared
        needed |= ask(*((host, kind) for kind in asked))
    return needed


def _inside(context: Context) -> str:
    return context.zone.apex if context.zone is not None else context.plan.domain


def strays(planned: PlannedRecord, seen: Seen, context: Context) -> tuple[Stray, ...]:
    """Return what has to go, or had better though senders pass over it: first what mail goes to."""
    values = seen.at(planned.name, RecordType.MX).values
    wanted = siblings(planned, context)
    found, alone = list[Stray](), any(exchange.alone for exchange in wanted)
    for value, host in others(planned, values, context):
        told = _form(host, wanted, context) or _existence(host, wanted, seen)
        if told is not None and not (alone and told[0] == Code.MX_OTHER_UNRESOLVABLE):
            found.append(Stray(value, *told))
    found += _taking(planned, wanted, seen, context, {stray.value for stray in found})
    if alone:
        gone = {stray.value for stray in found}
        found += [
            Stray(value, Code.MX_NOT_ALONE, "stands beside one that must be the only one")
            for value, _ in others(planned, values, context)
            if value not in gone
        ]
    return tuple(sorted(found, key=lambda stray: stray.code == Code.MX_OTHER_UNRESOLVABLE))


def _taking(
    planned: PlannedRecord,
    wanted: Sequence[MXWanted],
    seen: Seen,
    context: Context,
    known: Container[str],
) -> Iterator[Stray]:
    """Yield the exchanges of others that exist, and that mail goes to before the required ones.

    Of equally preferred ones each takes a part: that is told of another provider's, and an unknown
    one may belong there.
    """
    values = seen.at(planned.name, RecordType.MX).values
    for value, host in others(planned, values, context):
        if value in known or not _is_before(value, wanted):
            continue
        if not has_address(host, seen) or is_of_same_kind(host, wanted, seen):
            continue
        owner = title_of(host)
        theirs = is_of_another_provider(host, wanted)
        whose = f"belongs to {owner} and " if theirs and owner else ""
        takes = f"takes all mail before {wanted[0].host} gets any"
        if _preference(value)[0] == min(exchange.preference for exchange in wanted):
            takes = f"takes as much of the mail as {wanted[0].host}"
        what = f"{whose}{takes}; if it is meant to, the spec has to name it in mx"
        yield Stray(value, Code.MX_TAKES_MAIL, what)


def _is_before(value: str, wanted: Sequence[MXWanted]) -> bool:
    """Whether mail goes to an exchange before the required ones, or as much to another's."""
    preference, first = _preference(value)[0], min(exchange.preference for exchange in wanted)
    theirs = preference == first and is_of_another_provider(host_of(value), wanted)
    return preference < first or theirs


def unseen_before(planned: PlannedRecord, seen: Seen, context: Context) -> str | None:
    """Return an exchange that would get the mail before the required ones, but of which could not
    be looked up whether it has an address; None where there is none."""
    values, wanted = seen.at(planned.name, RecordType.MX).values, siblings(planned, context)
    for value, host in others(planned, values, context):
        answers = [answer for kind in ADDRESSES if (answer := seen.get(host, kind)) is not None]
        unseen = any(not answer.conclusive for answer in answers) and not has_address(host, seen)
        if unseen and _is_before(value, wanted) and not is_of_same_kind(host, wanted, seen):
            return host
    return None


def is_of_another_provider(host: str, required: Sequence[MXWanted]) -> bool:
    """Whether a mail exchange belongs to a known provider that has none of the required."""
    provider = identify(host)
    return provider is not None and provider not in {
        identify(exchange.host) for exchange in required
    }


def is_of_same_kind(host: str, wanted: Sequence[MXWanted], seen: Seen) -> bool:
    """Whether a host is run by whoever runs a required one, or is the same under two names."""
    provider, organisation = identify(host), organisational_domain(host)
    same = set(_addresses(host, seen))
    return any(
        (provider is not None and provider == identify(exchange.host))
        or organisation == organisational_domain(exchange.host)
        or not same.isdisjoint(_addresses(exchange.host, seen))
        for exchange in wanted
    )


def has_address(host: str, seen: Seen) -> bool:
    """Whether a host has one: of whom there are too many to be read, there is."""
    answers = [seen.get(host, kind) for kind in ADDRESSES]
    return any(answer is not None and _shows_one(answer) for answer in answers)


def _shows_one(answer: Answer) -> bool:
    return bool(answer.values) or is_crowded(answer)


def _addresses(host: str, seen: Seen) -> list[str]:
    answers = [seen.get(host, kind) for kind in ADDRESSES]
    return [address for answer in answers if answer is not None for address in answer.values]


_Told = tuple[Code, str]


def _form(host: str, wanted: Sequence[MXWanted], context: Context) -> _Told | None:
    """Why a host can be none by its form, or None. The zone may have been added to it."""
    for bare in (host, *without_zone(host, context)):
        doubled = "" if bare == host else ", to which the DNS host added the zone"
        if doubled and any(exchange.host == bare for exchange in wanted):
            what = "has the zone at its end: the DNS host added it to the host"
            return Code.MX_TARGET_DOUBLED, what
        if _address(bare) is not None:
            return Code.MX_IP, f"is an address{doubled}, where only the name of a host can stand"
        if WITH_PREFERENCE.fullmatch(bare) is not None:
            what = f"begins with the preference{doubled}, which has a field of its own"
            return Code.MX_PRIORITY_IN_HOST, what
        if bare == "localhost" or bare.endswith((".localhost", "localhost.localdomain")):
            return Code.MX_LOCALHOST, f"leads every sender to himself{doubled}"
    if not (is_host(host) and can_be_asked(host)):
        return Code.MX_NOT_A_HOST, form_of(host)
    if "." not in host:
        return Code.MX_NOT_A_HOST, "is a single word: the name of the host lacks its domain"
    return None


def _existence(host: str, wanted: Sequence[MXWanted], seen: Seen) -> _Told | None:
    """Why mail does not arrive at a host, or not at the one that was meant."""
    meant = next(
        (exchange.host for exchange in wanted if is_misspelling(host, exchange.host)), None
    )
    answers = [seen.at(host, kind) for kind in ADDRESSES]
    addresses = [address for answer in answers for address in answer.values]
    if not has_address(host, seen):
        if not all(answer.conclusive for answer in answers):
            return None
        near = next(
            (exchange.host for exchange in wanted if is_one_slip_from(host, exchange.host)), meant
        )
        if near is not None:
            return Code.MX_TYPO, f"does not exist, and {quoted(near)} is one letter away from it"
        return Code.MX_OTHER_UNRESOLVABLE, "has no address, so that no mail arrives there"
    if meant is not None:
        return Code.MX_TYPO, f"is one letter away from {quoted(meant)}, and is another's"
    theirs = [
        address
        for exchange in wanted
        for kind in ADDRESSES
        for address in seen.at(exchange.host, kind).values
    ]
    if addresses and all(map(_is_nowhere, addresses)) and not all(map(_is_nowhere, theirs)):
        return Code.MX_LOCALHOST, f"leads every sender to himself ({quoted(min(addresses))})"
    return None


def is_misspelling(host: str, wanted: str) -> bool:
    """Whether the domain of a host is that of another one, with one slip of the hand.

    Hosts of one domain have names that are alike, and so have regions and numbers: these are none.
    """
    labels, right = host.split("."), wanted.split(".")
    if len(labels) != len(right):
        return False
    differing = [pair for pair in zip(labels, right, strict=True) if pair[0] != pair[1]]
    if len(differing) != 1 or labels[0] != right[0] or labels[-1] != right[-1]:
        return False
    ((one, other),) = differing
    letters = [re.sub(r"[0-9]", "", label) for label in (one, other)]
    return len(other) >= _TELLING and letters[0] != letters[1] and is_one_slip_from(one, other)


def without_zone(host: str, context: Context) -> Iterator[str]:
    """Yield the host without the zone, or the domain, that the DNS host may have added to it."""
    for added in dict.fromkeys((_inside(context), context.plan.domain)):
        if host != added and is_within(host, added):
            yield host.removesuffix(f".{added}")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip("[]").removeprefix("ipv6:"))
    except ValueError:
        return None


def _is_nowhere(text: str) -> bool:
    """Whether an address leads a sender to itself, or nowhere."""
    address = _address(text)
    return address is not None and (address.is_loopback or address.is_unspecified)

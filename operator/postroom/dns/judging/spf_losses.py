# SPDX-License-Identifier: Apache-2.0
"""Who passes by the SPF record that is there, and would not by the one to publish.

What is put before other terms can end the evaluation for all behind it: a dead end, a circle or
too many lookups in its chain are permerror to whoever comes to them (RFC 7208 section 5.2).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging import spf_faults
from postroom.dns.judging.seen import Seen
from postroom.dns.judging.spf_includes import Trial
from postroom.dns.spf.closing import SENDERS
from postroom.dns.spf.passing import EVERYONE, matched_by, passed
from postroom.dns.spf.spans import Spans, samples, without

#: Most addresses that are tried for one term, and for all networks that a record leads to.
_OF_TERM, _OF_NETWORKS = 4, 24
#: Most ways to answer for the names that depend on the message, for one address.
_WORLDS_LIMIT = 12
#: What a record does to a sender by a term of its own, or by none.
_DECIDED = frozenset({spf.ResultCode.FAIL, spf.ResultCode.SOFT_FAIL, spf.ResultCode.NEUTRAL})

_Key = tuple[str, RecordType]
#: What is answered for names that nobody asked for; none but these is there.
_World = Mapping[_Key, tuple[str, ...]]


def get_through(text: str, others: Mapping[str, spf.Fetched], domain: str) -> bool:
    """Whether no sender at all is kept by a record from what stands in it, by any of its terms."""
    found = spf.reach(text, others, domain)
    sound = not (found.broken or found.loops or found.overfull or found.unknown or found.dependent)
    return sound and found.lookups <= spf.LOOKUP_LIMIT and not found.most_voids


@dataclass(frozen=True, slots=True)
class Losses:
    """Addresses that pass by the records that are there and not by another, some of each term.

    `possible` are those that pass now only where names are there which depend on the message.
    """

    certain: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


def losses(
    records: Sequence[str],
    wanted: spf.Requirement,
    others: Mapping[str, spf.Fetched],
    domain: str,
    seen: Seen,
    after: str,
) -> Losses:
    """Return who loses by another record; nobody where everyone passes now, which is to end."""
    sound = spf.is_spf(records[0]) and spf_faults.of_text(records) is None
    if not sound or get_through(after, others, domain):
        return Losses()
    before = records[0]
    if spf_faults.of_openness(before, wanted, others, domain) is not None:
        return Losses()
    lost = [
        (address, bool(world))
        for address in _addresses(before, after, others, domain)
        for world in _passing_worlds(before, address, domain, seen)
        if _decided(after, address, domain, seen, world)[0].result is not spf.ResultCode.PASS
    ]
    certain = dict.fromkeys(address for address, depends in lost if not depends)
    possible = dict.fromkeys(address for address, depends in lost if depends)
    return Losses(tuple(certain), tuple(possible))


def _addresses(
    before: str, after: str, others: Mapping[str, spf.Fetched], domain: str
) -> tuple[str, ...]:
    """Addresses that pass by each term, and such as are named nowhere, whom a name that depends on
    the message may let pass; also of whom no term that comes first in the other record admits."""
    record, found = spf.parse(before, domain), list[str]()
    first = next(iter(spf.parse(after, domain).effective), None)
    for version, address_of in ((4, IPv4Address), (6, IPv6Address)):
        everyone = EVERYONE[version]
        ahead: Spans = ()
        if first is not None:
            alone = spf.parse(f"v=spf1 {first.text}", domain)
            ahead = passed(alone, version, others, domain).spans
        tried = list[int]()
        for _, spans in matched_by(record, version, others, domain, everyone):
            tried += [low for low, _ in spans[:_OF_TERM]]
            tried += [low for low, _ in without(spans, ahead)[:_OF_TERM]]
        unnamed = without(SENDERS[version], passed(record, version, others, domain).spans)
        tried += [low for low, _ in unnamed[:1]]
        found += [str(address_of(address)) for address in tried]
    networks = spf.reach(before, others, domain).networks
    found += map(str, samples(networks[:_OF_NETWORKS]))
    return tuple(dict.fromkeys(found))


def with_refused(trial: Trial, text: str, domain: str, seen: Seen) -> Trial:
    """Return a trial with what receivers decide on those for whom a name that depends on the
    message could not be looked at, where they pass by nothing that may stand there."""
    failing = [(address, result) for address, result in trial.failing]
    for at, (address, result) in enumerate(failing):
        if result.result is not spf.ResultCode.TEMP_ERROR:
            continue
        outcomes = list(_outcomes(text, address, domain, seen))
        # Which names lead back to an address nobody can think of beforehand.
        thought_of = not any(kind is RecordType.PTR for world, _ in outcomes for _, kind in world)
        if thought_of and all(found.result in _DECIDED for _, found in outcomes):
            failing[at] = address, outcomes[0][1]
    return replace(trial, failing=tuple(failing))


def _passing_worlds(text: str, address: str, domain: str, seen: Seen) -> Iterator[_World]:
    """Yield the ways to answer for what depends on the message by which an address passes."""
    for world, result in _outcomes(text, address, domain, seen):
        if result.result is spf.ResultCode.PASS:
            yield {key: values for key, values in world.items() if values}


def _outcomes(
    text: str, address: str, domain: str, seen: Seen
) -> Iterator[tuple[_World, spf.Result]]:
    """Yield ways to answer for what depends on the message, with what receivers decide then; that
    there are more than are tried is a temporary error."""
    left: list[dict[_Key, tuple[str, ...]]] = [{}]
    for _ in range(_WORLDS_LIMIT):
        if not left:
            return
        world = left.pop(0)
        result, asked = _decided(text, address, domain, seen, world)
        yield world, result
        key = next((key for key in asked if key not in world), None)
        if key is not None:
            left += [{**world, key: values} for values in ((), *_there(key, address))]
    if left:
        yield left[0], spf.Result(spf.ResultCode.TEMP_ERROR)


def _there(key: _Key, address: str) -> Iterator[tuple[str, ...]]:
    """What may stand at such a name: a record by which the address passes, or nobody; itself."""
    name, kind = key
    match kind:
        case RecordType.TXT:
            yield ("v=spf1 +all",)
            yield ("v=spf1 -all",)
        case RecordType.A:
            yield ("127.0.0.2" if ":" in address else address,)
        case RecordType.AAAA if ":" in address:
            yield (address,)
        case RecordType.MX | RecordType.PTR:
            yield (f"10 {name}" if kind is RecordType.MX else name,)


def _decided(
    text: str, address: str, domain: str, seen: Seen, world: _World
) -> tuple[spf.Result, list[_Key]]:
    """What receivers decide, and the names that nobody asked for until then."""
    asked = list[_Key]()

    def of_record(name: str, kind: RecordType) -> Answer:
        question = Question(name, kind)
        if (name, kind) == (domain, RecordType.TXT):
            return Answer(question, Outcome.FOUND, (text,))
        known = seen.get(name, kind)
        if known is not None:
            return known
        asked.append((name, kind))
        values = world.get((name, kind), ())
        return Answer(question, Outcome.FOUND if values else Outcome.NX_DOMAIN, values)

    sender = f"postmaster@{domain}"
    return spf.check_host_with(address, sender, domain, of_record), asked

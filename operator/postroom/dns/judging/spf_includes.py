# SPDX-License-Identifier: Apache-2.0
"""What evaluating an SPF record takes: the names it leads to, and who passes by what was seen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import zip_longest

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import registered_domain
from postroom.dns.judging.seen import Seen
from postroom.dns.names import canonical, is_within
from postroom.dns.spf.passing import passed
from postroom.dns.spf.spans import samples, without

#: Most SPF records of others that one verification fetches, most hosts of a and mx, and most
#: exchanges that the mx lead to.
FETCH_LIMIT = 30
_HOSTS_LIMIT = 12
_EXCHANGES_LIMIT = 20
#: Most addresses that are tried for one requirement.
_TRIED_LIMIT = 64
_LEFT_OUT_LIMIT = 8
_TYPES = {
    "a": (RecordType.A, RecordType.AAAA),
    "exists": (RecordType.A,),
    "mx": (RecordType.MX,),
}


def as_record(wanted: spf.Requirement) -> str:
    """Write the required includes as a record, whose own chain is needed in any case."""
    return " ".join(["v=spf1", *(f"include:{include}" for include in wanted.includes)])


def chain(texts: Iterable[str], domain: str, seen: Seen) -> tuple[str, ...]:
    """Return the names of records that records refer to, as far as what was seen tells."""
    names: set[str] = set()
    level = {name for text in texts for name in spf.referred_names(text, domain)}
    while level and len(names) < FETCH_LIMIT:
        level = set(sorted(level - names)[: FETCH_LIMIT - len(names)])
        names |= level
        found = ((_record(seen.get(at, RecordType.TXT)), at) for at in sorted(level))
        level = {
            name for text, at in found if text for name in spf.referred_names(text, at, domain)
        }
    return tuple(sorted(names))


def questions(texts: Sequence[str], domain: str, seen: Seen) -> tuple[tuple[str, RecordType], ...]:
    """Return what has to be asked besides: the chain, the hosts of a, mx and exists, and the
    exchanges that an mx leads to."""
    names = chain(texts, domain, seen)
    records = [(text, domain) for text in texts]
    followed = ((_record(seen.get(name, RecordType.TXT)), name) for name in names)
    records += [(text, name) for text, name in followed if text]
    hosts = [pair for text, name in records for pair in spf.referred_hosts(text, name, domain)]
    made = [(name, RecordType.TXT) for name in names]
    for mechanism, host in list(dict.fromkeys(hosts))[:_HOSTS_LIMIT]:
        made += [(host, kind) for kind in _TYPES[mechanism]]
    ends = _ends(text for text, _ in records)
    made += [(name, RecordType.TXT) for name in dict.fromkeys(ends.values())]
    answers = [seen.get(host, RecordType.MX) for host, kind in made if kind is RecordType.MX]
    exchanges = [exchange for answer in answers for exchange in _exchanges(answer)]
    for host in list(dict.fromkeys(exchanges))[:_EXCHANGES_LIMIT]:
        made += [(host, kind) for kind in _TYPES["a"]]
    return tuple(dict.fromkeys(made))


def fetched(texts: Sequence[str], domain: str, seen: Seen) -> dict[str, spf.Fetched]:
    """Return what was seen of the names that records lead to, in the form that spf takes."""
    asked = questions(texts, domain, seen)
    found = dict[str, spf.Fetched]()
    for name in dict.fromkeys(name for name, _ in asked):
        text = seen.get(name, RecordType.TXT)
        hosts = [seen.get(name, kind) for kind in (RecordType.A, RecordType.AAAA, RecordType.MX)]
        four, six, mail = hosts
        found[name] = spf.Fetched(
            _records(text),
            missing=text is not None and text.conclusive and not text.values,
            unknown=text is None or not text.conclusive,
            ipv4=_values(four),
            ipv6=_values(six),
            exchanges=None if _values(mail) is None else _exchanges(mail),
            failed=any(host is not None and not host.conclusive for host in hosts),
        )
    followed = [there.texts[0] for there in found.values() if len(there.texts) == 1]
    for target, end in _ends([*texts, *followed]).items():
        if _is_denied(seen.get(end, RecordType.TXT)):
            found[target] = spf.Fetched(missing=True, ipv4=(), ipv6=(), exchanges=())
    return found


def _ends(texts: Iterable[str]) -> dict[str, str]:
    """The registered domain that all names end in which one with macros of the message can be.

    No name nearer to them: servers that make up answers for each message deny what is between.
    """
    found = dict(pair for text in texts for pair in spf.referred_ends(text))
    return {name: registered_domain(end) for name, end in [*found.items()][:_HOSTS_LIMIT]}


def _is_denied(answer: Answer | None) -> bool:
    return answer is not None and answer.outcome is Outcome.NX_DOMAIN and not answer.aliases


def _record(answer: Answer | None) -> str | None:
    """Return the one record of a name; where there are several, evaluation ends (section 3.2)."""
    found = _records(answer)
    return found[0] if len(found) == 1 else None


def _records(answer: Answer | None) -> tuple[str, ...]:
    return spf.select(answer.values) if answer is not None else ()


def _values(answer: Answer | None) -> tuple[str, ...] | None:
    return answer.values if answer is not None and answer.conclusive else None


def _exchanges(answer: Answer | None) -> tuple[str, ...]:
    """The exchanges of an answer; that of a null MX is the root, and has no name."""
    hosts = (canonical(value.partition(" ")[2]) for value in _values(answer) or ())
    return tuple(host for host in hosts if host)


def _stated(wanted: spf.Requirement, others: dict[str, spf.Fetched], domain: str) -> Iterator[str]:
    """Addresses of the networks of the required includes, in turn: of many of one there is room
    for others."""
    stated = [
        samples(spf.reach(f"v=spf1 include:{include}", others, domain).networks)
        for include in wanted.includes
    ]
    for turn in zip_longest(*stated):
        yield from (str(address) for address in turn if address is not None)


@dataclass(frozen=True, slots=True)
class Trial:
    """Who of those that are required does not pass: (address, what receivers decide)."""

    tried: int
    failing: tuple[tuple[str, spf.Result], ...]

    @property
    def all_pass(self) -> bool:
        return self.tried > 0 and not self.failing


def try_required(
    text: str,
    wanted: spf.Requirement,
    others: dict[str, spf.Fetched],
    domain: str,
    seen: Seen,
    unasked: Outcome = Outcome.TIMEOUT,
) -> Trial:
    """Evaluate a record as receivers do, for an address of everyone who is required.

    One address of each network that the requirement names, directly or by its includes, of some of
    those who pass by it, and of each part of them that the record seems to leave out, unless no
    include lets it pass by itself: that all of them together are too much is a fault of the record.
    `unasked` is what comes of names that nobody asked for, as they depend on the message.
    """
    named = [f"include:{include}" for include in wanted.includes]
    named += map(spf.mechanism_for, wanted.networks)
    together = " ".join(["v=spf1", *named, "-all"])
    addresses = list[str]()
    for version, address_of in ((4, IPv4Address), (6, IPv6Address)):
        required = passed(spf.parse(together, domain), version, others, domain).spans
        there = passed(spf.parse(text, domain), version, others, domain, required).spans
        spans = without(required, there)[:_LEFT_OUT_LIMIT]
        # Hosts of a and mx, and who passes by all, stand in no network.
        spans += required[:_LEFT_OUT_LIMIT]
        addresses += [str(address_of(first)) for first, _ in spans]
    addresses += [str(network.network_address) for network in wanted.networks]
    addresses += _stated(wanted, others, domain)

    records = [text, *(there.texts[0] for there in others.values() if len(there.texts) == 1)]
    ends = {end for end in _ends(records).values() if _is_denied(seen.get(end, RecordType.TXT))}

    def decided(record: str, address: str) -> spf.Result:
        def of_record(name: str, kind: RecordType) -> Answer:
            if (name, kind) == (domain, RecordType.TXT):
                return Answer(Question(name, kind), Outcome.FOUND, (record,))
            denied = any(is_within(name, end) for end in ends)
            outcome = Outcome.NX_DOMAIN if denied else unasked
            return seen.get(name, kind) or Answer(Question(name, kind), outcome)

        return spf.check_host_with(address, f"postmaster@{domain}", domain, of_record)

    def is_required(address: str) -> bool:
        alone = (f"v=spf1 {term} -all" for term in named)
        return any(decided(term, address).result is spf.ResultCode.PASS for term in alone)

    failing, tried = [], 0
    for address in list(dict.fromkeys(addresses))[:_TRIED_LIMIT]:
        result = decided(text, address)
        if result.result is spf.ResultCode.PASS:
            tried += 1
        elif is_required(address):
            tried += 1
            failing.append((address, result))
    return Trial(tried, tuple(failing))

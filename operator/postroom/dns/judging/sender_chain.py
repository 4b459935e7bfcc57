# SPDX-License-Identifier: Apache-2.0
"""What evaluating an SPF record takes: the names it leads to, and who passes by what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.seen import Seen

#: Most SPF records of others that one verification fetches, and most hosts of a and mx.
FETCH_LIMIT = 30
_HOSTS_LIMIT = 12
#: Most addresses that are tried for one requirement.
_TRIED_LIMIT = 64
_TYPES = {
    "a": (RecordType.A, RecordType.AAAA),
    "exists": (RecordType.A,),
    "mx": (RecordType.MX,),
}


def as_record(wanted: spf.Requirement) -> str:
    """Write the required includes as a record, whose own chain is needed in any case."""
    return " ".join(["v=spf1", *(f"include:{one}" for one in wanted.includes)])


def chain(texts: Iterable[str], seen: Seen) -> tuple[str, ...]:
    """Return the names of records that records refer to, as far as what was seen tells."""
    names: set[str] = set()
    level = {name for text in texts for name in spf.referred_names(text)}
    while level and len(names) < FETCH_LIMIT:
        level = set(sorted(level - names)[: FETCH_LIMIT - len(names)])
        names |= level
        found = (_record(seen.get(one, RecordType.TXT)) for one in sorted(level))
        level = {name for text in found if text for name in spf.referred_names(text)}
    return tuple(sorted(names))


def questions(texts: Sequence[str], domain: str, seen: Seen) -> tuple[tuple[str, RecordType], ...]:
    """Return what has to be asked besides: the chain, and the hosts of a, mx and exists."""
    names = chain(texts, seen)
    records = [(text, domain) for text in texts]
    followed = ((_record(seen.get(one, RecordType.TXT)), one) for one in names)
    records += [(text, one) for text, one in followed if text]
    hosts = [pair for text, name in records for pair in spf.referred_hosts(text, name)]
    made = [(one, RecordType.TXT) for one in names]
    for mechanism, host in list(dict.fromkeys(hosts))[:_HOSTS_LIMIT]:
        made += [(host, kind) for kind in _TYPES[mechanism]]
    return tuple(dict.fromkeys(made))


def fetched(texts: Sequence[str], domain: str, seen: Seen) -> dict[str, spf.Fetched]:
    """Return what was seen of the names that records lead to, in the form that spf takes."""
    asked = questions(texts, domain, seen)
    return {one: _fetched(one, seen) for one in dict.fromkeys(name for name, _ in asked)}


def _record(answer: Answer | None) -> str | None:
    """Return the one record of a name; where there are several, evaluation ends (section 3.2)."""
    found = _records(answer)
    return found[0] if len(found) == 1 else None


def _records(answer: Answer | None) -> tuple[str, ...]:
    return spf.select(answer.values) if answer is not None else ()


def _fetched(name: str, seen: Seen) -> spf.Fetched:
    text = seen.get(name, RecordType.TXT)
    exchanges = _values(seen.get(name, RecordType.MX))
    return spf.Fetched(
        _records(text),
        missing=text is not None and text.conclusive and not text.values,
        unknown=text is None or not text.conclusive,
        ipv4=_values(seen.get(name, RecordType.A)),
        ipv6=_values(seen.get(name, RecordType.AAAA)),
        exchanges=None if exchanges is None else tuple(one.partition(" ")[2] for one in exchanges),
    )


def _values(answer: Answer | None) -> tuple[str, ...] | None:
    return answer.values if answer is not None and answer.conclusive else None


@dataclass(frozen=True, slots=True)
class Trial:
    """Who of those that are required does not pass: (address, what receivers decide)."""

    tried: int
    failing: tuple[tuple[str, spf.Result], ...]

    @property
    def all_pass(self) -> bool:
        return self.tried > 0 and not self.failing


def try_required(
    text: str, wanted: spf.Requirement, others: dict[str, spf.Fetched], domain: str, seen: Seen
) -> Trial:
    """Evaluate a record as receivers do, for an address of everyone who is required.

    One address of each network that the requirement names, directly or by its includes, unless
    what is required refuses it itself.
    """
    stated = spf.reach(as_record(wanted), others).networks
    networks = [*wanted.networks, *stated][:_TRIED_LIMIT]
    alone = " ".join([as_record(wanted), *map(spf.mechanism_for, wanted.networks), "-all"])

    def decided(record: str, address: str) -> spf.Result:
        def of_record(name: str, kind: RecordType) -> Answer:
            if (name, kind) == (domain, RecordType.TXT):
                return Answer(Question(name, kind), Outcome.FOUND, (record,))
            return seen.at(name, kind)

        return spf.check_host_with(address, f"postmaster@{domain}", domain, of_record)

    failing, tried = [], 0
    for one in networks:
        address = str(one.network_address)
        result = decided(text, address)
        if result.result is spf.ResultCode.PASS:
            tried += 1
        elif decided(alone, address).result is spf.ResultCode.PASS:
            tried += 1
            failing.append((address, result))
    return Trial(tried, tuple(failing))

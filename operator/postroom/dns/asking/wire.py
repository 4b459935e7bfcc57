# SPDX-License-Identifier: Apache-2.0
"""Messages on the wire: making queries, and reading what the replies of any server say.

The codec is dnspython's; around it stand the bounds that keep a hostile reply cheap.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CAA
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.svcbbase
import dns.rdtypes.txtbase
import dns.rrset

from postroom.dns.answers import (
    RECORDS_LIMIT,
    TXT_LIMIT,
    Answer,
    Outcome,
    Question,
    RecordType,
)
from postroom.dns.asking.bounds import is_bounded, is_crowded
from postroom.dns.names import canonical

#: What fits through the internet without fragmentation (DNS flag day 2020).
EDNS_PAYLOAD = 1232
#: Bounds on what a hostile server may make us keep.
ALIAS_LIMIT = 8
_ERRORS_LIMIT = 8
_QUERIES_LIMIT = 16_384
_NAMES_LIMIT = 1024
#: How many replies are remembered, and of how many bytes: most, and in little memory whoever sends
#: them (an ordinary one takes 3 KB, the worst 40).
_REPLIES_LIMIT = 128
_SHORT = 512

_HEADER = 12
#: The attribute of a reply with the last answer that was understood from it.
_SAID = "_postroom_said"

#: What a server's message says, or why there is none that can be read.
Reply = dns.message.Message | Outcome

_TYPES = {kind: dns.rdatatype.from_text(kind.value) for kind in RecordType}
_OUTCOMES = {dns.rcode.SERVFAIL: Outcome.SERVER_FAILURE, dns.rcode.REFUSED: Outcome.REFUSED}
_EDNS_NOT_UNDERSTOOD = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})
#: With these, a server may leave the question out of its reply (RFC 5452 section 4.3 allows it).
_WITHOUT_QUESTION = frozenset(
    {dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED}
)


class View(Enum):
    """From which point of view a question is asked: the header flags of the query.

    AD asks a validating resolver to say whether it validated (RFC 6840 section 5.7), CD not to.
    """

    NAMESERVER = 0
    RESOLVER = dns.flags.RD | dns.flags.AD
    UNVALIDATED = dns.flags.RD | dns.flags.CD

    @property
    def recursive(self) -> bool:
        """Whether a resolver is asked."""
        return self is not View.NAMESERVER


def make_query(question: Question, view: View, *, edns: bool) -> bytes:
    """Write a query with a random id; absolute, with EDNS (RFC 6891) or without."""
    return secrets.token_bytes(2) + _query_after_id(question, view, edns)


@lru_cache(maxsize=_QUERIES_LIMIT)
def _query_after_id(question: Question, view: View, edns: bool) -> bytes:
    """A look asks the same questions every time; writing them is a fifth of its work."""
    query = dns.message.make_query(
        dns.name.from_text(question.name),
        question.type.value,
        use_edns=0 if edns else None,
        payload=EDNS_PAYLOAD if edns else None,
        flags=view.value,
    )
    return query.to_wire()[2:]


def is_reply(query: bytes, message: bytes) -> bool:
    """Whether a message is a reply to a query: by id, kind and question (RFC 5452)."""
    if len(message) < _HEADER or message[:2] != query[:2] or message[2] & 0xF8 != 0x80:
        return False
    asked = int.from_bytes(message[4:6])
    if asked == 0:
        return message[3] & 0x0F in _WITHOUT_QUESTION
    end = _HEADER
    while query[end]:
        end += query[end] + 1
    end += 5  # the root label, type and class
    return asked == 1 and message[_HEADER:end].lower() == query[_HEADER:end].lower()


def is_truncated(message: bytes) -> bool:
    """Whether the rest is to be had over TCP."""
    return bool(message[2] & 0x02)


def read_reply(message: bytes) -> Reply:
    """Parse a reply; MALFORMED where it cannot be, or is more work than any honest one.

    The servers of a zone say the same, and so do those above it at each look: reading it was a
    quarter of what a look cost.
    """
    after_id = message[2:]
    return _read_again(after_id) if len(message) <= _SHORT else _read(after_id)


def _read(after_id: bytes) -> Reply:
    message = b"\0\0" + after_id
    if not is_bounded(message):
        return Outcome.TOO_LARGE if is_crowded(message) else Outcome.MALFORMED
    try:
        reply = dns.message.from_wire(message, ignore_trailing=True)
        alone = any(dns.rdatatype.is_singleton(rrset.rdtype) for rrset in reply.answer)
        if not alone or int.from_bytes(message[6:8]) == sum(map(len, reply.answer)):
            return reply
        # Records that are there twice, or of which one took the place of another.
        apart = dns.message.from_wire(message, ignore_trailing=True, one_rr_per_rrset=True)
    except dns.exception.DNSException:
        return Outcome.MALFORMED
    return Outcome.MALFORMED if _has_rivals(apart.answer) else reply


_read_again = lru_cache(maxsize=_REPLIES_LIMIT)(_read)


def _has_rivals(records: Sequence[dns.rrset.RRset]) -> bool:
    """Whether there are several records of which there may be one, such as CNAMEs (RFC 1034 section
    3.6.2). dnspython keeps the last of them; of others, resolvers take another, or none."""
    alone: dict[tuple[dns.name.Name, int], dns.rrset.RRset] = {}
    return any(
        dns.rdatatype.is_singleton(record.rdtype)
        and alone.setdefault((record.name, record.rdtype), record) != record
        for record in records
    )


def rejects_edns(reply: Reply) -> bool:
    """Whether a reply may come of EDNS not being understood (RFC 6891 section 7)."""
    return isinstance(reply, dns.message.Message) and reply.rcode() in _EDNS_NOT_UNDERSTOOD


def answer_of(reply: Reply, question: Question, server: object) -> Answer:
    """Turn a reply, or its failure, into an answer.

    What a reply says is kept with it: whoever gave it, one that is read once is understood once.
    """
    told = str(server)
    if isinstance(reply, Outcome):
        return Answer(question, reply, server=told)
    kept = vars(reply)
    said: Answer | None = kept.get(_SAID)
    if said is None or said.question != question:
        said = kept[_SAID] = _understood(reply, question)
    return replace(said, server=told)


def _understood(reply: dns.message.Message, question: Question) -> Answer:
    code = reply.rcode()
    extended = {
        int(option.code) for option in reply.options if isinstance(option, dns.edns.EDEOption)
    }
    errors = tuple(sorted(extended))[:_ERRORS_LIMIT]  # RFC 8914
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        outcome = _OUTCOMES.get(code, Outcome.SERVER_FAILURE)
        return Answer(question, outcome, errors=errors)
    section = read_answer(reply, question)
    if isinstance(section, Section) and section.values and code == dns.rcode.NXDOMAIN:
        # That nothing is there, and what is there, in one reply: resolvers take the former.
        section = Outcome.MALFORMED
    if not isinstance(section, Section):
        return Answer(question, section, errors=errors)
    if is_referral(reply) and not is_authoritative(reply):
        # Of a server that says who knows: from a resolver, that it does not resolve.
        return Answer(question, Outcome.REFUSED, errors=errors)
    if section.values:
        outcome, ttl = Outcome.FOUND, section.ttl
    else:
        outcome = Outcome.NX_DOMAIN if code == dns.rcode.NXDOMAIN else Outcome.NO_DATA
        # A denial is kept as its SOA says (RFC 2308 section 5): without one, not at all.
        _, soa = next(authority(reply, RecordType.SOA), ("", None))
        limits = () if soa is None else (soa.ttl, int(soa[0].minimum), section.ttl)
        ttl = min((seconds for seconds in limits if seconds is not None), default=None)
    return Answer(
        question,
        outcome,
        section.values,
        section.aliases,
        ttl,
        authoritative=is_authoritative(reply),
        strings=section.strings,
        authenticated=bool(reply.flags & dns.flags.AD),
        errors=errors,
    )


@dataclass(frozen=True, slots=True)
class Section:
    """What the answer section says on a question: the alias chain, and the values at its end."""

    aliases: tuple[str, ...]
    values: tuple[str, ...]
    ttl: int | None
    strings: tuple[tuple[str, ...], ...] = ()


def read_answer(reply: dns.message.Message, question: Question) -> Section | Outcome:
    """Read the records that answer the question, following aliases inside the message.

    Records of other owners are ignored. MALFORMED for loops and for what a DNAME makes that is no
    name, TOO_LARGE for more than our bounds.
    """
    start = owner = _name(question.name)
    chain, ttls = list[dns.name.Name](), list[int]()
    while (rrset := _rrset(reply, owner, question.type)) is None:
        try:
            alias = _alias(reply, owner)
        except dns.exception.DNSException:
            return Outcome.MALFORMED
        if alias is None:
            return Section(_texts(chain), (), min(ttls, default=None))
        target, ttl = alias
        if target in chain or target == start or len(chain) >= ALIAS_LIMIT:
            return Outcome.MALFORMED
        owner = target
        chain.append(target)
        ttls.append(ttl)
    if len(rrset) > RECORDS_LIMIT:
        return Outcome.TOO_LARGE
    values = tuple(_text(rdata) for rdata in rrset)
    if sum(map(len, values)) > TXT_LIMIT:
        return Outcome.TOO_LARGE
    strings = tuple(
        tuple(string.decode("latin-1") for string in rdata.strings)
        for rdata in rrset
        if isinstance(rdata, dns.rdtypes.txtbase.TXTBase)
    )
    return Section(_texts(chain), values, min([*ttls, rrset.ttl]), strings)


def _alias(reply: dns.message.Message, owner: dns.name.Name) -> tuple[dns.name.Name, int] | None:
    """Where a name leads and how long that may be kept: by its CNAME or, where the server has made
    none, by a DNAME above it (RFC 6672 section 3.4)."""
    cname = _rrset(reply, owner, RecordType.CNAME)
    if cname is not None:
        return cname[0].target, cname.ttl
    for rrset in reply.answer:
        below = owner.is_subdomain(rrset.name) and owner != rrset.name
        if below and rrset.rdtype == dns.rdatatype.DNAME:
            return owner.relativize(rrset.name) + rrset[0].target, rrset.ttl
    return None


def _rrset(
    reply: dns.message.Message, owner: dns.name.Name, kind: RecordType
) -> dns.rrset.RRset | None:
    return reply.get_rrset(dns.message.ANSWER, owner, dns.rdataclass.IN, _TYPES[kind])


_name = lru_cache(maxsize=_NAMES_LIMIT)(dns.name.from_text)


def _texts(names: list[dns.name.Name]) -> tuple[str, ...]:
    return tuple(canonical(name.to_text()) for name in names)


def _text(rdata: object) -> str:
    """Write a record the way `Answer.values` promises."""
    match rdata:
        case dns.rdtypes.txtbase.TXTBase():
            return b"".join(rdata.strings).decode("latin-1")
        case dns.rdtypes.ANY.MX.MX():
            return f"{rdata.preference} {canonical(rdata.exchange.to_text()) or '.'}"
        case dns.rdtypes.ANY.TLSA.TLSA():
            return f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}"
        case dns.rdtypes.ANY.CAA.CAA() | dns.rdtypes.svcbbase.SVCBBase():
            return str(rdata)  # paths and keys have upper and lower case
        case _:
            return canonical(str(rdata))


def authority(
    reply: dns.message.Message, kind: RecordType
) -> Iterator[tuple[str, dns.rrset.RRset]]:
    """Yield (owner, records) of a type in the authority section."""
    for rrset in reply.authority:
        if rrset.rdtype == _TYPES[kind]:
            yield canonical(rrset.name.to_text()), rrset


def is_referral(reply: dns.message.Message) -> bool:
    """Whether a reply names the servers of a zone in place of an answer.

    It is told from a denial by NS records without a SOA (RFC 2308 section 2.2): of AA, which should
    not be set, resolvers take no notice.
    """
    return (
        reply.rcode() == dns.rcode.NOERROR
        and not reply.answer
        and next(authority(reply, RecordType.SOA), None) is None
        and next(authority(reply, RecordType.NS), None) is not None
    )


def glue(reply: dns.message.Message, host: str) -> tuple[str, ...]:
    """Return the addresses of a host that the additional section holds."""
    wanted = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return tuple(
        str(rdata)
        for rrset in reply.additional
        if rrset.rdtype in wanted and canonical(rrset.name.to_text()) == host
        for rdata in rrset
    )


def is_authoritative(reply: dns.message.Message) -> bool:
    """Whether the AA flag is set."""
    return bool(reply.flags & dns.flags.AA)

# SPDX-License-Identifier: Apache-2.0
"""The function check_host of RFC 7208 section 4, without any input or output of its own.

`evaluate` is a generator: it yields the lookups that it needs and is sent the replies, so that
the same code runs on a dictionary of records and on real DNS (see `postroom.dns.spf.driving`).
"""

import ipaddress
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, TypeVar

from postroom.dns.answers import Outcome, RecordType
from postroom.dns.names import NAME_LIMIT
from postroom.dns.spf import macro
from postroom.dns.spf.record import (
    COUNTED,
    LOOKUP_LIMIT,
    VOID_LOOKUP_LIMIT,
    Record,
    Term,
    parse,
    select,
)

#: RFC 7208 section 4.6.4: at most so many names of an mx or ptr are looked at.
NAMES_LIMIT = 10
_MOST_TERMS = 50

_EMPTY = frozenset({Outcome.NO_DATA, Outcome.NX_DOMAIN})


class ResultCode(StrEnum):
    """The results of section 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SOFT_FAIL = "softfail"
    TEMP_ERROR = "temperror"
    PERM_ERROR = "permerror"


_BY_QUALIFIER = {
    "+": ResultCode.PASS,
    "-": ResultCode.FAIL,
    "~": ResultCode.SOFT_FAIL,
    "?": ResultCode.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """A name (lowercase, no trailing dot, labels of lawful length, any byte) and a type."""

    name: str
    type: RecordType


class Reply(Protocol):
    """What a lookup yields: `postroom.dns.answers.Answer` is one."""

    @property
    def outcome(self) -> Outcome:
        """What came of it; anything but a conclusive outcome leads to temperror."""

    @property
    def values(self) -> tuple[str, ...]:
        """The records, written as in `postroom.dns.answers.Answer`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of section 4.6.4.

    `voids` counts terms of which a lookup found nothing; with `each_void_query` every such lookup
    counts, as some receivers have it. Raises ValueError for more than 50 terms, as records that
    lead back to themselves are followed as deep.
    """

    terms: int = LOOKUP_LIMIT
    voids: int = VOID_LOOKUP_LIMIT
    each_void_query: bool = False

    def __post_init__(self) -> None:
        if self.terms > _MOST_TERMS:
            raise ValueError(f"the limit of terms must not be above {_MOST_TERMS}")


@dataclass(frozen=True, slots=True)
class Result:
    """What a receiver would decide.

    `explanation` is empty unless the result is fail and the domain offers one. `lookups` and
    `void_lookups` count as the limits do. `problem` says what made it an error. `matched` is the
    term that decided, of the record of `domain`; None if none matched.
    """

    result: ResultCode
    explanation: str = ""
    lookups: int = 0
    void_lookups: int = 0
    problem: str | None = None
    domain: str = ""
    matched: str | None = None


Value = TypeVar("Value")
Steps = Generator[Lookup, Reply, Value]

STANDARD_LIMITS = Limits()


def evaluate(
    ip: str | macro.Address,
    mail_from: str,
    helo: str,
    *,
    limits: Limits = STANDARD_LIMITS,
    receiver: str = "unknown",
    timestamp: int = 0,
) -> Steps[Result]:
    """Decide whether a client may send for a domain (section 4).

    `mail_from` is the address of the SMTP command; if it is empty, the domain is that of `helo`
    (section 2.4). `receiver` and `timestamp` (seconds since 1970) are for explanations only.
    Raises ValueError if `ip` is no address; bad records and answers never raise.
    """
    client = ipaddress.ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    local, _at, domain = mail_from.rpartition("@")
    domain = (domain or helo).removesuffix(".")
    variables = macro.Variables(
        client, f"{local or 'postmaster'}@{domain}", domain, helo, "unknown", receiver, timestamp
    )
    return _Evaluation(variables, limits).run()


class _Permanent(Exception):
    """The evaluation ends with permerror."""


class _Temporary(Exception):
    """The evaluation ends with temperror."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How one record decides; `record` is the one whose ``exp`` counts."""

    code: ResultCode
    record: Record | None = None
    domain: str = ""
    matched: Term | None = None


class _Evaluation:
    """One call of check_host, with what it counts over all records."""

    def __init__(self, variables: macro.Variables, limits: Limits) -> None:
        self._variables = variables
        self._limits = limits
        self._lookups = 0
        self._voids = 0
        self._term_is_void = self._counts_voids = False
        self._replies: dict[Lookup, Reply] = {}

    def run(self) -> Steps[Result]:
        domain = self._variables.domain.lower()
        if "." not in domain or not _can_exist(domain):
            return Result(ResultCode.NONE, domain=domain)
        try:
            verdict = yield from self._check(domain)
        except _Permanent as problem:
            return self._result(_Verdict(ResultCode.PERM_ERROR), problem=str(problem))
        except _Temporary as problem:
            return self._result(_Verdict(ResultCode.TEMP_ERROR), problem=str(problem))
        explanation = ""
        if verdict.code is ResultCode.FAIL:
            explanation = yield from self._explanation(verdict)
        return self._result(verdict, explanation)

    def _result(
        self, verdict: _Verdict, explanation: str = "", problem: str | None = None
    ) -> Result:
        matched = None if verdict.matched is None else verdict.matched.text
        return Result(
            verdict.code,
            explanation,
            self._lookups,
            self._voids,
            problem,
            verdict.domain or self._variables.domain.lower(),
            matched,
        )

    def _check(self, domain: str) -> Steps[_Verdict]:
        """Evaluate the record of a domain (sections 4.4 to 4.7)."""
        if not _can_exist(domain):
            return _Verdict(ResultCode.NONE, domain=domain)
        texts = select((yield from self._look(domain, RecordType.TXT)))
        if not texts:
            return _Verdict(ResultCode.NONE, domain=domain)
        if len(texts) > 1:
            raise _Permanent(f"{domain} has {len(texts)} SPF records")
        record = parse(texts[0])
        if record.errors:
            raise _Permanent(f"the SPF record of {domain} has a syntax error")
        for term in record.effective:
            self._begin(term)
            if (yield from self._matches(term, domain)):
                return _Verdict(_BY_QUALIFIER[term.qualifier], record, domain, term)
        if record.redirect is not None:
            self._begin(record.redirect)
            return (yield from self._referred(record.redirect, domain))
        return _Verdict(ResultCode.NEUTRAL, record, domain)

    def _begin(self, term: Term) -> None:
        self._term_is_void = False
        self._counts_voids = True
        if term.name in COUNTED:
            self._lookups += 1
            if self._lookups > self._limits.terms:
                raise _Permanent(f"more than {self._limits.terms} terms need DNS lookups")

    def _referred(self, term: Term, domain: str) -> Steps[_Verdict]:
        """Evaluate the record that an include or a redirect leads to (sections 5.2 and 6.1)."""
        target = yield from self._target(term, domain)
        verdict = yield from self._check(target)
        if verdict.code is ResultCode.NONE:
            way = "redirect to" if term.is_modifier else "include of"
            raise _Permanent(f"the {way} {target} leads to no SPF record")
        return verdict

    def _matches(self, term: Term, domain: str) -> Steps[bool]:
        match term.name:
            case "all":
                return True
            case "ip4" | "ip6":
                return term.network is not None and self._variables.ip in term.network
            case "include":
                return (yield from self._referred(term, domain)).code is ResultCode.PASS
        target = yield from self._target(term, domain)
        if term.name == "ptr":
            names = yield from self._validated_names()
            return any(name == target or name.endswith(f".{target}") for name in names)
        if not _can_exist(target):
            # Section 4.8 leaves it open; as in section 4.3, nothing exists there.
            return False
        match term.name:
            case "exists":
                return bool((yield from self._look(target, RecordType.A)))
            case "a":
                return (yield from self._has_address(target, term))
            case _:
                return (yield from self._exchange_matches(target, term))

    def _has_address(self, name: str, term: Term) -> Steps[bool]:
        for address in (yield from self._addresses(name)):
            if self._variables.ip == address:
                return True
            prefix = term.prefix4 if address.version == 4 else term.prefix6
            shift = address.max_prefixlen - prefix
            if int(self._variables.ip) >> shift == int(address) >> shift:
                return True
        return False

    def _exchange_matches(self, name: str, term: Term) -> Steps[bool]:
        exchanges = yield from self._look(name, RecordType.MX)
        if len(exchanges) > NAMES_LIMIT:
            raise _Permanent(f"{name} has more than {NAMES_LIMIT} mail exchangers")
        for exchange in sorted(exchanges):
            host = exchange.rpartition(" ")[2].removesuffix(".").lower()
            if _can_exist(host) and (yield from self._has_address(host, term)):
                return True
        return False

    def _addresses(self, name: str) -> Steps[list[macro.Address]]:
        """Look up the addresses of the client's family (section 5.3)."""
        four = self._variables.ip.version == 4
        kind = RecordType.A if four else RecordType.AAAA
        found: list[macro.Address] = []
        for text in (yield from self._look(name, kind)):
            try:
                found.append(IPv4Address(text) if four else IPv6Address(text))
            except ValueError:
                continue
        return found

    def _validated_names(self) -> Steps[tuple[str, ...]]:
        """Find the client's names that lead back to its address (section 5.5).

        Where there are none, each term that asks for them is one that finds nothing. An error in
        DNS makes a name, or all of them, count as not there.
        """
        names: list[str] = []
        try:
            pointers = yield from self._look(macro.reverse_name(self._variables.ip), RecordType.PTR)
        except _Temporary:
            pointers = ()
        for pointer in pointers[:NAMES_LIMIT]:
            name = pointer.removesuffix(".").lower()
            if not _can_exist(name):
                continue
            try:
                addresses = yield from self._addresses(name)
            except _Temporary:
                continue
            if self._variables.ip in addresses:
                names.append(name)
        return tuple(names)

    def _target(self, term: Term, domain: str) -> Steps[str]:
        """Expand the domain-spec of a term, or take the evaluated domain (section 4.8)."""
        if "%" not in term.domain:
            return macro.expand_name(term.domain, self._variables) if term.domain else domain
        variables = yield from self._variables_for(domain, term.domain)
        return macro.expand_name(term.domain, variables)

    def _variables_for(self, domain: str, text: str) -> Steps[macro.Variables]:
        own, name = self._variables, "unknown"
        if macro.uses_validated_name(text):
            names = yield from self._validated_names()
            below = [host for host in names if host.endswith(f".{domain}")]
            name = domain if domain in names else next(iter((*below, *names)), "unknown")
        if domain == own.domain.lower():
            domain = own.domain
        return macro.Variables(
            own.ip, own.sender, domain, own.helo, name, own.receiver, own.timestamp
        )

    def _explanation(self, verdict: _Verdict) -> Steps[str]:
        """Fetch and expand the explanation (section 6.2); whatever is wrong with it, none."""
        term = None if verdict.record is None else verdict.record.modifier("exp")
        if term is None:
            return ""
        self._counts_voids = False
        try:
            target = yield from self._target(term, verdict.domain)
            if not _can_exist(target):
                return ""
            texts = yield from self._look(target, RecordType.TXT)
            if len(texts) != 1:
                return ""
            variables = yield from self._variables_for(verdict.domain, texts[0])
            return macro.expand_explanation(texts[0], variables) or ""
        except _Temporary:
            return ""

    def _look(self, name: str, kind: RecordType) -> Steps[tuple[str, ...]]:
        """Look something up, once per evaluation, and count it if a term finds nothing there."""
        lookup = Lookup(name, kind)
        reply = self._replies.get(lookup)
        if reply is None:
            reply = self._replies[lookup] = yield lookup
        if reply.outcome is Outcome.FOUND and reply.values:
            return reply.values
        if reply.outcome not in _EMPTY and reply.outcome is not Outcome.FOUND:
            raise _Temporary(f"the {kind} records of {name} could not be looked up")
        if self._counts_voids and (self._limits.each_void_query or not self._term_is_void):
            self._term_is_void = True
            self._voids += 1
            if self._voids > self._limits.voids:
                raise _Permanent(f"more than {self._limits.voids} lookups find nothing")
        return ()


def _can_exist(name: str) -> bool:
    """Whether a name fits into DNS (RFC 1035 section 3.1), whatever bytes it holds."""
    return len(name) <= NAME_LIMIT and all(0 < len(label) <= 63 for label in name.split("."))

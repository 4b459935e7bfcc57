# SPDX-License-Identifier: Apache-2.0
"""Reading an SPF record whole (RFC 7208 sections 4.5, 4.6, 5, 6 and 12), with byte positions.

TXT texts hold bytes above 0x7f as latin-1 characters, so a character's index is its byte's.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from postroom.dns.spf.macro import expand_beforehand, is_domain_spec, is_macro_string

Network = IPv4Network | IPv6Network

#: What stands before the terms.
VERSION = "v=spf1"

#: RFC 7208 section 4.6.4.
LOOKUP_LIMIT = 10
VOID_LOOKUP_LIMIT = 2

MECHANISMS = ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")
#: The terms that count against `LOOKUP_LIMIT`.
COUNTED = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})

_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>[A-Za-z][A-Za-z0-9._-]*)(?P<rest>.*)", re.DOTALL
)
_VISIBLE = re.compile(r"[!-~]+")
#: Prefix lengths have no leading zeros (RFC 7208 section 5.6).
_PREFIX4, _PREFIX6 = r"/(?P<v4>0|[1-9][0-9]?)", r"/(?P<v6>0|[1-9][0-9]{0,2})"
_DUAL_CIDR = re.compile(rf"(?P<domain>.*?)(?:{_PREFIX4})?(?:/{_PREFIX6})?", re.DOTALL)
_NETWORK = {
    "ip4": re.compile(rf"[0-9.]+(?:{_PREFIX4})?"),
    "ip6": re.compile(rf"[0-9A-Fa-f:.]+(?:{_PREFIX6})?"),
}
#: A version that is misspelt, or stands behind quotes, spaces or an invisible mark.
_INTENDED = re.compile(r"[\s\\\"'\x80-\xff]*v?\s*=?\s*spf\s?-?\d?(?![a-z0-9=._-])", re.IGNORECASE)
_VERSION = re.compile(rf"{VERSION}(?: |$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism or modifier and where it stands in the record.

    `value` is what follows ``:`` or ``=``, or the ``/`` of a bare cidr. `domain` is the
    domain-spec in it, empty where the evaluated domain is meant, and `expanded` the name that its
    macros make of it, empty where it has none or they depend on the message; `network` that of an
    ip4 or ip6; `prefix4` and `prefix6` are the prefix lengths of a and mx. `start` and `end` count
    bytes from the record's first.
    """

    text: str
    qualifier: str
    name: str
    value: str
    is_modifier: bool
    start: int
    domain: str = ""
    prefix4: int = 32
    prefix6: int = 128
    network: Network | None = None
    expanded: str = ""

    @property
    def end(self) -> int:
        """The position after the term's last byte."""
        return self.start + len(self.text)

    @property
    def passes(self) -> bool:
        """Whether a match authorises the client."""
        return self.qualifier == "+" and not self.is_modifier

    @property
    def target(self) -> str:
        """The name that the term looks up, comparable; empty for the evaluated domain itself."""
        return self.expanded or self.domain.removesuffix(".").lower()

    @property
    def varies(self) -> bool:
        """Whether that name depends on the message, or on domains that `parse` was not told."""
        return "%" in self.domain and not self.expanded

    @property
    def key(self) -> tuple[object, ...]:
        """What two mechanisms that match the same clients have in common."""
        return self.name, self.target, self.prefix4, self.prefix6, self.network


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """What is wrong with a term, and where.

    A term that is not `fatal` is valid, but means something else than its author thought: as an
    unknown modifier it is ignored. One that is `repeated` is sound but for another of its name.
    """

    term: str
    start: int
    sentence: str
    fatal: bool = True
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A parsed record; with `errors`, evaluation gives permerror whatever the terms say."""

    text: str
    terms: tuple[Term, ...]
    problems: tuple[SyntaxProblem, ...] = ()

    @property
    def errors(self) -> tuple[SyntaxProblem, ...]:
        """The problems that make the whole record a permerror (section 4.6)."""
        return tuple(problem for problem in self.problems if problem.fatal)

    @property
    def all_term(self) -> Term | None:
        """The first ``all``, which ends evaluation."""
        return next(
            (term for term in self.terms if term.name == "all" and not term.is_modifier), None
        )

    @property
    def behind_all(self) -> tuple[Term, ...]:
        """The mechanisms after the first ``all``, which never count."""
        end = self.all_term
        return tuple(
            term
            for term in self.terms
            if end is not None and term.start > end.start and not term.is_modifier
        )

    @property
    def redirect(self) -> Term | None:
        """The redirect, if it counts: only without an ``all`` (section 6.1)."""
        return None if self.all_term is not None else self.modifier("redirect")

    def modifier(self, name: str) -> Term | None:
        """Return the modifier of a name, whether it counts or not."""
        return next((term for term in self.terms if term.is_modifier and term.name == name), None)

    @property
    def effective(self) -> Iterator[Term]:
        """The mechanisms up to and with the first ``all``."""
        for term in self.terms:
            if not term.is_modifier:
                yield term
                if term.name == "all":
                    return


def is_spf(text: str) -> bool:
    """Whether a TXT text is an SPF record: the version, then a space or the end (4.5)."""
    return _VERSION.match(text) is not None


def looks_like_spf(text: str) -> bool:
    """Whether a TXT text was meant as an SPF record, though receivers may not take it so."""
    return _INTENDED.match(text) is not None


def select(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the SPF records among the TXT texts of a name, in a stable order."""
    return tuple(sorted(text for text in texts if is_spf(text)))


def parse(text: str, domain: str = "", sender_domain: str | None = None) -> Record:
    """Parse a record for which `is_spf` holds; never raises, and takes linear time.

    `domain`, comparable, is where it stands, and `sender_domain` that of the sender, which includes
    and redirects leave as it is; None for the same. What macros make of them is known by that.
    """
    if "%" not in text:
        return _parsed(text)
    return _expanded(text, domain, domain if sender_domain is None else sender_domain)


@lru_cache(maxsize=512)
def _expanded(text: str, domain: str, sender_domain: str) -> Record:
    record = _parsed(text)
    terms = tuple(
        replace(term, expanded=expand_beforehand(term.domain, domain, sender_domain))
        if "%" in term.domain and (not term.is_modifier or term.name in ("redirect", "exp"))
        else term
        for term in record.terms
    )
    return Record(text, terms, record.problems)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Record:
    """Remembered, because one look at a domain comes back to the same few texts many times."""
    terms: list[Term] = []
    problems: list[SyntaxProblem] = []
    for match in re.finditer(r"[^ ]+", text[len(VERSION) :]):
        parsed, problem = _parse_term(match.group(), match.start() + len(VERSION))
        if parsed is not None:
            terms.append(parsed)
        if problem is not None:
            problems.append(problem)
    for name in ("redirect", "exp"):
        repeated = [term for term in terms if term.is_modifier and term.name == name][1:]
        problems += [
            SyntaxProblem(term.text, term.start, "appears twice", repeated=True)
            for term in repeated
        ]
    return Record(text, tuple(terms), tuple(sorted(problems, key=lambda fault: fault.start)))


_Parsed = tuple[Term | None, SyntaxProblem | None]


def _parse_term(text: str, start: int) -> _Parsed:
    match = _TERM.fullmatch(text)
    if match is None or not _VISIBLE.fullmatch(text):
        return None, SyntaxProblem(text, start, "is no mechanism or modifier")
    qualifier, name, rest = match["qualifier"], match["name"].lower(), match["rest"]
    if rest.startswith("="):
        return _parse_modifier(Term(text, qualifier, name, rest[1:], True, start, rest[1:]))
    if name not in MECHANISMS:
        return None, SyntaxProblem(text, start, "is not a mechanism of SPF")
    value = rest[1:] if rest.startswith(":") else rest
    made = _mechanism(Term(text, qualifier or "+", name, value, False, start), rest)
    if isinstance(made, str):
        return None, SyntaxProblem(text, start, made)
    return made, None


def _parse_modifier(term: Term) -> _Parsed:
    sentence, fatal = None, True
    if term.qualifier:
        sentence = "is a modifier, which takes no qualifier"
    elif term.name in ("redirect", "exp") and not is_domain_spec(term.value):
        sentence = "needs a domain name after the equals sign"
    elif not is_macro_string(term.value):
        sentence = "has a percent sign that begins no macro"
    elif term.name in MECHANISMS:
        sentence, fatal = "needs a colon instead of the equals sign", False
    if sentence is None:
        return term, None
    return None if fatal else term, SyntaxProblem(term.text, term.start, sentence, fatal)


def _mechanism(term: Term, rest: str) -> Term | str:
    """Return the mechanism with what its value says, or what is wrong with it (section 5)."""
    match term.name:
        case "all":
            return "takes no value" if rest else term
        case "include" | "exists":
            named = rest.startswith(":") and is_domain_spec(term.value)
            return _with(term, domain=term.value) if named else "needs a colon and a domain name"
        case "ip4" | "ip6":
            found = network(term.name, term.value) if rest.startswith(":") else None
            if found is None:
                return f"needs a colon and an IPv{term.name[2]} address or network"
            return _with(term, network=found)
        case _:
            return _hosts(term, rest)


def _hosts(term: Term, rest: str) -> Term | str:
    """Read an a, mx or ptr: an optional domain-spec, and but for ptr optional prefix lengths."""
    if rest and rest[0] not in ":/":
        return "is followed by something that is neither a domain nor a prefix length"
    split = _DUAL_CIDR.fullmatch(term.value)
    if split is None:
        return "needs a domain name after the colon"
    domain, v4, v6 = split["domain"], split["v4"], split["v6"]
    if term.name == "ptr" and domain != term.value:
        return "takes no prefix length"
    if int(v4 or 0) > 32 or int(v6 or 0) > 128:
        return "has a prefix length that is too long"
    if rest.startswith(":") and not is_domain_spec(domain):
        return "needs a domain name after the colon"
    if not rest.startswith(":") and domain:
        return "has a prefix length that is no number"
    return _with(term, domain=domain, prefix4=int(v4 or 32), prefix6=int(v6 or 128))


def _with(
    term: Term,
    domain: str = "",
    prefix4: int = 32,
    prefix6: int = 128,
    network: Network | None = None,
) -> Term:
    # Not dataclasses.replace, which takes as long as the parsing itself.
    return Term(
        term.text,
        term.qualifier,
        term.name,
        term.value,
        False,
        term.start,
        domain,
        prefix4,
        prefix6,
        network,
    )


def network(name: str, value: str) -> Network | None:
    """Return the network of an ip4 or ip6 mechanism, None if it is not one.

    Stricter than `ipaddress`, which also takes netmasks and scopes.
    """
    if not _NETWORK[name].fullmatch(value):
        return None
    try:
        if name == "ip4":
            return ipaddress.IPv4Network(value, strict=False)
        return ipaddress.IPv6Network(value, strict=False)
    except ValueError:
        return None


def mechanism_for(wanted: Network) -> str:
    """Write a network as an ip4 or ip6 mechanism."""
    host = wanted.prefixlen == wanted.max_prefixlen
    return f"ip{wanted.version}:{wanted.network_address if host else wanted}"

# SPDX-License-Identifier: Apache-2.0
"""SPF (RFC 7208): reading a record, counting its lookups, and whom it authorises in any case.

Pure: the records that includes lead to are handed in. Evaluation for one address (check_host) is
not here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

Network = IPv4Network | IPv6Network

#: RFC 7208 section 4.6.4.
LOOKUP_LIMIT = 10
VOID_LOOKUP_LIMIT = 2

_MECHANISMS = ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")
_COUNTED = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>[A-Za-z][A-Za-z0-9._-]*)(?P<rest>.*)", re.DOTALL
)
#: RFC 7208 section 7.1; the letters c, r and t are for explanations only.
_TRANSFORM = r"(?:0*[1-9][0-9]*)?r?[-.+,/_=]*"
_MACRO = rf"%\{{[slodiphvSLODIPHV]{_TRANSFORM}\}}|%[%_-]"
_LITERAL = r"[\x21-\x24\x26-\x7e]"
_TOKEN = re.compile(rf"(?P<macro>{_MACRO})|{_LITERAL}")
_MACRO_STRING = re.compile(rf"(?:%\{{[a-zA-Z]{_TRANSFORM}\}}|%[%_-]|{_LITERAL})*")
_TOP_LABEL = re.compile(r"(?![0-9]+$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
#: Prefix lengths have no leading zeros (RFC 7208 section 5.6).
_PREFIX4, _PREFIX6 = r"/(?P<v4>0|[1-9][0-9]?)", r"/(?P<v6>0|[1-9][0-9]{0,2})"
_DUAL_CIDR = re.compile(rf"(?P<domain>.*?)(?:{_PREFIX4})?(?:/{_PREFIX6})?", re.DOTALL)
_NETWORK = {
    "ip4": re.compile(rf"[0-9.]+(?:{_PREFIX4})?"),
    "ip6": re.compile(rf"[0-9A-Fa-f:.]+(?:{_PREFIX6})?"),
}


#: A version that is misspelt, or stands behind quotes, spaces or an invisible mark.
_INTENDED = re.compile(r"[\s\\\"'\x80-\xff]*v?\s*=?\s*spf\s?-?\d?(?![a-z0-9=._-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism or modifier and where it stands in the record.

    `value` is what follows ``:`` or ``=``, or the ``/`` of a bare cidr.
    """

    text: str
    qualifier: str
    name: str
    value: str
    is_modifier: bool
    start: int


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """What is wrong with a term, and where."""

    term: str
    start: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Record:
    """A parsed record; with problems, evaluation gives permerror whatever the terms say."""

    text: str
    terms: tuple[Term, ...]
    problems: tuple[SyntaxProblem, ...] = ()

    @property
    def all_term(self) -> Term | None:
        """The first ``all``, which ends evaluation."""
        return next((one for one in self.terms if one.name == "all"), None)

    @property
    def redirect(self) -> Term | None:
        """The redirect, if it counts: only without an ``all`` (section 6.1)."""
        if self.all_term is not None:
            return None
        return next((one for one in self.terms if one.name == "redirect"), None)

    @property
    def effective(self) -> Iterator[Term]:
        """The mechanisms up to and with the first ``all``."""
        for term in self.terms:
            if not term.is_modifier:
                yield term
                if term.name == "all":
                    return


def is_spf(text: str) -> bool:
    """Tell whether a TXT text is an SPF record: the version, then a space or the end (4.5)."""
    return re.match(r"v=spf1(?: |$)", text, re.IGNORECASE) is not None


def parse(text: str) -> Record:
    """Parse a record for which `is_spf` holds; never raises."""
    terms: list[Term] = []
    problems: list[SyntaxProblem] = []
    for match in re.finditer(r"[^ ]+", text[6:]):
        start = match.start() + 6
        parsed = _parse_term(match.group(), start)
        if isinstance(parsed, SyntaxProblem):
            problems.append(parsed)
        else:
            terms.append(parsed)
    for name in ("redirect", "exp"):
        repeated = [one for one in terms if one.is_modifier and one.name == name][1:]
        problems += [_problem(one, "appears twice") for one in repeated]
    return Record(text, tuple(terms), tuple(sorted(problems, key=lambda one: one.start)))


def _problem(term: Term, sentence: str) -> SyntaxProblem:
    return SyntaxProblem(term.text, term.start, sentence)


def _parse_term(text: str, start: int) -> Term | SyntaxProblem:
    match = _TERM.fullmatch(text)
    if match is None or any(not " " < char <= "~" for char in text):
        return SyntaxProblem(text, start, "is no mechanism or modifier")
    qualifier, name, rest = match["qualifier"], match["name"].lower(), match["rest"]
    if rest.startswith("="):
        return _parse_modifier(Term(text, qualifier, name, rest[1:], True, start))
    if name not in _MECHANISMS:
        return SyntaxProblem(text, start, "is not a mechanism of SPF")
    value = rest[1:] if rest.startswith(":") else rest
    term = Term(text, qualifier or "+", name, value, False, start)
    sentence = _mechanism_problem(name, rest, value)
    return _problem(term, sentence) if sentence else term


def _parse_modifier(term: Term) -> Term | SyntaxProblem:
    if term.qualifier:
        return _problem(term, "is a modifier, which takes no qualifier")
    if term.name in _MECHANISMS:
        return _problem(term, "needs a colon instead of the equals sign")
    if term.name in ("redirect", "exp") and not _is_domain_spec(term.value):
        return _problem(term, "needs a domain name after the equals sign")
    if not _MACRO_STRING.fullmatch(term.value):
        return _problem(term, "has a percent sign that begins no macro")
    return term


def _is_domain_spec(value: str) -> bool:
    """Tell whether a text is macro text that ends in a top label or a macro (section 7.1).

    By hand, in one pass: the regular expression for it takes quadratic time on hostile texts.
    """
    position, macro = 0, None
    while position < len(value):
        token = _TOKEN.match(value, position)
        if token is None:
            return False
        position, macro = token.end(), token["macro"]
    before, dot, top = value.removesuffix(".").rpartition(".")
    return macro is not None or bool(before and dot and _TOP_LABEL.fullmatch(top))


def _mechanism_problem(name: str, rest: str, value: str) -> str | None:
    """Return what is wrong with a mechanism's value (section 5)."""
    match name:
        case "all":
            return "takes no value" if rest else None
        case "include" | "exists":
            named = rest.startswith(":") and _is_domain_spec(value)
            return None if named else "needs a colon and a domain name"
        case "ip4" | "ip6":
            good = rest.startswith(":") and network(name, value) is not None
            return None if good else f"needs a colon and an {name.upper()[:2]}v{name[2]} network"
        case _:
            if rest and rest[0] not in ":/":
                return "is followed by something that is neither a domain nor a prefix length"
            split = _DUAL_CIDR.fullmatch(value)
            if split is None or int(split["v4"] or 0) > 32 or int(split["v6"] or 0) > 128:
                return "has a prefix length that is too long"
            domain = split["domain"]
            if rest.startswith(":") and not _is_domain_spec(domain):
                return "needs a domain name after the colon"
            if not rest.startswith(":") and domain:
                return "has a prefix length that is no number"
            return None


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


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found under the name of an include or redirect.

    `texts` are the SPF records there (one is right); `missing` tells that the name has no TXT at
    all, which counts as a void lookup; `unknown` that it could not be looked at.
    """

    texts: tuple[str, ...] = ()
    missing: bool = False
    unknown: bool = False


@dataclass
class Reach:
    """What evaluating a record, with all that it includes, can lead to in the worst case.

    `includes` and `networks` are authorised whatever the client's address is; `broken` are the
    names whose records make the whole evaluation a permerror, `unknown` those not looked at.
    """

    lookups: int = 0
    void_lookups: int = 0
    includes: set[str] = field(default_factory=set)
    networks: list[Network] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def within_limits(self) -> bool:
        """Whether receivers get through the record (section 4.6.4)."""
        return self.lookups <= LOOKUP_LIMIT and self.void_lookups <= VOID_LOOKUP_LIMIT


def referred_names(text: str) -> tuple[str, ...]:
    """Return the names of includes and of the redirect that can be looked up without macros."""
    record = parse(text)
    names = [one.value for one in record.effective if one.name == "include"]
    if record.redirect is not None:
        names.append(record.redirect.value)
    return tuple(one.rstrip(".").lower() for one in names if "%" not in one)


def reach(text: str, others: Mapping[str, Fetched]) -> Reach:
    """Walk a record and what it refers to, counting as RFC 7208 section 4.6.4 does."""
    found = Reach()
    _walk(parse(text), others, found, authorising=True, depth=0)
    return found


def _walk(
    record: Record, others: Mapping[str, Fetched], found: Reach, *, authorising: bool, depth: int
) -> None:
    for term in record.effective:
        found.lookups += term.name in _COUNTED
        passes = authorising and term.qualifier == "+"
        if term.name == "include":
            name = term.value.rstrip(".").lower()
            if passes:
                found.includes.add(name)
            _descend(name, others, found, authorising=passes, depth=depth)
        elif term.name in ("ip4", "ip6") and passes:
            net = network(term.name, term.value)
            if net is not None:
                found.networks.append(net)
    if record.redirect is not None:
        found.lookups += 1
        name = record.redirect.value.rstrip(".").lower()
        _descend(name, others, found, authorising=authorising, depth=depth)


def _descend(
    name: str, others: Mapping[str, Fetched], found: Reach, *, authorising: bool, depth: int
) -> None:
    # The limit on lookups ends every loop: no record is walked deeper than evaluation could go.
    if found.lookups > LOOKUP_LIMIT or depth > LOOKUP_LIMIT:
        return
    there = others.get(name)
    if there is None or there.unknown:
        if "%" not in name:
            found.unknown.append(name)
        return
    found.void_lookups += there.missing
    if len(there.texts) != 1 or parse(there.texts[0]).problems:
        found.broken.append(name)
        return
    _walk(parse(there.texts[0]), others, found, authorising=authorising, depth=depth + 1)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a record must authorise, and the ``all`` of a record that is written anew."""

    includes: tuple[str, ...]
    networks: tuple[Network, ...]
    all_term: str

    def missing_from(self, found: Reach) -> tuple[str, ...]:
        """Return the mechanisms that a record lacks, in the order of the requirement."""
        lacking = [f"include:{one}" for one in self.includes if one not in found.includes]
        lacking += [
            mechanism_for(wanted)
            for wanted in self.networks
            if not any(_covers(one, wanted) for one in found.networks)
        ]
        return tuple(lacking)


def mechanism_for(wanted: Network) -> str:
    """Write a network as an ip4 or ip6 mechanism."""
    host = wanted.prefixlen == wanted.max_prefixlen
    return f"ip{wanted.version}:{wanted.network_address if host else wanted}"


def _covers(wide: Network, narrow: Network) -> bool:
    if isinstance(wide, IPv4Network) and isinstance(narrow, IPv4Network):
        return narrow.subnet_of(wide)
    if isinstance(wide, IPv6Network) and isinstance(narrow, IPv6Network):
        return narrow.subnet_of(wide)
    return False


def looks_like_spf(text: str) -> bool:
    """Tell whether a TXT text was meant as an SPF record, though receivers may not take it so."""
    return _INTENDED.match(text) is not None


def select(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the SPF records among the TXT texts of a name, in a stable order."""
    return tuple(sorted(one for one in texts if is_spf(one)))

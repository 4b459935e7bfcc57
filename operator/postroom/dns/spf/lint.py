# SPDX-License-Identifier: Apache-2.0
"""What a lawful SPF record had better not hold. None of it changes what receivers decide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom.dns.spf.budget import Fetched, Reach, reach
from postroom.dns.spf.record import LOOKUP_LIMIT, VOID_LOOKUP_LIMIT, Record
from postroom.dns.spf.savings import Worth, savings

#: RFC 7208 section 3.4: with this much, the answer still fits into 512 bytes.
OCTETS_LIMIT = 450
_STRING_LIMIT = 255
#: An ip4 (ip6) network with a shorter prefix holds more than one organisation sends from.
_WIDEST4, _WIDEST6 = 16, 32


class Rule(StrEnum):
    """What was found."""

    PASS_ALL = "PassAll"  # noqa: S105
    NEUTRAL_ALL = "NeutralAll"
    NO_DEFAULT = "NoDefault"
    AFTER_ALL = "AfterAll"
    REDIRECT_IGNORED = "RedirectIgnored"
    MECHANISM_AS_MODIFIER = "MechanismAsModifier"
    PTR = "Ptr"
    UNUSED_HOST = "UnusedHost"
    DUPLICATE = "Duplicate"
    REACHED_TWICE = "ReachedTwice"
    DEAD_INCLUDE = "DeadInclude"
    LOOP = "Loop"
    WIDE_NETWORK = "WideNetwork"
    TOO_LONG = "TooLong"
    LONG_STRING = "LongString"
    EXPLANATION_MISSING = "ExplanationMissing"
    OVER_BUDGET = "OverBudget"
    VOIDS_FOR_ONE_FAMILY = "VoidsForOneFamily"


_SENTENCES = {
    Rule.PASS_ALL: "lets everyone send",
    Rule.NEUTRAL_ALL: "says nothing about who is not listed: ~all or -all would",
    Rule.NO_DEFAULT: "has neither all nor redirect, so who is not listed is neutral",
    Rule.AFTER_ALL: "stands after all, so it is ignored",
    Rule.REDIRECT_IGNORED: "is ignored, because there is an all",
    Rule.MECHANISM_AS_MODIFIER: "is ignored: it needs a colon instead of the equals sign",
    Rule.PTR: "is slow and not to be used (RFC 7208 section 5.5)",
    Rule.UNUSED_HOST: "finds no address that is not authorised anyway",
    Rule.DUPLICATE: "repeats a mechanism before it",
    Rule.REACHED_TWICE: "leads to what an include before it leads to",
    Rule.DEAD_INCLUDE: "leads to no single valid SPF record, so receivers give permerror",
    Rule.LOOP: "leads back to itself, so receivers give permerror",
    Rule.WIDE_NETWORK: "authorises a very wide network",
    Rule.TOO_LONG: f"is longer than {OCTETS_LIMIT} bytes, so answers may not fit into one packet",
    Rule.LONG_STRING: f"holds a string of more than {_STRING_LIMIT} bytes",
    Rule.EXPLANATION_MISSING: "leads to no explanation",
    Rule.OVER_BUDGET: f"can take more than {LOOKUP_LIMIT} DNS lookups",
    Rule.VOIDS_FOR_ONE_FAMILY: "looks up more than two names that have no address for IPv4, or "
    "for IPv6, clients",
}

_BY_WORTH = {
    Worth.DUPLICATE: Rule.DUPLICATE,
    Worth.REACHED_TWICE: Rule.REACHED_TWICE,
    Worth.DEAD_INCLUDE: Rule.DEAD_INCLUDE,
    Worth.NO_ADDRESS: Rule.UNUSED_HOST,
    Worth.COVERED: Rule.UNUSED_HOST,
    Worth.COVERED_ONCE_SOUND: Rule.UNUSED_HOST,
    Worth.PTR: Rule.PTR,
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding: what term it is about and where that stands; the record itself is at 0."""

    rule: Rule
    term: str
    start: int = 0

    @property
    def sentence(self) -> str:
        """What is to be said of the term, to follow its text."""
        return _SENTENCES[self.rule]


def lint(
    text: str,
    others: Mapping[str, Fetched],
    domain: str = "",
    strings: Sequence[str] = (),
) -> tuple[Advice, ...]:
    """Return what had better be changed in a record, by place.

    `strings` are the single strings of the TXT record. What `others` does not tell is not
    reported, such as an explanation that nobody looked for.
    """
    found = reach(text, others, domain)
    record = found.record
    made = [
        *_of_ends(record),
        *_of_terms(record, found, others),
        *(
            Advice(_BY_WORTH[saving.worth], saving.term, saving.start)
            for saving in savings(text, others, domain)
            if saving.worth in _BY_WORTH
        ),
    ]
    if len(text) > OCTETS_LIMIT:
        made.append(Advice(Rule.TOO_LONG, text))
    if any(len(string) > _STRING_LIMIT for string in strings):
        made.append(Advice(Rule.LONG_STRING, text))
    if found.lookups > LOOKUP_LIMIT:
        made.append(Advice(Rule.OVER_BUDGET, text))
    if max(found.family_voids) > VOID_LOOKUP_LIMIT >= found.void_lookups:
        made.append(Advice(Rule.VOIDS_FOR_ONE_FAMILY, text))
    return tuple(sorted(dict.fromkeys(made), key=lambda advice: (advice.start, advice.rule)))


def _of_ends(record: Record) -> Iterator[Advice]:
    end, redirect = record.all_term, record.modifier("redirect")
    if end is None:
        if redirect is None:
            yield Advice(Rule.NO_DEFAULT, record.text)
        return
    if end.qualifier in "+?":
        rule = Rule.PASS_ALL if end.passes else Rule.NEUTRAL_ALL
        yield Advice(rule, end.text, end.start)
    if redirect is not None:
        yield Advice(Rule.REDIRECT_IGNORED, redirect.text, redirect.start)
    for term in record.behind_all:
        yield Advice(Rule.AFTER_ALL, term.text, term.start)


def _of_terms(record: Record, found: Reach, others: Mapping[str, Fetched]) -> Iterator[Advice]:
    for problem in record.problems:
        if not problem.fatal:
            yield Advice(Rule.MECHANISM_AS_MODIFIER, problem.term, problem.start)
    for term in record.terms:
        widest = _WIDEST4 if term.name == "ip4" else _WIDEST6
        if term.network is not None and term.passes and term.network.prefixlen < widest:
            yield Advice(Rule.WIDE_NETWORK, term.text, term.start)
        elif term.name in ("include", "redirect") and term.target in found.loops:
            yield Advice(Rule.LOOP, term.text, term.start)
        elif term.is_modifier and term.name == "exp":
            there = others.get(term.target)
            if there is not None and there.missing:
                yield Advice(Rule.EXPLANATION_MISSING, term.text, term.start)

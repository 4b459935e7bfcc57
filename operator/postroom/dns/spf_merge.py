# SPDX-License-Identifier: Apache-2.0
"""Merging what is required into the SPF record that is there: never replace it blindly.

What the existing record authorises stays authorised, in its own words as far as possible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from postroom.dns.spf import Fetched, Record, Requirement, Term, parse, reach

#: Least strict first: of several records the laxest ``all`` is kept (neutral over soft over hard).
_STRICTNESS = ("?all", "~all", "-all")

#: Slips whose meaning is beyond doubt.
_REPAIRS = (
    (re.compile(r"\bipv([46]):", re.IGNORECASE), r"ip\1:"),
    (re.compile(r"(?<=[ +?~-])(include|ip4|ip6|exists)=", re.IGNORECASE), r"\1:"),
    (re.compile(r"(?<=[ +?~-])(include|ip4|ip6|exists): +(?=\S)", re.IGNORECASE), r"\1:"),
    (re.compile(r"[,;]+"), " "),
)


def merge(existing: Sequence[str], required: Requirement, others: Mapping[str, Fetched]) -> str:
    """Return the one record to publish instead of the existing ones.

    `others` are the records that includes lead to. Merging the result again changes nothing.
    """
    if not existing:
        parts = ["v=spf1", *required.missing_from(reach("v=spf1", others)), required.all_term]
        return " ".join(parts)
    record = parse(_repaired(existing[0])) if len(existing) == 1 else _united(existing)
    record = _without_problems(record)
    record = _without_pass_all(record, required)
    lacking = required.missing_from(reach(record.text, others))
    return _insert(record, lacking) if lacking else record.text


def _repaired(text: str) -> str:
    """Mend what can only have been meant in one way; a sound record stays as it is."""
    if not parse(text).problems:
        return text
    for pattern, replacement in _REPAIRS:
        text = pattern.sub(replacement, text)
    return text.rstrip()


def _without_problems(record: Record) -> Record:
    """Drop what cannot be understood: it makes receivers ignore the whole record."""
    if not record.problems:
        return record
    return _written(record.terms)


def _written(terms: Sequence[Term]) -> Record:
    """Write a record from terms, the repeated modifiers of which are dropped."""
    kept: dict[str, str] = {}
    for term in terms:
        kept.setdefault(term.name if term.is_modifier else term.text.lower(), term.text)
    return parse(" ".join(["v=spf1", *kept.values()]))


def _united(existing: Sequence[str]) -> Record:
    """Unite several records: the mechanisms of all in their order, and one ``all``."""
    records = [parse(_repaired(one)) for one in existing]
    mechanisms: list[Term] = []
    ends: list[str] = []
    modifiers: list[Term] = []
    for record in records:
        mechanisms += [one for one in record.effective if one.name != "all"]
        if record.redirect is not None:
            # One record has one redirect; an include authorises the same senders.
            mechanisms.append(_include(record.redirect.value))
        modifiers += [one for one in record.terms if one.is_modifier and one.name != "redirect"]
        if record.all_term is not None:
            ends.append(f"{record.all_term.qualifier}all")
    laxest = next((one for one in ("+all", *_STRICTNESS) if one in ends), None)
    if laxest is not None:
        mechanisms.append(Term(laxest, laxest[0], "all", "", False, 0))
    return _written([*mechanisms, *modifiers])


def _include(name: str) -> Term:
    return Term(f"include:{name}", "+", "include", name, False, 0)


def without_dead_includes(text: str, required: Requirement, others: Mapping[str, Fetched]) -> str:
    """Take out the includes that make receivers give up: of names without one sound record.

    They authorise nobody. What is required stays: its name is to be corrected in the spec.
    """
    record = parse(text)
    dead = set(reach(text, others).broken) - set(required.includes)
    kept = text
    for term in reversed(list(record.effective)):
        if term.name == "include" and term.value.rstrip(".").lower() in dead:
            end = term.start + len(term.text)
            kept = kept[: term.start].rstrip(" ") + kept[end:]
    return kept


def _without_pass_all(record: Record, required: Requirement) -> Record:
    """Close a record that lets everyone send."""
    end = record.all_term
    if end is None or end.qualifier != "+":
        return record
    before, after = record.text[: end.start], record.text[end.start + len(end.text) :]
    return parse(f"{before}{required.all_term}{after}")


def _insert(record: Record, lacking: Sequence[str]) -> str:
    """Insert mechanisms after the last include, else after the version, before any ``all``."""
    includes = [one for one in record.effective if one.name == "include"]
    anchor = includes[-1].start + len(includes[-1].text) if includes else len("v=spf1")
    text = f"{record.text[:anchor]} {' '.join(lacking)}{record.text[anchor:]}"
    return text.rstrip()

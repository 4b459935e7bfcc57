# SPDX-License-Identifier: Apache-2.0
"""Merging what is required into the SPF record that is there: never replace it blindly.

What passed before passes afterwards, and every byte that need not change stays. Where no record
can be handed out that receivers get through, it is said what to do instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile

from postroom.dns.spf.budget import Fetched, Reach, canonical, reach
from postroom.dns.spf.closing import closing
from postroom.dns.spf.passing import EVERYONE, passed
from postroom.dns.spf.record import LOOKUP_LIMIT, VERSION, VOID_LOOKUP_LIMIT, Record, Term, parse
from postroom.dns.spf.repair import Edit, apply, leaving_out, needs_repair, removal, repairs
from postroom.dns.spf.requirement import Requirement
from postroom.dns.spf.savings import Saving, savings
from postroom.dns.spf.spans import without
from postroom.dns.texts.presentation import presentation
from postroom.dns.texts.quoting import quoted

__all__ = ["Merged", "merge", "presentation"]

#: Least strict first: of several records the laxest ``all`` is kept (neutral over soft over hard).
_STRICTNESS = ("+all", "?all", "~all", "-all")
#: Most changes that are told one by one, and most savings.
_CHANGES_LIMIT = 16
_SAVINGS_LIMIT = 5
#: No record that works is longer, in bytes; mending what is longer would be work without use.
LENGTH_LIMIT = 4096
_SHORTER = "Write a shorter record: name what sends mail now, and nothing else."


@dataclass(frozen=True, slots=True)
class Merged:
    """What to publish instead of the existing records.

    `value` is the one record to publish; None where none can be handed out: then `problem` says
    why, and `advice` what to do, best first. `candidate` is what the merge came to, whether it can
    be handed out or not. `changes` tells what differs from what is there, as predicates.
    `left_out` are clauses on the terms by which somebody was meant to pass and does not, `doubts`
    sentences on terms and on an ``all`` that were read as something else than what stands there.
    `removed` are the existing records that must go: the value replaces them, and is not added.
    `lookups_after` are those of the worst case.
    """

    value: str | None
    candidate: str
    changes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    lookups_after: int = 0
    problem: str | None = None
    advice: tuple[str, ...] = ()
    savings: tuple[Saving, ...] = ()

    @property
    def octets(self) -> int:
        """The length of the candidate in bytes."""
        return len(self.candidate)


def merge(
    existing: Sequence[str] | None,
    required: Requirement,
    others: Mapping[str, Fetched],
    domain: str = "",
    *,
    keep_pass_all: bool = False,
) -> Merged:
    """Merge what is required into the SPF records of `domain`.

    `existing` is None where they could not be looked at. `others` are the records that includes
    lead to, those of the requirement among them. A record that lets everyone send is closed,
    unless `keep_pass_all`. Merging the value again changes nothing.
    """
    if existing is None:
        blind = "The SPF records that are there could not be looked at"
        return Merged(None, "", problem=blind)
    if sum(map(len, existing)) > LENGTH_LIMIT:
        long = f"What is there is longer than {LENGTH_LIMIT} bytes"
        return Merged(None, max(existing, key=len), problem=long, advice=(_SHORTER,))
    draft = _drafted(existing, required, others, domain, keep_pass_all)
    after = reach(draft.text, others, domain)
    before = [reach(text, others, domain) for text in existing]
    problem, advice = _objection(draft.text, after, before, required, domain)
    changes = draft.changes[:_CHANGES_LIMIT]
    if len(draft.changes) > _CHANGES_LIMIT:
        changes = [*changes, f"makes {len(draft.changes) - _CHANGES_LIMIT} more changes"]
    return Merged(
        value=None if problem else draft.text,
        candidate=draft.text,
        changes=tuple(changes),
        left_out=tuple(dict.fromkeys(draft.left_out)),
        doubts=tuple(dict.fromkeys(draft.doubts)),
        removed=tuple(sorted(text for text in existing if problem is None and text != draft.text)),
        lookups_after=after.lookups,
        problem=problem,
        advice=advice,
        savings=savings(draft.text, others, domain) if problem else (),
    )


@dataclass
class _Draft:
    """The record as it comes to be, and what was changed so far."""

    text: str
    changes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def edit(self, edits: Sequence[Edit]) -> None:
        self.text = apply(self.text, edits)
        self.changes += [edit.change for edit in edits]
        self.left_out += [clause for edit in edits for clause in edit.left_out]
        self.doubts += [sentence for edit in edits for sentence in edit.doubts]


def _drafted(
    existing: Sequence[str],
    required: Requirement,
    others: Mapping[str, Fetched],
    domain: str,
    keep_pass_all: bool,
) -> _Draft:
    if not existing:
        mechanisms = required.missing_from(reach(VERSION, others, domain))
        return _Draft(" ".join([VERSION, *mechanisms, required.all_term]))
    wanted = frozenset(map(canonical, required.includes))

    def may_include(name: str) -> bool:
        there = others.get(canonical(name), Fetched(unknown=True))
        sound = len(there.texts) == 1 and not parse(there.texts[0]).errors
        return canonical(name) in wanted or sound

    drafts = [_Draft(text) for text in existing]
    for revised in drafts:
        record = parse(revised.text)
        faulty = needs_repair(record) or required.missing_from(reach(revised.text, others, domain))
        if faulty:
            revised.edit(repairs(record, also_slips=may_include))
    draft = drafts[0] if len(drafts) == 1 else _united(drafts, others, domain)
    end = parse(draft.text).all_term
    if end is not None and end.passes and not keep_pass_all:
        change = f"writes {end.text} as {required.all_term}, so that not everyone may send"
        draft.edit([Edit(end.start, end.end, required.all_term, change)])
        draft.doubts.insert(0, f"It ends in {required.all_term}, so that not everyone may send.")
    if not keep_pass_all:
        draft.edit(tuple(closing(parse(draft.text, domain), required, others, domain)))
    record = parse(draft.text, domain)
    terms = [term for term in record.effective if term.name == "include"]
    terms += [] if record.redirect is None else [record.redirect]
    dead = set(reach(draft.text, others, domain).broken) - wanted
    why = "leads to no single valid SPF record"
    draft.edit([leaving_out(term.start, term.text, why) for term in terms if term.target in dead])
    lacking = required.missing_from(reach(draft.text, others, domain))
    draft.edit(_admissions(parse(draft.text, domain), lacking))
    found = reach(draft.text, others, domain)
    lacking = required.missing_from(found)
    if lacking:
        alone = reach(" ".join([VERSION, *lacking]), others, domain)
        place = _Position.LAST if alone.dependent else _Position.AFTER_INCLUDES
        if found.most_voids > VOID_LOOKUP_LIMIT:
            place = _Position.FIRST
        draft.edit(_insertion(found.record, lacking, place))
    return draft


def _united(drafts: Sequence[_Draft], others: Mapping[str, Fetched], domain: str) -> _Draft:
    """Unite several records: the mechanisms of all in their order, and one ``all``.

    Records that refuse nobody by name come first: whom they let pass no other is to refuse.
    """
    records = sorted((parse(draft.text, domain) for draft in drafts), key=_refuses)
    mechanisms: dict[object, Term] = {}
    modifiers: dict[str, str] = {}
    left_out = [clause for draft in drafts for clause in draft.left_out]
    doubts = [sentence for draft in drafts for sentence in draft.doubts]
    for record in records:
        for term in record.effective:
            if term.name == "all":
                continue
            if term.key not in mechanisms or (term.passes and not mechanisms[term.key].passes):
                mechanisms[term.key] = term
        if record.redirect is not None:
            # One record has one redirect; an include authorises the same senders.
            made = parse(f"{VERSION} include:{record.redirect.value}", domain).terms[0]
            mechanisms[made.key] = made
            doubts.append(
                f"The fix reads {quoted(record.redirect.text)} as {quoted(made.text)}: who is not "
                "listed there is treated as the end of the record says."
            )
        left_out += [
            f"{quoted(term.text)}, which stands after all"
            for term in record.behind_all
            if term.name != "all"
        ]
        for term in record.terms:
            if term.is_modifier and term.name != "redirect":
                kept = modifiers.setdefault(term.name, term.text)
                if kept != term.text:
                    # By a modifier nobody passes.
                    doubts.append(f"The fix leaves out {quoted(term.text)}: there can be one only.")
    end, differing = _common_end(records, others, domain)
    texts = [mechanism.text for mechanism in mechanisms.values()]
    changes = [change for draft in drafts for change in draft.changes]
    changes.append(f"unites {len(drafts)} records into one")
    text = " ".join([VERSION, *texts, *end, *modifiers.values()])
    if _refuses_some(parse(text, domain), records, others, domain):
        doubts.append(
            "Of those whom one record lets pass another refuses some, and so does the fix."
        )
    return _Draft(text, changes, left_out, [*differing, *doubts])


def _refuses(record: Record) -> bool:
    """Whether a record names somebody who is not to pass."""
    return any(not term.passes and term.name != "all" for term in record.effective)


def _refuses_some(
    made: Record, records: Sequence[Record], others: Mapping[str, Fetched], domain: str
) -> bool:
    """Whether somebody whom a record lets pass does not by the one that unites them."""
    return any(
        without(passed(record, version, others, domain).spans, through)
        for version in EVERYONE
        if (through := passed(made, version, others, domain).spans) != EVERYONE[version]
        for record in records
        if _refuses(made)
    )


def _end_of(record: Record, others: Mapping[str, Fetched], domain: str) -> str | None:
    """What becomes of those whom a record does not name, also by its redirect; None: nothing."""
    for _ in range(LOOKUP_LIMIT):
        if record.all_term is not None:
            return f"{record.all_term.qualifier}all"
        name = record.redirect.target if record.redirect is not None else ""
        target = others.get(name)
        if target is None or len(target.texts) != 1:
            return None
        record = parse(target.texts[0], name, domain)
    return None


def _common_end(
    records: Sequence[Record], others: Mapping[str, Fetched], domain: str
) -> tuple[list[str], list[str]]:
    """Choose the laxest ``all`` of several records, and say so where they differ."""
    found = [_end_of(record, others, domain) for record in records]
    ends = [end for end in _STRICTNESS if end in found]
    told = [*ends, "no all"] if None in found else ends
    if len(told) < 2:
        return ends[:1], []
    *first, last = told
    return ends[:1], [f"The records end in {', '.join(first)} and {last}; the one in {ends[0]}."]


def _admissions(record: Record, lacking: Sequence[str]) -> list[Edit]:
    """Let a required include pass that the record refuses, and take out what repeats it."""
    wanted = {
        canonical(mechanism.partition(":")[2])
        for mechanism in lacking
        if mechanism.startswith("include:")
    }
    admitted: set[str] = set()
    edits: list[Edit] = []
    for term in record.effective:
        if term.name != "include" or term.target not in wanted:
            continue
        if term.target in admitted:
            edits.append(removal(term.start, term.text, "repeats an include before it"))
        else:
            passing = term.text.lstrip("+?~-")
            change = f"writes {quoted(term.text)} as {quoted(passing)}, which is required"
            edits.append(Edit(term.start, term.end, passing, change))
        admitted.add(term.target)
    return edits


class _Position(Enum):
    """Where mechanisms are inserted: before all others where lookups that find nothing may end the
    evaluation, behind all that let somebody pass where those themselves may end it, as an include
    does whose name depends on the message, and is not there for each."""

    FIRST = "first"
    AFTER_INCLUDES = "after includes"
    LAST = "last"


def _insertion(record: Record, lacking: Sequence[str], place: _Position) -> list[Edit]:
    """Insert mechanisms after the last include, else after the version, or at another `place`.

    Always before any term that refuses: it could refuse what is required. What of it stands after
    the ``all``, where it does nothing, is taken out.
    """
    head = list(takewhile(lambda term: term.passes and term.name != "all", record.effective))
    if place is not _Position.LAST:
        head = [term for term in head if term.name == "include" and place is not _Position.FIRST]
    anchor = head[-1].end if head else len(VERSION)
    added = " ".join(lacking)
    edits = [Edit(anchor, anchor, f" {added}", f"adds {quoted(added)}")]
    keys = {term.key for term in parse(f"{VERSION} {added}").terms}
    edits += [
        removal(term.start, term.text, "stands after all")
        for term in record.behind_all
        if term.key in keys
    ]
    return edits


def _objection(
    text: str, after: Reach, before: Sequence[Reach], required: Requirement, domain: str
) -> tuple[str | None, tuple[str, ...]]:
    """Why a record cannot be handed out, and what to do instead; None if it can."""
    if after.unknown:
        return f"The SPF record of {quoted(min(after.unknown))} could not be looked at", ()
    if after.broken:
        own = sorted(set(after.broken) & set(map(canonical, required.includes)))
        name = quoted((own or sorted(after.broken))[0])
        whose = "is required" if own else "is included by another's record"
        return f"{name}, which {whose}, has no single valid SPF record", ()
    if after.overfull:
        name = quoted(min(after.overfull))
        return f"The mx of {name} leads to more than ten mail exchangers", ()
    advice = _advice(after, text, domain)
    if after.lookups > LOOKUP_LIMIT:
        count = f"more than {LOOKUP_LIMIT}" if after.loops else str(after.lookups)
        return f"The record takes {count} DNS lookups; {LOOKUP_LIMIT} are allowed", advice
    # Who runs into what is missing gets permerror by that, and passes by nothing behind it.
    had = max(
        (
            found.most_voids - sum(found.sources[name].missing for name in found.broken)
            for found in before
        ),
        default=0,
    )
    if after.void_lookups > VOID_LOOKUP_LIMIT or after.most_voids > max(had, VOID_LOOKUP_LIMIT):
        many = f"More than {VOID_LOOKUP_LIMIT} lookups of the record can find nothing"
        return many, advice
    lacking = required.missing_from(after)
    if lacking:
        return f"The record would still not authorise {quoted(', '.join(lacking))}", advice
    return None, ()


def _advice(found: Reach, text: str, domain: str) -> tuple[str, ...]:
    """What to do about a record that is too dear: what works best and breaks least first."""
    path = f"bounce.{domain}" if domain else "bounce under the domain"
    advice = [
        f"Send with a return path of its own, such as {path}: what it needs then need not stand "
        "here."
    ]
    for saving in savings(text, found.sources, domain)[:_SAVINGS_LIMIT]:
        unit = "lookup" if saving.lookups == 1 else "lookups"
        advice.append(
            f"Take out {quoted(saving.term)}, which {saving.sentence}: it saves {saving.lookups} "
            f"{unit}."
        )
    advice.append(
        "As a last resort replace an include by the networks that it stands for, and follow its "
        "changes."
    )
    return tuple(advice)

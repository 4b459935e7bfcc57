# SPDX-License-Identifier: Apache-2.0
"""Which SPF record to offer for what is there: merged, sound, within its limits; or why none is.

What a record was plainly meant to say is read out of it first, so that nothing of it gets lost.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from postroom.dns import spf
from postroom.dns.finding_codes import Code
from postroom.dns.judging import spf_chains, spf_faults
from postroom.dns.judging.spf_losses import Losses, get_through
from postroom.dns.names import canonical
from postroom.dns.requirements import VALUE_LIMIT, DomainPlan, PlannedRecord
from postroom.dns.spf.merge import Merged, merge
from postroom.dns.spf.record import VERSION
from postroom.dns.spf.repair import Edit, apply, leaving_out, removal, repairs
from postroom.dns.spf.savings import Worth, savings
from postroom.dns.texts.pasted import DAMAGE_LIMIT, all_undone, changes
from postroom.dns.texts.quoting import quoted

#: A version as people write it, and what they put behind it.
_VERSION_MEANT = r"(?i)\s{0,8}(?:v\s{0,4}[=:]?\s{0,4})?spf[\s_-]?1?(?:\.0(?![0-9.]))?[\s;,:.]{0,8}"
#: What people copy along before a version that is as it should be: a caption, or part of it.
_BEFORE_VERSION = (
    r"(?i)(?:\s{0,4}(?:v|spf|txt|record|value|@)\s{0,4}[=:]?\s{0,4}){1,4}"
    rf"(?={VERSION}(?:[\s;,:+%]|$))"
)
#: Where a second record begins inside of one.
_NEXT_RECORD = rf"(?i)\s+(?={VERSION}(?:\s|$))"
_VERSION_JOINED = (
    rf"(?i){VERSION}(?=[+?~-]?(?:all|a|mx|ptr|include|ip[46]|exists|redirect)(?:[:=/ ]|$))"
)
_VERSION_COLON = r"(?i)v\s{0,4}[=:]\s{0,4}spf1[\s;,:.]"
#: Where a term begins inside of another: no name holds such a thing.
_JOINT = r"(?i)(?<=[^\s+?~:=-])(?=[+?~-]?(?:include:|ip[46]:|exists:))"
#: Hyphens and dashes of U+2010 to U+2015, and the minus sign, in UTF-8.
_DASHES = "\xe2\x80[\x90-\x95]|\xe2\x88\x92|[\u2010-\u2015\u2212]"
#: Tildes that are another character than that of ASCII: U+02DC, U+223C and U+FF5E.
_TILDES = "\xcb\x9c|\xe2\x88\xbc|\xef\xbd\x9e|[\u02dc\u223c\uff5e]"
#: A space as URLs and forms write it; no macro looks like that (RFC 7208 section 7.1).
_ENCODED_SPACE = r"(?i)%20|(?<=[^\s+?~:=-])\+(?=[+?~-]?(?:all|a|mx|ptr)(?:[+ :/]|%20|$))"
#: An ``all`` that was joined to a name: no top-level domain ends like that.
_JOINED_END = r"(?i)((?:include|exists|a|mx|ptr):[^ ]{1,253}|redirect=[^ ]{1,253})(?=-all(?: |$))"
#: Most terms whose reasons are told, most characters that they take, most terms that are named.
_REASONS_LIMIT, _SAID_LIMIT, _NAMES_LIMIT, _NAME_LIMIT = 4, 320, 6, 36
#: Where careless forms cut: a TXT string holds no more (RFC 1035 section 3.3.14).
_STRING_LIMIT = 255
_CUT = (
    f"The record ends after {_STRING_LIMIT} bytes, where forms cut it off: the all at its end is "
    "lost, with all that stood before it there, and the fix does not bring it back. See what was "
    "meant, and add it."
)
#: Most terms that are taken out to come within the limits.
_SAVINGS_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Offer:
    """The record to publish; None where there is none: then `why` says so in whole sentences.

    `candidate` is what the merge came to; `too_dear` tells that the number of lookups is why.
    `taken_out` are terms of no use that had to go, and `left_out` clauses on terms by which
    somebody was meant to pass and does not; `doubts` say what was read as something else. `ends`
    are faults of others that it leads to all the same, `moved` tells that these are put last.
    """

    value: str | None
    candidate: str
    why: str = ""
    too_dear: bool = False
    taken_out: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    ends: tuple[spf_chains.DeadEnd, ...] = ()
    moved: bool = False

    @property
    def consequences(self) -> str:
        """What the record to publish does not say any more, in whole sentences; "" for nothing."""
        sentences = []
        if self.taken_out:
            terms = _listed([quoted(term) for term in self.taken_out])
            sentences.append(f"{terms} is of no use and makes way.")
        if self.left_out:
            said = "; ".join(self.left_out)
            if len(self.left_out) > _REASONS_LIMIT or sum(map(len, self.left_out)) > _SAID_LIMIT:
                # Without the reasons, as many as fit.
                said = _listed([clause.partition(", which ")[0] for clause in self.left_out])
            who = "who was to pass by that alone does not"
            sentences.append(f"The fix leaves out {said}: {who}.")
        if self.ends:
            first = self.ends[0]
            sentences.append(f"The record {first.sentence}. {first.remedy(moved=self.moved)}")
        # As many as the message has room for.
        lengths = accumulate(map(len, self.doubts))
        sentences += [
            doubt
            for n, (doubt, length) in enumerate(zip(self.doubts, lengths, strict=True))
            if n == 0 or length <= _SAID_LIMIT
        ]
        return " ".join(sentences)


def _listed(names: Sequence[str]) -> str:
    short = [name if len(name) <= _NAME_LIMIT else f"{name[:_NAME_LIMIT]}..." for name in names]
    more = len(short) - _NAMES_LIMIT
    return ", ".join(short[:_NAMES_LIMIT]) + (f" and {more} more" if more > 0 else "")


def meant(text: str) -> tuple[Code, str] | None:
    """Read a text that receivers do not take for SPF: (code of the mistake, the record meant).

    None where it was not meant as one.
    """
    if spf.is_spf(text) or len(text) > DAMAGE_LIMIT:
        return None
    for code, single in changes(text):
        if spf.is_spf(single):
            return code, single
    undone = all_undone(text)
    if spf.is_spf(undone):
        return Code.SPF_SYNTAX, undone
    behind = re.match(_BEFORE_VERSION, undone)
    if behind is not None:
        undone = undone[behind.end() :]
        if spf.is_spf(undone):
            return Code.SPF_SYNTAX, undone
    if re.match(_VERSION_JOINED, undone):
        return Code.SPF_JOINED_TERMS, re.sub(_VERSION_JOINED, f"{VERSION} ", undone, count=1)
    if not spf.looks_like_spf(undone) and not re.match(_VERSION_COLON, undone):
        return None
    rest = re.sub(_VERSION_MEANT, "", undone, count=1).strip()
    return Code.SPF_SYNTAX, f"{VERSION} {rest}".rstrip()


def offered(
    existing: Sequence[str],
    planned: PlannedRecord,
    wanted: spf.Requirement,
    others: Mapping[str, spf.Fetched],
    plan: DomainPlan,
    refuses: Callable[[str], bool],
    losses: Callable[[str], Losses] = lambda _: Losses(),
    doubtful: Callable[[str], bool] = lambda _: False,
) -> Offer:
    """Merge what is required into the records, and see that receivers get through the result.

    `refuses` tells of a record whether what is required fails by it, which then has to come first.
    `losses` tells who passes now and would not by a record: sooner what is required has a place
    behind them. `doubtful` tells of a record whether what is required passes only where names are
    there that depend on the message. Dead ends of others stay, and whoever passes before them.
    """
    required = {canonical(include) for include in wanted.includes}
    name = planned.name
    passable = spf_chains.up_to_dead_ends(existing, others, name, required)
    named = [f"include:{include}" for include in wanted.includes]
    named += [spf.mechanism_for(network) for network in wanted.networks]
    sure = [term for term in named if get_through(f"{VERSION} {term}", others, name)]
    # Whoever passes by these comes to no fault of the others; next those that find more.
    alone = {term: spf.reach(f"{VERSION} {term}", others, name) for term in named}
    named.sort(key=lambda term: (term not in sure, alone[term].most_voids))
    tried, refused = list[_Tried](), list[Offer]()
    for order, first in ((1, None), (0, named), (2, sure)):
        put = None if first is None else {mechanism: mechanism in first for mechanism in named}
        offer = _offered(existing, planned, wanted, passable, plan, put)
        if offer.value is None:
            refused.append(offer)
            continue
        for made in _by_ends(offer, offer.value, others, name):
            value = made.value or offer.value
            trial = _Tried(made, losses(value), refuses(value), doubtful(value), order)
            if not any(trial.rank[:-1]):
                return made
            tried.append(trial)
    best = min(tried, key=lambda trial: trial.rank, default=None)
    if best is None or (refused and best.fails):
        return refused[0]
    lost = next((trial.lost.certain for trial in tried if trial.lost.certain), ())
    if lost and (best.fails or (best.lost.certain and not best.offer.left_out)):
        return _taking_away(best.offer, lost[0])
    if best.lost.possible:
        said = _may_take_away(best.lost.possible[0])
        return replace(best.offer, doubts=(*best.offer.doubts, said))
    return best.offer


@dataclass(frozen=True, slots=True)
class _Tried:
    """A record that was tried: who loses by it, whether what is required fails, or may where a
    name is not there, and which of those that do as well is sooner taken."""

    offer: Offer
    lost: Losses
    fails: bool
    doubtful: bool
    order: int

    @property
    def rank(self) -> tuple[int, bool, int, bool, int]:
        """The less the better, and the sooner the more it weighs."""
        certain, possible = len(self.lost.certain), len(self.lost.possible)
        return certain, self.fails, possible, self.doubtful, self.order


def _taking_away(offer: Offer, address: str) -> Offer:
    """No record: what is required would end the evaluation of who passes now."""
    why = (
        f"No record is offered: {address} passes now, and would not by one that authorises what "
        "spec.spf requires, as receivers come to a fault of that first. Only who publishes that "
        "can mend it; until then leave it out of spec.spf."
    )
    return Offer(None, offer.candidate, why)


def _may_take_away(address: str) -> str:
    version = 6 if ":" in address else 4
    return (
        f"Senders of IPv{version} that pass now by a name that depends on the message may not any "
        "more: receivers come to a fault of what is required first."
    )


def _by_ends(
    offer: Offer, value: str, others: Mapping[str, spf.Fetched], domain: str
) -> Iterator[Offer]:
    """Yield the record with what leads to a fault of others behind all others, and where it is."""
    moved = _ends_last(offer, value, others, domain)
    yield moved
    if moved.moved:
        yield replace(offer, ends=moved.ends)


def _ends_last(offer: Offer, value: str, others: Mapping[str, spf.Fetched], domain: str) -> Offer:
    """Put behind all others what leads to a fault of others, where that takes nothing away."""
    found = spf.reach(value, others, domain)
    ends = spf_chains.dead_ends(found)
    last = spf_chains.put_last(found.record, ends) if ends else None
    if last is None or len(last) > VALUE_LIMIT:
        return replace(offer, ends=ends)
    return replace(offer, value=last, ends=ends, moved=True)


def _offered(
    existing: Sequence[str],
    planned: PlannedRecord,
    wanted: spf.Requirement,
    others: Mapping[str, spf.Fetched],
    plan: DomainPlan,
    put: Mapping[str, bool] | None,
) -> Offer:
    name = planned.name
    texts = [record for text in existing for record in records_in(text, others, name)]
    cleaned = [_cleaned(text, wanted, others, name, put) for text in texts]
    full = [spf.parse(text) for text in existing if len(text) == _STRING_LIMIT]
    lost = [_CUT for record in full if record.all_term is None and record.redirect is None]
    cut = [clause for _, clauses in cleaned for clause in clauses]
    merged = merge([draft for draft, _ in cleaned], wanted, others, name)
    if merged.value is None and merged.candidate and len(merged.candidate) <= VALUE_LIMIT:
        lean = without_ballast(merged.candidate, others, name)
        again = merge([lean[0]], wanted, others, name) if lean[1] else merged
        if again.value is not None and len(again.value) <= VALUE_LIMIT:
            left_out = (*cut, *merged.left_out, *again.left_out)
            doubts = (*lost, *merged.doubts, *again.doubts)
            return Offer(again.value, again.candidate, "", False, lean[1], left_out, doubts)
    if merged.value is not None and len(merged.value) <= VALUE_LIMIT:
        left_out = (*cut, *merged.left_out)
        doubts = (*lost, *merged.doubts)
        return Offer(merged.value, merged.candidate, left_out=left_out, doubts=doubts)
    return Offer(
        None,
        merged.candidate,
        _why_not(merged, planned, plan),
        too_dear=merged.lookups_after > spf.LOOKUP_LIMIT,
    )


def _cleaned(
    text: str,
    wanted: spf.Requirement,
    others: Mapping[str, spf.Fetched],
    domain: str,
    put: Mapping[str, bool] | None,
) -> tuple[str, tuple[str, ...]]:
    """Take out of one record what no merge would leave alone, or would have to go round.

    Also says what does not pass any more. `put` tells of what is required whether to put it before
    all others, or behind them; None: where a merge would.
    """
    text = parted(text)
    found = spf.reach(text, others, domain)
    includes = {include.removesuffix(".").lower() for include in wanted.includes}
    edits: dict[int, Edit] = {}
    for cost in spf_faults.in_a_circle(found):
        if cost.name not in includes:
            edits[cost.start] = leaving_out(cost.start, cost.term, "leads in a circle")
    if put is not None:
        edits |= dict(_put(text, domain, put))
    said = tuple(clause for edit in edits.values() for clause in edit.left_out)
    return (apply(text, list(edits.values())) if edits else text), said


def _put(text: str, domain: str, first: Mapping[str, bool]) -> Iterator[tuple[int, Edit]]:
    """Put what is required before all others, or behind them unless it stands there already."""
    keys = {term.key: term.text for term in spf.parse(" ".join([VERSION, *first]), domain).terms}
    terms = [term for term in spf.parse(text, domain).effective if term.name != "all"]
    there = {keys[term.key]: term for term in terms if term.key in keys}
    for term in terms:
        if first.get(keys.get(term.key, "")):
            yield term.start, removal(term.start, term.text, "is put before what refuses it")
    before = [mechanism for mechanism in first if first[mechanism]]
    behind = [mechanism for mechanism in first if not first[mechanism] and mechanism not in there]
    end = terms[-1].end if terms else len(VERSION)
    for number, (at, added) in enumerate(((len(VERSION), before), (end, behind)), 1):
        if added:
            yield -number, Edit(at, at, f" {' '.join(added)}", "puts where it does no harm")


def records_in(text: str, others: Mapping[str, spf.Fetched], domain: str) -> list[str]:
    """The records that one text holds, as some are pasted behind one another.

    Receivers read it as one, which ends at its first ``all``. What was never looked up behind that
    is not merged: nothing is known of it.
    """
    records = [
        record for record in re.split(_NEXT_RECORD, text) if record.strip().lower() != VERSION
    ]
    named = [
        term.target
        for record in records[1:]
        for term in spf.parse(record, domain).terms
        if term.name in ("include", "redirect") and not term.varies
    ]
    known = all(target.removesuffix(".").lower() in others for target in named)
    return records if records and known else [text]


def parted(text: str) -> str:
    """Part the terms of a record that run together, and write its marks as ASCII has them."""
    text = re.sub(_TILDES, "~", re.sub(_DASHES, "-", re.sub(_ENCODED_SPACE, " ", text)))
    return re.sub(_JOINED_END, r"\1 ", re.sub(_JOINT, " ", text))


@lru_cache(maxsize=256)
def reading(text: str) -> str:
    """Return a record as a merge reads it, before anything is known of the names in it.

    Remembered, because one look at a domain comes back to the same few texts many times.
    """
    whole = spf.parse(parted(text))
    return apply(whole.text, repairs(whole, also_slips=lambda name: True))


def without_ballast(
    text: str, others: Mapping[str, spf.Fetched], domain: str
) -> tuple[str, tuple[str, ...]]:
    """Take out the terms without which nobody who passes now would fail."""
    gone: list[str] = []
    while len(gone) < _SAVINGS_LIMIT:
        # Those without which nobody fails, given that the record comes within its limits.
        useless = [
            saving
            for saving in savings(text, others, domain)
            if saving.certain or saving.worth is Worth.COVERED_ONCE_SOUND
        ]
        if not useless:
            break
        text = apply(text, [removal(useless[0].start, useless[0].term, useless[0].sentence)])
        gone.append(useless[0].term)
    return text, tuple(gone)


def _why_not(merged: Merged, planned: PlannedRecord, plan: DomainPlan) -> str:
    """Why no record can be handed out, and the best thing to do instead."""
    if merged.problem is None:
        return "It is too long to be mended: write a shorter one."
    advice = list(merged.advice)
    paths = sorted(record.name for record in plan.records if record.id.startswith("return-path"))
    if advice and paths:
        # Bounces have a domain of their own already: that is where receivers look.
        advice[0] = (
            f"Leave out of spec.spf what sends with the return path {paths[0]}: receivers look "
            "there, not here."
        )
        if planned.name in paths:
            advice.pop(0)
    best = f" {advice[0]}" if advice else ""
    return f"No record is offered: {merged.problem[0].lower()}{merged.problem[1:]}.{best}"

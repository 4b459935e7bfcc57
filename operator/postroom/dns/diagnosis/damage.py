# SPDX-License-Identifier: Apache-2.0
"""Undoing damage to texts: it is proven where what is wanted comes out. For all texts but keys."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from operator import eq

from postroom.dns import bimi, dmarc, spf
from postroom.dns.diagnosis.case import Case
from postroom.dns.finding_codes import Code
from postroom.dns.requirements import (
    BIMIWanted,
    DMARCWanted,
    MTASTSWanted,
    TextWanted,
    TLSRPTWanted,
)
from postroom.dns.texts import tag_list
from postroom.dns.texts.pasted import (
    DAMAGE_LIMIT,
    DETAILS,
    UNDO,
    Undo,
    all_undone,
    changes,
    detail_of,
    placeholder,
)
from postroom.dns.tls import mta_sts, tls_rpt

_TEXTS_LIMIT = 20
_STRING_LIMIT = 255
_OF_NOTES = frozenset({Code.VALUE_INCLUDES_NAME, Code.VALUE_DECORATED})
#: Most records that one value is looked for in, and most strings of one record.
_PIECES_LIMIT = 4
#: Shortest text of which a few other characters, or a missing end, say anything.
_TELLING = 12
_NEAR = 3
#: What people and providers count with, at the end of a text.
_NUMBER = re.compile(r"[0-9]{4,}\Z")
#: Longest text in which single other characters are looked for, and rest of a cut policy.
_COMPARED_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Damage:
    """What happened to a text.

    `detail` ends a sentence about the record, `values` are the texts that are damaged, `meant` is
    what they were meant to be. `proven`: what is meant is what is wanted.
    """

    code: Code
    detail: str
    values: tuple[str, ...]
    meant: str
    proven: bool = True


def texts_of(case: Case) -> tuple[str, ...]:
    """The texts at the name that are looked into: bounded in number and length, sorted."""
    return tuple(value for value in sorted(case.answer.values) if len(value) <= DAMAGE_LIMIT)[
        :_TEXTS_LIMIT
    ]


def undone(case: Case) -> tuple[Damage, ...]:
    """Undo the damage of each single text."""
    found = [damage for text in texts_of(case) for damage in _of_text(case, text)]
    return tuple(sorted(found, key=lambda damage: not damage.proven))


def _of_text(case: Case, text: str) -> Iterator[Damage]:
    if _holds(case, text):
        return
    mended = list(_mended(case, text))
    if mended:
        yield from mended
        return
    whole, wanted = case.planned.value, case.planned.wanted
    # A policy that ends between two terms may be meant to be shorter.
    rest = whole[len(text) :]
    inside = bool(rest) and rest[0] not in " ;," and text[-1:] not in " ;,:="
    exact = isinstance(wanted, TextWanted)
    if exact and text.casefold() == whole.casefold():
        detail = "has the case of its letters changed"
        yield Damage(Code.VALUE_LOWERCASED, detail, (text,), whole)
    elif exact and "".join(text.split()) == "".join(whole.split()):
        yield Damage(Code.VALUE_WHITESPACE, DETAILS[Code.VALUE_WHITESPACE], (text,), whole)
    elif text != whole and text == whole.replace("+", " "):
        yield Damage(Code.VALUE_PLUS_LOST, "has spaces in the place of plus signs", (text,), whole)
    elif _is_cut_off(text, whole) and (exact or inside):
        detail = f"was cut off after {len(text)} of {len(whole)} characters"
        yield Damage(Code.VALUE_TRUNCATED, detail, (text,), whole)
    elif exact and _TELLING <= len(text) <= _COMPARED_LIMIT and within_distance(text, whole, _NEAR):
        detail = f"differs from the required value at character {first_difference(text, whole) + 1}"
        yield Damage(Code.VALUE_NEAR, detail, (text,), whole, proven=False)
    # Whether the gap of a template is why it is not read. What is read is no template; of SPF the
    # judge tells: there a gap is a fault of one term, and the others stay.
    is_template, meant = False, text
    if isinstance(wanted, TextWanted):
        prefix, _, filled = text.strip().partition("=")
        same = bool(prefix) and prefix == wanted.text.partition("=")[0]
        is_template, meant = same and placeholder(filled) is not None, whole
    elif isinstance(wanted, DMARCWanted):
        is_template = any(slip.code == Code.VALUE_PLACEHOLDER for slip in dmarc.slips(text))
    if is_template:
        detail = "still holds a placeholder of the instructions"
        yield Damage(Code.VALUE_PLACEHOLDER, detail, (text,), meant, proven=False)


def _is_cut_off(text: str, whole: str) -> bool:
    """Whether a text is the beginning of what is wanted: a number is none of a longer one."""
    rest = whole[len(text) :]
    number = _NUMBER.search(text) is not None and rest[:1].isdigit()
    return len(text) >= _TELLING and whole.startswith(text) and not number


def _holds(case: Case, text: str) -> bool:
    """Whether a text is what is wanted, as it is."""
    wanted = case.planned.wanted
    if isinstance(wanted, DMARCWanted):
        return dmarc.is_dmarc(text) and dmarc.satisfies(
            dmarc.parse(text), wanted.policy, wanted.rua
        )
    return text == case.planned.value


def _is_of_kind(case: Case, text: str) -> bool:
    match case.planned.wanted:
        case spf.Requirement():
            return spf.is_spf(text) and not spf.parse(text).problems
        case DMARCWanted():
            return dmarc.is_dmarc(text) and dmarc.parse(text).problem is None
        case TLSRPTWanted():
            return tls_rpt.is_record(text) and tls_rpt.record_problem(text) is None
        case MTASTSWanted():
            return bool(mta_sts.select([text])) and mta_sts.record_problem(text) is None
        case BIMIWanted():
            return bimi.is_record(text) and tag_list.parse(text).problem is None
    return False


def _mended(case: Case, text: str) -> Iterator[Damage]:
    """Undo one kind of damage if that is all it takes, else one after the other."""
    singles = dict(changes(text))
    if not singles:
        return
    good: Callable[[str], bool] = partial(_is_of_kind, case)
    if isinstance(case.planned.wanted, TextWanted):
        good = partial(eq, case.planned.value)
    elif _is_of_kind(case, text):
        return  # A sound policy was not damaged, however little it says.
    beside_a_policy = any(_is_of_kind(case, other) for other in texts_of(case) if other != text)
    plain = [(code, undo) for code, undo in UNDO if code not in _OF_NOTES]
    if beside_a_policy and not good(_undo_all(text, plain)):
        return  # One with words or marks around it may be somebody's note.
    for code, single in singles.items():
        if good(single):
            yield Damage(code, detail_of(code, text), (text,), single)
            return
    made = [(code, undo) for code, undo in UNDO if code in singles]
    current = all_undone(text)
    if current == text or not good(current):
        return
    for code, undo in made:
        fewer = [step for step in made if step != (code, undo)]
        # What comes out as well without a step shows that it undid no damage.
        if fewer and good(_undo_all(text, fewer)):
            made = fewer
    # Who pastes a whole line of a zone file has quotes in it as well.
    for code, _ in sorted(made, key=lambda step: step[0] != Code.VALUE_INCLUDES_NAME):
        yield Damage(code, detail_of(code, text), (text,), current)


def _undo_all(text: str, steps: Iterable[tuple[str, Undo]]) -> str:
    for _, undo in steps:
        text = undo(text)
    return text


def pieced(case: Case) -> tuple[Damage, ...]:
    """Put together what was split into records, or whose strings were put in another order."""
    texts = texts_of(case)
    if any(_holds(case, text) for text in texts):
        return ()
    whole = case.planned.value
    parts = [part for part in texts if part and part in whole]
    for order in _orders(parts):
        if "".join(order) == whole:
            return (_split(order, whole),)
    for text, strings in zip(case.answer.values, case.answer.strings, strict=False):
        if len(strings) > 1 and any(
            "".join(sequence) == whole for sequence in _orders(list(strings))
        ):
            detail = "holds its strings in another order"
            return (Damage(Code.VALUE_CHUNK_ORDER, detail, (text,), whole),)
    return tuple(_long_policy(case, texts))


def _orders(parts: list[str]) -> Iterator[tuple[str, ...]]:
    bounded = parts[:_PIECES_LIMIT]
    for count in range(2, len(bounded) + 1):
        yield from permutations(bounded, count)


def _split(parts: tuple[str, ...], whole: str) -> Damage:
    detail = f"is split into {len(parts)} records, which receivers do not put together"
    return Damage(Code.VALUE_SPLIT_RECORDS, detail, tuple(sorted(parts)), whole)


def _long_policy(case: Case, texts: tuple[str, ...]) -> Iterator[Damage]:
    """A policy of more than one string, of which the plan does not know the whole."""
    if not isinstance(case.planned.wanted, spf.Requirement):
        return
    for text in texts:
        if not spf.is_spf(text):
            continue
        for other in texts:
            if len(text) != _STRING_LIMIT or other == text or len(other) > _COMPARED_LIMIT:
                continue
            if _ends_policy(text + other):
                yield _split((text, other), text + other)
                return
        closed = text[:_STRING_LIMIT] + text[_STRING_LIMIT + 1 :]
        is_torn = text[_STRING_LIMIT : _STRING_LIMIT + 1] == " "
        if is_torn and spf.parse(text).problems and not spf.parse(closed).problems:
            detail = "has a space where its strings were joined"
            yield Damage(Code.VALUE_CHUNK_ORDER, detail, (text,), closed)
        elif len(text) == _STRING_LIMIT and not _ends_policy(text):
            detail = f"was cut off after {_STRING_LIMIT} characters"
            yield Damage(Code.VALUE_TRUNCATED, detail, (text,), text)


def _ends_policy(text: str) -> bool:
    record = spf.parse(text)
    ends = record.all_term is not None or record.modifier("redirect") is not None
    return ends and not record.problems


def within_distance(left: str, right: str, limit: int) -> bool:
    """Whether at most `limit` characters were changed, lost or added."""
    if abs(len(left) - len(right)) > limit:
        return False
    previous = list(range(len(right) + 1))
    for row, letter in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            step = previous[column - 1] + (letter != other)
            current.append(min(step, previous[column] + 1, current[-1] + 1))
        if min(current) > limit:
            return False
        previous = current
    return previous[-1] <= limit


def first_difference(left: str, right: str) -> int:
    """The index at which two texts begin to differ; the end of the shorter one at the latest."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))

# SPDX-License-Identifier: Apache-2.0
"""What went wrong between the key that was handed out and what DNS shows.

Each slip is proven by the key where that is possible: undoing the damage yields the wanted key.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations

from postroom.dns.dkim.key import Algorithm, PublicKey, published_forms
from postroom.dns.dkim.mending import Step, steps, with_standard_base64
from postroom.dns.dkim.private import is_private
from postroom.dns.dkim.record import KeyRecord, looks_like_key, parse, published_base64
from postroom.dns.finding_codes import Code
from postroom.dns.texts.pasted import DAMAGE_LIMIT, all_undone, changes, detail_of, placeholder

#: What a TXT string holds at most (RFC 1035 section 3.3.14), and where careless forms cut.
STRING_LIMIT = 255
#: Most records, and most strings of a record, that are put together in other orders.
_PIECE_LIMIT = 5
#: Most records that are explained; whether the right one is there is told of all.
_RECORD_LIMIT = 8
#: Fewest base64 characters by which a part of a key is known: RSA keys of a size begin alike with
#: up to 44, Ed25519 keys do not.
_RECOGNISABLE = {Algorithm.RSA.value: 56, Algorithm.ED25519.value: 16}
_NEAR = 3
#: Damage of which the text tells more than its code does.
_BY_TEXT = frozenset({Code.VALUE_SMART_QUOTES, Code.VALUE_DECORATED})
#: What may follow a key that was cut off: the end of a quote, and other tags.
_TAGS_ONLY = re.compile(r"=*[\"']?;?(?:[a-z]{1,20}=[^;]{0,512};?)*")


@dataclass(frozen=True, slots=True)
class Slip:
    """A known mistake: the code of its finding, and the end of a sentence about the record.

    `value` is the published text that it is about, "" where it is about all of them. `proves`
    tells that undoing it yields the wanted key, or a part of it, so that no other can be meant.
    """

    code: Code
    detail: str
    value: str = ""
    proves: bool = True


def slips(
    values: Sequence[str],
    strings: Sequence[Sequence[str]],
    wanted: PublicKey,
    wanted_text: str,
) -> tuple[Slip, ...]:
    """Explain why TXT values do not publish a key, most specific first; () if they do or hold none.

    `strings` are the single strings of each value, in the order of `values`; missing ones are
    guessed as one string each. `wanted_text` is the whole value that was handed out.
    """
    return tuple(dict.fromkeys(_slips(values, strings, wanted, wanted_text)))


def _slips(
    values: Sequence[str],
    strings: Sequence[Sequence[str]],
    wanted: PublicKey,
    wanted_text: str,
) -> Iterator[Slip]:
    texts = [value[:DAMAGE_LIMIT] for value in sorted(values)]
    for text in texts:
        if is_private(text, wanted):
            # Without the text: it is a secret, however public by now.
            yield Slip(Code.DKIM_PRIVATE_KEY_PUBLISHED, "holds the private key")
    parsed = {text: parse(text) for text in texts}
    right = [text for text in texts if _is(parsed[text], wanted)]
    others = [text for text in texts if text not in right and looks_like_key(text)]
    if right:
        if others or len(right) > 1:
            detail = "stands beside the right one and must go"
            yield Slip(Code.VALUE_DUPLICATE_RECORD, detail, (others or right)[0])
        return
    texts = texts[:_RECORD_LIMIT]
    split = _split(texts, wanted)
    if split is not None:
        yield split
        return
    pieces = {value[:DAMAGE_LIMIT]: chunks for value, chunks in zip(values, strings, strict=False)}
    proven = dict[str, list[Slip]]()
    for text in texts:
        whole = [*_mended(text, wanted), *_chunks(text, pieces.get(text, ()), wanted)]
        proven[text] = whole or list(_partial(text, wanted, wanted_text))
        yield from proven[text]
    if len(others) > 1:
        yield Slip(Code.DKIM_MULTIPLE, f"is one of {len(others)} key records, which leaves it open")
    for text in texts:
        if not proven[text]:
            for slip in _likely(text, parsed[text], wanted):
                yield replace(slip, proves=False)


def mends_to(text: str, wanted: PublicKey) -> bool:
    """Whether undoing the damage of a text yields the whole key, so that no other is meant."""
    return bool(_mended(text[:DAMAGE_LIMIT], wanted))


def _is(record: KeyRecord, wanted: PublicKey) -> bool:
    return record.usable and record.key == wanted


def _yields(text: str, wanted: PublicKey) -> bool:
    return _is(parse(text), wanted)


def _likely(text: str, record: KeyRecord, wanted: PublicKey) -> Iterator[Slip]:
    """What stands there, as far as it was meant as a key record."""
    if not looks_like_key(text):
        return
    bare = all_undone(text)
    if not record.usable and bare != text and parse(bare).usable:
        code, _ = changes(text)[0]
        yield Slip(code, f"{detail_of(code, text)}, and holds another key", text)
        return
    readable = record.key is not None or record.revoked
    blank = None if readable else placeholder(text)
    if blank is not None:
        yield Slip(Code.VALUE_PLACEHOLDER, f"still holds the placeholder {blank}", text)
    elif record.revoked:
        yield Slip(Code.DKIM_REVOKED, "has an empty p= tag: the key is revoked", text)
    else:
        yield from _near(text, wanted)
        if record.fault is not None:
            yield Slip(record.fault.code, f"cannot be used: {record.fault.clause}", text)
        else:
            yield Slip(Code.DKIM_KEY_OTHER, "holds another key", text)


# A look asks for the same texts at every place where a key may have slipped to.
@lru_cache(maxsize=128)
def _mended(text: str, wanted: PublicKey) -> tuple[Slip, ...]:
    """Undo one kind of damage if that is all it takes, else one after the other."""
    known = steps(wanted.algorithm)
    for code, detail, undo in known:
        single = undo(text)
        if single != text and _yields(single, wanted):
            return (_slip(code, detail, text),)
    current, made = text, list[Step]()
    for step in known:
        code, _, undo = step
        changed = undo(current)
        if changed != current and code != Code.VALUE_PLUS_LOST:
            made.append(step)
            current = changed
            if _yields(current, wanted):
                return tuple(_slip(*step[:2], text) for step in _needed(made, text, wanted))
    return ()


def _needed(made: Sequence[Step], text: str, wanted: PublicKey) -> list[Step]:
    """Leave out the steps without which the key comes out as well: they undid no damage."""
    needed = list(made)
    for step in made:
        fewer = [other for other in needed if other is not step]
        current = text
        for _, _, undo in fewer:
            current = undo(current)
        if _yields(current, wanted):
            needed = fewer
    return needed


def _slip(code: Code, detail: str, text: str) -> Slip:
    return Slip(code, detail_of(code, text) if code in _BY_TEXT else detail, text)


def _split(texts: Sequence[str], wanted: PublicKey) -> Slip | None:
    """One key in several records: some order of some of them yields it."""
    pieces = [all_undone(text) for text in texts]
    if not 2 <= len(pieces) <= _PIECE_LIMIT or sum(map(len, pieces)) > DAMAGE_LIMIT:
        return None
    for count in range(2, len(pieces) + 1):
        if any(_yields("".join(order), wanted) for order in permutations(pieces, count)):
            detail = f"is one of {count} records that hold a part of the key each"
            return Slip(Code.VALUE_SPLIT_RECORDS, detail)
    return None


def _chunks(text: str, pieces: Sequence[str], wanted: PublicKey) -> Iterator[Slip]:
    """The strings of one record in another order, or one of them twice."""
    if not 2 <= len(pieces) <= _PIECE_LIMIT:
        return
    code = Code.VALUE_CHUNK_ORDER
    if any(_yields("".join(order), wanted) for order in permutations(pieces)):
        yield Slip(code, "holds the strings of the key in the wrong order", text)
    elif _yields("".join(dict.fromkeys(pieces)), wanted):
        yield Slip(code, "holds a string of the key twice", text)


def _partial(text: str, wanted: PublicKey, wanted_text: str) -> Iterator[Slip]:
    """A part of the key, or all of it in lowercase."""
    least = _RECOGNISABLE[wanted.algorithm]
    plain = with_standard_base64(all_undone(text))
    found = published_base64(plain)
    bare = re.sub(r"\s+", "", plain)
    # Behind a foreign character the key may well go on.
    ends = _TAGS_ONLY.fullmatch(bare[bare.rfind(found) + len(found) :]) is not None
    for whole in published_forms(wanted):
        if found != whole and found.lower() == whole.lower():
            yield Slip(Code.VALUE_LOWERCASED, "has the case of its letters changed", text)
            return
        begins = len(found) >= least and whole.startswith(found.rstrip("=")) and found != whole
        if begins and ends:
            of = f", of {len(wanted_text)}" if len(text) == STRING_LIMIT else ""
            also = "" if plain == all_undone(text) else ", and has - and _ where + and / belong"
            detail = f"was cut off after {len(text)} characters{of}{also}"
            yield Slip(Code.VALUE_TRUNCATED, detail, text)
            return
        if len(bare) >= least and whole.endswith(bare):
            yield Slip(Code.VALUE_CHUNK_ORDER, "holds only the end of the key", text)
            return


def _near(text: str, wanted: PublicKey) -> Iterator[Slip]:
    """The key but for a few characters."""
    found = published_base64(text)
    for whole in published_forms(wanted):
        if found != whole and _distance_within(found, whole, _NEAR):
            position = _run(found, whole, 0, 0)
            shown = whole[max(position - 8, 0) : position + 8]
            detail = f"differs from the key at character {position + 1} of p=, near {shown}"
            yield Slip(Code.VALUE_NEAR, detail, text)
            return


def _distance_within(left: str, right: str, limit: int) -> bool:
    """Whether at most `limit` characters were changed, lost or added; linear in the length."""
    if abs(len(left) - len(right)) > limit:
        return False
    reached = {0: _run(left, right, 0, 0)}
    for _ in range(limit + 1):
        if any(i >= len(left) and i - shift >= len(right) for shift, i in reached.items()):
            return True
        following: dict[int, int] = {}
        for shift, i in reached.items():
            # Changed, lost from, or added to the left.
            for turn, step in ((shift, 1), (shift - 1, 0), (shift + 1, 1)):
                start = min(i + step, len(left))
                if 0 <= start - turn <= len(right):
                    end = _run(left, right, start, start - turn)
                    following[turn] = max(following.get(turn, 0), end)
        reached = following
    return False


def _run(left: str, right: str, i: int, j: int) -> int:
    """Where the left text, from `i` on, first differs from the right one, from `j` on."""
    while i < len(left) and j < len(right) and left[i] == right[j]:
        i, j = i + 1, j + 1
    return i

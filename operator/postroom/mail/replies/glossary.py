# SPDX-License-Identifier: Apache-2.0
"""Words of other languages for those of English, which the families are written in.

Servers answer in the language of their operator. ``glossary.yaml`` knows the words that tell of a
cause; what it does not know stays as it is, and tells nothing.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import Row, read

#: Letters that are no base letter with a mark, and what they are written as without.
_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "ı": "i", "’": "'"})
#: Scripts that do not part words by blanks, or hang endings on them: Chinese, Japanese, Korean.
_UNPARTED = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
#: Where a word of Latin letters meets one of them: "IP가".
_BORDER = re.compile(rf"(?<=[a-z0-9])(?={_UNPARTED})|(?<={_UNPARTED})(?=[a-z0-9])")
#: Accents on letters of Latin and Cyrillic; those of Japanese make other letters.
_MARKS = re.compile(r"[\u0300-\u036f]")
#: Characters that one becomes: a letter with two marks. Some ligatures become eighteen.
_APART = 3
_ENDING = r"[^\W\d_]*"

_Foreign = Annotated[str, StringConstraints(pattern=r"^[^A-Z]+$", min_length=1, max_length=40)]
_English = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z -]+$")]


class GlossaryEntry(Row):
    """An English word, and the words of other languages that it stands for."""

    english: _English
    means: Annotated[tuple[_Foreign, ...], Field(min_length=1)]


class Glossary(Row):
    """The whole of ``glossary.yaml``: no word twice."""

    words: Annotated[tuple[GlossaryEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once_and_as_looked_for(self) -> Self:
        seen: set[str] = set()
        for word in (word for entry in self.words for word in entry.means):
            if word in seen:
                raise ValueError(f"{word} is there twice")
            if word != without_marks(word):
                raise ValueError(f"{word} must be written as it is looked for, without accents")
            seen.add(word)
        return self


def in_english(words: str) -> str:
    """Return lowercase words with those of the glossary in English, and letters without accents."""
    said = _glossary().sub(_english, without_marks(words))
    return said if said.isascii() else _BORDER.sub(" ", said)


def letters_known(text: str) -> int:
    """How many characters are in words that the glossary knows."""
    found = _glossary().finditer(without_marks(text.lower()))
    return sum(match.end() - match.start() for match in found)


def without_marks(words: str) -> str:
    """Return words with their letters bare: servers leave accents out, or set them otherwise."""
    if words.isascii():
        return words
    apart = unicodedata.normalize("NFKD", words.translate(_LETTERS))[: _APART * len(words)]
    return unicodedata.normalize("NFC", _MARKS.sub("", apart))


def _english(found: re.Match[str]) -> str:
    pattern, english = _of_one_letter(found[0][0])
    # What begins with the same letter decides alike whether or not the other letters are tried.
    which = pattern.match(found.string, found.start()) or found
    said = english[(which.lastindex or 1) - 1]
    return f" {said} " if _unparted(found[0]) else said


@cache
def _words() -> tuple[tuple[str, str], ...]:
    """Every foreign word with its English one, by scripts and first letters.

    Of those with the same first letter the longest goes first: "not allowed" before "not".
    """
    entries = read("postroom.mail.replies", "glossary.yaml", Glossary).words
    pairs = [(word, entry.english) for entry in entries for word in entry.means]
    return tuple(sorted(pairs, key=lambda pair: (_unparted(pair[0]), pair[0][0], -len(pair[0]))))


@cache
def _glossary() -> re.Pattern[str]:
    """One expression for all of `_words`; by first letters, for it to be quick.

    It has no groups: a branch that begins with one is entered to see that its letter is another.
    """
    return _compiled([word for word, _ in _words()], "(?:{})")


@cache
def _of_one_letter(letter: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Those of `_words` that begin with a letter, a group for each, and their English ones."""
    pairs = [pair for pair in _words() if pair[0][0] == letter]
    return _compiled([word for word, _ in pairs], "({})"), tuple(english for _, english in pairs)


def _compiled(words: Iterable[str], each: str) -> re.Pattern[str]:
    unparted, parted = (
        _any_of([word for word in words if _unparted(word) is wanted], each)
        for wanted in (True, False)
    )
    alternatives = [rf"(?<![\w-])(?:{parted})(?![\w-])"] * bool(parted) + [unparted] * bool(
        unparted
    )
    return re.compile("|".join(alternatives))


def _any_of(words: Iterable[str], each: str) -> str:
    branches = []
    for first, same in groupby(words, key=lambda word: word[0]):
        escaped = (re.escape(word[1:]) for word in same)
        rests = (rest.replace(r"\*", _ENDING).replace(r"\ ", r"\s+") for rest in escaped)
        branches.append(f"{first}(?:{'|'.join(map(each.format, rests))})")
    return "|".join(branches)


def _unparted(word: str) -> bool:
    return re.search(_UNPARTED, word) is not None

# SPDX-License-Identifier: Apache-2.0
"""Families of words: what a reply means whose wording no row knows, and whether it passes.

Servers word the same refusal in countless ways, with the same few words in them. The families are
data (``families.yaml``); here they are read and held against a reply.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from postroom.api.data_files import InvalidData, read
from postroom.mail.replies import model
from postroom.mail.replies.glossary import in_english

_TEXT_LIMIT = 1000
#: What is no word of the server's: addresses, URLs, the ids and hosts in brackets at the end.
_NO_WORDS = re.compile(
    r"<?(?:https?|mailto):[^\s>]*>?|\bwww\.[^\s]+|<[^<>\s]*@[^<>\s]*>|[^\s<>\"']+@[^\s<>\"']+"
)
_RESPONSE_CODE = re.compile(r"^\s*\[[a-z-]{1,32}[^\]]*\]")
_INNER_DOT = re.compile(r"\.(?=\S)")
_LISTS = re.compile(r"spamhaus|spamcop|sorbs|barracudacentral|abuseat|block-?list|black-?list")
#: Letters in a row, of whatever script.
_WORD = re.compile(r"[^\W\d_]{2}")
_SLOT = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Family:
    """An entry with its words compiled."""

    entry: model.FamilyEntry
    words: re.Pattern[str]
    unless: re.Pattern[str] | None

    def fits(
        self, protocol: model.Protocol, stage: model.Stage, sign_in: model.SignIn, said: str
    ) -> bool:
        """Whether what was said, as `spoken` returns it, is of this family."""
        entry = self.entry
        return (
            entry.protocol in (None, protocol)
            and (
                stage in entry.stages
                or (stage in model.TRANSACTION and model.Stage.SEND in entry.stages)
            )
            and entry.sign_in in (None, sign_in)
            and self.words.search(said) is not None
            and (self.unless is None or self.unless.search(said) is None)
        )


def spoken(words: str) -> str:
    """Return lowercase words of a reply without what is none: response code, URLs, addresses.

    Those of other languages are in English where the glossary knows them. A dot that ends no
    sentence becomes another character. What words deny to pass ("do not retry") is left out.
    """
    said = _NO_WORDS.sub(_what_it_tells, _RESPONSE_CODE.sub("", words)[:_TEXT_LIMIT])
    return _senses().negated.sub("…", _INNER_DOT.sub("·", " ".join(in_english(said).split())))


def without_supposed(words: str) -> str:
    """Leave out what words only suppose or foretell: "if your account is locked"."""
    return _senses().supposed.sub("…", words)


def _what_it_tells(address: re.Match[str]) -> str:
    """Keep of a URL or address only that it is of a block list."""
    found = _LISTS.search(address[0])
    return found[0] if found else "<>"


def family_of(
    protocol: model.Protocol, stage: model.Stage, sign_in: model.SignIn, said: str
) -> model.FamilyEntry | None:
    """Return the first family that fits what was said; None where none does."""
    found = (family for family in families() if family.fits(protocol, stage, sign_in, said))
    return next((family.entry for family in found), None)


def passes(said: str, explained: Iterable[str] = ()) -> bool:
    """Whether words say that it passes: a limit, a rate, a while, a fault of the server.

    `explained` are parts of them whose sense is known: what lies within one of them tells nothing.
    """
    known = tuple(spoken(fragment) for fragment in explained)
    return any(
        not any(found[0] in fragment for fragment in known)
        for found in _senses().passing.finditer(said)
    )


def is_riddle(said: str) -> bool:
    """Whether something is said that no rule here knows, so that a code alone tells what is meant.

    Only asked where no row and no family knows the words.
    """
    senses = _senses()
    return _WORD.search(senses.empty.sub(" ", said)) is not None and not senses.refusals.search(
        said
    )


@cache
def families() -> tuple[Family, ...]:
    """Load the families in the order in which they are tried; raises `InvalidData`."""
    data = _data()
    return tuple(
        Family(
            family,
            _compiled((*family.words, *(data.passing if family.passing else ())), data.vocabulary),
            _compiled(family.unless, data.vocabulary) if family.unless else None,
        )
        for family in data.families
    )


@dataclass(frozen=True, slots=True)
class _Senses:
    """What turns the sense of words, whatever their family: see `FamilyEntries`."""

    passing: re.Pattern[str]
    supposed: re.Pattern[str]
    negated: re.Pattern[str]
    empty: re.Pattern[str]
    refusals: re.Pattern[str]


@cache
def _senses() -> _Senses:
    data = _data()
    return _Senses(
        passing=_compiled(data.passing, data.vocabulary),
        supposed=_compiled(data.supposed, data.vocabulary),
        negated=_compiled(data.negated, data.vocabulary),
        empty=_compiled(data.empty, data.vocabulary),
        refusals=_compiled((entry.words for entry in data.refusals), data.vocabulary),
    )


@cache
def _data() -> model.FamilyEntries:
    return read("postroom.mail.replies", "families.yaml", model.FamilyEntries)


def _compiled(
    expressions: Iterable[str], vocabulary: Mapping[str, tuple[str, ...]]
) -> re.Pattern[str]:
    """Join expressions to one, with the words of the vocabulary in their slots."""

    def filled(slot: re.Match[str]) -> str:
        return f"(?:{'|'.join(vocabulary[slot[1]])})"

    try:
        whole = "|".join(f"(?:{_SLOT.sub(filled, expression)})" for expression in expressions)
        return re.compile(whole)
    except (re.error, KeyError) as problem:
        raise InvalidData(f"families.yaml: words: {problem}") from None

# SPDX-License-Identifier: Apache-2.0
"""What was probably meant by a word that is not known: a slip, another spelling, or a synonym."""

import difflib
from collections.abc import Iterable, Mapping
from functools import cache

from pydantic import RootModel

from postroom.api.data_files import read

_CUTOFF = 0.6


class _Synonyms(RootModel[dict[str, tuple[str, ...]]]):
    """The data file."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is meant, None where none is near. Case and punctuation are no
    difference; synonyms (``O365``) are data, and so are words that only look like a known one."""
    by_fold = {_fold(each): each for each in known}
    folded = _fold(word)
    if folded in by_fold:
        return by_fold[folded]
    stands_for = synonyms().get(folded)
    if stands_for == ():
        return None
    candidates = (_fold(name) for name in stands_for or ())
    meant = next((name for name in candidates if name in by_fold), None)
    if meant is None:
        meant = next(iter(difflib.get_close_matches(folded, by_fold, n=1, cutoff=_CUTOFF)), None)
    return by_fold[meant] if meant is not None else None


def hint(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that offers the known word that is meant; "" where none is."""
    meant = nearest(word, known)
    return f": did you mean {meant}?" if meant is not None else ""


def _fold(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())


@cache
def synonyms() -> Mapping[str, tuple[str, ...]]:
    """Read the table: by a folded word, the names that it may stand for, the likeliest first."""
    table = read("postroom.api", "synonyms.yaml", _Synonyms).root
    return {_fold(word): names for word, names in table.items()}

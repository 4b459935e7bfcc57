# SPDX-License-Identifier: Apache-2.0
"""What somebody asks to see of a list of objects, as the address of a page says it (RFC 3986)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from postroom.api.names import Kind
from postroom.report import shape, untrusted

#: The state of all that somebody may want to look after: neither working nor switched off.
NOT_READY = "NotReady"
_DONE = frozenset({shape.Turn.NOBODY, shape.Turn.ADVISED, shape.Turn.RESTING})
STATES: Mapping[str, frozenset[shape.Turn]] = {
    NOT_READY: frozenset(shape.Turn) - _DONE,
    **{turn.value: frozenset({turn}) for turn in shape.Turn},
}
#: Characters of a search, and digits of the number of a page.
LONGEST = 256
#: Characters of what names an object: a kind, a namespace and a name.
_LONGEST_NAME = 400
_NUMBER = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_WORDS = {
    "state": {name.lower(): name for name in STATES},
    "kind": {word: kind.value for kind in Kind for word in (kind.value.lower(), kind.plural)},
}


class QueryUnusable(ValueError):
    """What is asked for cannot be; the sentence repeats nothing of it."""


class Query(NamedTuple):
    """Which objects, and which page of them; empty: all."""

    q: str = ""
    state: str = ""
    kind: str = ""
    namespace: str = ""
    page: int = 1
    #: ``kind/namespace/name``: of the pages the one that this object is on.
    object: str = ""

    @property
    def filters(self) -> bool:
        """Whether it leaves anything out."""
        return self._replace(page=1, object="") != Query()

    @property
    def link(self) -> str:
        """The relative address of what this asks for."""
        unset = Query._field_defaults
        given = {name: value for name, value in self._asdict().items() if value != unset[name]}
        return f"?{urlencode(given)}" if given else "?"

    def matching(self, everything: Sequence[shape.Listed]) -> Sequence[shape.Listed]:
        """What is asked for of a list, whatever its state."""
        kind, namespace, words = self.kind, self.namespace, self.q.casefold().split()
        if not (kind or namespace or words):
            return everything
        return [
            each
            for each in everything
            if namespace in ("", each.namespace)
            and kind in ("", each.kind)
            and all(word in each.text for word in words)
        ]

    def in_state(self, turn: shape.Turn) -> bool:
        """Whether objects of this turn are asked for."""
        return not self.state or turn in STATES[self.state]


def query_of(given: Iterable[tuple[str, str]]) -> Query:
    """Read the parameters of an address; others than ours mean nothing. Raises `QueryUnusable`."""
    told: dict[str, str] = {}
    for name, value in given:
        # A form sends what nobody has filled in, too.
        if name not in Query._fields or not value.strip():
            continue
        if name in told:
            raise QueryUnusable(f"{name} is given more than once")
        told[name] = value.strip()
    for name, words in _WORDS.items():
        if name in told:
            known = words.get(told[name].lower())
            if known is None:
                raise QueryUnusable(f"{name} is one of {', '.join(dict.fromkeys(words.values()))}")
            told[name] = known
    number = told.pop("page", "1")
    if _NUMBER.fullmatch(number) is None:
        raise QueryUnusable("page is the number of a page, from 1 on")
    for name, longest in {"q": LONGEST, "namespace": LONGEST, "object": _LONGEST_NAME}.items():
        if len(told.get(name, "")) > longest:
            raise QueryUnusable(f"{name} has more than {longest} characters")
        # Every character can be seen, and written: halves of a surrogate pair cannot.
        told[name] = untrusted.text(told.get(name, ""), longest)
    return Query(page=int(number), **told)

# SPDX-License-Identifier: Apache-2.0
"""SPF evaluation compared with pyspf, an evaluator written by others, on random worlds.

More than 100,000 evaluations of random records for several addresses each. Results and
explanations must be equal but for what `_EXCEPTIONS` lists, each with its reason; every exception
is also pinned by a world of its own, so that none of them outlives its cause.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest

from differential.spf_worlds import HELOS, IPV4, IPV6, NAMES, SENDERS, Maker, World
from postroom.dns.answers import Answer, RecordType
from postroom.dns.spf import Limits, Result, ResultCode, is_spf, parse
from postroom.dns.spf.driving import drive
from postroom.dns.spf.evaluate import evaluate
from postroom.dns.spf.macro import expand_beforehand

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pyspf: Any = import_module("spf")

EVALUATIONS = 10_500
SEEDS = range(10)
NO_EXPLANATION = "DEFAULT"

#: pyspf counts every query that finds nothing, not every term.
LIMITS = Limits(each_void_query=True)


@dataclass
class Case:
    """One evaluation, and what both sides made of it."""

    world: World
    ip: str
    sender: str
    helo: str
    visited: list[str] = field(default_factory=list)

    def ours(self) -> Result:
        steps = evaluate(self.ip, self.sender, self.helo, limits=LIMITS)
        return drive(steps, self._answer)

    def _answer(self, name: str, kind: RecordType) -> Answer:
        answer = self.world.answer(name, kind)
        if kind is RecordType.TXT:
            self.visited += [value for value in answer.values if is_spf(value)]
        return answer

    def theirs(self, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
        monkeypatch.setattr(pyspf, "DNSLookup", _lookup_in(self.world))
        query = pyspf.query(i=self.ip, s=self.sender, h=self.helo)
        query.set_default_explanation(NO_EXPLANATION)
        result, _code, text = query.check()
        return result, text

    def names(self) -> set[str]:
        return {term.name for text in self.visited for term in parse(text).terms}


def _lookup_in(world: World) -> Callable[..., list[tuple[tuple[str, str], Any]]]:
    """Return what pyspf calls for each query, in the form of its dnspython driver."""

    def lookup(name: str, kind: str, *_rest: object) -> list[tuple[tuple[str, str], Any]]:
        values = world.records.get((name.lower(), RecordType(kind)), ())
        if values is None:
            raise pyspf.TempError("DNS timeout")
        return [((name, kind), _as_pyspf_has_it(kind, value)) for value in values]

    return lookup


def _as_pyspf_has_it(kind: str, value: str) -> Any:
    if kind == "TXT":
        return (value.encode("latin-1"),)
    if kind == "MX":
        preference, _space, host = value.partition(" ")
        return int(preference), host
    return value


def _reached_itself(case: Case, ours: Result) -> bool:
    """An include of the domain itself is valid; it takes lookups without end where reached."""
    return "include" in case.names() and ours.result is not ResultCode.NONE


def _looks_further(case: Case, ours: Result) -> bool:
    """Pyspf asks for the addresses of all exchangers and client names, even behind a match.

    So it runs into voids and failures that deciding did not need; a failing PTR lookup, which
    makes the term not match (section 5.5), ends it with temperror.
    """
    return not {"mx", "ptr"}.isdisjoint(case.names()) or any("%{p}" in one for one in case.visited)


def _redirect_not_taken(case: Case, ours: Result) -> bool:
    """Pyspf counts a redirect when it reads it; section 4.6.4 counts what is evaluated."""
    waiting = any(parse(one).modifier("redirect") is not None for one in case.visited)
    most_read = ours.lookups + 1  # every include and redirect leads to one record at most
    return waiting and ours.lookups + most_read > LIMITS.terms


_EXCEPTIONS = {
    "include has trivial recursion": _reached_itself,
    "Void lookup limit of 2 exceeded": _looks_further,
    "DNS timeout": _looks_further,
    "Too many DNS lookups": _redirect_not_taken,
}


def _cases(seed: int) -> Iterator[Case]:
    maker, choice = Maker(seed), random.Random(seed).choice  # noqa: S311
    made = 0
    while made < EVALUATIONS:
        world = maker.world()
        for domain in NAMES[:3]:
            sender, helo = choice(SENDERS).format(domain), choice(HELOS)
            for ip in (*IPV4, *IPV6):
                made += 1
                yield Case(world, ip, sender, helo)


def _is_excepted(case: Case, ours: Result, their_text: str) -> bool:
    return any(
        problem in their_text and reason(case, ours) for problem, reason in _EXCEPTIONS.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_results_are_those_of_pyspf(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    excepted, results = 0, set()
    for case in _cases(seed):
        ours, (theirs, text) = case.ours(), case.theirs(monkeypatch)
        results.add(ours.result)
        if ours.result == theirs and (theirs != "fail" or text == _explained(ours)):
            continue
        assert _is_excepted(case, ours, text), (case, ours, theirs, text)
        excepted += 1
    assert excepted < EVALUATIONS * 0.02
    assert results == set(ResultCode)


def _explained(result: Result) -> str:
    return result.explanation or NO_EXPLANATION


def _world(**records: str | list[str] | None) -> World:
    """Make a world from names such as ``a_A``: of a.example.net, the type A."""
    made: dict[tuple[str, RecordType], tuple[str, ...] | None] = {}
    for key, value in records.items():
        host, _underscore, kind = key.partition("_")
        name = f"{host}.example.net" if host != "pointer" else "1.2.0.192.in-addr.arpa"
        values = [value] if isinstance(value, str) else value
        made[name, RecordType(kind)] = None if values is None else tuple(values)
    return World(made)


PINNED = [
    (_world(a_TXT="v=spf1 ip4:192.0.2.1 include:a.example.net"), "pass", "trivial recursion"),
    (
        _world(
            a_TXT="v=spf1 mx -all",
            a_MX=["1 b.example.net", "2 c.example.net", "3 d.example.net", "4 e.example.net"],
            b_A="192.0.2.1",
        ),
        "pass",
        "Void lookup limit",
    ),
    (
        _world(
            a_TXT="v=spf1 mx -all",
            a_MX=["1 b.example.net", "2 c.example.net"],
            b_A="192.0.2.1",
            c_A=None,
        ),
        "pass",
        "DNS timeout",
    ),
    (_world(a_TXT="v=spf1 ptr -all", pointer_PTR=None), "fail", "DNS timeout"),
    (
        _world(
            a_TXT=f"v=spf1 {'a:b.example.net ' * 10}all redirect=c.example.net", b_A="192.0.2.9"
        ),
        "pass",
        "Too many DNS lookups",
    ),
    # Of the modifiers only redirect and exp may not appear twice (section 6).
    (_world(a_TXT="v=spf1 x=1 x=2 -all"), "fail", "at most once"),
    # A percent sign may end a text if it is written as %% (section 7.1).
    (_world(a_TXT="v=spf1 x=100%% -all"), "fail", "invalid-macro-char"),
    # The letters c, r and t are lawful in a macro-string; only domains may not have them (7.2).
    (_world(a_TXT="v=spf1 x=%{t} -all"), "fail", "c,r,t"),
]


@pytest.mark.parametrize(("world", "result", "problem"), PINNED)
def test_every_exception_is_one(
    world: World, result: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(world, "192.0.2.1", "user@a.example.net", "mx.example.org")
    theirs, text = case.theirs(monkeypatch)
    assert case.ours().result == result
    assert theirs != result
    assert problem in text


def test_parts_of_a_name_are_joined_by_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 7.3; pyspf keeps the delimiter but in local parts and senders."""
    world = _world(a_TXT="v=spf1 exists:%{h1r-}.example.net -all", b_A="127.0.0.2")
    case = Case(world, "192.0.2.1", "user@a.example.net", "c-b")
    zero = _world(a_TXT="v=spf1 exists:%{d0}.example.net ?all")
    assert case.ours().result == "fail"
    joined = _world(a_TXT="v=spf1 exists:%{h-}.example.net -all")
    joined.records["c.b.example.net", RecordType.A] = ("127.0.0.2",)
    case = Case(joined, "192.0.2.1", "user@a.example.net", "c-b")
    assert (case.ours().result, case.theirs(monkeypatch)[0]) == ("pass", "fail")
    case = Case(zero, "192.0.2.1", "user@a.example.net", "c-b")
    assert (case.ours().result, case.theirs(monkeypatch)[0]) == ("permerror", "neutral")


def test_names_that_are_known_beforehand_are_those_that_pyspf_makes() -> None:
    """With dots only: of a domain, pyspf joins parts by the delimiters that parted them."""
    choice = random.Random(7208).choice  # noqa: S311
    sender = "My-own.sender.example"
    query = pyspf.query(i="192.0.2.1", s=f"someone@{sender}", h="helo.example.net")
    query.d = "x_y.In-cluded.a+b.example.org"
    for _ in range(2000):
        macros = [
            "%{" + choice("dDoO") + choice(("", "1", "2", "3", "99")) + choice(("", "r", ".", "r."))
            for _ in range(choice((1, 2, 3)))
        ]
        text = choice(("}.", "}%%.", "}a-", "}%-.")).join(macros) + "}.x.example"
        made = expand_beforehand(text, query.d, sender)
        assert made == query.expand(text).lower(), text

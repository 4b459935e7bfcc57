# SPDX-License-Identifier: Apache-2.0
"""Whether two texts of a server are one refusal: told twice, or by another machine."""

from __future__ import annotations

import re
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.replies import is_same_refusal, normalised, rows

REFUSALS = sorted(
    {
        (row.cause, said)
        for row in rows()
        for example in row.examples
        if len((said := normalised(example.partition(" ")[2])).split()) > 3
    }
)


#: Names of machines and sessions, and words that servers are named after.
_OWN = st.from_regex(r"[b-df-hj-np-tv-z]{3,4}[aeiou][a-z]{4,6}[kqzx]", fullmatch=True).map(str)


NAMES = _OWN | st.uuids().map(str) | st.sampled_from(["mxalpha", "(alpha)", "east/blue", "…", "8f"])


@given(st.data(), st.sampled_from(REFUSALS), st.integers(0, 99))
def test_a_refusal_is_the_same_whoever_tells_it(
    data: st.DataObject, refusal: tuple[str, str], at: int
) -> None:
    words = refusal[1].split()
    at %= len(words) + 1
    before, now = (
        normalised(" ".join([*words[:at], data.draw(NAMES), *words[at:]])) for _ in range(2)
    )
    assert is_same_refusal(before, now)
    assert is_same_refusal(now, before)


def test_refusals_of_different_causes_are_told_apart() -> None:
    """But where the words are the same, and the code or the provider makes the difference."""
    for (cause, said), (other_cause, other) in combinations(REFUSALS, 2):
        if cause != other_cause and bare(said) != bare(other):
            assert not is_same_refusal(said, other), (said, other)


@cache
def bare(said: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"\[\w+\]|Error:", "", said).lower())


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("Сервер альфа: неверный пароль", "Сервер бета: неверный пароль", True),
        ("Неверный пароль", "Учетная запись заблокирована", False),
        ("密码错误 请重试", "账号已锁定 请重试", False),
        ("5.7.8 denied by alpha", "5.7.8 denied by bravo", True),
        ("5.7.8 denied by alpha", "5.7.8 locked by alpha", False),
        ("5.7.8 it is not disabled here", "5.7.8 it is disabled here", False),
        ("der Server alpha: Konto gesperrt", "der Server bravo: Konto gesperrt", True),
        ("der Server alpha: Konto gesperrt", "der Server alpha: Passwort falsch", False),
        ("alpha bravo charlie", "delta echo foxtrot", False),
        ("much " * 35 + "alpha", "much " * 35 + "b", True),
        ("much " * 35 + "denied", "much " * 35 + "no", True),
        ("much denied", "much no", False),
        ("", "denied", False),
    ],
)
def test_what_is_the_same_refusal(before: str, now: str, same: bool) -> None:
    assert is_same_refusal(before, now) is same


@given(st.text(), st.text())
def test_refusals_are_compared_both_ways(before: str, now: str) -> None:
    one, other = normalised(before), normalised(now)
    assert is_same_refusal(one, one)
    assert is_same_refusal(one, other) in (True, False)

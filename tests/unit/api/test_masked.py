# SPDX-License-Identifier: Apache-2.0
"""A masked string shows itself to nobody but who asks for it."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postroom.api.masked import Masked

CANARY = "canary-5f1"


@dataclass
class Holder:
    secret: Masked


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>20}",
        lambda secret: f"{secret:>20}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - this way of printing, too
        lambda secret: str([secret]),
        lambda secret: str(Holder(secret)),
        lambda secret: str(KeyError(secret)),
    ],
)
def test_no_way_of_printing_shows_it(show: Callable[[Masked], str]) -> None:
    shown = show(Masked(CANARY))
    assert "***" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("leak", [json.dumps, pickle.dumps, copy.copy, copy.deepcopy, hash])
def test_it_cannot_be_written_down(leak: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as raised:
        leak(Masked(CANARY))
    assert CANARY not in str(raised.value)


def test_it_has_no_attributes_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Masked(CANARY))


def test_it_equals_its_like_and_no_plain_text() -> None:
    assert Masked(CANARY) == Masked(CANARY)
    assert Masked(CANARY) != Masked("other")
    assert Masked(CANARY) != CANARY


def test_only_the_empty_one_is_false() -> None:
    assert not Masked("")
    assert Masked(" ")


def test_who_asks_gets_it() -> None:
    assert Masked(CANARY).reveal() == CANARY

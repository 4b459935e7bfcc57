# SPDX-License-Identifier: Apache-2.0
"""A property is tried as often as it asks for, times what `make properties` asks for."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from properties import bound_examples, multiply_examples

MANY = st.integers(min_value=0, max_value=10**9)


def item(function: Callable[[], None], case: type[unittest.TestCase] | None = None) -> pytest.Item:
    """A test as pytest has it, as far as its settings go."""
    held = SimpleNamespace(obj=function, getparent=lambda _: SimpleNamespace(obj=case))
    return cast("pytest.Item", held)


class Tries:
    """A property, or the machine of one, that counts on how many examples it is tried."""

    def __init__(self, own: settings | None, *, machine: bool = False) -> None:
        self._count = 0
        self._run = self._machine(own) if machine else self._property(own)

    def _property(self, own: settings | None) -> Callable[[], None]:
        def counted(number: int) -> None:
            self._count += 1

        run: Callable[[], None] = given(MANY)(counted if own is None else own(counted))
        self.item = item(run)
        return run

    def _machine(self, own: settings | None) -> Callable[[], None]:
        tries = self

        class Machine(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                tries._count += 1

            @rule(number=MANY)
            def step(self, number: int) -> None: ...

        case = Machine.TestCase
        # How long an example is, is not asked here: otherwise fifty steps.
        case.settings = settings(case.settings if own is None else own, stateful_step_count=2)
        self.item = item(case.runTest, case)
        return case().runTest

    def count(self) -> int:
        self._count = 0
        self._run()
        return self._count


def is_about(tried: int, asked: int) -> bool:
    """Whether so many were tried; one that is given up half way does not count for Hypothesis, and
    whether there is one depends on every constant of our code, of which it makes examples."""
    return asked <= tried <= asked + 1 + asked // 20


@pytest.mark.parametrize("machine", [False, True], ids=["property", "machine"])
@pytest.mark.parametrize("own", [None, 7], ids=["no number of its own", "a number of its own"])
def test_the_examples_of_a_property_are_multiplied_and_bounded(
    own: int | None, machine: bool
) -> None:
    tries = Tries(None if own is None else settings(max_examples=own), machine=machine)
    asked = own or settings().max_examples
    assert is_about(tries.count(), asked)
    # Each parameter of a test is an item.
    multiply_examples([tries.item, tries.item], 3)
    assert is_about(tries.count(), 3 * asked)
    bound_examples(tries.item, 5)
    assert is_about(tries.count(), 5)
    multiply_examples([tries.item], 1)
    assert is_about(tries.count(), 5)


def test_what_is_no_property_is_left_alone() -> None:
    def plain() -> None: ...

    multiply_examples([item(plain)], 3)
    bound_examples(item(plain), 3)
    assert vars(plain) == {}

# SPDX-License-Identifier: Apache-2.0
"""What is said of a Secret that could not be written, or stands where none is to be."""

from __future__ import annotations

import pytest

from postroom.reconcile.account.binding_problems import GOING, PROBLEMS, not_withdrawn
from postroom.reconcile.status.wanted import Child, ChildState, SecretBody, Wanted

SECRET = Child("Secret", "shop-mail")
NONE, SOME = Wanted(SECRET, None), Wanted(SECRET, SecretBody("servicebinding.io/smtp", {}))
#: Nothing is wrong with it, or nothing that somebody would have to mend.
FINE = {
    ChildState.APPLIED,
    ChildState.GONE,
    ChildState.LEFT,
    ChildState.UNAVAILABLE,
    ChildState.NOT_SERVED,
}


def test_every_state_that_somebody_must_mend_has_a_sentence() -> None:
    assert PROBLEMS.keys() == set(ChildState) - FINE
    for _, sentence in PROBLEMS.values():
        assert "Secret shop-mail" in sentence.format(name=SECRET.name)


@pytest.mark.parametrize("state", ChildState)
def test_what_is_to_go_is_told_of_while_it_stands(state: ChildState) -> None:
    states = {SECRET: state}
    told = not_withdrawn([NONE], states)
    assert [each.subject for each in told] == ([] if state in FINE else [SECRET.name])
    # Who has deleted it already need not be told to delete it.
    assert all(("finalizers" in each.message) == (state in GOING) for each in told)
    assert all(("or delete it" in each.message) != (state in GOING) for each in told)
    # A password that can still be read is no secret any more.
    readable = state is ChildState.READABLE
    assert all(("change it" in each.message) == readable for each in told)
    assert not_withdrawn([SOME], states) == ()

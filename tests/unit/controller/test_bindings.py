# SPDX-License-Identifier: Apache-2.0
"""Secrets of bindings as they are written: whose they are, who has one now, what a write keeps.

How accounts come to want them is in tests/unit/reconcile/account/test_binding.py.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.bindings import BindingSecrets
from postroom.controller.children import Owner, state_after
from postroom.controller.client import ApiError
from postroom.controller.writer import SecretWriter
from postroom.reconcile.account.binding_content import SECRET_TYPE
from postroom.reconcile.status.wanted import Child, ChildState, SecretBody, Wanted, Yielded
from unit.reconcile.binding_worlds import Secrets

OLD, NEW = Owner("EmailAccount", "old", "uid-1"), Owner("EmailAccount", "new", "uid-2")
CHILD = Child("Secret", "default-mail")
NOW = datetime(2026, 11, 29, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


def body(host: str = "a", *, takes_over: bool = True) -> SecretBody:
    return SecretBody(SECRET_TYPE, {"host": Masked(host)}, handed_round=True, takes_over=takes_over)


class Kube(Secrets):
    """An API server, and what it is asked for."""

    gone: frozenset[Owner] = frozenset()

    def is_there(self, namespace: str, owner: Owner) -> bool:
        return owner not in self.gone

    async def make(self, owner: Owner, content: object) -> ChildState:
        writer = SecretWriter(self, TokenBucket(1e9, 1e9), self.is_there)
        bindings = BindingSecrets(self, writer, lambda: NOW)
        return await bindings.apply("mail", owner, Wanted(CHILD, content))

    @property
    def owners(self) -> list[str]:
        return [each["name"] for each in self.there["default-mail"]["metadata"]["ownerReferences"]]


async def test_nothing_is_made_for_whoever_went_while_it_waited_for_its_turn() -> None:
    """A namespace of this name may be another tenant's by then."""
    kube = Kube()
    kube.gone = frozenset({OLD})
    with pytest.raises(ApiError) as refused:
        await kube.make(OLD, body())
    assert state_after(refused.value) is ChildState.UNAVAILABLE
    assert (kube.there, kube.writes) == ({}, [])


async def test_it_changes_hands_in_one_write() -> None:
    kube = Kube()
    assert await kube.make(OLD, body()) is ChildState.APPLIED
    assert await kube.make(NEW, body("b", takes_over=False)) is ChildState.LEFT
    assert await kube.make(NEW, body("b")) is ChildState.APPLIED
    assert kube.owners == ["new"]
    assert kube.writes == [("create", "default-mail"), ("patch", "default-mail")]
    # Who had it neither takes it back nor deletes it.
    assert await kube.make(OLD, body(takes_over=False)) is ChildState.LEFT
    assert await kube.make(OLD, Yielded()) is ChildState.GONE
    assert await kube.make(OLD, None) is ChildState.GONE
    assert kube.owners == ["new"]


async def test_what_is_yielded_stays_until_it_is_taken() -> None:
    kube = Kube()
    await kube.make(OLD, body())
    assert await kube.make(OLD, Yielded()) is ChildState.LEFT
    assert await kube.make(OLD, None) is ChildState.GONE
    assert kube.there == {}


async def test_owners_besides_the_controller_stay() -> None:
    kube = Kube()
    await kube.make(OLD, body())
    secret = kube.there["default-mail"]
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "uid-9"}
    metadata = secret["metadata"]
    metadata = {**metadata, "ownerReferences": [*metadata["ownerReferences"], other]}
    kube.put({**secret, "metadata": metadata})
    await kube.make(NEW, body())
    assert sorted(kube.owners) == ["new", "other"]


@pytest.mark.parametrize("immutable", [False, True])
async def test_what_somebody_holds_is_not_gone_and_shows_nothing(immutable: bool) -> None:
    kube = Kube()
    await kube.make(OLD, body())
    kube.put({**kube.there["default-mail"], "immutable": immutable})
    kube.hold("default-mail")
    stands = ChildState.READABLE if immutable else ChildState.ENDING
    assert await kube.make(OLD, None) is stands
    # What cannot be changed cannot be emptied.
    assert bool(kube.there["default-mail"].get("data")) is immutable
    written = len(kube.writes)
    assert await kube.make(OLD, None) is stands
    assert len(kube.writes) == written, "it is deleted and emptied once"
    # Nor is it there for anybody: what is written into it goes with it.
    for owner in (OLD, NEW):
        assert await kube.make(owner, body("b")) is ChildState.ENDING
    assert len(kube.writes) == written
    kube.let_go("default-mail")
    assert await kube.make(NEW, body("b")) is ChildState.APPLIED


async def test_one_that_is_held_and_deleted_by_others_is_emptied_when_it_is_to_go() -> None:
    kube = Kube()
    await kube.make(OLD, body())
    kube.hold("default-mail")
    version = kube.there["default-mail"]["metadata"]["resourceVersion"]
    await kube.delete_secret("mail", "default-mail", {"resourceVersion": version})
    assert await kube.make(OLD, body()) is ChildState.ENDING
    assert kube.there["default-mail"]["data"], "whoever sends by it may, while it stands"
    assert await kube.make(OLD, None) is ChildState.ENDING
    assert not kube.there["default-mail"].get("data")


async def test_whoever_was_faster_is_read_again() -> None:
    kube = Kube()
    kube.faults = [409, 409]
    assert await kube.make(OLD, body()) is ChildState.APPLIED


@pytest.mark.parametrize("content", [body(), Yielded(), None])
@given(secret=st.fixed_dictionaries({}, optional={"type": JSON, "metadata": JSON, "data": JSON}))
def test_what_is_not_ours_is_never_touched(content: object, secret: dict[str, Any]) -> None:
    kube = Kube()
    kube.there["default-mail"] = secret
    state = asyncio.run(kube.make(OLD, content))
    wanted = ChildState.CONFLICT if isinstance(content, SecretBody) else ChildState.GONE
    assert (state, kube.writes) == (wanted, [])

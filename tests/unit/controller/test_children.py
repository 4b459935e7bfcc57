# SPDX-License-Identifier: Apache-2.0
"""Children: whose they are, whatever somebody wrote into them, and that one failure is alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.controller.cache import Cache
from postroom.controller.children import (
    Children,
    ChildWriter,
    Owner,
    controller_of,
    is_controlled_by,
    known_to,
    metadata_for,
    refuse_orphan,
    state_after,
    why,
)
from postroom.controller.client import ApiError
from postroom.reconcile.status.wanted import Child, ChildState, Wanted
from unit.controller.samples import ACCOUNT, stored

OWNER = Owner("EmailAccount", "support", "uid-1")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def controlled(**changes: Any) -> dict[str, Any]:
    metadata = metadata_for(OWNER, "mail", "made")
    metadata["ownerReferences"] = [{**metadata["ownerReferences"][0], **changes}]
    return {"metadata": metadata}


def test_a_child_says_whose_it_is() -> None:
    metadata = metadata_for(OWNER, "mail", "made", {"a": "b"})
    assert is_controlled_by({"metadata": metadata}, OWNER)
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "postroom", "a": "b"}
    assert "blockOwnerDeletion" not in metadata["ownerReferences"][0]


@pytest.mark.parametrize(
    "changes",
    [
        {"uid": "uid-2"},
        {"kind": "MailServer"},
        {"controller": False},
        {"controller": "true"},
        {"apiVersion": "apps/v1"},
        {"apiVersion": "postroom.development/v1"},
    ],
)
def test_what_differs_in_one_respect_is_not_its_own(changes: dict[str, Any]) -> None:
    assert not is_controlled_by(controlled(**changes), OWNER)


@given(JSON)
def test_whatever_stands_in_metadata_can_be_read(metadata: object) -> None:
    found = controller_of({"metadata": metadata})
    assert found is None or isinstance(found, Owner)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (403, ChildState.FORBIDDEN),
        (422, ChildState.REFUSED),
        (409, ChildState.UNAVAILABLE),
        (0, ChildState.UNAVAILABLE),
        (503, ChildState.UNAVAILABLE),
    ],
)
def test_answers_are_classed(status: int, state: ChildState) -> None:
    assert state_after(ApiError("POST secret", status)) is state


def test_the_end_of_a_namespace_is_no_lack_of_rights() -> None:
    error = ApiError("POST secret", 403, causes=frozenset({"NamespaceTerminating"}))
    assert state_after(error) is ChildState.UNAVAILABLE


class Failing:
    """A writer that fails for one name."""

    async def apply(self, namespace: str, owner: Owner, wanted: Wanted) -> ChildState:
        if wanted.child.name == "slow":
            raise TimeoutError
        if wanted.child.name == "bad":
            raise ApiError("PATCH secret", 422, "canary")
        return ChildState.APPLIED


def test_one_that_fails_is_alone_and_nothing_that_was_sent_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer: ChildWriter = Failing()
    wanted = [Wanted(Child("Secret", name), None) for name in ("bad", "slow", "good")]
    wanted.append(Wanted(Child("Unknown", "x"), None))
    states = asyncio.run(Children({"Secret": writer}).apply(ACCOUNT, "uid-1", wanted))
    assert list(states.values()) == [
        ChildState.REFUSED,
        ChildState.UNAVAILABLE,
        ChildState.APPLIED,
        ChildState.NOT_ALLOWED,
    ]
    assert "canary" not in caplog.text
    assert caplog.messages == ["Secret bad is not written: the API server answers 422"]
    assert why(ApiError("PUT", 0, "EmailAccount support is gone")) == "EmailAccount support is gone"


def test_a_cache_knows_an_owner_and_no_later_one_of_its_name() -> None:
    cache = Cache()
    is_there = known_to(cache)
    owner = Owner(ACCOUNT.kind.value, ACCOUNT.name, "uid-1")
    child = {"kind": "Secret", "metadata": metadata_for(owner, ACCOUNT.namespace, "default-mail")}
    for uid, there in [("uid-1", True), ("uid-2", False)]:
        cache.put(ACCOUNT.kind, stored(ACCOUNT, uid=uid))
        assert is_there(ACCOUNT.namespace, owner) is there
        assert not is_there("elsewhere", owner)
        if there:
            refuse_orphan(ACCOUNT.namespace, child, is_there)
            # What none of ours controls, as a Secret of somebody else, is not for us to judge.
            refuse_orphan("elsewhere", {"kind": "Secret", "metadata": {}}, is_there)
        else:
            with pytest.raises(ApiError, match="EmailAccount support is gone"):
                refuse_orphan(ACCOUNT.namespace, child, is_there)
        cache.drop(ACCOUNT, uid)
        assert not is_there(ACCOUNT.namespace, owner)

# SPDX-License-Identifier: Apache-2.0
"""Reading the Secrets that hold kept refresh tokens, whatever they hold, and writing at a rate.

What is kept and when is shown with a token server in tests/lab/test_token_rotation.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kept_secrets import KEPT_NAME, Secrets, kept
from lab.oauth_lab import microsoft_user
from owners import always_there
from postroom.api.masked import Masked
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.client import ApiError
from postroom.controller.rotation import OthersSecrets
from postroom.controller.writer import SecretWriter
from postroom.mail.oauth.refresh_token_store import Keeping, KeepingProblem

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
OWNER = {
    "apiVersion": "postroom.dev/v1alpha1",
    "kind": "EmailAccount",
    "uid": "uid-support",
    "controller": True,
}


def ours(**changes: Any) -> dict[str, Any]:
    metadata = {"name": KEPT_NAME, "resourceVersion": "1", "ownerReferences": [OWNER]}
    secret = {"type": "postroom.dev/refresh-token", "metadata": metadata, "data": {}}
    return {**secret, **changes}


async def newest(secret: dict[str, Any]) -> tuple[object, Keeping]:
    grant, store = kept(microsoft_user()), Secrets({KEPT_NAME: secret}).store()
    return await store.newest(grant), store.keeping(grant)


@given(st.fixed_dictionaries({}, optional={"type": JSON, "metadata": JSON, "data": JSON}))
def test_what_is_not_ours_is_never_used(secret: dict[str, Any]) -> None:
    found, keeping = asyncio.run(newest(secret))
    assert (found, keeping.problem) == (None, KeepingProblem.NAME_TAKEN)


@given(JSON, JSON)
def test_any_edit_of_ours_can_be_read(data: object, annotations: object) -> None:
    secret = ours(data=data)
    secret["metadata"]["annotations"] = annotations
    found, keeping = asyncio.run(newest(secret))
    assert found is None or isinstance(found, Masked)
    assert keeping.problem is None


async def test_the_token_counts_where_the_source_fits() -> None:
    secret = ours(data={"refreshToken": "a2VwdA=="})
    assert (await newest(secret))[0] is None
    secret["metadata"]["annotations"] = {"postroom.dev/seeded-from": "uid/1"}
    assert (await newest(secret))[0] == Masked("kept")


async def test_one_that_is_being_deleted_is_used_and_never_said_to_keep_anything() -> None:
    """A finalizer holds it; what is written to it goes with it."""
    secret = ours(data={"refreshToken": "a2VwdA=="})
    secret["metadata"]["annotations"] = {"postroom.dev/seeded-from": "uid/1"}
    secret["metadata"]["deletionTimestamp"] = "2026-11-30T12:00:00Z"
    grant, kube = kept(microsoft_user()), Secrets({KEPT_NAME: secret})
    store = kube.store()
    assert await store.newest(grant) == Masked("kept")
    await store.keep(grant, Masked("newer"), refused=True)
    assert store.keeping(grant).problem is KeepingProblem.UNAVAILABLE
    assert kube.writes == []
    del kube.there[KEPT_NAME]
    await store.keep(grant, Masked("newer"), refused=True)
    assert store.keeping(grant).problem is None
    assert kube.value() == "newer"


async def test_whoever_stands_beside_the_operator_uses_what_is_kept_and_writes_nothing() -> None:
    secret = ours(data={"refreshToken": "a2VwdA=="})
    secret["metadata"]["annotations"] = {"postroom.dev/seeded-from": "uid/1"}
    secrets, grant = Secrets({KEPT_NAME: secret}), kept(microsoft_user())
    beside = OthersSecrets(secrets, SecretWriter(secrets, TokenBucket(1e6, 1), always_there))
    assert await beside.newest(grant) == Masked("kept")
    await beside.keep(grant, Masked("newer"), refused=True)
    assert (secrets.writes, secrets.tries) == ([], [])


async def test_writes_keep_to_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, taken = TokenBucket(1e6, 1), list[str]()

    async def take(party: str = "") -> None:
        taken.append(party)

    monkeypatch.setattr(bucket, "take", take)
    secrets = Secrets()
    writer = SecretWriter(secrets, bucket, always_there)
    await writer.create("mail", ours())
    await writer.patch("mail", KEPT_NAME, {"metadata": {"resourceVersion": "1"}})
    assert (taken, len(secrets.writes)) == (["mail", "mail"], 2)


async def test_nothing_is_written_where_nothing_keeps_us_from_other_secrets() -> None:
    secrets = Secrets(guarded=False)
    store, grant = secrets.store(), kept(microsoft_user())
    await store.keep(grant, Masked("new"), refused=False)
    assert (secrets.there, secrets.writes) == ({}, [])
    assert store.keeping(grant).problem is KeepingProblem.UNGUARDED


async def test_a_policy_that_comes_is_noticed_and_one_that_goes_within_minutes() -> None:
    secrets = Secrets(guarded=False)
    store, grant = secrets.store(), kept(microsoft_user())
    await store.keep(grant, Masked("first"), refused=False)
    secrets.guarded = True
    await store.keep(grant, Masked("second"), refused=False)
    assert secrets.value() == "second"
    secrets.guarded = False
    secrets.passes(days=2)
    await store.keep(grant, Masked("third"), refused=False)
    assert secrets.value() == "second"
    assert store.keeping(grant).problem is KeepingProblem.UNGUARDED


async def test_what_is_tried_carries_no_token_and_differs_in_one_respect() -> None:
    secrets = Secrets()
    store, grant = secrets.store(), kept(microsoft_user())
    await store.keep(grant, Masked("canary"), refused=False)
    ours = secrets.sent[0]
    assert len(secrets.tries) == 2
    for tried in secrets.tries:
        assert "data" not in tried
        assert "canary" not in str(tried)
        same_type = tried["type"] == ours["type"]
        same_owner = tried["metadata"].get("ownerReferences") == ours["metadata"]["ownerReferences"]
        assert same_type != same_owner


async def test_a_policy_that_was_in_force_is_not_tried_at_every_write() -> None:
    secrets = Secrets()
    store, grant = secrets.store(), kept(microsoft_user())
    for number in range(3):
        await store.keep(grant, Masked(f"token-{number}"), refused=True)
    assert (len(secrets.writes), len(secrets.tries)) == (3, 2)


@pytest.mark.parametrize("status", [0, 429, 500, 503, 403])
async def test_an_api_server_that_does_not_say_is_no_permission(status: int) -> None:
    secrets = Secrets()

    async def unanswered(secret: object) -> None:
        # Who is being deleted forbids all.
        causes = {"NamespaceTerminating"} if status == 403 else set[str]()
        raise ApiError("POST secret", status, causes=frozenset(causes))

    secrets._try = unanswered  # type: ignore[method-assign,assignment]
    store, grant = secrets.store(), kept(microsoft_user())
    await store.keep(grant, Masked("new"), refused=False)
    assert secrets.writes == []
    assert store.keeping(grant).problem is KeepingProblem.UNAVAILABLE

# SPDX-License-Identifier: Apache-2.0
"""The Secret that a sign-in ends in: its keys, and what the API server's refusals mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from postroom.api.masked import Masked
from postroom.cli.auth_secret import CannotApply, apply, secret_of, try_out
from postroom.controller import client
from postroom.controller.client import ApiError
from postroom.controller.kubeconfig import ConnectionSettingsError

TOKEN = Masked("refresh-canary")


def test_the_manifest_holds_the_tokens_under_the_keys_that_specs_name() -> None:
    secret = secret_of("oauth", "mail", TOKEN, Masked("client-canary"))
    assert secret["metadata"] == {"name": "oauth", "namespace": "mail"}
    assert (secret["kind"], secret["type"]) == ("Secret", "Opaque")
    assert secret["stringData"] == {
        "refreshToken": "refresh-canary",
        "clientSecret": "client-canary",
    }
    assert secret_of("oauth", "mail", TOKEN, None)["stringData"] == {
        "refreshToken": "refresh-canary"
    }


UID = {"uid": "u", "resourceVersion": "7"}


class Cluster:
    """With a Secret of this name, or none; `create` and `patch` are what writes are answered."""

    def __init__(
        self, create: int | None = None, patch: int | None = None, there: Any = None
    ) -> None:
        self.create, self.patch = create, patch
        self.there: Any = {"metadata": UID, **(there or {})}
        self.patched: list[tuple[str, str, Mapping[str, Any]]] = []
        self.dry: list[bool] = []
        #: Called when it was looked at, and before it is written.
        self.meanwhile = lambda: None

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        self.dry.append(dry_run)
        if self.create is not None:
            raise ApiError("POST", self.create, "refresh-canary")

    async def merged_secret(
        self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool = False
    ) -> Mapping[str, Any]:
        self.dry.append(dry_run)
        if not patch:
            seen = self.there
            self.meanwhile()
            return seen  # type: ignore[no-any-return]
        if self.patch is not None:
            raise ApiError("PATCH", self.patch, "refresh-canary")
        if self.there is None:
            raise ApiError("PATCH", 404)
        if patch["metadata"] != {name: self.there["metadata"][name] for name in UID}:
            raise ApiError("PATCH", 409)
        if not dry_run:
            self.patched.append((namespace, name, patch))
        return {}


def connect(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[Cluster]:
        yield cluster

    monkeypatch.setattr(client, "connected", connected)


async def applied(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    connect(cluster, monkeypatch)
    return await apply(secret_of("oauth", "mail", TOKEN, None), None, None)


async def tried(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(cluster, monkeypatch)
    await try_out("oauth", "mail", None, None)


async def test_it_is_created_or_its_keys_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Cluster()
    assert await applied(fresh, monkeypatch) == "created"
    assert fresh.patched == []
    there = Cluster(409, there={"data": {"refreshToken": "b2xk"}})
    assert await applied(there, monkeypatch) == "updated (refreshToken replaced)"
    wanted = {"metadata": UID, "stringData": {"refreshToken": "refresh-canary"}}
    assert there.patched == [("mail", "oauth", wanted)]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, "refreshToken added"),
        (
            {"data": {"a": "", "refreshToken": ""}},
            "refreshToken replaced, 1 other key stays as before",
        ),
        ({"data": {"a": "", "b": ""}}, "refreshToken added, 2 other keys stay as before"),
        (
            {
                "metadata": {
                    **UID,
                    "ownerReferences": [
                        {"kind": "ConfigMap", "name": "x"},
                        {"kind": "ExternalSecret", "name": "e", "controller": True},
                    ],
                }
            },
            "refreshToken added, ExternalSecret e, which makes it, may undo it",
        ),
    ],
)
async def test_what_becomes_of_a_secret_that_is_there_is_said(
    there: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await applied(Cluster(409, there=there), monkeypatch) == f"updated ({said})"


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        ({"immutable": True}, "is immutable: name another one"),
        ({"metadata": {**UID, "deletionTimestamp": "2026-01-01T00:00:00Z"}}, "is being deleted"),
    ],
)
async def test_what_cannot_be_written_is_said_before_anybody_signs_in(
    there: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(409, there=there)
    with pytest.raises(CannotApply, match=sentence):
        await tried(cluster, monkeypatch)
    with pytest.raises(CannotApply, match=sentence):
        await applied(cluster, monkeypatch)
    assert cluster.patched == []


async def test_nothing_is_written_onto_what_has_changed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(409)

    def changed() -> None:
        cluster.there = {"metadata": {"uid": "other", "resourceVersion": "8"}}

    cluster.meanwhile = changed
    assert await applied(cluster, monkeypatch) == "updated (refreshToken added)"
    ((_, _, patch),) = cluster.patched
    assert patch["metadata"] == {"uid": "other", "resourceVersion": "8"}


async def test_one_that_is_deleted_meanwhile_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(409)

    def gone() -> None:
        cluster.there = cluster.create = None

    cluster.meanwhile = gone
    assert await applied(cluster, monkeypatch) == "created"


async def test_one_that_changes_all_the_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotApply, match="changed by somebody else all the time"):
        await applied(Cluster(409, 409), monkeypatch)


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        (Cluster(403), "you may not write Secrets in namespace mail: ask for that right."),
        (
            Cluster(401),
            "the cluster does not know you: the credentials of the kubeconfig are refused, or have "
            "ended.",
        ),
        (Cluster(404), "namespace mail does not exist: create it."),
        (Cluster(0), "the cluster does not answer: check the kubeconfig."),
        (Cluster(500), "the API server answers 500."),
        (Cluster(409, 403), "you may not write Secrets in namespace mail: ask for that right."),
        (Cluster(409, 422), "the API server answers 422."),
    ],
)
async def test_a_refusal_is_one_sentence_without_the_servers_words(
    cluster: Cluster, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotApply) as raised:
        await applied(cluster, monkeypatch)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        (Cluster(None), None),
        # One that is there is updated.
        (Cluster(409), None),
        (Cluster(403), "you may not write Secrets in namespace mail: ask for that right."),
        (Cluster(404), "namespace mail does not exist: create it."),
        # Who may create Secrets may not change them.
        (Cluster(409, 403), "you may not write Secrets in namespace mail: ask for that right."),
    ],
)
async def test_whether_it_could_be_written_is_tried_without_writing(
    cluster: Cluster, sentence: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sentence is None:
        await tried(cluster, monkeypatch)
    else:
        with pytest.raises(CannotApply) as raised:
            await tried(cluster, monkeypatch)
        assert str(raised.value) == sentence
    assert cluster.patched == [] and set(cluster.dry) == {True}


async def test_a_kubeconfig_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: object) -> object:
        raise ConnectionSettingsError("there is no kubeconfig")

    monkeypatch.setattr(client, "connected", connected)
    with pytest.raises(CannotApply, match=r"^there is no kubeconfig\.$"):
        await apply(secret_of("oauth", "mail", TOKEN, None), None, None)

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


class Cluster:
    def __init__(self, create: int | None, patch: int | None = None) -> None:
        self.create, self.patch = create, patch
        self.patched: list[tuple[str, str, Mapping[str, Any]]] = []
        self.dry: list[bool] = []

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        self.dry.append(dry_run)
        if self.create is not None:
            raise ApiError("POST", self.create, "refresh-canary")

    async def patch_secret(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        if self.patch is not None:
            raise ApiError("PATCH", self.patch, "refresh-canary")
        self.patched.append((namespace, name, patch))


async def applied(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[Cluster]:
        yield cluster

    monkeypatch.setattr(client, "connected", connected)
    return await apply(secret_of("oauth", "mail", TOKEN, None), None, None)


async def test_it_is_created_or_its_keys_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Cluster(None)
    assert await applied(fresh, monkeypatch) == "created"
    assert fresh.patched == []
    there = Cluster(409)
    assert await applied(there, monkeypatch) == "updated"
    assert there.patched == [("mail", "oauth", {"stringData": {"refreshToken": "refresh-canary"}})]


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
    ],
)
async def test_whether_it_could_be_written_is_tried_without_writing(
    cluster: Cluster, sentence: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[Cluster]:
        yield cluster

    monkeypatch.setattr(client, "connected", connected)
    if sentence is None:
        await try_out("oauth", "mail", None, None)
    else:
        with pytest.raises(CannotApply) as raised:
            await try_out("oauth", "mail", None, None)
        assert str(raised.value) == sentence
    assert (cluster.dry, cluster.patched) == ([True], [])


async def test_a_kubeconfig_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: object) -> object:
        raise ConnectionSettingsError("there is no kubeconfig")

    monkeypatch.setattr(client, "connected", connected)
    with pytest.raises(CannotApply, match=r"^there is no kubeconfig\.$"):
        await apply(secret_of("oauth", "mail", TOKEN, None), None, None)

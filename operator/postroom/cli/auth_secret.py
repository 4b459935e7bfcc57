# SPDX-License-Identifier: Apache-2.0
"""The Secret that a sign-in ends in, and how it gets into a cluster."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from postroom.api.masked import Masked

REFRESH_TOKEN_KEY, CLIENT_SECRET_KEY = "refreshToken", "clientSecret"
_CONFLICT = 409
_MAY_NOT = "you may not write Secrets in namespace {namespace}: ask for that right."
_ANSWERED = {
    0: "the cluster does not answer: check the kubeconfig.",
    401: "the cluster does not know you: the credentials of the kubeconfig are refused, or have "
    "ended.",
    403: _MAY_NOT,
    404: "namespace {namespace} does not exist: create it.",
}


class CannotApply(Exception):
    """The Secret cannot be written; the text is one sentence."""


def secret_of(
    name: str, namespace: str, refresh_token: Masked, client_secret: Masked | None
) -> dict[str, Any]:
    """Return the manifest. It holds the tokens in the clear: print it only where it was asked for.

    The keys are those that ``refreshTokenRef`` and ``clientSecretRef`` should name.
    """
    data = {REFRESH_TOKEN_KEY: refresh_token.reveal()}
    if client_secret is not None:
        data[CLIENT_SECRET_KEY] = client_secret.reveal()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": data,
    }


async def try_out(name: str, namespace: str, kubeconfig: Path | None, context: str | None) -> None:
    """Find out by a dry run whether the Secret could be created, before anybody signs in: what that
    yields is there once. Raises `CannotApply`."""
    nothing = secret_of(name, namespace, Masked("dry-run"), None)
    async with _cluster(namespace, kubeconfig, context) as cluster:
        await _create(cluster, nothing, dry_run=True)


async def apply(secret: Mapping[str, Any], kubeconfig: Path | None, context: str | None) -> str:
    """Create the Secret, or set its keys where it exists; say which. Raises `CannotApply`."""
    # At DEBUG it logs bodies, and with them the Secret.
    logging.getLogger("kubernetes.aio.client.rest").setLevel(logging.WARNING)
    metadata = secret["metadata"]
    async with _cluster(metadata["namespace"], kubeconfig, context) as cluster:
        if await _create(cluster, secret):
            return "created"
        patch = {"stringData": secret["stringData"]}
        await cluster.patch_secret(metadata["namespace"], metadata["name"], patch)
        return "updated"


class _Writer(Protocol):
    """The part of `postroom.controller.client.Cluster` that is needed here."""

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None: ...

    async def patch_secret(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None: ...


async def _create(cluster: _Writer, secret: Mapping[str, Any], *, dry_run: bool = False) -> bool:
    """Create the Secret; False: there is one of this name."""
    from postroom.controller.client import ApiError

    try:
        await cluster.create_secret(secret["metadata"]["namespace"], secret, dry_run=dry_run)
    except ApiError as error:
        if error.status != _CONFLICT:
            raise
        return False
    return True


@asynccontextmanager
async def _cluster(
    namespace: str, kubeconfig: Path | None, context: str | None
) -> AsyncIterator[_Writer]:
    """The cluster of a kubeconfig; what it refuses is `CannotApply`."""
    # The library takes a second to load, which signing in need not wait for.
    from postroom.controller.client import ApiError, connected
    from postroom.controller.kubeconfig import ConnectionSettingsError

    try:
        async with connected(kubeconfig, context, "postroom") as cluster:
            yield cluster
    except ConnectionSettingsError as error:
        raise CannotApply(f"{error}.") from None
    except ApiError as error:
        # Its text holds the server's sentence, which may repeat the request.
        answered = _ANSWERED.get(error.status, f"the API server answers {error.status}.")
        raise CannotApply(answered.format(namespace=namespace)) from None

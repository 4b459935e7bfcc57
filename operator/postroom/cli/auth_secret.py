# SPDX-License-Identifier: Apache-2.0
"""The Secret that a sign-in ends in, and how it gets into a cluster."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from postroom.api.masked import Masked

REFRESH_TOKEN_KEY, CLIENT_SECRET_KEY = "refreshToken", "clientSecret"
_CONFLICT, _NOT_FOUND = 409, 404
_ATTEMPTS = 5
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
    """Find out by a dry run whether the Secret could be created, or its keys set, before anybody
    signs in: what that yields is there once. Raises `CannotApply`."""
    nothing = secret_of(name, namespace, Masked("dry-run"), None)
    async with _cluster(namespace, kubeconfig, context) as cluster:
        await _written(cluster, nothing, dry_run=True)


async def apply(secret: Mapping[str, Any], kubeconfig: Path | None, context: str | None) -> str:
    """Create the Secret, or set its keys where it exists, and nothing else of it; say what was
    done. Raises `CannotApply`."""
    # At DEBUG it logs bodies, and with them the Secret.
    logging.getLogger("kubernetes.aio.client.rest").setLevel(logging.WARNING)
    async with _cluster(secret["metadata"]["namespace"], kubeconfig, context) as cluster:
        return await _written(cluster, secret)


class _Writer(Protocol):
    """The part of `postroom.controller.client.Cluster` that is needed here."""

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None: ...

    async def merged_secret(
        self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool = False
    ) -> Mapping[str, Any]: ...


async def _written(cluster: _Writer, secret: Mapping[str, Any], *, dry_run: bool = False) -> str:
    """Create it, or set its keys; say what was done. Somebody else may be at it meanwhile."""
    for _ in range(_ATTEMPTS):
        if await _create(cluster, secret, dry_run=dry_run):
            return "created"
        if (done := await _set_keys(cluster, secret, dry_run=dry_run)) is not None:
            return done
    name = secret["metadata"]["name"]
    raise CannotApply(f"Secret {name} is changed by somebody else all the time: try again.")


async def _set_keys(
    cluster: _Writer, secret: Mapping[str, Any], *, dry_run: bool = False
) -> str | None:
    """Set the keys of a Secret that is there, if it still is as it was seen; None: it is not."""
    from postroom.controller.client import ApiError

    metadata, keys = secret["metadata"], secret["stringData"]
    place = metadata["namespace"], metadata["name"]
    try:
        # Whoever may patch it may not be allowed to get it: a try to change nothing shows it, too.
        there = await cluster.merged_secret(*place, {}, dry_run=True)
        found = there.get("metadata") or {}
        _refuse(there, place[1])
        version = {name: found[name] for name in ("uid", "resourceVersion") if name in found}
        patch = {"metadata": version, "stringData": keys}
        await cluster.merged_secret(*place, patch, dry_run=dry_run)
    except ApiError as error:
        if error.status not in (_CONFLICT, _NOT_FOUND):
            raise
        return None
    before = there.get("data") or {}
    others = len(before.keys() - keys.keys())
    parts = [f"{name} {'replaced' if name in before else 'added'}" for name in keys]
    if others:
        parts.append(f"{others} other {'key stays' if others == 1 else 'keys stay'} as before")
    makers = [each for each in found.get("ownerReferences") or () if each.get("controller")]
    parts += [f"{each['kind']} {each['name']}, which makes it, may undo it" for each in makers]
    return f"updated ({', '.join(parts)})"


def _refuse(there: Mapping[str, Any], name: str) -> None:
    """Raise what a Secret cannot be written for, whoever asks."""
    if there.get("immutable"):
        raise CannotApply(f"Secret {name} is immutable: name another one (--name).")
    if (there.get("metadata") or {}).get("deletionTimestamp"):
        raise CannotApply(
            f"Secret {name} is being deleted: wait for that, or name another one (--name)."
        )


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

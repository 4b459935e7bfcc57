# SPDX-License-Identifier: Apache-2.0
"""The Secret that a sign-in ends in, and how it gets into a cluster."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from postroom import __version__
from postroom.api.masked import Masked

REFRESH_TOKEN_KEY, CLIENT_SECRET_KEY = "refreshToken", "clientSecret"
_CONFLICT = 409
_MAY_NOT = "you may not write Secrets in namespace {namespace}: ask for that right."
_ANSWERED = {
    401: _MAY_NOT,
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


async def apply(secret: Mapping[str, Any], kubeconfig: Path | None, context: str | None) -> str:
    """Create the Secret, or set its keys where it exists; say which. Raises `CannotApply`."""
    from kubernetes.aio import client

    from postroom.controller.kubeconfig import ConnectionSettingsError, connection

    # At DEBUG it logs bodies, and with them the Secret.
    logging.getLogger("kubernetes.aio.client.rest").setLevel(logging.WARNING)
    metadata, body = secret["metadata"], cast(Any, secret)
    try:
        found = await connection(kubeconfig, context)
    except ConnectionSettingsError as error:
        raise CannotApply(f"{error}.") from None
    async with found.api as api:
        api.user_agent = f"postroom/{__version__}"
        core = client.CoreV1Api(api)
        try:
            try:
                await core.create_namespaced_secret(metadata["namespace"], body)
                return "created"
            except client.ApiException as error:
                if error.status != _CONFLICT:
                    raise
            await core.patch_namespaced_secret(
                metadata["name"],
                metadata["namespace"],
                {"stringData": secret["stringData"]},
                _content_type="application/merge-patch+json",
            )
            return "updated"
        except client.ApiException as error:
            # Its text holds the server's body, which may repeat the request.
            answered = _ANSWERED.get(error.status, f"the API server answers {error.status}.")
            raise CannotApply(answered.format(namespace=metadata["namespace"])) from None
        except OSError:
            raise CannotApply("the cluster does not answer: check the kubeconfig.") from None

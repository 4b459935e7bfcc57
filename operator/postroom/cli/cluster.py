# SPDX-License-Identifier: Apache-2.0
"""The resources of a cluster, through the official client: what ``kubectl postroom`` asks for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from postroom import __version__
from postroom.api.names import API_VERSION, GROUP, REQUESTED_AT_ANNOTATIONS, VERSION, Kind

Answer = TypeVar("Answer")
#: Seconds between two looks.
_POLL = 0.5


#: What to ask oneself where nothing answers.
NOBODY = "does the operator run and serve this namespace?"


def fresh() -> str:
    """A value that no annotation has had: when it was asked, and who asked."""
    return f"{datetime.now(UTC).isoformat(timespec='seconds')}/{secrets.token_hex(4)}"


class PluginError(Exception):
    """What the user asked for cannot be done; the text is one sentence."""

    exit_code = 2


class NotAnswered(PluginError):
    """Nobody answered in time: as where `postroom check` could not look."""

    exit_code = 3


class Cluster:
    """The cluster of a kubeconfig, through the official client."""

    def __init__(self, api: Any, namespace: str, errors: type[Exception]) -> None:
        self._api = api
        self._errors = errors
        self.namespace = namespace

    @staticmethod
    @asynccontextmanager
    async def connect(kubeconfig: Path | None, context: str | None) -> AsyncIterator[Cluster]:
        """Connect; raises `PluginError` where there is no usable kubeconfig."""
        from kubernetes.aio import client

        from postroom.controller.kubeconfig import ConnectionSettingsError, connection

        try:
            found = await connection(kubeconfig, context)
        except ConnectionSettingsError as error:
            raise PluginError(f"{error}.") from None
        async with found.api as api:
            api.user_agent = f"kubectl-postroom/{__version__}"
            yield Cluster(client.CustomObjectsApi(api), found.namespace, client.ApiException)

    async def select(
        self, targets: Sequence[tuple[Kind, str | None]], namespace: str | None
    ) -> list[dict[str, Any]]:
        """Return the objects meant: all where nothing is named."""
        found: list[dict[str, Any]] = []
        for kind, name in targets or [(kind, None) for kind in Kind]:
            if name is not None:
                found.append(await self._get(kind, namespace or self.namespace, name))
            elif namespace is None:
                listed = await self._call(
                    self._api.list_cluster_custom_object, GROUP, VERSION, kind.plural
                )
                found += _typed(kind, listed["items"])
            else:
                listed = await self._call(
                    self._api.list_namespaced_custom_object, GROUP, VERSION, namespace, kind.plural
                )
                found += _typed(kind, listed["items"])
        return found

    async def annotate(self, raw: Mapping[str, Any], annotations: Mapping[str, str | None]) -> None:
        """Set annotations of an object; those that are None go."""
        kind, metadata = Kind(raw["kind"]), raw["metadata"]
        await self._call(
            self._api.patch_namespaced_custom_object,
            *(GROUP, VERSION, metadata["namespace"], kind.plural, metadata["name"]),
            {"metadata": {"annotations": dict(annotations)}},
            _content_type="application/merge-patch+json",
        )

    async def until(
        self,
        raw: Mapping[str, Any],
        answer: Callable[[dict[str, Any]], Answer | None],
        seconds: float,
        late: Callable[[], str],
    ) -> Answer:
        """Look at an object again and again until `answer` makes something of it.

        Raises `NotAnswered` with the sentence `late` where that takes more than `seconds`.
        """
        kind, metadata = Kind(raw["kind"]), raw["metadata"]
        try:
            async with asyncio.timeout(seconds):
                while True:
                    now = await self._get(kind, metadata["namespace"], metadata["name"])
                    found = answer(now)
                    if found is not None:
                        return found
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise NotAnswered(late()) from None

    async def checked(
        self, wanted: Sequence[Mapping[str, Any]], seconds: float
    ) -> list[dict[str, Any]]:
        """Have objects checked now, and wait until each acknowledges that.

        Returns them as they are then; raises `NotAnswered`.
        """
        token = fresh()
        for resource in wanted:
            await self.annotate(resource, {REQUESTED_AT_ANNOTATIONS[0]: token})

        def acknowledged(now: dict[str, Any]) -> dict[str, Any] | None:
            handled = now.get("status", {}).get("lastHandledReconcileAt", "")
            return now if token in handled else None

        def late(raw: Mapping[str, Any]) -> str:
            name = f"{raw['kind']} {raw['metadata']['name']}"
            return f"{name} was not checked within {seconds:.0f} s: {NOBODY}"

        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        return [
            await self.until(resource, acknowledged, end - clock(), partial(late, resource))
            for resource in wanted
        ]

    async def _get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        got = await self._call(
            self._api.get_namespaced_custom_object, GROUP, VERSION, namespace, kind.plural, name
        )
        return _typed(kind, [got])[0]

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the API; turn its refusals into sentences."""
        try:
            return await function(*args, **kwargs)
        except self._errors as error:
            match getattr(error, "status", None):
                case 404 if len(args) >= 5:
                    sentence = f"{args[3]} {args[4]} does not exist in namespace {args[2]}."
                case 404:
                    sentence = "the cluster does not know postroom's kinds: kubectl apply -k crds"
                case 401 | 403:
                    sentence = (
                        "you may not do that: ask for rights on the resources of postroom.dev."
                    )
                case code:
                    sentence = f"the API server answers {code}."
            raise PluginError(sentence) from None
        except OSError as error:
            raise PluginError(f"the cluster does not answer: {error}") from None


def _typed(kind: Kind, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lists leave kind and version out."""
    return [{**item, "apiVersion": API_VERSION, "kind": kind.value} for item in items]

# SPDX-License-Identifier: Apache-2.0
"""The resources of a cluster, through the operator's client: what ``kubectl postroom`` asks for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from postroom.api.names import API_VERSION, APPLY_CRDS, REQUESTED_AT_ANNOTATIONS, Key, Kind
from postroom.cli import object_names

Answer = TypeVar("Answer")
#: Seconds between two looks.
_POLL = 0.5
#: Characters of a name that is none, as a sentence repeats it.
_LONGEST = 64


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


def refuse_names(namespace: str | None, *names: str | None) -> None:
    """Raise `PluginError` for a name that nothing can have: it would lead to something else."""
    needs = None if namespace is None else object_names.needs_of_namespace(namespace)
    if needs is not None:
        raise PluginError(f"no namespace is called {_cited(namespace)}: it must be {needs}.")
    for name in names:
        if name is not None and (needs := object_names.needs_of_name(name)) is not None:
            raise PluginError(f"no object is called {_cited(name)}: it must be {needs}.")


def _cited(text: str | None) -> str:
    return ascii(text[:_LONGEST] + "…" if text and len(text) > _LONGEST else text)


def _asked(verb: str, key: Key) -> str:
    return f"{verb} {key.kind.plural} in namespace {key.namespace}"


def _gone(key: Key) -> str:
    return f"{key.kind.value} {key.name} does not exist in namespace {key.namespace}."


class Client(Protocol):
    """The part of `postroom.controller.client.Cluster` that is needed here."""

    namespace: str

    @property
    def server(self) -> str: ...

    async def get(self, key: Key) -> Mapping[str, Any] | None: ...

    async def list_whole(self, kind: Kind, namespace: str | None) -> list[Mapping[str, Any]]: ...

    async def annotate(self, key: Key, annotations: Mapping[str, str | None]) -> None: ...


class Cluster:
    """The objects of the cluster of a kubeconfig; its refusals are sentences."""

    def __init__(self, api: Client) -> None:
        self._api = api
        self.namespace = api.namespace

    @staticmethod
    @asynccontextmanager
    async def connect(kubeconfig: Path | None, context: str | None) -> AsyncIterator[Cluster]:
        """Connect; raises `PluginError` where there is no usable kubeconfig."""
        # The library takes a second to load, which `--help` need not wait for.
        from postroom.controller.client import connected
        from postroom.controller.kubeconfig import ConnectionSettingsError

        try:
            async with connected(kubeconfig, context, "kubectl-postroom") as api:
                yield Cluster(api)
        except ConnectionSettingsError as error:
            raise PluginError(f"{error}.") from None

    async def select(
        self, targets: Sequence[tuple[Kind, str | None]], namespace: str | None
    ) -> list[dict[str, Any]]:
        """Return the objects meant: all where nothing is named."""
        refuse_names(namespace or self.namespace, *(name for _, name in targets))
        found: list[dict[str, Any]] = []
        for kind, name in targets or [(kind, None) for kind in Kind]:
            if name is not None:
                found.append(await self._get(Key(kind, namespace or self.namespace, name)))
            else:
                where = f"in namespace {namespace}" if namespace else "everywhere"
                request = self._api.list_whole(kind, namespace)
                listed = await self._answer(request, f"list {kind.plural} {where}")
                found += map(dict, listed)
        return found

    async def annotate(self, raw: Mapping[str, Any], annotations: Mapping[str, str | None]) -> None:
        """Set annotations of an object; those that are None go."""
        key = Key.of(Kind(raw["kind"]), raw)
        # It was there a moment ago.
        await self._answer(self._api.annotate(key, annotations), _asked("patch", key), _gone(key))

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
        key = Key.of(Kind(raw["kind"]), raw)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    now = await self._get(key)
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

    async def _get(self, key: Key) -> dict[str, Any]:
        got = await self._answer(self._api.get(key), _asked("get", key))
        if got is None:
            raise PluginError(_gone(key))
        return {**got, "apiVersion": API_VERSION, "kind": key.kind.value}

    async def _answer(
        self,
        request: Awaitable[Answer],
        asked: str,
        not_found: str = f"the cluster does not know postroom's kinds: {APPLY_CRDS}",
    ) -> Answer:
        """The answer of the API server; its refusal as a sentence, which says what was `asked`."""
        from postroom.controller.client import ApiError

        try:
            return await request
        except ApiError as error:
            match error.status:
                case 0:
                    sentence = (
                        f"the cluster at {self._api.server} does not answer ({error.message}): "
                        "check the kubeconfig."
                    )
                case 404:
                    sentence = not_found
                case 401:
                    sentence = (
                        f"the cluster at {self._api.server} does not know you: the credentials of "
                        "the kubeconfig are refused, or have ended."
                    )
                case 403:
                    sentence = f"you may not {asked}: ask for that right."
                case code:
                    sentence = f"the API server answers {code}."
            raise PluginError(sentence) from None

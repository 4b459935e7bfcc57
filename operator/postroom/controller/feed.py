# SPDX-License-Identifier: Apache-2.0
"""The watch feed: kopf lists and watches, and what comes is told to the intake. Nothing else.

Handlers of other kinds than ``on.event``, returned values, patches, indices, timers and peering
are not used: each of them writes to user objects (docs/decisions).
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import aiohttp
import kopf

from postroom.api.names import GROUP, PART_OF_LABEL, VERSION, WATCH_LABEL, Key, Kind
from postroom.concurrency.backoff import doubled
from postroom.controller import api_paths, news, no_answer, page_sizes, watching
from postroom.controller.client import Cluster
from postroom.controller.intake import Intake
from postroom.controller.raw_objects import metadata_of
from postroom.settings import Settings

logger = logging.getLogger(__name__)

_CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
_SOURCES = {"Secret": "secrets", "ConfigMap": "configmaps"}

#: A login that follows another within this time waits, doubling, so that a rejected identity does
#: not log in hundreds of times a second.
_CALM_AFTER, _LONGEST_LOGIN_PAUSE = 60.0, 30.0


#: Seconds that kopf gets to end by itself, and that each step of ending it by force may take.
_SHUTDOWN, _FORCE = 10.0, 2.0


class FeedEnded(Exception):
    """The watch has failed, for which it has a sentence; only a restart of the process brings it
    back."""


class _NoMemory(kopf.DiffBaseStorage):
    """Keeps no last-handled state: kopf would compute it for every event, for handlers not used."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        raise RuntimeError("postroom's watch feed never writes to objects")


class Feed:
    """One kopf operator with our credentials, which only watches."""

    def __init__(self, cluster: Cluster, intake: Intake, settings: Settings) -> None:
        self._cluster = cluster
        self._intake = intake
        self._settings = settings
        self._sources = _SOURCES if settings.watch_secrets else {}
        self._several = len(settings.namespaces) > 1
        self._refusals = watching.Refusals()
        self._logins = 0
        self._last_login = -_CALM_AFTER

    @property
    def obstacle(self) -> str | None:
        """The right to watch that is missing, without which changes are heard by sweeps alone; None
        where none is, or where that is one of several namespaces' own affair."""
        return self._refusals.obstacle

    async def run(self, stop: asyncio.Event, ready: asyncio.Event) -> None:
        """Watch until `stop` is set; raises `FeedEnded` when kopf ends for another reason.

        `ready` is set when kopf has started, and with it has taken over the signal handlers.
        """
        namespaces = self._settings.namespaces
        existing = asyncio.all_tasks()
        roots = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=kopf_settings(self._settings),
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )
        try:
            done, _ = await asyncio.wait(roots, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise FeedEnded(f"the watch was given up: {_why(error)}") from error
            async with asyncio.timeout(_SHUTDOWN):
                await kopf.run_tasks(roots, ignored=existing)
        finally:
            await _dispose(roots)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="login")(self._login)
        for kind in Kind:
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=kind.plural)(_shown)
        for plural in self._sources.values():
            kopf.on.event("", "v1", plural, registry=registry, id=plural)(_shown)
        return registry

    def _takers(self) -> dict[str, watching.Taker]:
        """Who takes in what is in which collection."""
        takers = {
            api_paths.collection(kind, None): watching.Taker(
                partial(self._take, kind), partial(self._knows, kind), self._answered
            )
            for kind in Kind
        }
        for kind, plural in self._sources.items():
            takers[f"/api/v1/{plural}"] = watching.Taker(partial(self._take_source, kind))
        return takers

    def _knows(self, kind: Kind, seen: news.Seen) -> bool:
        """Whether just this is in the cache, which would ignore it; an echo of our own write is,
        once that is answered, unless it is one that is read."""
        raw = self._intake.cache.get(Key(kind, seen.namespace, seen.name)) or {}
        known = metadata_of(raw)
        if (known.get("uid"), known.get("resourceVersion")) != (seen.uid, seen.version):
            return False
        return not self._intake.cache.echoes.is_read(kind, seen.namespace)

    def _answered(self, path: str, status: int) -> None:
        if not self._several:
            self._refusals.answered(path, status)

    def _take(self, kind: Kind, raw: Mapping[str, Any], gone: bool) -> None:
        if gone:
            self._intake.gone(Key.of(kind, raw), str(metadata_of(raw).get("uid") or ""))
        else:
            self._intake.seen(kind, raw)

    def _take_source(self, kind: str, raw: Mapping[str, Any], gone: bool) -> None:
        metadata = metadata_of(raw)
        namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
        version = None if gone else str(metadata.get("resourceVersion") or "")
        self._intake.source_seen(kind, namespace, name, version)

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Give kopf a session of our own; it asks again whenever the server answers 401."""
        now = time.monotonic()
        self._logins = self._logins + 1 if now - self._last_login < _CALM_AFTER else 0
        self._last_login = now
        if self._logins:
            pause = doubled(2.0, _LONGEST_LOGIN_PAUSE, self._logins)
            logger.warning("the API server rejects our credentials; next attempt in %.0f s", pause)
            await asyncio.sleep(pause)
        return kopf.AiohttpSession(
            server=self._cluster.server,
            aiohttp_session=self._cluster.watch_session(self._takers(), several=self._several),
        )


def _why(error: BaseException) -> str:
    """What kopf gave up at, in a clause: only of what is no answer of the API server, nor for want
    of one, the error's own words."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return f"the API server answers {status}"
    if isinstance(error, aiohttp.ClientError | OSError):
        return f"the API server gives no answer: {no_answer.clause(error)}"
    return f"kopf could not go on ({type(error).__name__}: {error})"


async def _shown(**_: Any) -> None:
    """kopf watches what there is a handler for; the session shows it no object of these."""


async def _dispose(roots: Collection[asyncio.Task[Any]]) -> None:
    """End what is left of kopf, and do not wait for ever.

    When one of its watches fails, kopf 1.45 closes its sessions under the other ones, which then
    wait for a login that never comes, and kopf waits for them. So the watches go first.
    """
    watches = [
        running for running in asyncio.all_tasks() if running.get_name().startswith("watcher for ")
    ]
    for tasks in (watches, [task for task in roots if not task.done()]):
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_FORCE)


def kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    """Return kopf's settings; every one that differs from the default has its reason here."""
    s = kopf.OperatorSettings()
    s.peering.standalone = True
    s.posting.enabled = False
    s.watching.connect_timeout = 10
    # A silent watch is taken for dead; bookmarks come every minute.
    s.watching.inactivity_timeout = 70
    s.networking.request_timeout = 30
    s.networking.connect_timeout = 10
    # Finite: after about two minutes of refusals, a restart by Kubernetes is the better remedy.
    # Steps of 15 s at most: so long may the watch lag behind an API server that is back.
    s.networking.error_backoffs = [1, 2, 4, 8, *[15] * 7]
    # With the default name, kopf would strip finalizers of other kopf operators off our objects.
    s.persistence.finalizer = f"{GROUP}/never-used"
    s.persistence.diffbase_storage = _NoMemory()
    s.execution.max_workers = 4
    # Without it a list comes whole, however large the objects are.
    s.watching.chunk_size = page_sizes.PAGE
    # A first list of namespaces and CRDs makes a task for each; bounded, it costs half the memory.
    # A worker keeps its place for the idle time, so these two allow 2000 objects a second.
    s.queueing.worker_limit = 100
    s.queueing.idle_timeout = 0.05
    # The process ends when `run` says so.
    s.process.ultimate_exiting_timeout = None
    if settings.namespaces:
        # Neither CRDs nor namespaces are watched; `run` has seen that the CRDs are served.
        s.scanning.disabled = True
    else:
        s.watching.label_selectors[_CRDS] = "=".join(PART_OF_LABEL)
    for plural in _SOURCES.values():
        s.watching.label_selectors["", "v1", plural] = f"{WATCH_LABEL}=true"
    return s

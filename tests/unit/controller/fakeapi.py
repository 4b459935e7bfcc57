# SPDX-License-Identifier: Apache-2.0
"""An API server in a few lines, for what the real one does too rarely: faults, lost watches.

It has resource versions, generations, status as a subresource with the resourceVersion
precondition, metadata-only lists, watches with 410, Events, and a log of all requests. It lives in
a thread and loop of its own, because kopf ends every task that it finds in its loop.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import yaml
from aiohttp import web

from postroom.api.names import GROUP, VERSION, Kind
from postroom.api.status import DEFAULT_STATUS

Object = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")
_VERBS = ["get", "list", "watch", "update"]


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _there(
    method: Callable[Concatenate[FakeAPI, P], Awaitable[T]],
) -> Callable[Concatenate[FakeAPI, P], T]:
    """Carry out a method in the loop of the server, and wait for it."""

    @wraps(method)
    def call(api: FakeAPI, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async def carried_out() -> T:
            return await method(api, *args, **kwargs)

        return asyncio.run_coroutine_threadsafe(carried_out(), api.loop).result(timeout=60)

    return call


@dataclass
class FakeAPI:
    """The state of the server; objects by (plural, namespace, name)."""

    loop: asyncio.AbstractEventLoop
    url: str = ""
    version: int = 1000
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    #: The Accept header by path.
    accepted: list[tuple[str, str]] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)
    #: Statuses that the next status patches are answered with instead of being carried out.
    faults: list[int] = field(default_factory=list)
    served: bool = True
    #: How many of the next requests are answered with 401.
    rejected_logins: int = 0
    history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    #: Watches that ask for a version before this one get 410.
    oldest: int = 0
    streams: set[asyncio.Task[Any]] = field(default_factory=set)

    # -- what a user does ---------------------------------------------------------------------

    @_there
    async def apply(self, kind: Kind, name: str, spec: Object, namespace: str = "mail") -> Object:
        """Create an object, or change its spec."""
        place = (kind.plural, namespace, name)
        before = self.objects.get(place)
        if before is None:
            metadata: Object = {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-{self.version + 1}",
                "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            }
            new: Object = {"metadata": metadata, "spec": spec, "status": DEFAULT_STATUS}
            new |= {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.value}
            return await self._store(place, "ADDED", new)
        metadata = {**before["metadata"], "generation": before["metadata"]["generation"] + 1}
        return await self._store(place, "MODIFIED", {**before, "metadata": metadata, "spec": spec})

    @_there
    async def put(self, plural: str, name: str, content: Object, namespace: str = "mail") -> None:
        """Store an object of Kubernetes itself, such as a Secret."""
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{self.version + 1}"}
        await self._store((plural, namespace, name), "ADDED", {"metadata": metadata, **content})

    @_there
    async def annotate(self, kind: Kind, name: str, key: str, value: str) -> Object:
        """Set an annotation."""
        place = (kind.plural, "mail", name)
        annotations = {**self.objects[place]["metadata"].get("annotations", {}), key: value}
        metadata = {**self.objects[place]["metadata"], "annotations": annotations}
        return await self._store(place, "MODIFIED", {**self.objects[place], "metadata": metadata})

    @_there
    async def set_status(self, kind: Kind, name: str, status: Object) -> Object:
        """Change a status as somebody else would."""
        place = (kind.plural, "mail", name)
        return await self._store(place, "MODIFIED", {**self.objects[place], "status": status})

    @_there
    async def delete(self, kind: Kind, name: str, *, silently: bool = False) -> None:
        """Delete an object; `silently`: no watch ever tells."""
        place = (kind.plural, "mail", name)
        if silently:
            self.version += 1
            del self.objects[place]
        else:
            await self._store(place, "DELETED", self.objects[place])

    @_there
    async def lose_watches(self) -> None:
        """End all watches and forget the past, so that they must list again."""
        self.oldest = self.version + 1
        self.version += 1
        for task in list(self.streams):
            task.cancel()

    @_there
    async def break_watch(self, kind: Kind) -> None:
        """Have the watches of a kind end with an error that is not 410."""
        self.version += 1
        error = {"code": 500, "metadata": {"namespace": "mail"}}
        self.history.append((self.version, kind.plural, "ERROR", error))
        async with self.changed:
            self.changed.notify_all()

    @_there
    async def serve_crds(self) -> None:
        """Have the CRDs installed now."""
        self.served = True
        name = f"mailservers.{GROUP}"
        crd: Object = {"metadata": {"name": name, "uid": "crd"}, "spec": {"group": GROUP}}
        await self._store(("customresourcedefinitions", "", name), "ADDED", crd)

    def writes(self) -> list[str]:
        """The requests that change something, without Events."""
        return [
            f"{method} {path}"
            for method, path in self.requests
            if method != "GET" and not path.endswith("/events")
        ]

    def status(self, kind: Kind, name: str) -> Object:
        """The stored status of an object."""
        status: Object = self.objects[(kind.plural, "mail", name)]["status"]
        return status

    async def _store(self, place: tuple[str, str, str], change: str, new: Object) -> Object:
        self.version += 1
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.version)}}
        if change == "DELETED":
            del self.objects[place]
        else:
            self.objects[place] = new
        self.history.append((self.version, place[0], change, new))
        async with self.changed:
            self.changed.notify_all()
        return new

    # -- what the server answers --------------------------------------------------------------

    @web.middleware
    async def log(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self.accepted.append((request.path, request.headers.get("Accept", "")))
        if self.rejected_logins:
            self.rejected_logins -= 1
            return _status(401)
        response: web.StreamResponse = await handler(request)
        return response

    async def discover(self, request: web.Request) -> web.Response:
        match request.path:
            case "/api":
                return web.json_response({"versions": ["v1"]})
            case "/api/v1":
                return _resources(["namespaces", "secrets", "configmaps", "events"])
            case "/apis":
                groups = [_group("apiextensions.k8s.io", "v1")]
                groups += [_group(GROUP, VERSION)] if self.served else []
                return web.json_response({"groups": groups})
            case "/apis/apiextensions.k8s.io/v1":
                return _resources(["customresourcedefinitions"])
            case _ if self.served and request.path == f"/apis/{GROUP}/{VERSION}":
                return _resources([kind.plural for kind in Kind], ["status"])
        return _status(404)

    async def collection(self, request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        if request.match_info.get("group") == GROUP and not self.served:
            return _status(404)
        namespace = request.match_info.get("namespace")
        if request.query.get("watch"):
            return await self._watch(request, plural, namespace)
        items: list[Object] | None = [
            one
            for (kind, where, _), one in sorted(self.objects.items())
            if kind == plural and namespace in (None, where)
        ]
        if "PartialObjectMetadataList" in request.headers.get("Accept", ""):
            # The real one says null for none, too.
            items = [{"metadata": item["metadata"]} for item in items or []] or None
        return web.json_response(
            {
                "kind": "List",
                "apiVersion": f"{GROUP}/{VERSION}",
                "metadata": {"resourceVersion": str(self.version)},
                "items": items,
            }
        )

    async def _watch(
        self, request: web.Request, plural: str, namespace: str | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self.streams.add(task)
        since = int(request.query.get("resourceVersion") or 0)
        try:
            if since < self.oldest:
                gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
                await response.write(json.dumps(gone).encode() + b"\n")
                return response
            while True:
                for line in self._news(since, plural, namespace):
                    await response.write(line)
                since = self.version
                async with self.changed:
                    await self.changed.wait()
        finally:
            self.streams.discard(task)

    def _news(self, since: int, plural: str, namespace: str | None) -> Iterator[bytes]:
        for version, kind, change, one in list(self.history):
            where = one["metadata"].get("namespace")
            if version > since and kind == plural and namespace in (None, where):
                yield json.dumps({"type": change, "object": one}).encode() + b"\n"

    async def item(self, request: web.Request) -> web.Response:
        info = request.match_info
        found = self.objects.get((info["plural"], info["namespace"], info["name"]))
        return _status(404) if found is None else web.json_response(found)

    async def write_status(self, request: web.Request) -> web.Response:
        """PUT takes the status of an object that need have no more."""
        info = request.match_info
        if self.faults:
            return _status(self.faults.pop(0))
        place = (info["plural"], info["namespace"], info["name"])
        found = self.objects.get(place)
        if found is None:
            return _status(404)
        sent = await request.json()
        expected = sent.get("metadata", {}).get("resourceVersion")
        if expected not in (None, found["metadata"]["resourceVersion"]):
            return _status(409)
        made = await self._store(place, "MODIFIED", {**found, "status": sent["status"]})
        partial = "as=PartialObjectMetadata" in request.headers["Accept"]
        return web.json_response({"metadata": made["metadata"]} if partial else made)

    async def post_event(self, request: web.Request) -> web.Response:
        self.events.append(await request.json())
        return web.json_response({}, status=201)


def _resources(plurals: list[str], subresources: list[str] | None = None) -> web.Response:
    names = [*plurals, *(f"{plural}/{sub}" for plural in plurals for sub in subresources or [])]
    return web.json_response(
        {
            "resources": [
                {
                    "name": name,
                    "singularName": name.removesuffix("s"),
                    "kind": name.removesuffix("s").title(),
                    "namespaced": name not in ("namespaces", "customresourcedefinitions"),
                    "verbs": _VERBS,
                }
                for name in names
            ]
        }
    )


def _group(name: str, version: str) -> Object:
    return {
        "name": name,
        "versions": [{"version": version}],
        "preferredVersion": {"version": version},
    }


def _status(code: int) -> web.Response:
    body = {"kind": "Status", "code": code, "message": f"refused with {code}"}
    return web.json_response(body, status=code)


def _application(api: FakeAPI) -> web.Application:
    app = web.Application(middlewares=[api.log])
    namespaced = "/apis/{group}/{version}/namespaces/{namespace}"
    app.add_routes(
        [
            web.post("/api/v1/namespaces/{namespace}/events", api.post_event),
            web.put(f"{namespaced}/{{plural}}/{{name}}/status", api.write_status),
            web.get(f"{namespaced}/{{plural}}/{{name}}", api.item),
            web.get(f"{namespaced}/{{plural}}", api.collection),
            web.get("/api/v1/namespaces/{namespace}/{plural}/{name}", api.item),
            web.get("/api/v1/{plural}", api.collection),
            web.get("/api/v1/namespaces/{namespace}/{plural}", api.collection),
            web.get("/apis/{group}/{version}/{plural}", api.collection),
            web.get("/{path:.*}", api.discover),
        ]
    )
    return app


async def _serve(api: FakeAPI, started: threading.Event, stop: asyncio.Event) -> None:
    runner = web.AppRunner(_application(api), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    started.set()
    await stop.wait()
    for task in list(api.streams):
        task.cancel()
    await runner.cleanup()


@contextmanager
def serving() -> Iterator[FakeAPI]:
    """Serve a fresh state on loopback."""
    loop = asyncio.new_event_loop()
    api, started, stop = FakeAPI(loop), threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(api, started, stop)), daemon=True
    )
    thread.start()
    assert started.wait(10)
    try:
        yield api
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def write_kubeconfig(url: str, directory: Path, **cluster: str) -> Path:
    """Write a kubeconfig for the fake server; `cluster` says more of it, as the file does."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "fake", "cluster": {"server": url, **cluster}},
        ],
        "users": [{"name": "me", "user": {"token": "a-token"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
        "current-context": "fake",
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path

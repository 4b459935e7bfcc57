# SPDX-License-Identifier: Apache-2.0
"""What we ask of the API server: one typed function for each thing. Only `writer` and `lease` call
writes.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import aiohttp

from postroom import __version__
from postroom.api.names import API_VERSION, GROUP, VERSION, Key, Kind
from postroom.controller import (
    api_paths,
    json_lists,
    no_answer,
    page_sizes,
    status_objects,
    watching,
)
from postroom.controller.client_library import config as kube_config
from postroom.controller.kubeconfig import Connection, ConnectionSettingsError, connection
from postroom.controller.transport import ApiTransport, Response, TooLarge

__all__ = ["ConnectionSettingsError"]

USER_AGENT = f"postroom/{__version__}"

_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_DRY_RUN = (("dryRun", "All"),)
#: What an API server warns of where it does not keep a field.
_UNKNOWN = "unknown field"
_MESSAGE_LIMIT = 300

#: The Lease itself, and questions about others, which are POSTs.
_UNFENCED = tuple(
    f"/apis/{group}.k8s.io/" for group in ("coordination", "authentication", "authorization")
)


#: The cause of a refusal by a namespace that is being deleted (core/v1).
_NAMESPACE_ENDS = "NamespaceTerminating"


class ApiError(Exception):
    """The API server refused, or did not answer (`status` 0).

    `message` is the server's own sentence, shortened: it may go to the log, never into status.
    `retry_after` is in seconds, where the server asked for a pause; `causes` are its words for
    programs (meta/v1 StatusCause).
    """

    def __init__(
        self,
        what: str,
        status: int,
        message: str = "",
        retry_after: float | None = None,
        causes: frozenset[str] = frozenset(),
    ) -> None:
        answer = f"answered {status}" if status else "failed"
        super().__init__(f"{what} {answer}" + (f": {message}" if message else ""))
        self.status = status
        self.message = message
        self.retry_after = retry_after
        self.causes = causes

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later without anybody's doing."""
        return self.status in (0, 401, 408, 429) or self.status >= 500

    @property
    def of_ending_namespace(self) -> bool:
        """Whether it was refused because its namespace is being deleted: which says nothing of
        rights, quotas and policies."""
        return _NAMESPACE_ENDS in self.causes

    @property
    def awaited(self) -> str:
        """What whoever asks again waits for, without the server's own words."""
        if self.status == 401:
            return "the API server to accept our credentials, which it answers with 401"
        if self.status:
            return f"the API server, which answers {self.status}"
        return f"the API server, which gives no answer: {self.message}"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a metadata-only list says of one object."""

    uid: str
    resource_version: str


class Cluster:
    """One API server and our identity there. Close it in the end."""

    def __init__(self, found: Connection, user_agent: str = USER_AGENT) -> None:
        self._transport = ApiTransport(found, user_agent)
        #: The one that is meant where none is named.
        self.namespace = found.namespace
        #: Whether this process may write, but for its Lease; asked immediately before each write.
        self.may_write: Callable[[], bool] = lambda: True

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._transport.server

    # -- reading ------------------------------------------------------------------------------

    async def served_kinds(self) -> frozenset[Kind]:
        """Return which of our kinds the API server knows."""
        answer = await self._get(f"/apis/{GROUP}/{VERSION}")
        names = {item.get("name") for item in answer.get("resources") or ()}
        return frozenset(kind for kind in Kind if kind.plural in names)

    async def list_metadata(self, kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        """List the objects of a kind, in one namespace or in all; raises `ApiError`.

        An ApiError with status 410 means that the list took too long to be consistent.
        """
        found: dict[Key, Listed] = {}
        path = api_paths.collection(kind, namespace)
        async for item in self._listed(path, watching.METADATA_LIST):
            metadata = item.get("metadata") or {}
            key = Key(kind, str(metadata.get("namespace")), str(metadata.get("name")))
            found[key] = Listed(str(metadata.get("uid")), str(metadata.get("resourceVersion")))
        return found

    async def list_whole(self, kind: Kind, namespace: str | None) -> list[Mapping[str, Any]]:
        """List the objects of a kind whole, in one namespace or in all; raises `ApiError`.

        What a list leaves out of its items, kind and apiVersion, they have.
        """
        named = {"apiVersion": API_VERSION, "kind": kind.value}
        path = api_paths.collection(kind, namespace)
        return [{**item, **named} async for item in self._listed(path)]

    async def _listed(
        self, path: str, accept: str = _JSON, selected: Sequence[tuple[str, str]] = ()
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The items of a list, page after page."""
        size, token = json_lists.PAGE, ""
        while True:
            query = [*selected, ("limit", str(size))]
            query += [("continue", token)] if token else []
            try:
                # One has to be read, however large it is.
                text = await self.text(path, query, accept, bounded=size > 1)
            except TooLarge:
                size = page_sizes.fewer(size)
                continue
            token = ""
            try:
                for name, value in json_lists.members(text):
                    if name == json_lists.ENTRY and isinstance(value, dict):
                        yield value
                    elif name == "metadata" and isinstance(value, dict):
                        token = str(value.get("continue") or "")
            except ValueError:
                raise ApiError(f"GET {path}", 0, "with what is no list") from None
            if not token:
                return

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        """Return one object, None if there is none."""
        return await self._get_or_none(api_paths.of_object(key))

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one Secret, None if there is none."""
        return await self._get_or_none(api_paths.core(namespace, "secrets", name))

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one ConfigMap, None if there is none."""
        return await self._get_or_none(api_paths.core(namespace, "configmaps", name))

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one Service, None if there is none."""
        return await self._get_or_none(api_paths.core(namespace, "services", name))

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one Lease, None if there is none."""
        return await self._get_or_none(api_paths.lease(namespace, name))

    def leases(self, selector: str) -> AsyncIterator[Mapping[str, Any]]:
        """List Leases of all namespaces that have a label: all, as whoever makes many would hide
        those of others, and a page at a time, as whoever makes large ones would fill our memory."""
        return self._listed(api_paths.LEASES, selected=[("labelSelector", selector)])

    # -- writing ------------------------------------------------------------------------------

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Put a status in the place of an object's, if that is still of this version.

        Returns the object's metadata alone, and the object where it does not have just that status:
        older definitions drop what they do not know.
        """
        sent = await self._put_status(key, version, status, accept=watching.METADATA)
        if any(_UNKNOWN in warning for warning in sent.warnings):
            return await self._get(api_paths.of_object(key))
        return _decoded(sent.data)

    async def replace_status_as(
        self, manager: str, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The same as another field manager than this program's; returns the object as it stands
        then, whatever admission made of it."""
        query = [("fieldManager", manager)]
        return _decoded((await self._put_status(key, version, status, query)).data)

    async def _put_status(
        self,
        key: Key,
        version: str,
        status: Mapping[str, Any],
        query: Sequence[tuple[str, str]] = (),
        accept: str = _JSON,
    ) -> Response:
        """The rest of an object the API server takes from none that is sent here."""
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "metadata": {"name": key.name, "namespace": key.namespace, "resourceVersion": version},
            "status": status,
        }
        path = f"{api_paths.of_object(key)}/status"
        return await self._send("PUT", path, query, body, accept=accept)

    async def annotate(self, key: Key, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of an object; those that are None go."""
        body = {"metadata": {"annotations": dict(annotations)}}
        await self.request("PATCH", api_paths.of_object(key), body=body, content_type=_MERGE_PATCH)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Create an Event (core/v1)."""
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/events"
        await self.request("POST", path, body=event)

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        """Create a Secret; an ApiError with status 409 means that there is one of this name.

        A dry run passes authorization and admission, and persists nothing.
        """
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets"
        await self.request("POST", path, query=_DRY_RUN if dry_run else (), body=secret)

    async def patch_secret(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into a Secret; an ApiError with status 409 means that it has changed."""
        await self.merged_secret(namespace, name, patch)

    async def merged_secret(
        self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool = False
    ) -> Mapping[str, Any]:
        """The same; return the Secret as it is then, or would be after a dry run."""
        path = api_paths.core(namespace, "secrets", name)
        query = _DRY_RUN if dry_run else ()
        return await self.request("PATCH", path, query=query, body=patch, content_type=_MERGE_PATCH)

    async def delete_secret(self, namespace: str, name: str, version: Mapping[str, str]) -> None:
        """Delete a Secret of this uid and resourceVersion; 409 means that it has changed."""
        body = {"preconditions": dict(version)}
        await self.request("DELETE", api_paths.core(namespace, "secrets", name), body=body)

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create a Lease; an ApiError with status 409 means that somebody was faster."""
        return await self.request("POST", api_paths.lease(namespace, ""), body=lease)

    async def replace_lease(
        self, namespace: str, name: str, lease: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Replace a Lease; an ApiError with status 409 means that somebody was faster."""
        return await self.request("PUT", api_paths.lease(namespace, name), body=lease)

    # -- transport ----------------------------------------------------------------------------

    def watch_session(
        self, takers: Mapping[str, watching.Taker] = MappingProxyType({}), *, several: bool = False
    ) -> aiohttp.ClientSession:
        """Return a session with our credentials for the watch feed, as `watching.session`."""
        return self._transport.watch_session(takers, several=several)

    async def _get(self, path: str) -> Mapping[str, Any]:
        return await self.request("GET", path)

    async def _get_or_none(self, path: str) -> Mapping[str, Any] | None:
        try:
            return await self._get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Mapping[str, Any]:
        """Send one request and return the decoded answer; raises `ApiError`."""
        return _decoded((await self._send(method, path, query, body, content_type, accept)).data)

    async def text(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        accept: str = _JSON,
        *,
        bounded: bool = False,
    ) -> str:
        """Return an answer as it is, such as a log; raises `ApiError`, and where it is to be
        `bounded` and is not, `TooLarge`."""
        answer = await self._send("GET", path, query, accept=accept, bounded=bounded)
        return answer.data.decode("utf-8", "replace")

    async def _send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        *,
        bounded: bool = False,
    ) -> Response:
        what = f"{method} {path}"
        headers = {"Accept": accept, "Content-Type": content_type}

        def last() -> None:
            # Whoever was stopped since it began must not write any more.
            if method != "GET" and not path.startswith(_UNFENCED) and not self.may_write():
                raise ApiError(what, 0, "not sent: this process no longer leads")

        try:
            answer = await self._transport.send(
                method, path, query, body, headers, last, bounded=bounded
            )
        except (aiohttp.ClientError, OSError, kube_config.ConfigException) as error:
            raise ApiError(what, 0, no_answer.clause(error)) from None
        if not 200 <= answer.status < 300:
            # A Status object (meta/v1), which the answer need not be.
            told = _decoded(answer.data)
            message = told.get("message")
            text = " ".join(message.split())[:_MESSAGE_LIMIT] if isinstance(message, str) else ""
            pause = answer.headers.get("Retry-After", "")
            retry_after = float(pause) if pause.isdecimal() else None
            status = status_objects.status_in(answer.status, text)
            raise ApiError(what, status, text, retry_after, status_objects.causes_in(told))
        return answer


async def connect(kubeconfig: Path | None, connections: int) -> Cluster:
    """Find the operator's way to the API server; raises `ConnectionSettingsError`.

    `connections` is the most that are open at a time.
    """
    found = await connection(kubeconfig, in_cluster=True, connections=connections)
    return Cluster(found)


@asynccontextmanager
async def connected(
    kubeconfig: Path | None, context: str | None, program: str
) -> AsyncIterator[Cluster]:
    """A user's way to the API server, as `program`; raises `ConnectionSettingsError`."""
    cluster = Cluster(await connection(kubeconfig, context), f"{program}/{__version__}")
    try:
        yield cluster
    finally:
        await cluster.close()


def _decoded(data: bytes) -> Mapping[str, Any]:
    try:
        answer = json_lists.decoded(data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}

# SPDX-License-Identifier: Apache-2.0
"""Secrets of bindings: written, healed, handed over and deleted, and never anybody else's.

A Secret is ours if it has the type, our label, and a resource of ours that controls it. Every write
names the version that was read, so that nobody's change is lost.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from postroom.api.names import WATCH_LABEL
from postroom.controller import children
from postroom.controller.children import Owner
from postroom.controller.client import ApiError
from postroom.controller.intake import utc_now
from postroom.controller.raw_objects import metadata_of
from postroom.controller.rotation import SecretReader
from postroom.controller.secret_guard import SecretGuard
from postroom.controller.writer import SecretWriter
from postroom.reconcile.account.binding_content import SECRET_TYPE
from postroom.reconcile.status.wanted import ChildState, SecretBody, Wanted, Yielded

#: An edit or deletion is noticed at once where the operator watches Secrets.
_LABELS = {WATCH_LABEL: "true"}
_ATTEMPTS = 3


class BindingSecrets:
    """Implements `postroom.controller.children.ChildWriter` for Secrets of bindings."""

    def __init__(
        self, client: SecretReader, writer: SecretWriter, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._client, self._writer = client, writer
        self._guard = SecretGuard(writer, now, labelled=True)

    async def apply(self, namespace: str, owner: Owner, wanted: Wanted) -> ChildState:
        """Act on what is there now; whoever was faster is read again."""
        name, body = wanted.child.name, wanted.content
        for attempt in range(1, _ATTEMPTS + 1):
            there = await self._client.secret(namespace, name)
            state = _settled(there, owner, body)
            if state is not None:
                return state
            if not await self._guard.in_force(namespace, _secret(owner, namespace, name)):
                return ChildState.UNGUARDED
            try:
                if await self._send(namespace, owner, name, there, body):
                    return ChildState.APPLIED
            except ApiError as error:
                if error.status not in (404, 409) or attempt == _ATTEMPTS:
                    raise
        return ChildState.UNAVAILABLE

    async def _send(
        self,
        namespace: str,
        owner: Owner,
        name: str,
        there: Mapping[str, Any] | None,
        body: object,
    ) -> bool:
        """Write once; False: what came of it is to be read."""
        if there is None:
            if isinstance(body, SecretBody):
                secret = _secret(owner, namespace, name, _encoded(body))
                await self._writer.create(namespace, secret)
        elif isinstance(body, SecretBody):
            await self._writer.patch(namespace, name, _patch(there, owner, body) or {})
        elif _shows(there):
            # Who holds it decides how long it stands, and not how long it can be used.
            version = {"resourceVersion": metadata_of(there).get("resourceVersion")}
            await self._writer.patch(namespace, name, {"metadata": version, "data": None})
        else:
            metadata = metadata_of(there)
            precondition = {part: str(metadata.get(part)) for part in ("uid", "resourceVersion")}
            await self._writer.delete(namespace, name, precondition)
        return isinstance(body, SecretBody)


def _settled(there: Mapping[str, Any] | None, owner: Owner, body: object) -> ChildState | None:
    """Return the state in which nothing is to be written; None: something is."""
    if not isinstance(body, SecretBody):
        if there is None or _holder(there) != owner:
            return ChildState.GONE
        if isinstance(body, Yielded):
            return ChildState.LEFT
        if not children.is_ending(there) or _shows(there):
            return None
        # What is immutable could not be emptied.
        return ChildState.READABLE if there.get("data") else ChildState.ENDING
    if there is None:
        return None
    holder = _holder(there)
    if holder is not None and children.is_ending(there):
        return ChildState.ENDING
    if holder is not None and holder[:2] == owner[:2]:
        # That of an earlier resource of this name would be collected: it is taken over, too.
        return ChildState.APPLIED if _patch(there, owner, body) is None else None
    if holder is None or not body.handed_round:
        return ChildState.CONFLICT
    return None if body.takes_over else ChildState.LEFT


def _holder(there: Mapping[str, Any]) -> Owner | None:
    """Return whose a Secret of ours is; None: it is not ours."""
    label, value = children.MANAGED_BY
    labels = metadata_of(there).get("labels")
    labelled = isinstance(labels, Mapping) and labels.get(label) == value
    if there.get("type") != SECRET_TYPE or not labelled:
        return None
    return children.controller_of(there)


def _shows(there: Mapping[str, Any]) -> bool:
    """Whether a Secret would show what is in it after it was deleted, and can be emptied."""
    return children.is_held(there) and bool(there.get("data")) and not there.get("immutable")


def _secret(
    owner: Owner, namespace: str, name: str, data: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": children.metadata_for(owner, namespace, name, _LABELS),
        **({} if data is None else {"data": dict(data)}),
    }


def _encoded(body: SecretBody) -> dict[str, str]:
    return {
        key: base64.b64encode(value.reveal().encode()).decode() for key, value in body.data.items()
    }


def _patch(there: Mapping[str, Any], owner: Owner, body: SecretBody) -> dict[str, Any] | None:
    """Return what makes a Secret of ours the wanted one; None: it is.

    There is one controller at any time. Owners that somebody added besides stay.
    """
    metadata, data = metadata_of(there), there.get("data")
    before = data if isinstance(data, Mapping) else {}
    encoded: dict[str, str | None] = {**_encoded(body)}
    changed = {key: value for key, value in encoded.items() if before.get(key) != value}
    changed |= {key: None for key in before if key not in encoded}
    reference = children.reference_to_owner(owner)
    references = [
        each
        for each in metadata.get("ownerReferences") or ()
        if not (isinstance(each, Mapping) and each.get("controller"))
    ]
    references.append(reference)
    labels = metadata.get("labels") or {}
    missing = {key: value for key, value in _LABELS.items() if labels.get(key) != value}
    if not changed and not missing and reference in (metadata.get("ownerReferences") or ()):
        return None
    return {
        "metadata": {
            "resourceVersion": metadata.get("resourceVersion"),
            "labels": _LABELS,
            "ownerReferences": references,
        },
        "data": changed,
    }

# SPDX-License-Identifier: Apache-2.0
"""New refresh tokens in Secrets that the operator owns: read, judged, and written when worth it.

A Secret is ours if the object that it is for controls it and it has our type; no other is touched
or used. It holds the newest token and the one that it descends from, which tells a user's new token
from a mere edit of the user's Secret. A crash between the use of a token and its write costs
nothing at Microsoft, where the old one lives on.
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from postroom.api.masked import Masked
from postroom.api.names import GROUP, Key, Kind
from postroom.api.times import parse_timestamp, timestamp
from postroom.concurrency.bounded import BoundedMap
from postroom.controller.children import Owner, is_controlled_by, is_ending, metadata_for, why
from postroom.controller.client import ApiError
from postroom.controller.intake import utc_now
from postroom.controller.raw_objects import metadata_of
from postroom.controller.secret_guard import SecretGuard
from postroom.controller.writer import SecretWriter
from postroom.log import about
from postroom.mail.oauth.grant import Grant, KeptFor
from postroom.mail.oauth.refresh_token_store import Keeping, KeepingProblem, Unreadable
from postroom.reconcile.signing_in.refresh_tokens import due, secret_name
from postroom.reconcile.world import secret_content

logger = logging.getLogger(__name__)

SECRET_TYPE = f"{GROUP}/refresh-token"
#: Which version (uid/resourceVersion) of the user's Secret the token descends from.
SEEDED_FROM_ANNOTATION = f"{GROUP}/seeded-from"
KEPT_AT_ANNOTATION = f"{GROUP}/kept-at"
TOKEN_KEY, SEED_KEY = "refreshToken", "seedToken"

_ATTEMPTS = 3
#: Seconds for which a write may hold up the token that it came with.
_PATIENCE = 15.0
_REMEMBERED = 4096


class SecretReader(Protocol):
    """The part of `postroom.controller.client.Cluster` that reads."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """A Secret of ours."""

    resource_version: str
    source: str
    token: Masked | None
    seed: Masked | None
    kept_at: datetime | None
    #: Whether it is being deleted: what is written to it is lost with it.
    ends: bool = False


#: No problem, and nothing kept.
_NOTHING = Keeping()


class _Foreign:
    """A Secret of this name that is not ours."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last look or write told; `token` is the one that is kept for this grant.

    `outdated` tells that what is kept descends from another token of the user.
    """

    keeping: Keeping = _NOTHING
    token: Masked | None = None
    outdated: bool = False


class NoRotation:
    """Implements `RefreshTokenStore` where the operator may not."""

    async def newest(self, grant: Grant) -> Masked | Unreadable | None:
        """Return nothing: none is kept."""
        return None

    async def keep(self, grant: Grant, token: Masked, *, refused: bool) -> None:
        """Let it go."""

    def keeping(self, grant: Grant) -> Keeping:
        """It is not allowed."""
        return Keeping(KeepingProblem.NOT_ALLOWED)


class OwnedSecrets:
    """Implements `postroom.mail.oauth.refresh_token_store.RefreshTokenStore` on the API server."""

    def __init__(
        self,
        client: SecretReader,
        writer: SecretWriter,
        now: Callable[[], datetime] = utc_now,
        limit: int = _REMEMBERED,
    ) -> None:
        self._client, self._writer, self._now = client, writer, now
        self._known: BoundedMap[str, _Known] = BoundedMap(limit)
        self._guard = SecretGuard(writer, now)

    def keeping(self, grant: Grant) -> Keeping:
        """Return what is known; nothing speaks against what has not been tried."""
        known = self._known.get(grant.key)
        return known.keeping if known is not None else Keeping()

    async def newest(self, grant: Grant) -> Masked | Unreadable | None:
        """Read the Secret; its token counts while the user's is the one that it descends from."""
        kept_for = _wanted(grant)
        try:
            known = self._judged(await self._read(grant, kept_for), grant, kept_for)
        except ApiError:
            # The text may repeat what was sent.
            return Unreadable(
                f"Secret {secret_name(kept_for)}, which may hold a newer refresh token, could not "
                "be read; it is asked for again."
            )
        self._known.put(grant.key, known)
        return known.token

    async def keep(self, grant: Grant, token: Masked, *, refused: bool) -> None:
        """Write the token if it is new and the kept one is refused, outdated or old enough."""
        known = self._known.get(grant.key) or _Known()
        if not self._worth_it(known, grant, token, refused=refused):
            return
        kept_for = _wanted(grant)
        try:
            async with asyncio.timeout(_PATIENCE):
                known = await self._write(grant, kept_for, token, refused=refused)
        except TimeoutError:
            known = _troubled(known, KeepingProblem.UNAVAILABLE)
        except ApiError as error:
            problem = KeepingProblem.REFUSED
            if error.transient or error.status in (404, 409) or error.of_ending_namespace:
                problem = KeepingProblem.UNAVAILABLE
            elif error.status == 403:
                problem = KeepingProblem.FORBIDDEN
            known = _troubled(known, problem)
            logger.warning(
                "a new refresh token could not be kept in Secret %s: %s",
                secret_name(kept_for),
                why(error),
                extra=about(Key(Kind(kept_for.kind), grant.namespace, kept_for.name)),
            )
        self._known.put(grant.key, known)

    def _worth_it(self, known: _Known, grant: Grant, token: Masked, *, refused: bool) -> bool:
        if (known.token or grant.secrets.refresh_token) == token:
            return known.outdated
        kept_at = known.keeping.kept_at
        if refused or kept_at is None:
            return True
        return due(grant.provider, kept_at, self._now())

    async def _write(
        self, grant: Grant, kept_for: KeptFor, token: Masked, *, refused: bool
    ) -> _Known:
        """Write on what is there now; whoever was faster is read again."""
        for attempt in range(1, _ATTEMPTS + 1):
            there = await self._read(grant, kept_for)
            known = self._judged(there, grant, kept_for)
            if isinstance(there, _Foreign):
                return known
            if there is not None and there.ends:
                # It goes as soon as whoever holds it by a finalizer lets it go.
                return _troubled(known, KeepingProblem.UNAVAILABLE)
            if not self._worth_it(known, grant, token, refused=refused):
                return known
            now = self._now()
            content = _content(grant, kept_for, token, now)
            if not await self._guard.in_force(
                grant.namespace, _new(grant.namespace, secret_name(kept_for), kept_for, {})
            ):
                return _troubled(known, KeepingProblem.UNGUARDED)
            try:
                await self._send(grant, kept_for, content, there)
            except ApiError as error:
                if error.status not in (404, 409) or attempt == _ATTEMPTS:
                    raise
                continue
            return _Known(Keeping(kept_at=now), token)
        raise AssertionError("unreachable")

    async def _send(
        self,
        grant: Grant,
        kept_for: KeptFor,
        content: Mapping[str, Any],
        there: _Kept | None,
    ) -> None:
        name = secret_name(kept_for)
        if there is None:
            secret = _new(grant.namespace, name, kept_for, content)
            await self._writer.create(grant.namespace, secret)
        else:
            metadata = {**content["metadata"], "resourceVersion": there.resource_version}
            await self._writer.patch(grant.namespace, name, {**content, "metadata": metadata})

    async def _read(self, grant: Grant, kept_for: KeptFor) -> _Kept | _Foreign | None:
        raw = await self._client.secret(grant.namespace, secret_name(kept_for))
        if raw is None:
            return None
        return _owned(raw, kept_for)

    def _judged(self, there: _Kept | _Foreign | None, grant: Grant, kept_for: KeptFor) -> _Known:
        if isinstance(there, _Foreign):
            return _Known(Keeping(KeepingProblem.NAME_TAKEN))
        if there is None or there.token is None:
            return _Known(outdated=there is not None)
        if there.source != kept_for.source and there.seed != grant.secrets.refresh_token:
            return _Known(outdated=True)
        return _Known(Keeping(kept_at=there.kept_at), there.token)


class OthersSecrets(OwnedSecrets):
    """The same for a process beside the operator: it uses what that has kept, and keeps nothing.

    What it is handed anew it uses as long as it lives; the operator is handed its own.
    """

    async def keep(self, grant: Grant, token: Masked, *, refused: bool) -> None:
        """Let it go."""


def _wanted(grant: Grant) -> KeptFor:
    assert grant.kept_for is not None  # noqa: S101 - `TokenSource` asks for no other
    return grant.kept_for


def _troubled(known: _Known, problem: KeepingProblem) -> _Known:
    return replace(known, keeping=replace(known.keeping, problem=problem))


def _owned(raw: Mapping[str, Any], kept_for: KeptFor) -> _Kept | _Foreign:
    """What a Secret holds, if the object that it is for controls it."""
    if raw.get("type") != SECRET_TYPE or not is_controlled_by(raw, _owner(kept_for)):
        return _Foreign()
    content = secret_content(raw)
    annotations = metadata_of(raw).get("annotations")
    noted = annotations if isinstance(annotations, Mapping) else {}
    try:
        kept_at = parse_timestamp(str(noted.get(KEPT_AT_ANNOTATION)))
    except ValueError:  # someone edited it
        kept_at = None
    return _Kept(
        resource_version=content.resource_version,
        source=str(noted.get(SEEDED_FROM_ANNOTATION) or ""),
        token=content.data.get(TOKEN_KEY) or None,
        seed=content.data.get(SEED_KEY),
        kept_at=kept_at,
        ends=is_ending(raw),
    )


def _content(grant: Grant, kept_for: KeptFor, token: Masked, now: datetime) -> dict[str, Any]:
    """What changes from write to write."""
    values = {TOKEN_KEY: token, SEED_KEY: grant.secrets.refresh_token or token}
    annotations = {
        SEEDED_FROM_ANNOTATION: kept_for.source,
        KEPT_AT_ANNOTATION: timestamp(now),
    }
    return {
        "metadata": {"annotations": annotations},
        "data": {
            key: base64.b64encode(value.reveal().encode()).decode() for key, value in values.items()
        },
    }


def _new(
    namespace: str, name: str, kept_for: KeptFor, content: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        **content,
        "metadata": {
            **content.get("metadata", {}),
            **metadata_for(_owner(kept_for), namespace, name),
        },
    }


def _owner(kept_for: KeptFor) -> Owner:
    return Owner(kept_for.kind, kept_for.name, kept_for.uid)

# SPDX-License-Identifier: Apache-2.0
"""The one writer of all that users see: every status and every Event goes through here.

So do Secrets of the operator's own, in which new refresh tokens are kept (--allow-token-rotation)
and applications find what they need to send (--allow-bindings). DNSEndpoints for external-dns
(--publish-dns-endpoints) are applied by `postroom.controller.dns_endpoints`, within the same rate.
Each of these must be switched on. Nothing else is written but the Lease by which replicas agree who
works, which `postroom.controller.lease` keeps.

A status is put in the place of the one that stands, with ``metadata.resourceVersion`` as
precondition, which keeps an older write from winning over a newer one: postroom is the only owner
of ``status``, and says all of it. A merge patch costs the API server more, and server-side apply
more still. What `postroom deliver` writes in the same way is left as it stands (`shared_status`).
A write that changes nothing costs as much as one that does, so it is not sent.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol

from postroom.api.names import Key
from postroom.api.resource import Metadata
from postroom.api.status import ALWAYS_TOLD, CommonStatus
from postroom.concurrency.backoff import Backoff
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import children, rights
from postroom.controller.audit import Audit
from postroom.controller.client import ApiError
from postroom.controller.intake import Intake, utc_now
from postroom.controller.raw_objects import Raw, metadata_of, status_of
from postroom.controller.refused_statuses import RefusedStatuses
from postroom.controller.shared_status import with_delivery
from postroom.log import about
from postroom.metrics import Metrics, WriteResult
from postroom.reconcile.status import schedule

logger = logging.getLogger(__name__)

_LAST_CHECK_TIME = "lastCheckTime"
#: What moves with every look, and is no news by itself.
_TIMES_OF_LOOKS = frozenset({_LAST_CHECK_TIME, "lastReadyTime"})
_ATTEMPTS = 5
#: A server may ask for any pause; a worker does not sleep longer than this over one write.
_LONGEST_PAUSE = 30.0


class WritingClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that the writer needs."""

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]: ...

    async def get(self, key: Key) -> Mapping[str, Any] | None: ...

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Which object, and which generation of it, a status was made for.

    `heartbeat` is how old a stored ``lastCheckTime`` may become before it alone is worth a write.
    `marks` are those of the status that was evaluated (`marks_of`), None where they do not matter.
    """

    key: Key
    uid: str
    generation: int
    heartbeat: timedelta
    marks: frozenset[str] | None = None


def marks_of(status: Mapping[str, Any]) -> frozenset[str]:
    """Return what a status says of messages of ours that are under way, and when one last went out.

    Who evaluated a status with other marks knows nothing of a message, and must not write over it.
    """
    found = {str(status.get("lastMessageTime"))}
    for name in ("lastTest", "roundTrip", "forwarding"):
        if (state := status.get(name)) is None:
            continue  # of most accounts, for which asking what it is would be most of this
        flight = state.get("inFlight") if isinstance(state, Mapping) else None
        if isinstance(flight, Mapping):
            found.add(f"{flight.get('token')} {flight.get('step')}")
    return frozenset(found)


class Writer:
    """Writes statuses and Events within a rate, and takes the API server's answers back in."""

    def __init__(
        self,
        client: WritingClient,
        intake: Intake,
        bucket: TokenBucket,
        metrics: Metrics,
        now: Callable[[], datetime] = utc_now,
        backoff: Backoff | None = None,
        may_write: Callable[[], bool] = lambda: True,
        audit: Audit | None = None,
    ) -> None:
        #: Whether this process still leads; asked before each attempt.
        self.may_write = may_write
        self._client = client
        self._intake = intake
        self._bucket = bucket
        self._metrics = metrics
        self._ended = {each: metrics.status_writes.labels(each.value) for each in WriteResult}
        self.refused = RefusedStatuses(metrics.status_refused)
        self._now = now
        self._audit = audit or Audit()
        self._backoff = backoff or Backoff(floor=0.5, base=0.5, cap=_LONGEST_PAUSE)

    async def write(self, evaluated: Evaluated, status: CommonStatus) -> WriteResult:
        """Make the stored status of an object equal to `status`, if it differs and still may."""
        result = await self._write(evaluated, status.as_stored())
        self._ended[result].inc()
        if self._is_there(evaluated):
            self.refused.ended(evaluated.key, result)
        return result

    def _is_there(self, evaluated: Evaluated) -> bool:
        """Whether the object still stands: what is gone, or of another, was refused nothing."""
        raw = self._intake.cache.get(evaluated.key)
        return raw is not None and metadata_of(raw).get("uid") == evaluated.uid

    async def _write(self, evaluated: Evaluated, desired: dict[str, Any]) -> WriteResult:
        #: What stood before an attempt whose answer was lost: it may have been carried out.
        unsure: Raw | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            due = self._due(evaluated, desired)
            if due is WriteResult.UNCHANGED and unsure is not None:
                self._audit.status_written(evaluated.key, unsure, desired)
                return WriteResult.WRITTEN
            if isinstance(due, WriteResult):
                return due
            await self._bucket.take(evaluated.key.namespace)
            if not self.may_write():
                return WriteResult.UNAVAILABLE
            before = self._intake.cache.get(evaluated.key) or {}
            try:
                await self._send(evaluated.key, *due)
                self._audit.status_written(evaluated.key, before, desired)
                return WriteResult.WRITTEN
            except ApiError as error:
                if error.status == 409:
                    self._metrics.write_conflicts.inc()
                    if not await self._refresh(evaluated.key):
                        return WriteResult.UNAVAILABLE
                elif not error.transient:
                    return self._rejected(evaluated, error)
                elif attempt < _ATTEMPTS:
                    unsure = unsure or before
                    pause = max(error.retry_after or 0.0, self._backoff.delay(attempt))
                    logger.debug("%s; next attempt in %.1f s", error, pause)
                    await asyncio.sleep(min(pause, _LONGEST_PAUSE))
                else:
                    logger.warning("status not written: %s", error, extra=about(evaluated.key))
        return WriteResult.UNAVAILABLE

    def _due(
        self, evaluated: Evaluated, desired: dict[str, Any]
    ) -> tuple[Raw, Mapping[str, Any]] | WriteResult:
        """Return the object as it stands and the status that it is to have, or why none is to be
        sent; judged anew before every attempt."""
        raw = self._intake.cache.get(evaluated.key)
        if raw is None:
            return WriteResult.GONE
        current = Metadata.of(metadata_of(raw))
        if current.uid != evaluated.uid or current.generation != evaluated.generation:
            return WriteResult.STALE
        stored = status_of(raw)
        desired = with_delivery(desired, stored, raw.get("spec"))
        if evaluated.marks not in (None, marks_of(stored)) and marks_of(stored) != marks_of(
            desired
        ):
            # Another process has announced or sent a message meanwhile.
            return WriteResult.STALE
        # Admission may make another status of what is written, and would again.
        wrote = self._intake.cache.sent(evaluated.key) or stored
        if not differs(wrote, desired) and not self._heartbeat_due(wrote, desired, evaluated):
            return WriteResult.UNCHANGED
        return raw, desired

    async def _send(self, key: Key, raw: Raw, status: Mapping[str, Any]) -> None:
        answer: Raw | None = None
        self._intake.cache.begin_write(key, status)
        version = Metadata.of(metadata_of(raw)).resource_version
        try:
            # What the answer leaves out is as it was: nobody else has written since that version.
            answered = await self._client.replace_status(key, version, status)
            answer = {**raw, "status": status, **answered}
        finally:
            self._intake.written(key, answer)

    async def _refresh(self, key: Key) -> bool:
        """Take in the fresh object after a conflict; False if it could not be read."""
        try:
            fresh = await self._client.get(key)
        except ApiError as error:
            awaited = error.awaited
            if error.status == 403:
                awaited = rights.to_kinds("get", [key.kind.plural], [key.namespace])
            logger.warning(
                "could not re-read after a conflict: waiting for %s (%s)",
                *(awaited, error),
                extra=about(key),
            )
            return False
        if fresh is None:
            self._intake.gone(key)
        else:
            self._intake.answered(key.kind, fresh)
        return True

    def _rejected(self, evaluated: Evaluated, error: ApiError) -> WriteResult:
        """Class a refusal that no retry changes."""
        if error.status == 404:
            self._intake.gone(evaluated.key, evaluated.uid)
            return WriteResult.GONE
        extra = about(evaluated.key)
        if error.status == 403:
            logger.error(
                "not allowed to write status: grant this service account update on %s/status (%s)",
                evaluated.key.kind.plural,
                error,
                extra=extra,
            )
            return WriteResult.FORBIDDEN
        if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            logger.error(
                "no room for a status: with it this object is larger than the API server stores; "
                "take labels, annotations or other fields of its metadata away (%s)",
                error,
                extra=extra,
            )
            return WriteResult.INVALID
        logger.error(
            "the API server rejects the status; are the CRDs of this version installed? (%s)",
            error,
            extra=extra,
        )
        return WriteResult.INVALID

    def _heartbeat_due(
        self, stored: Mapping[str, Any], desired: Mapping[str, Any], evaluated: Evaluated
    ) -> bool:
        """Whether the stored time of the last check is too old to stand."""
        fresh, old = desired.get(_LAST_CHECK_TIME), stored.get(_LAST_CHECK_TIME)
        if fresh is None or fresh == old:
            return False
        try:
            now = self._now()
            return now - schedule.past(str(old), now) >= evaluated.heartbeat
        except ValueError:
            return True

    async def post(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Create an Event; raises `ApiError`."""
        await self._client.create_event(namespace, event)


class SecretClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that writing Secrets needs."""

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None: ...

    async def patch_secret(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None: ...

    async def delete_secret(
        self, namespace: str, name: str, version: Mapping[str, str]
    ) -> None: ...


class SecretWriter:
    """Writes Secrets of the operator's own, within the same rate as statuses; raises `ApiError`."""

    def __init__(
        self,
        client: SecretClient,
        bucket: TokenBucket,
        is_there: children.IsThere,
        audit: Audit | None = None,
    ) -> None:
        self._client, self._bucket, self._is_there = client, bucket, is_there
        self._audit = audit or Audit()

    async def create(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        """Create a Secret unless one of this name exists; a dry run persists nothing."""
        await self._bucket.take(namespace)
        if not dry_run:
            children.refuse_orphan(namespace, secret, self._is_there)
        await self._client.create_secret(namespace, secret, dry_run=dry_run)
        if not dry_run:
            self._audit.secret_written(namespace, str(secret["metadata"]["name"]))

    async def patch(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        """Change a Secret if it still has the resourceVersion that the patch names."""
        await self._bucket.take(namespace)
        await self._client.patch_secret(namespace, name, patch)
        self._audit.secret_written(namespace, name)

    async def delete(self, namespace: str, name: str, version: Mapping[str, str]) -> None:
        """Delete a Secret if it still has this uid and resourceVersion."""
        await self._bucket.take(namespace)
        await self._client.delete_secret(namespace, name, version)
        self._audit.secret_written(namespace, name, deleted=True)


def differs(stored: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether two statuses differ in anything but the times of the last looks.

    A field that is absent is no other than an empty list, which earlier operators wrote; but for
    the one that is there though it is empty.
    """
    names = (stored.keys() | desired.keys()) - _TIMES_OF_LOOKS
    if ALWAYS_TOLD in desired and ALWAYS_TOLD not in stored:
        return True
    return any(stored.get(name, []) != desired.get(name, []) for name in names)

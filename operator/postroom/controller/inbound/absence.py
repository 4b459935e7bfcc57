# SPDX-License-Identifier: Apache-2.0
"""Keeps a verdict on delivery from standing when nobody is there to take it back.

`postroom deliver` writes its part of a status, and names the Lease by which it shows that it is at
work. Where that Lease stands still the operator writes in its stead: with the same field manager,
everything as it stood but the condition, and only onto the version that it has seen. So there is
one writer at any time, and one that comes back goes on from its cursors and says what it finds.

Where there is no such Lease, or it may not be read, a good verdict would stand for ever. So it is
none: the operator says that it cannot know (WorkerUnknown), and whoever is at work leaves it so.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from postroom.api.conditions import ConditionStatus
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import lease
from postroom.controller.client import ApiError
from postroom.controller.inbound.progress import PuttingClient, put
from postroom.controller.intake import Intake
from postroom.controller.raw_objects import Raw, metadata_of, status_of
from postroom.controller.shared_status import delivers
from postroom.delivery import status
from postroom.log import about

logger = logging.getLogger(__name__)

#: Seconds between two looks; for which a Lease may stand still; and for which an account may be
#: without any verdict.
_PERIOD, _STILL, _UNTOLD = 20.0, 60.0, 120.0
_STAYS = "mail stays in the mailbox and is handed over once one is"
_GONE = f"`postroom deliver` is not at work: its Lease {{}} is not renewed; {_STAYS}."
_HIDDEN = (
    "Whether `postroom deliver` is at work cannot be known: the operator cannot read its Lease {}. "
    "Grant it get on leases there."
)
_READABLE = (
    "`postroom deliver` has said nothing since its Lease {} can be read; if it is at work it does "
    "within minutes."
)
_SAID = ("reason", "message")
#: What stands in the place of a good verdict.
_OF_WORKERS = frozenset({Reason.WORKER_ABSENT.value, Reason.WORKER_UNKNOWN.value})
_NEVER = f"No `postroom deliver` has looked at this account: it may not be installed; {_STAYS}."


class AbsenceClient(PuttingClient, Protocol):
    """The part of `postroom.controller.client.Cluster` that this needs."""

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class Absence:
    """Says of accounts that nobody works on that it is so.

    Whether a Lease is renewed is judged on our own clock, as in leader election, and so is for how
    long one could not be read.
    """

    def __init__(
        self,
        client: AbsenceClient,
        intake: Intake,
        bucket: TokenBucket,
        now: Callable[[], datetime],
        clock: Callable[[], float] = lease.steady,
    ) -> None:
        self._client, self._intake, self._bucket = client, intake, bucket
        self._now, self._clock = now, clock
        #: Told of each unexpected error.
        self.erred: Callable[[], object] = lambda: None
        #: What each Lease has, the code of the answer where it cannot be read, and since when.
        self._leases: dict[str, tuple[object, float]] = {}
        #: Since when an account is without a verdict, by its UID.
        self._untold: dict[str, float] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_PERIOD)
            try:
                await self.look()
            except Exception:
                logger.exception("whether mail is handed over could not be looked at")

    async def look(self) -> None:
        """Look at each Lease that a status names, and say of whom nobody is at work."""
        accounts = list(self._accounts())
        told = set(filter(None, (_worker_of(raw) for _, raw in accounts)))
        self._leases = {name: seen for name, seen in self._leases.items() if name in told}
        for name in told:
            try:
                await self._look_at(name)
            except Exception:
                # What it had may not be so any more: nothing is said by it until it is read.
                self._leases.pop(name, None)
                self.erred()
                logger.exception("lease %s could not be looked at", name)
        uids = {str(metadata_of(raw).get("uid")) for _, raw in accounts}
        self._untold = {uid: since for uid, since in self._untold.items() if uid in uids}
        for key, raw in accounts:
            try:
                await self._judge(key, raw)
            except Exception:
                # The boundary around one account: a bug on its account must not end the look.
                self.erred()
                logger.exception("unexpected error; looked at again", extra=about(key))

    async def _judge(self, key: Key, raw: Raw) -> None:
        """Look at one account, and tell where nobody is at work."""
        uid, stands = str(metadata_of(raw).get("uid")), status.condition_in(status_of(raw))
        if stands is not None:
            self._untold.pop(uid, None)
            said = self._to_be_said(raw, stands)
            if said is not None:
                await self._tell(key, raw, *said)
        elif self._clock() - self._untold.setdefault(uid, self._clock()) >= _UNTOLD:
            await self._tell(key, raw, Reason.WORKER_ABSENT, _NEVER)

    def _accounts(self) -> Iterator[tuple[Key, Raw]]:
        for key, raw in self._intake.cache.objects():
            is_ours = key.kind is Kind.EMAIL_ACCOUNT and self._intake.queue.admits(key)
            if is_ours and delivers(raw.get("spec")):
                yield key, raw

    async def _look_at(self, name: str) -> None:
        record: object
        try:
            found = await self._client.lease(*name.split("/", 1))
            spec = (found or {}).get("spec") or {}
            record = (spec.get("holderIdentity"), spec.get("renewTime")) if found else None
        except ApiError as error:
            logger.warning("lease %s not read: %s", name, error)
            record = error.status
        seen, since = self._leases.get(name, (record, self._clock()))
        self._leases[name] = (record, since if seen == record else self._clock())

    def _to_be_said(self, raw: Raw, stands: Mapping[str, Any]) -> tuple[Reason, str] | None:
        """What to say in the stead of a worker; None where what stands may stand.

        What is wrong stands even where nobody can know who is at work: it would only get better.
        """
        worker, reason = _worker_of(raw), stands.get("reason")
        is_good = stands.get("status") == ConditionStatus.TRUE.value
        if worker is None:
            # Where there is progress, somebody without a Lease wrote it; else nobody ever did.
            somebody = reason in _OF_WORKERS and "inbound" in status.part_of(status_of(raw))
            return (Reason.WORKER_UNKNOWN, status.LEASELESS) if is_good or somebody else None
        if worker not in self._leases:
            return None
        record, since = self._leases[worker]
        stays = self._clock() - since >= _STILL
        if isinstance(record, int):
            hidden = stays and (is_good or reason in _OF_WORKERS)
            return (Reason.WORKER_UNKNOWN, _HIDDEN.format(worker)) if hidden else None
        if stays:
            return Reason.WORKER_ABSENT, _GONE.format(worker)
        unknown = reason == Reason.WORKER_UNKNOWN.value
        return (Reason.WORKER_ABSENT, _READABLE.format(worker)) if unknown else None

    async def _tell(self, key: Key, raw: Raw, reason: Reason, message: str) -> None:
        """Write in the stead of whoever is not there, onto what was seen; it may have come back."""
        generation = int(metadata_of(raw).get("generation") or 0)
        before = status.condition_in(status_of(raw))
        state = ConditionStatus.UNKNOWN
        condition = status.condition(state, reason, message, generation, before, self._now())
        if before is not None and all(before.get(name) == condition[name] for name in _SAID):
            return
        part = {**status.part_of(status_of(raw)), "conditions": [condition]}
        await self._bucket.take(key.namespace)
        try:
            self._intake.answered(key.kind, await put(self._client, key, raw, part))
        except ApiError as error:
            if error.status not in (404, 409):
                logger.warning("absence not written: %s", error, extra=about(key))


def _worker_of(raw: Raw) -> str | None:
    inbound = status_of(raw).get("inbound")
    worker = inbound.get("worker") if isinstance(inbound, Mapping) else None
    return worker if isinstance(worker, str) and "/" in worker else None

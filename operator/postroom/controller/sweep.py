# SPDX-License-Identifier: Apache-2.0
"""Comparing what the watch brought with a list of what there is.

At the start, to know when the cache is complete, because the watch does not tell when its first
list ends. Later, because an object that is deleted while a watch is lost leaves no event, and a
watch that stalls says nothing at all.

Of several namespaces one may refuse us: whoever may write there has removed the RoleBinding, or the
namespace is gone. That is no reason to leave the others alone, and tells nothing of its objects:
but what is refused for an hour is taken to be gone, as it would be after a restart.

What could not be seen of one namespace or object is counted by itself (`Sweep.unseen`): the age of
the last sweep tells whether sweeps get round, which nobody's own trouble changes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import Counter, Gauge

from postroom.api.names import APPLY_CRDS, GROUP, Key, Kind
from postroom.concurrency.backoff import Backoff
from postroom.controller import rights
from postroom.controller.client import ApiError, Listed
from postroom.controller.intake import START_ORDER, Intake
from postroom.controller.raw_objects import metadata_of

logger = logging.getLogger(__name__)

#: Seconds that the watch gets to bring what a list shows, before the object is read by name.
_WATCH_LAG = 10.0
#: While waiting for the first list of the watch: how often to look, and when to list again.
_POLL, _RELIST = 0.05, 10.0
#: How often a namespace that refuses us is asked before the first list is taken to be complete
#: without it: an API server that begins may refuse everybody for a moment.
_PATIENCE = 5
#: Seconds after which the objects of a namespace that refuses us are taken to be gone. With the
#: namespace went who could tell: until then what they claim is kept for them.
_GIVEN_UP_AFTER = 3600.0
#: Answers that are about no object: nobody is there, knows us or has the time. Whoever is asked for
#: the next object then waits as long again.
_OF_ALL = frozenset({0, 401, 408, 429, 502, 503, 504})
#: Seconds between sweeps after such an answer, where the interval is longer.
_SOON = Backoff(floor=10.0, base=10.0)
#: Objects that are released between two pauses, in which everything else goes on: some
#: milliseconds.
_AT_ONCE = 64
#: What a sweep that gets round may have to leave out.
NAMESPACES, OBJECTS = "namespaces", "objects"
_TO_GRANT = f"grant this service account get, list and watch on the kinds of {GROUP} there: "
#: Names in one log line.
_MOST_NAMED = 10


class ListingClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that the sweep needs."""

    async def list_metadata(self, kind: Kind, namespace: str | None) -> dict[Key, Listed]: ...

    async def get(self, key: Key) -> Mapping[str, Any] | None: ...


class Missed(Protocol):
    """The part of a process' metrics that the sweep moves."""

    @property
    def watch_missed(self) -> Counter: ...

    @property
    def unseen(self) -> Gauge: ...


class Sweep:
    """Lists of everything we serve, held against the cache."""

    def __init__(
        self,
        client: ListingClient,
        intake: Intake,
        namespaces: Sequence[str],
        metrics: Missed,
        clock: Callable[[], float] = time.monotonic,
        watch_lag: float = _WATCH_LAG,
    ) -> None:
        self._client = client
        self._intake = intake
        self._cache = intake.cache
        self._scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._metrics = metrics
        self._clock = clock
        self._watch_lag = watch_lag
        self._last_end: float | None = None
        #: Those that the first list did without.
        self._left_out: set[str | None] = set()
        #: Since when lists of a kind have been refused in a namespace.
        self._refused_since: dict[tuple[Kind, str | None], float] = {}
        #: What the first list waits for, as far as that is known; later the right that is missing.
        self.obstacle: str | None = None

    def age(self) -> float:
        """Return for how many seconds no sweep has got round; -1 before the first."""
        return -1.0 if self._last_end is None else self._clock() - self._last_end

    async def fill(self, filled: Callable[[], None] = lambda: None) -> None:
        """Wait until the cache holds everything that there is, then release the intake.

        `filled` is called in between.
        """
        for kind in START_ORDER:
            await self._fill_kind(kind)
        self._last_end, self.obstacle = self._clock(), None
        logger.info("%d objects known; starting", len(self._cache))
        filled()
        for number, _ in enumerate(self._intake.releasing(), 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _fill_kind(self, kind: Kind) -> None:
        """Wait until each listed object has come, or is gone again from a later list."""
        backoff, failures = Backoff(cap=30.0), 0
        while True:
            try:
                listed, refused = await self._list(kind)
                for scope, error in refused.items():
                    self._do_without(scope, error, failures)
            except ApiError as error:
                failures += 1
                self.obstacle = self._missing(kind, error)
                logger.warning("waiting for %s (%s)", self.obstacle, error)
                await asyncio.sleep(backoff.delay(failures))
                continue
            if not (missing := await self._not_arrived(listed)):
                return
            self.obstacle = (
                f"the watch of {kind.plural}, which has not brought {missing} of "
                f"{len(listed)} that are listed: this service account needs watch on "
                f"{kind.plural} of {GROUP}, too"
            )
            logger.warning("waiting for %s", self.obstacle)

    def _missing(self, kind: Kind, error: ApiError) -> str:
        """What a list that was not answered waits for, without the server's own words."""
        if error.status == 404:
            return f"the CRDs: {kind.plural} are not served; {APPLY_CRDS}"
        return self._to_list([kind]) if error.status == 403 else error.awaited

    def _to_list(self, kinds: Sequence[Kind]) -> str:
        return rights.to_kinds("list", [kind.plural for kind in kinds], self._scopes)

    def _do_without(self, scope: str | None, error: ApiError, failures: int) -> None:
        """Begin without a namespace that has refused us often enough; raises the refusal before."""
        if scope in self._left_out:
            return
        if failures < _PATIENCE:
            raise error
        self._left_out.add(scope)
        logger.warning("nothing of namespace %s is looked at until it may be: %s", scope, error)

    async def _not_arrived(self, listed: Mapping[Key, Listed]) -> int:
        """Wait for what is listed to be in the cache; return how many are not there after a
        while."""
        deadline = self._clock() + _RELIST
        missing = [key for key in listed if key not in self._cache]
        while missing and self._clock() < deadline:
            await asyncio.sleep(_POLL)
            missing = [key for key in missing if key not in self._cache]
        return len(missing)

    async def run(self, interval: float) -> None:
        """Sweep at every interval, until cancelled."""
        failures = 0
        while True:
            soon = _SOON.delay(failures) if failures else interval
            await asyncio.sleep(min(soon, interval))
            try:
                await self.once()
                failures = 0
            except ApiError as error:
                awaited = f"waiting for {self.obstacle} " if self.obstacle else ""
                logger.warning("sweep failed: %s(%s)", awaited, error)
                # Who begins refuses everybody for a moment.
                again = error.status in _OF_ALL or error.status == 403
                failures = failures + 1 if again else 0

    async def once(self) -> None:
        """Drop what is gone, read what the watch has not brought.

        What cannot be seen of single namespaces and objects is left out, and told; raises
        `ApiError` where nobody answers, and after all other kinds where one cannot be listed.
        """
        hidden: dict[Kind, ApiError] = {}
        unlisted: dict[str | None, ApiError] = {}
        unread: dict[Key, ApiError] = {}
        for kind in START_ORDER:
            # What appears while the list is under way is not in it, and must not be dropped.
            known = {key: self._seen(key) for key in self._cache.keys(kind)}
            try:
                listed, refused = await self._list(kind)
            except ApiError as error:
                if error.status in _OF_ALL:
                    raise
                hidden[kind] = error
                continue
            unlisted |= refused
            vanished = [key for key in known if key not in listed and key.namespace not in refused]
            behind = [key for key, version in listed.items() if self._seen(key) != version]
            if vanished or behind:
                await asyncio.sleep(self._watch_lag)
            for key in (*vanished, *behind):
                try:
                    await self._settle(key, known.get(key), listed.get(key))
                except ApiError as error:
                    if error.status in _OF_ALL:
                        raise
                    unread[key] = error
            self._give_up(kind, refused)
        self._tell({NAMESPACES: unlisted, OBJECTS: unread})
        refused_kinds = [kind for kind, error in hidden.items() if error.status == 403]
        self.obstacle = self._to_list(refused_kinds) if refused_kinds else None
        if hidden:
            raise next(iter(hidden.values()))
        self._last_end = self._clock()

    def _tell(self, unseen: Mapping[str, Mapping[Any, ApiError]]) -> None:
        """Count what was left out, and name some of it."""
        for part, errors in unseen.items():
            self._metrics.unseen.labels(part).set(len(errors))
            for name, error in list(errors.items())[:_MOST_NAMED]:
                to_do = _TO_GRANT if error.status == 403 else ""
                logger.warning(
                    "left out of the sweep, one of %d %s: %s: %s%s",
                    *(len(errors), part, name, to_do, error),
                )

    def _give_up(self, kind: Kind, refused: Mapping[str | None, ApiError]) -> None:
        """Drop what nobody could tell of for too long: its namespace may be gone."""
        now, since = self._clock(), self._refused_since
        for place in [place for place in since if place[0] is kind and place[1] not in refused]:
            del since[place]
        for scope in refused:
            if now - since.setdefault((kind, scope), now) < _GIVEN_UP_AFTER:
                continue
            gone = [key for key in self._cache.keys(kind) if key.namespace == scope]
            for key in gone:
                self._intake.gone(key)
            if gone:
                logger.warning(
                    "%d %s of namespace %s, which has refused us for an hour, are taken to be gone",
                    len(gone),
                    kind.plural,
                    scope,
                )

    async def _settle(self, key: Key, seen: Listed | None, listed: Listed | None) -> None:
        """Find out by name what is true of an object on which cache and list disagree."""
        if listed is None:
            await self._drop(key, seen)
        else:
            await self._catch_up(key, listed)

    async def _drop(self, key: Key, seen: Listed | None) -> None:
        """Drop an object that the list does not show if there is none of its name, either: a list
        may be one of some time ago, and whatever stands on the object would fall with it."""
        if seen is None or self._seen(key) != seen:
            return
        raw = await self._client.get(key)
        if self._seen(key) != seen or (raw is not None and _identity(raw).uid == seen.uid):
            return
        self._metrics.watch_missed.inc()
        self._intake.gone(key, seen.uid)
        if raw is not None:
            self._intake.seen(key.kind, raw, force=True)

    async def _catch_up(self, key: Key, listed: Listed) -> None:
        """Read an object by name if the watch still has not brought what the list showed.

        What is read then counts even if its version is lower, as after a restore from a backup.
        """
        before = self._seen(key)
        if before == listed:
            return
        raw = await self._client.get(key)
        after = self._seen(key)
        # A cache that moved meanwhile has a watch that works.
        if raw is None or after != before or after == _identity(raw):
            return
        self._metrics.watch_missed.inc()
        self._intake.seen(key.kind, raw, force=True)

    def _seen(self, key: Key) -> Listed | None:
        raw = self._cache.get(key)
        return None if raw is None else _identity(raw)

    async def _list(self, kind: Kind) -> tuple[dict[Key, Listed], dict[str | None, ApiError]]:
        """List one kind in every scope; a list that expired half way is started again once.

        With it those of several scopes that refuse us, unless all do.
        """
        found: dict[Key, Listed] = {}
        refused: dict[str | None, ApiError] = {}
        for scope in self._scopes:
            try:
                found |= await self._client.list_metadata(kind, scope)
            except ApiError as error:
                if error.status == 410:
                    found |= await self._client.list_metadata(kind, scope)
                elif error.status == 403:
                    refused[scope] = error
                else:
                    raise
        if len(refused) == len(self._scopes):
            raise next(iter(refused.values()))
        return found, refused


def _identity(raw: Mapping[str, Any]) -> Listed:
    metadata = metadata_of(raw)
    return Listed(str(metadata.get("uid")), str(metadata.get("resourceVersion")))

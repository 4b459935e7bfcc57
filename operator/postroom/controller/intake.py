# SPDX-License-Identifier: Apache-2.0
"""What a piece of news means: which keys must be looked at, and when.

Everything that is learnt about the cluster comes through here: from the watch feed, from the
answers to our own writes, and from the sweep.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Key, Kind
from postroom.api.resource import InvalidSpec, parse_spec, parse_status
from postroom.controller.cache import Cache, Change, Difference
from postroom.controller.dependants import Dependants, declared, named
from postroom.controller.queue import KeyedQueue, Urgency
from postroom.controller.raw_objects import Raw, metadata_of, status_of
from postroom.controller.request_limit import RequestLimiter
from postroom.reconcile import indexes
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.schedule import FIRST_VERDICT, due_in
from postroom.reconcile.status.wanted import left_by

logger = logging.getLogger(__name__)

#: What others stand on goes first, so that they find it judged.
START_ORDER = (Kind.SENDING_DOMAIN, Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT)

#: Seconds for which news of who uses an object are gathered; a domain is looked at in DNS then.
_GATHERING = {Kind.MAIL_SERVER: 2.0, Kind.EMAIL_ACCOUNT: 2.0, Kind.SENDING_DOMAIN: 10.0}

#: Differences that make the object itself due at once.
_DUE_NOW = Difference.SPEC | Difference.REQUEST | Difference.STATUS
#: Those that may come as often as somebody likes.
_BY_PEOPLE = Difference.SPEC | Difference.REQUEST


def utc_now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC)


class Intake:
    """Turns news into entries of the cache, the reverse maps and the queue.

    Until `release` it only collects: a run before every kind is known would take what has not
    arrived yet for missing. `due` tells in how long an object that appears must be looked at.
    """

    def __init__(
        self,
        cache: Cache,
        queue: KeyedQueue,
        now: Callable[[], datetime] = utc_now,
        due: Callable[[Kind, Raw, datetime], timedelta] = due_in,
    ) -> None:
        self.cache = cache
        self._due = due
        self.queue = queue
        self.dependants = Dependants()
        self._now = now
        self._memories: dict[Key, Memory] = {}
        self._sources: dict[tuple[str, str, str], str] = {}
        #: Told the namespace whose Secrets must be read afresh (and which; None: all of them).
        self.on_stale_sources: Callable[[str, str | None], None] = lambda namespace, name: None
        #: Told of an object that is no more: something may be at work for it.
        self.on_gone: Callable[[Key], None] = lambda key: None
        self._released = False
        self._limiter = RequestLimiter()

    def memory(self, key: Key) -> Memory:
        """Return what the engine remembers of an object in this process."""
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = Memory()
        return memory

    # -- news ---------------------------------------------------------------------------------

    def seen(self, kind: Kind, raw: Raw, *, force: bool = False) -> None:
        """An object exists and looks like this."""
        key = Key.of(kind, raw)
        self._apply(key, self.cache.put(kind, raw, force=force))

    def answered(self, kind: Kind, raw: Raw) -> None:
        """An object looked like this when we asked for it, or wrote to it: what has been deleted
        since is not there again, whichever of the two is told first."""
        if Key.of(kind, raw) in self.cache:
            self.seen(kind, raw)

    def gone(self, key: Key, uid: str | None = None) -> None:
        """An object is no more; with `uid`, only that very object."""
        change = self.cache.drop(key, uid)
        if Difference.VANISHED in change.difference:
            self._apply(key, change)

    def written(self, key: Key, answer: Raw | None) -> None:
        """Our own status write has ended; `answer` is the object as the API server returned it."""
        self._apply(key, self.cache.end_write(key, answer))

    def source_seen(self, kind: str, namespace: str, name: str, version: str | None) -> None:
        """A watched Secret or ConfigMap has this resource version; None: it is no more."""
        place = (kind, namespace, name)
        before = self._sources.get(place)
        if version is None:
            self._sources.pop(place, None)
        else:
            self._sources[place] = version
        if not self._released or before == version:
            return
        self.on_stale_sources(namespace, name)
        for dependant in self.dependants.of(namespace, [reference_to(kind, name)]):
            self._request(dependant, Urgency.CONSEQUENCE)

    def release(self) -> None:
        """Every object is known: from now on the queue gets what is due."""
        for _ in self.releasing():
            pass

    def releasing(self) -> Iterator[None]:
        """Release, and stand between two objects: news may come there, and runs begin and end."""
        self._released = True
        for key in [key for kind in START_ORDER for key in self.cache.keys(kind)]:
            if not self.queue.has(key):
                self._plan(key, Urgency.ROUTINE)
            yield

    # -- consequences -------------------------------------------------------------------------

    def _apply(self, key: Key, change: Change) -> None:
        difference = change.difference
        if Difference.VANISHED in difference:
            self._memories.pop(key, None)
        if difference is Difference.NOTHING:
            return
        if Difference.VANISHED in difference:
            self.queue.forget(key)
            self.dependants.forget(key)
            self.on_gone(key)
        if not self._released:
            # Who stands on what is known before the first run: its verdict is news to them.
            self._note(key)
            return
        if Difference.REQUEST in difference:
            self.on_stale_sources(key.namespace, None)
        if Difference.APPEARED in difference:
            self._enrol(key, Urgency.CHANGE)
        elif difference & _DUE_NOW:
            raw = self.cache.get(key)
            if raw is not None and Difference.SPEC in difference:
                # What its new spec names may change from now on.
                self.dependants.extend(key, declared(key.kind, raw))
            if difference & _BY_PEOPLE:
                self._request(key)
            else:
                self.queue.add(key, Urgency.CHANGE)
        self._wake(key, change)
        self._settle(key, change)

    def _wake(self, key: Key, change: Change) -> None:
        """Have those looked at that stand on an object, and those that only tell who uses what
        a little later, once for all that comes meanwhile."""
        affected = _affected(key, change)
        told = [each for each in affected if indexes.tells_use(each.partition("/")[2])]
        firm = set(self.dependants.of(key.namespace, set(affected).difference(told)))
        for dependant in sorted(firm - {key}):
            self.queue.add(dependant, Urgency.CONSEQUENCE)
        for dependant in self.dependants.of(key.namespace, told):
            if dependant != key and dependant not in firm:
                self.queue.add_after(dependant, _GATHERING[dependant.kind])
        if key.kind is Kind.MAIL_SERVER and Difference.SPEC in change.difference:
            self._shut_out(key)

    def _shut_out(self, key: Key) -> None:
        """Have the accounts looked at that a server's new spec does not admit, before anything
        else is known of it."""
        raw = self.cache.get(key)
        try:
            spec = parse_spec(key.kind, raw.get("spec") if raw is not None else None)
        except InvalidSpec:
            return
        if isinstance(spec, MailServerSpec):
            for account in self.dependants.of(key.namespace, [reference_to(key.kind, key.name)]):
                place = account.namespace
                if place != key.namespace and not spec.allowed_namespaces.admit(place):
                    self.queue.add(account, Urgency.CONSEQUENCE)

    def _settle(self, key: Key, change: Change) -> None:
        """Have the objects of other namespaces looked at whose claims this decides anew."""
        if key.kind is Kind.EMAIL_ACCOUNT and change.before != change.after:
            addresses = map(indexes.address_among, (change.before, change.after))
            for address in set(addresses) - {None}:
                self._contend(self.cache.addresses.elsewhere(key.namespace, str(address)))
        if key.kind is not Kind.SENDING_DOMAIN:
            return
        domain = indexes.domain_among(change.after | change.before)
        moved = Difference.READY | Difference.APPEARED | Difference.VANISHED
        if domain is not None and (change.difference & moved or change.before != change.after):
            rivals = self.cache.claims.unsettled_by(key.namespace, domain)
            for rival in rivals:
                self.queue.add(rival, Urgency.CONSEQUENCE)
            self._contend(self.cache.addresses.contended_in(domain))

    def _contend(self, accounts: Iterable[Key]) -> None:
        """Have accounts looked at of which it is decided anew whether they keep their addresses,
        and those of their namespaces that are to send as these, too."""
        for account in accounts:
            self.queue.add(account, Urgency.CONSEQUENCE)
            index = indexes.by_address(self.cache.addresses.address_of(account))
            for other in self.dependants.of(account.namespace, [reference_to(account.kind, index)]):
                self.queue.add(other, Urgency.CONSEQUENCE)

    def _enrol(self, key: Key, urgency: Urgency) -> None:
        """Put an object that is new to us into the maps and the queue."""
        self._note(key)
        self._plan(key, urgency)

    def _present(self, key: Key) -> Raw | None:
        """An object that is there to stay."""
        raw = self.cache.get(key)
        return None if raw is None or metadata_of(raw).get("deletionTimestamp") else raw

    def _note(self, key: Key) -> None:
        """Put an object into the maps, unless it is about to go."""
        raw = self._present(key)
        self.dependants.update(key, declared(key.kind, raw) if raw is not None else frozenset())

    def _plan(self, key: Key, urgency: Urgency) -> None:
        """Put an object into the queue, for when it is due."""
        if (raw := self._present(key)) is None:
            leaving = self.cache.get(key) or {}
            if left_by(parse_status(key.kind, leaving.get("status"))):
                self.queue.add(key, urgency)
            return
        delay = self._due(key.kind, raw, self._now()).total_seconds()
        if delay <= 0 or self.cache.claims.is_unsettled(key):
            if self._awaits_verdict(key):
                # The verdict brings it back; looked at now, it would only be deferred for as long.
                self.queue.add_after(key, FIRST_VERDICT.total_seconds())
            elif urgency is Urgency.CHANGE:
                self._request(key)  # it may have been deleted and created again in a loop
            else:
                self.queue.add(key, urgency)
        else:
            self.queue.add_after(key, delay)

    def _awaits_verdict(self, key: Key) -> bool:
        """Whether an account stands on a server or a domain that nobody has looked at yet."""
        if key.kind is not Kind.EMAIL_ACCOUNT:
            return False
        for kind, namespace, name in named(key.namespace, self.dependants.references(key)):
            if kind is not key.kind:
                found = self.cache.names_under(kind, namespace, name) or (name,)
                if any(_is_unjudged(self.cache.get(Key(kind, namespace, each))) for each in found):
                    return True
        return False

    def _request(self, key: Key, urgency: Urgency = Urgency.CHANGE) -> None:
        """Have an object looked at because somebody wants it, at once unless that is often."""
        if not self.queue.admits(key):
            return
        wait = self._limiter.wait(key)
        if wait > 0:
            self.queue.add_after(key, wait)
        else:
            self.queue.add(key, urgency)


def _is_unjudged(raw: Raw | None) -> bool:
    """Whether an object is there and its status is about no spec, or about an earlier one."""
    if raw is None:
        return False
    return status_of(raw).get("observedGeneration") != metadata_of(raw).get("generation")


def _affected(key: Key, change: Change) -> list[str]:
    """Return the references whose dependants a change concerns.

    A changed spec of a server or domain concerns nobody by itself: its dependants come back when
    its status is about the new spec, which moves READY, and has a verdict on it: that a long look
    has begun concerns them as little, or each would be looked at twice. Accounts are counted,
    compared and used as their indexes tell, so for them just the indexes that they entered or left
    matter, and since when they are marked as a default.
    """
    came_or_went = change.difference & (Difference.APPEARED | Difference.VANISHED)
    judged = change.difference & (Difference.READY | Difference.BEGUN) is Difference.READY
    judged = judged and key.kind is not Kind.EMAIL_ACCOUNT
    if came_or_went or judged:
        known = change.before | change.after
        return [reference_to(key.kind, name) for name in (key.name, *sorted(known))]
    moved = change.before ^ change.after
    if moved and key.kind is Kind.EMAIL_ACCOUNT:
        # Others know an account by its name or its addresses.
        moved |= indexes.known_by(change.after) | {key.name}
    if Difference.MARK in change.difference:
        moved |= {indexes.DEFAULT}
    return [reference_to(key.kind, name) for name in sorted(moved)]

# SPDX-License-Identifier: Apache-2.0
"""The operator's own picture of the cluster's objects, and what a new picture differs in.

The watch feed, the answers to our own writes and the sweep all end here. Two things make it more
than a dict: an older picture never replaces a newer one, and the echo of our own status write is
told from a change that somebody else made.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from types import MappingProxyType
from typing import Any

from postroom.api.names import Key, Kind
from postroom.api.resource import MAPPINGS, Metadata
from postroom.concurrency.sets_of_few import SetsOfFew
from postroom.controller.echoes import Echoes
from postroom.controller.raw_objects import Raw, conditions_of, metadata_of, slimmed, status_of
from postroom.controller.shared_status import moved
from postroom.controller.text_pool import pooled_texts
from postroom.reconcile import defaults
from postroom.reconcile import indexes as marks
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.claims import ClaimBook, claim_from, standing_of


class Difference(Flag):
    """In what an object differs from what the cache held of it."""

    NOTHING = 0
    #: It was not there, or another object of the same name was.
    APPEARED = auto()
    VANISHED = auto()
    #: Its generation moved.
    SPEC = auto()
    #: Someone asks for a check now.
    REQUEST = auto()
    #: Its status was changed by somebody else.
    STATUS = auto()
    #: Its Ready condition, or the generation that its status is about, moved.
    READY = auto()
    #: Since when it is marked as a default moved.
    MARK = auto()
    #: READY moved, but only to say that a new spec is being looked at: the verdict is to come.
    BEGUN = auto()


#: An object that has come, with whatever verdict stands in it.
_NEW = Difference.APPEARED | Difference.READY


@dataclass(frozen=True, slots=True)
class Change:
    """A difference and the indexes that the object stood under before and stands under now."""

    difference: Difference
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()


NO_CHANGE = Change(Difference.NOTHING)


@dataclass(slots=True)
class _Entry:
    raw: Raw
    #: No set, which takes three times as much room.
    indexes: tuple[str, ...]
    #: Our own write of this status is on its way: a changed status may be its echo.
    writing: Mapping[str, Any] | None = None
    #: A status changed while `writing`; judged when the write ends.
    suspect: bool = False
    #: What was written of a status that admission made another one of.
    sent: Mapping[str, Any] | None = None


class Cache:
    """Objects by key and by index. For one event loop."""

    def __init__(self, claims: ClaimBook | None = None) -> None:
        self.claims = claims or ClaimBook()
        self.addresses = AddressBook()
        #: Told of each object that appeared, was replaced, or is gone, when it is so.
        self.observers: list[Callable[[Key], None]] = []
        self.echoes = Echoes()
        self._entries: dict[Key, _Entry] = {}
        #: By kind and namespace, and there by index.
        self._by_index: dict[tuple[Kind, str], SetsOfFew[str, str]] = {}
        #: Who stands under an index that names a namespace, wherever they are.
        self._everywhere: SetsOfFew[tuple[Kind, str], Key] = SetsOfFew()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: Key) -> Raw | None:
        """Return an object (metadata reduced to what is used, spec, status)."""
        entry = self._entries.get(key)
        return entry.raw if entry else None

    def sent(self, key: Key) -> Mapping[str, Any] | None:
        """What was written of the status that stands, if admission made another one of it."""
        entry = self._entries.get(key)
        return entry.sent if entry else None

    def keys(self, kind: Kind) -> list[Key]:
        """Return the keys of all objects of a kind, sorted."""
        return sorted(key for key in self._entries if key.kind is kind)

    def objects(self) -> Iterator[tuple[Key, Raw]]:
        """Yield every object; the cache must not be changed meanwhile."""
        for key, entry in self._entries.items():
            yield key, entry.raw

    def names_under(self, kind: Kind, namespace: str, index: str) -> list[str]:
        """Return the names of the objects that stand under an index, sorted."""
        there = self._by_index.get((kind, namespace))
        return sorted(there.of(index)) if there is not None else []

    def keys_under(self, kind: Kind, index: str) -> list[Key]:
        """Return the objects of all namespaces under an index that names one, sorted."""
        return sorted(self._everywhere.of((kind, index)))

    # -- changes ------------------------------------------------------------------------------

    def put(self, kind: Kind, raw: Raw, *, force: bool = False) -> Change:
        """Take in a picture of an object; one that is older than the cached one is ignored.

        `force` takes it in even then: resource versions run backwards when a cluster is restored
        from a backup.
        """
        key = Key.of(kind, raw)
        entry = self._entries.get(key)
        if entry is not None and not force and not _is_newer(raw, entry.raw):
            return self._corrected(key, entry, raw)
        if entry is None:
            slim = slimmed(raw)
            indexes = marks.standing(kind, slim)
            self._entries[key] = _Entry(slim, pooled_texts(indexes))
            self._reindex(key, frozenset(), indexes)
            self._claim(key, slim, indexes)
            return Change(_NEW, after=indexes)
        return self._replace(key, entry, slimmed(raw, entry.raw, entry.writing))

    def drop(self, key: Key, uid: str | None = None) -> Change:
        """Remove an object; with `uid` only if the cached one is that very object."""
        entry = self._entries.get(key)
        if entry is None or (uid is not None and metadata_of(entry.raw).get("uid") != uid):
            return NO_CHANGE
        del self._entries[key]
        before = frozenset(entry.indexes)
        self._reindex(key, before, frozenset())
        self.claims.forget(key)
        self.addresses.forget(key)
        for observer in self.observers:
            observer(key)
        return Change(Difference.VANISHED, before=before)

    def begin_write(self, key: Key, status: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Note that our own status write is on its way; `status` is what it is to make of the whole
        status, and must not be changed any more."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.writing, entry.suspect = status, False

    def end_write(self, key: Key, written: Raw | None) -> Change:
        """Note the end of our own status write; `written` is the API server's answer.

        STATUS is in the result if somebody else changed the status in the meantime.
        """
        entry = self._entries.get(key)
        if entry is None:
            return NO_CHANGE
        writing, entry.writing = entry.writing, None
        suspect, entry.suspect = entry.suspect, False
        if written is None:
            return Change(Difference.STATUS) if suspect else NO_CHANGE
        if _uid(written) != _uid(entry.raw):
            return NO_CHANGE
        if _is_newer(written, entry.raw):
            change = self._replace(key, entry, slimmed(written, entry.raw, writing))
            # What changed in status is our own doing.
            return Change(change.difference & ~Difference.STATUS, change.before, change.after)
        # The watch was faster, and has brought this or what came after it.
        if _version(written) == _version(entry.raw):
            self._note_sent(key, entry, status_of(written))
            return NO_CHANGE
        overwritten = suspect and moved(status_of(written), status_of(entry.raw))
        return Change(Difference.STATUS) if overwritten else NO_CHANGE

    def _corrected(self, key: Key, entry: _Entry, raw: Raw) -> Change:
        """Take in an object in the version that we took from the answer to our own write, where it
        shows another status: equal versions mean equal objects."""
        same = (_uid(raw), _version(raw)) == (_uid(entry.raw), _version(entry.raw))
        wrote = status_of(entry.raw)
        if not same or entry.sent is not None or not moved(wrote, status_of(raw)):
            return NO_CHANGE
        change = self._replace(key, entry, slimmed(raw, entry.raw))
        self._note_sent(key, entry, wrote)
        # Nobody has written over it, and whoever did it does so each time.
        return Change(change.difference & ~Difference.STATUS, change.before, change.after)

    def _note_sent(self, key: Key, entry: _Entry, wrote: Mapping[str, Any]) -> None:
        stands = status_of(entry.raw)
        if moved(wrote, stands):
            entry.sent = wrote
            names = wrote.keys() | stands.keys()
            fields = (name for name in names if wrote.get(name) != stands.get(name))
            self.echoes.altered(key, frozenset(fields))

    def _replace(self, key: Key, entry: _Entry, slim: Raw) -> Change:
        before = after = frozenset(entry.indexes)
        difference = _difference(key.kind, entry.raw, slim)
        entry.raw, entry.sent = slim, None
        if Difference.STATUS in difference and entry.writing is not None:
            entry.suspect = True
            difference &= ~Difference.STATUS
        if Difference.SPEC in difference or Difference.APPEARED in difference:
            after = marks.standing(key.kind, slim)
            self._reindex(key, before, after)
            entry.indexes = pooled_texts(after)
        self._claim(key, slim, after)
        return Change(difference, before=before, after=after)

    def _claim(self, key: Key, slim: Raw, indexes: frozenset[str]) -> None:
        """Keep the books of claims and addresses; a spec that cannot be understood is in none."""
        for observer in self.observers:
            observer(key)
        if key.kind is Kind.EMAIL_ACCOUNT:
            address = marks.address_among(indexes)
            if address is None:
                self.addresses.forget(key)
            else:
                created = str(metadata_of(slim).get("creationTimestamp") or "")
                self.addresses.note(key, address, created, at_rest=marks.is_at_rest(indexes))
        if key.kind is not Kind.SENDING_DOMAIN:
            return
        domain = marks.domain_among(indexes)
        if domain is None:
            self.claims.forget(key)
            return
        status, metadata = slim.get("status"), Metadata.of(metadata_of(slim))
        known = status if isinstance(status, Mapping) else {}
        claim = claim_from(metadata, domain, known, self.claims.keys, slim["spec"])
        self.claims.note(claim.left() if marks.LEAVING in indexes else claim)

    def _reindex(self, key: Key, before: frozenset[str], after: frozenset[str]) -> None:
        if before == after:
            return
        there = self._by_index.setdefault((key.kind, key.namespace), SetsOfFew())
        for index in before - after:
            there.discard(index, key.name)
            if marks.namespace_in(index) is not None:
                self._everywhere.discard((key.kind, index), key)
        for index in after - before:
            there.add(index, key.name)
            if marks.namespace_in(index) is not None:
                self._everywhere.add((key.kind, index), key)
        if not there:
            del self._by_index[key.kind, key.namespace]


def _uid(raw: Raw) -> object:
    return metadata_of(raw).get("uid")


def _version(raw: Raw) -> str:
    return str(metadata_of(raw).get("resourceVersion") or "")


def _is_newer(raw: Raw, cached: Raw) -> bool:
    """Whether `raw` is a later picture than `cached`.

    Resource versions are numbers that grow in every implementation there is, but the API promises
    no more than that equal ones mean equal objects; where they are no numbers, the later arrival
    counts.
    """
    one, other = _version(raw), _version(cached)
    if one.isdecimal() and other.isdecimal():
        return int(one) > int(other)
    return not one or one != other


def _difference(kind: Kind, before: Raw, after: Raw) -> Difference:
    if _uid(before) != _uid(after):
        return Difference.APPEARED | Difference.VANISHED | Difference.READY
    old, new = Metadata.of(metadata_of(before)), Metadata.of(metadata_of(after))
    found = Difference.NOTHING
    if old.generation != new.generation:
        found |= Difference.SPEC
    if old.requests != new.requests:
        found |= Difference.REQUEST
    if moved(status_of(before), status_of(after)):
        found |= Difference.STATUS
        was, now = readiness(kind, before), readiness(kind, after)
        if was != now:
            found |= Difference.READY
            is_open = now[0] == "Unknown" and now[2] == new.generation != was[2]
            # Whoever stands on the object knows nothing of that spec before and after.
            if is_open and (was[1], was[3]) == (now[1], now[3]):
                found |= Difference.BEGUN
        if defaults.mark_of(status_of(before)) != defaults.mark_of(status_of(after)):
            found |= Difference.MARK
    return found


def readiness(kind: Kind, raw: Raw) -> tuple[object, ...]:
    """Return the status of the Ready condition, the verdict on a domain, the generation, what a
    claim on the domain stands on, and why a server is not Ready.

    The verdict counts too: a domain that is Degraded still lets its accounts send, one that has
    Failed does not, and neither is Ready. What is wrong with a server its accounts tell as well.
    """
    status = raw.get("status")
    if not isinstance(status, MAPPINGS):
        return None, None, None, (), None
    about = status.get("verification"), status.get("observedGeneration"), standing_of(status)
    for condition in conditions_of(raw):
        if condition.get("type") == "Ready":
            stands = condition.get("status")
            told = kind is Kind.MAIL_SERVER and stands == "False"
            return stands, *about, condition.get("message") if told else None
    return None, *about, None

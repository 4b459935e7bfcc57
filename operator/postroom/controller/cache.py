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
from postroom.api.resource import Kept, Metadata, annotations_read
from postroom.api.status import DEFAULT_STATUS
from postroom.concurrency.sets_of_few import SetsOfFew
from postroom.controller.shared_status import moved
from postroom.controller.text_pool import LONGEST, pooled, pooled_texts, shared
from postroom.reconcile import defaults
from postroom.reconcile import indexes as marks
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.claims import ClaimBook, claim_from, standing_of

#: An object as the API server holds it.
Raw = Mapping[str, Any]

_KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
)
_COMMON_METADATA = ("namespace", "creationTimestamp")

#: Under these names in what is kept of metadata: the field manager that wrote the spec, and by
#: annotation those that ask for something.
SPEC_BY, REQUESTED_BY = "specBy", "requestedBy"


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


class Cache:
    """Objects by key and by index. For one event loop."""

    def __init__(self, claims: ClaimBook | None = None) -> None:
        self.claims = claims or ClaimBook()
        self.addresses = AddressBook()
        #: Told of each object that appeared, was replaced, or is gone, when it is so.
        self.observers: list[Callable[[Key], None]] = []
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
            return NO_CHANGE
        if entry is None:
            slim = slimmed(raw)
            indexes = marks.standing(kind, slim)
            self._entries[key] = _Entry(slim, pooled_texts(indexes))
            self._reindex(key, frozenset(), indexes)
            self._claim(key, slim, indexes)
            return Change(Difference.APPEARED | Difference.READY, after=indexes)
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
        overwritten = suspect and moved(status_of(written), status_of(entry.raw))
        return Change(Difference.STATUS) if overwritten else NO_CHANGE

    def _replace(self, key: Key, entry: _Entry, slim: Raw) -> Change:
        before = after = frozenset(entry.indexes)
        difference = _difference(entry.raw, slim)
        entry.raw = slim
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


# -- reading raw objects --------------------------------------------------------------------------

#: Nearly all are dicts, for which the abstract class alone would be asked by a call of Python.
MAPPINGS = (dict, Mapping)


def metadata_of(raw: Raw) -> Mapping[str, Any]:
    """Return an object's metadata; empty where it has none."""
    metadata = raw.get("metadata")
    return metadata if isinstance(metadata, MAPPINGS) else {}


def status_of(raw: Raw) -> Mapping[str, Any]:
    """Return the status of a raw object, empty where it has none."""
    status = raw.get("status")
    return status if isinstance(status, MAPPINGS) else {}


def slimmed(
    raw: Raw, earlier: Raw = MappingProxyType({}), writing: Mapping[str, Any] | None = None
) -> Raw:
    """Return the part of an object that is kept: no labels, of annotations what is read of them,
    and of managedFields who wrote the spec and these. So nobody has more kept than schemas bound.

    Equal texts are kept once: decoded JSON holds every field name and enum value anew per object,
    which is half of its size. So is what is the same as in `earlier`, with what was understood of
    it.
    """
    metadata, was = metadata_of(raw), metadata_of(earlier)
    kept = {
        name: value if (value := was.get(name)) == metadata[name] else metadata[name]
        for name in _KEPT_METADATA
        if name in metadata
    }
    # Many have these in common; name, uid and version are nobody else's.
    kept.update((name, pooled(kept[name])) for name in _COMMON_METADATA if name in kept)
    if asked := annotations_read(metadata.get("annotations")):
        kept["annotations"] = asked
    kept.update(_managers(metadata, kept.get("annotations", {})))
    spec, status = raw.get("spec"), raw.get("status") or {}
    if not isinstance(known := earlier.get("spec"), Kept) or known != spec:
        spec = pooled(spec)
        known = Kept(spec) if isinstance(spec, dict) else spec
    statuses = (_PENDING, earlier.get("status"))
    same = next((each for each in statuses if each == status), None)
    if same is None:
        status = shared(writing) if writing == status else pooled(status)
        same = Kept(status) if isinstance(status, dict) else status
    return {"metadata": Kept(kept), "spec": known, "status": same}


#: What stands in every object that nobody has looked at yet: kept, and understood, once.
_PENDING = Kept(DEFAULT_STATUS)


def _managers(
    metadata: Mapping[str, Any], annotations: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Who wrote the spec and the annotations, as far as managedFields tell: the last of several."""
    spec, asked = "", dict[str, str]()
    found = metadata.get("managedFields")
    entries = (
        [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []
    )
    for entry in sorted(entries, key=lambda entry: str(entry.get("time") or "")):
        fields = entry.get("fieldsV1")
        manager = pooled(str(entry.get("manager") or "")[:LONGEST])
        if not isinstance(fields, Mapping) or entry.get("subresource") or not manager:
            continue
        if "f:spec" in fields:
            spec = manager
        written = fields.get("f:metadata")
        written = written.get("f:annotations") if isinstance(written, Mapping) else None
        if isinstance(written, Mapping):
            asked.update((name, manager) for name in annotations if f"f:{name}" in written)
    if spec:
        yield SPEC_BY, spec
    if asked:
        yield REQUESTED_BY, asked


def _uid(raw: Raw) -> object:
    return metadata_of(raw).get("uid")


def _is_newer(raw: Raw, cached: Raw) -> bool:
    """Whether `raw` is a later picture than `cached`.

    Resource versions are numbers that grow in every implementation there is, but the API promises
    no more than that equal ones mean equal objects; where they are no numbers, the later arrival
    counts.
    """
    one = str(metadata_of(raw).get("resourceVersion") or "")
    other = str(metadata_of(cached).get("resourceVersion") or "")
    if one.isdecimal() and other.isdecimal():
        return int(one) > int(other)
    return not one or one != other


def _difference(before: Raw, after: Raw) -> Difference:
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
        was, now = readiness(before), readiness(after)
        if was != now:
            found |= Difference.READY
            is_open = now[0] == "Unknown" and now[2] == new.generation != was[2]
            # Whoever stands on the object knows nothing of that spec before and after.
            if is_open and (was[1], was[3]) == (now[1], now[3]):
                found |= Difference.BEGUN
        if defaults.mark_of(status_of(before)) != defaults.mark_of(status_of(after)):
            found |= Difference.MARK
    return found


def readiness(raw: Raw) -> tuple[object, ...]:
    """Return the status of the Ready condition, the verdict on a domain, the generation, and what
    a claim on the domain stands on.

    The verdict counts too: a domain that is Degraded still lets its accounts send, one that has
    Failed does not, and neither is Ready.
    """
    status = raw.get("status")
    if not isinstance(status, Mapping):
        return None, None, None, ()
    about = status.get("verification"), status.get("observedGeneration"), standing_of(status)
    for condition in conditions_of(raw):
        if condition.get("type") == "Ready":
            return condition.get("status"), *about
    return None, *about


def conditions_of(raw: Raw) -> list[Mapping[str, Any]]:
    """Return the stored conditions that have the shape of conditions."""
    found = status_of(raw).get("conditions")
    entries = found if isinstance(found, list) else []
    return [condition for condition in entries if isinstance(condition, Mapping)]

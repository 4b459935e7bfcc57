# SPDX-License-Identifier: Apache-2.0
"""Objects that the operator writes for a resource of ours: how they tell whose they are, and how
what is wanted of them comes true.

A child is controlled by its resource, so that the API server collects it with that. Nothing else is
ever touched: whoever stands under the name of a child and is not controlled so is foreign.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from postroom.api.names import API_VERSION, GROUP, Key, Kind
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.raw_objects import Raw, metadata_of
from postroom.log import about
from postroom.reconcile.status.wanted import Child, ChildState, Wanted

logger = logging.getLogger(__name__)

MANAGED_BY = ("app.kubernetes.io/managed-by", "postroom")
#: Seconds for which one child may hold up its resource.
_PATIENCE = 15.0


class Owner(NamedTuple):
    """The resource that a child is for."""

    kind: str
    name: str
    uid: str


#: Whether the owner of a child in a namespace is still there.
IsThere = Callable[[str, Owner], bool]


def metadata_for(
    owner: Owner, namespace: str, name: str, labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the metadata of a child: collected with its owner, and labelled as ours."""
    return {
        "name": name,
        "namespace": namespace,
        "labels": {**dict([MANAGED_BY]), **(labels or {})},
        "ownerReferences": [reference_to_owner(owner)],
    }


def reference_to_owner(owner: Owner) -> dict[str, Any]:
    """Return the reference that makes an owner the controller of its child.

    Without blockOwnerDeletion, which would take the right to set finalizers on the owner.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
    }


def controller_of(raw: Mapping[str, Any]) -> Owner | None:
    """Return the resource of ours that controls an object; None: none does."""
    references = metadata_of(raw).get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        if (
            isinstance(reference, Mapping)
            and reference.get("controller") is True
            and str(reference.get("apiVersion")).partition("/")[0] == GROUP
        ):
            parts = (str(reference.get(part) or "") for part in ("kind", "name", "uid"))
            return Owner(*parts)
    return None


def is_controlled_by(raw: Mapping[str, Any], owner: Owner) -> bool:
    """Whether an object belongs to this very resource; a later one of its name is another."""
    found = controller_of(raw)
    return found is not None and (found.kind, found.uid) == (owner.kind, owner.uid)


def is_held(raw: Mapping[str, Any]) -> bool:
    """Whether an object stays when it is deleted, until somebody takes its finalizers off."""
    return bool(metadata_of(raw).get("finalizers"))


def is_ending(raw: Mapping[str, Any]) -> bool:
    """Whether an object is deleted already, and only held: nothing written to it lasts."""
    return metadata_of(raw).get("deletionTimestamp") is not None


def state_after(error: ApiError) -> ChildState:
    """Class what an API server answers to a write of a child."""
    if error.status == 403 and not error.of_ending_namespace:
        return ChildState.FORBIDDEN
    # A conflict that outlasts the attempts: somebody else writes the same at the same time.
    passing = error.transient or error.status in (404, 409) or error.of_ending_namespace
    return ChildState.UNAVAILABLE if passing else ChildState.REFUSED


def refuse_orphan(namespace: str, raw: Raw, is_there: IsThere) -> None:
    """Raise `ApiError` for a child whose owner is no more; asked when nothing is left to do but to
    create it.

    It would be collected, but seconds later, and what it hands out is not for whoever has a
    namespace of this name by then.
    """
    owner = controller_of(raw)
    if owner is not None and not is_there(namespace, owner):
        raise ApiError(f"{raw.get('kind')} {namespace}", 0, f"{owner.kind} {owner.name} is gone")


def known_to(cache: Cache) -> IsThere:
    """Whether a cache has a resource, and not a later one of its name."""

    def is_there(namespace: str, owner: Owner) -> bool:
        raw = cache.get(Key(Kind(owner.kind), namespace, owner.name))
        return raw is not None and metadata_of(raw).get("uid") == owner.uid

    return is_there


def why(error: ApiError) -> str:
    """Why a child was not written, without a word of the API server's: it may repeat what was sent.

    Where it said nothing, the words are ours.
    """
    return f"the API server answers {error.status}" if error.status else error.message


class ChildWriter(Protocol):
    """Makes children of one kind come true."""

    async def apply(self, namespace: str, owner: Owner, wanted: Wanted) -> ChildState:
        """Create, change or remove a child; raises `ApiError`."""
        ...


class Children:
    """Makes what resources want of their children come true, each kind by its own writer."""

    def __init__(self, writers: Mapping[str, ChildWriter]) -> None:
        self._writers = writers

    async def apply(self, key: Key, uid: str, wanted: Iterable[Wanted]) -> dict[Child, ChildState]:
        """Return what became of each; one that fails keeps none of the others from coming true."""
        owner = Owner(key.kind.value, key.name, uid)
        return {each.child: await self._applied(key, owner, each) for each in wanted}

    async def _applied(self, key: Key, owner: Owner, wanted: Wanted) -> ChildState:
        writer = self._writers.get(wanted.child.kind)
        if writer is None:
            return ChildState.NOT_ALLOWED
        try:
            async with asyncio.timeout(_PATIENCE):
                return await writer.apply(key.namespace, owner, wanted)
        except TimeoutError:
            return ChildState.UNAVAILABLE
        except ApiError as error:
            kind, name = wanted.child
            logger.warning("%s %s is not written: %s", kind, name, why(error), extra=about(key))
            return state_after(error)

# SPDX-License-Identifier: Apache-2.0
"""Which messages are postroom's own, by what the operator announces in status before it sends one.

This process has not the key that proves such messages. Their token is a random number that stands
in the status of the account that sends one while it is under way, and nobody writes it into a
message of theirs who has not read that status or the message. Who reads the statuses of one
namespace shall have nothing passed over in another: only a namespace's own accounts announce there.
What merely claims to be ours is handed over, and told of as such.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from postroom.api.names import Key, Kind
from postroom.concurrency.bounded import BoundedMap
from postroom.controller.cache import Cache
from postroom.controller.raw_objects import Raw, metadata_of, status_of
from postroom.mail.round_trip.header import Header
from postroom.mail.round_trip.recognise import claimed

#: How many messages are remembered that are no longer under way.
_REMEMBERED = 4096


class Announced:
    """Messages of ours that are, or lately were, under way: the namespace and the UID of the
    account that sends one, and its token."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._seen: BoundedMap[tuple[str, str, str], None] = BoundedMap(
            _REMEMBERED, party_of=itemgetter(0)
        )
        #: The accounts by their UIDs: whoever writes to us can have us look for any of them.
        self._accounts: dict[str, Key] = {}
        self._uids: dict[Key, str] = {}
        for key, _ in cache.objects():
            self._changed(key)
        cache.observers.append(self._changed)

    def _changed(self, key: Key) -> None:
        self._accounts.pop(self._uids.pop(key, ""), None)
        raw = self._cache.get(key)
        if raw is not None and key.kind is Kind.EMAIL_ACCOUNT:
            uid = self._uids[key] = str(metadata_of(raw).get("uid"))
            self._accounts[uid] = key

    def note(self, raw: Raw) -> None:
        """Remember what is under way by an object's status."""
        metadata, status = metadata_of(raw), status_of(raw)
        sender = str(metadata.get("namespace")), str(metadata.get("uid"))
        for name in ("lastTest", "roundTrip", "forwarding"):
            state = _mapping(status.get(name))
            for part in ("inFlight", "overdue"):
                token = _mapping(state.get(part)).get("token")
                if isinstance(token, str):
                    self._seen.put((*sender, token), None)

    def is_ours(self, namespace: str, header: Header) -> bool:
        """Whether a message with this header, in a mailbox of a namespace, was announced there."""
        message = claimed(header)
        if message is None:
            return False
        announced = (namespace, *message)
        if announced not in self._seen and (key := self._accounts.get(message[0])) is not None:
            self.note(self._cache.get(key) or {})
        return announced in self._seen


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

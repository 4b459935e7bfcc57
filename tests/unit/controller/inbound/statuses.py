# SPDX-License-Identifier: Apache-2.0
"""An account whose mail is handed over, and an API server that takes statuses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from postroom.api.names import Key
from postroom.controller.client import ApiError
from postroom.controller.intake import Intake
from postroom.controller.raw_objects import status_of
from postroom.controller.shared_status import without_delivery
from postroom.delivery import status
from unit.controller.samples import ACCOUNT, stored

SPEC: dict[str, Any] = {
    "address": "support@example.com",
    "credentialsRef": {"name": "mailbox"},
    "imap": {"host": "imap.example.com"},
    "inbound": {
        "deliver": {
            "service": {"name": "tickets", "port": 8080},
            "signingKeyRef": {"name": "tickets-hook"},
        }
    },
}
CURSOR = {
    "mailbox": "INBOX",
    "uidValidity": 7,
    "uid": 5,
    "arrivedAt": "2026-11-29T11:00:00Z",
}
DELIVERING: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "InboundDelivering",
            "status": "True",
            "reason": "Delivering",
            "message": "Incoming mail is handed to Service tickets.",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-29T10:00:00Z",
        }
    ],
    "inbound": {"cursors": [CURSOR], "waiting": 0, "worker": "postroom-system/postroom-deliver"},
}


def account(of: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The account with this status."""
    return copy.deepcopy(stored(ACCOUNT, spec=SPEC, status=dict(of), **changed))


def condition_of(intake: Intake) -> dict[str, Any] | None:
    """What the cache has of the account's condition."""
    raw = intake.cache.get(ACCOUNT)
    found = status.condition_in(status_of(raw)) if raw is not None else None
    return dict(found) if found is not None else None


class StatusServer:
    """Puts statuses in the place of those that stand, and refuses what names another version.

    Each write of delivery's leaves all that is the operator's as it stands: that is looked at here,
    whatever a test is about.
    """

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.objects: dict[Key, dict[str, Any]] = {}
        self.version = 1
        #: The versions that statuses were put onto.
        self.put_onto: list[str] = []
        #: What the next requests are answered with instead, by their HTTP status.
        self.faults: list[int] = []

    def put(self, raw: dict[str, Any], key: Key = ACCOUNT, *, seen: bool = True) -> None:
        """Have an object be there; not `seen`: the watch is late."""
        self.objects[key] = raw
        if seen:
            self.intake.seen(key.kind, raw)

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.objects.get(key)

    def change(self, key: Key = ACCOUNT, *, seen: bool = True, **parts: Any) -> None:
        """Have somebody else change an object."""
        self.version += 1
        raw = {**self.objects[key], **parts}
        raw["metadata"] = {**raw["metadata"], "resourceVersion": str(self.version)}
        self.put(raw, key, seen=seen)

    async def replace_status_as(
        self, manager: str, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        assert manager == "postroom-deliver"
        if self.faults:
            raise ApiError("PUT", self.faults.pop(0), "fault")
        raw = self.objects.get(key)
        if raw is None:
            raise ApiError("PUT", 404, "not found")
        if version != raw["metadata"]["resourceVersion"]:
            raise ApiError("PUT", 409, "conflict")
        operators = (
            {"conditions": [], **without_delivery(each)} for each in (status, status_of(raw))
        )
        assert next(operators) == next(operators)
        self.put_onto.append(version)
        self.version += 1
        metadata = {**raw["metadata"], "resourceVersion": str(self.version)}
        self.objects[key] = {**raw, "metadata": metadata, "status": copy.deepcopy(dict(status))}
        return self.objects[key]

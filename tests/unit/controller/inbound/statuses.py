# SPDX-License-Identifier: Apache-2.0
"""An account whose mail is handed over, and an API server that applies statuses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from postroom.api.inbound_delivery import PROGRESS_FIELDS
from postroom.api.names import Key
from postroom.controller.client import ApiError
from postroom.controller.intake import Intake
from postroom.controller.raw_objects import status_of
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
    """Applies statuses as one field manager's, which owns all of delivery's part."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.objects: dict[Key, dict[str, Any]] = {}
        self.version = 1
        self.applied: list[Mapping[str, Any]] = []
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

    async def apply_status(
        self, key: Key, body: Mapping[str, Any], manager: str
    ) -> Mapping[str, Any]:
        """Carry out a server-side apply."""
        assert manager == "postroom-deliver"
        if self.faults:
            raise ApiError("PATCH", self.faults.pop(0), "fault")
        raw, asked = self.objects.get(key), body["metadata"]
        if raw is None:
            raise ApiError("PATCH", 404, "not found")
        if asked.get("resourceVersion") != raw["metadata"]["resourceVersion"]:
            raise ApiError("PATCH", 409, "conflict")
        self.applied.append(body)
        self.version += 1
        before, part = dict(status_of(raw)), body["status"]
        others = [
            each for each in before.get("conditions", []) if each["type"] != "InboundDelivering"
        ]
        inbound = {
            name: value
            for name, value in before.get("inbound", {}).items()
            if name not in PROGRESS_FIELDS
        }
        after = {
            **before,
            "conditions": [*others, *part.get("conditions", [])],
            "inbound": {**inbound, **part.get("inbound", {})},
        }
        metadata = {**raw["metadata"], "resourceVersion": str(self.version)}
        self.objects[key] = {**raw, "metadata": metadata, "status": after}
        return self.objects[key]

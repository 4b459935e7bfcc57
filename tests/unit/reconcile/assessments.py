# SPDX-License-Identifier: Apache-2.0
"""Builders for the tests of summarize: resources at a point in their life, and assessments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, Kept, parse
from postroom.api.status import CommonStatus
from postroom.reconcile.status.assessment import Assessment, failed, passed, unknown

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SPEC = {"domain": "send.example.com"}

GOOD = passed(ConditionType.OWNERSHIP_VERIFIED, Reason.RECORD_MATCHED, "There.")
BAD = failed(ConditionType.OWNERSHIP_VERIFIED, Reason.RECORD_NOT_FOUND, "Not there.")
BLIND = unknown(ConditionType.OWNERSHIP_VERIFIED, Reason.LOOKUP_FAILED, "No answer.")


class Stored(Kept):
    """A spec or a status as the API server holds it: what it means is read once, and anew when a
    field of it was set or deleted. What is inside of a field is not changed, but replaced."""

    __slots__ = ("_changes",)
    # Other ways to change it are none.
    pop = popitem = setdefault = clear = None  # type: ignore[assignment]

    def __init__(self, held: Mapping[str, Any]) -> None:
        super().__init__(held)
        self._changes = 0

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._changes += 1

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._changes += 1

    def update(self, *more: Any, **fields: Any) -> None:
        super().update(*more, **fields)
        self._changes += 1

    def __ior__(self, more: Any) -> Self:  # type: ignore[override,misc]
        self.update(more)
        return self

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((id(self), self._changes))


def resource(status: CommonStatus | None = None, generation: int = 1, **spec: Any) -> AnyResource:
    """A SendingDomain with this stored status."""
    stored = status.model_dump(mode="json", by_alias=True) if status else None
    return parse(
        Kind.SENDING_DOMAIN,
        {
            "metadata": {"name": "d", "namespace": "n", "uid": "u", "generation": generation},
            "spec": {**SPEC, **spec},
            "status": stored,
        },
    )


def assessment(*verdicts: Verdict, **changes: Any) -> Assessment:
    """An assessment of a domain with an hour's interval and a deadline of three days."""
    values: dict[str, Any] = {
        "ready_message": "All well.",
        "confirm_after": timedelta(minutes=5),
        "interval": timedelta(hours=1),
        "deadline": timedelta(hours=72),
        "fields": {},
        **changes,
    }
    return Assessment(verdicts=verdicts, **values)


def as_object(one: AnyResource, status: CommonStatus, *, suspend: bool = False) -> dict[str, Any]:
    """The object as the API server would return it with this status."""
    return {
        "metadata": {"generation": one.metadata.generation},
        "spec": {"suspend": suspend},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }

# SPDX-License-Identifier: Apache-2.0
"""Builders for the tests of summarize: resources at a point in their life, and assessments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, parse
from postroom.api.status import CommonStatus
from postroom.reconcile.status.assessment import Assessment, failed, passed, unknown

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SPEC = {"domain": "send.example.com"}

GOOD = passed(ConditionType.OWNERSHIP_VERIFIED, Reason.RECORD_MATCHED, "There.")
BAD = failed(ConditionType.OWNERSHIP_VERIFIED, Reason.RECORD_NOT_FOUND, "Not there.")
BLIND = unknown(ConditionType.OWNERSHIP_VERIFIED, Reason.LOOKUP_FAILED, "No answer.")


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

# SPDX-License-Identifier: Apache-2.0
"""Conditions, after metav1.Condition of Kubernetes: observations, never a state machine."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from postroom.api.fields import Model
from postroom.api.reasons import Reason
from postroom.api.times import no_later, parse_timestamp

#: Longest condition message that postroom writes, in characters (metav1 would allow 32768).
MESSAGE_LIMIT = 512


# A status has a few times in many places, and so have those that are made in the same second.
@functools.lru_cache(maxsize=64)
def _time(text: str) -> str:
    if not 1970 <= parse_timestamp(text).year < 9999:
        raise ValueError("leaves no room for durations before or after it")
    return text


#: A point in time, RFC 3339 in UTC to the second, as metav1.Time writes it.
Timestamp = Annotated[
    str,
    StringConstraints(
        max_length=20, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
    ),
    AfterValidator(_time),
    Field(json_schema_extra={"format": "date-time"}),
]


def _known(reason: str) -> str:
    return Reason(reason).value


class ConditionType(StrEnum):
    """Every condition type, in the order in which status lists them."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SUSPENDED = "Suspended"
    OWNERSHIP_VERIFIED = "OwnershipVerified"
    DKIM_VERIFIED = "DKIMVerified"
    SPF_VERIFIED = "SPFVerified"
    DMARC_VERIFIED = "DMARCVerified"
    MX_VERIFIED = "MXVerified"
    RETURN_PATH_VERIFIED = "ReturnPathVerified"
    TRACKING_VERIFIED = "TrackingVerified"
    MTA_STS_VERIFIED = "MTASTSVerified"
    TLS_RPT_VERIFIED = "TLSRPTVerified"
    BIMI_VERIFIED = "BIMIVerified"
    DANE_VERIFIED = "DANEVerified"
    REVERSE_DNS_VERIFIED = "ReverseDNSVerified"
    RECORDS_PUBLISHED = "RecordsPublished"
    REFERENCES_RESOLVED = "ReferencesResolved"
    DEPENDENCIES_READY = "DependenciesReady"
    TARGET_ALLOWED = "TargetAllowed"
    SMTP_AVAILABLE = "SMTPAvailable"
    IMAP_AVAILABLE = "IMAPAvailable"
    TLS_VERIFIED = "TLSVerified"
    SMTP_AUTHENTICATED = "SMTPAuthenticated"
    IMAP_AUTHENTICATED = "IMAPAuthenticated"
    IDENTITIES_VERIFIED = "IdentitiesVerified"
    ROUND_TRIP_HEALTHY = "RoundTripHealthy"
    FORWARDING_VERIFIED = "ForwardingVerified"
    BINDING_READY = "BindingReady"
    INBOUND_DELIVERING = "InboundDelivering"
    DEFAULT = "Default"


#: Present only while True, because their True is the abnormal state (kstatus).
ABNORMAL_TRUE = frozenset(
    {ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.SUSPENDED}
)


class ConditionStatus(StrEnum):
    """Unknown means that postroom could not look; it is never a verdict."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One observation. `last_transition_time` moves only when `status` flips."""

    type: ConditionType = Field(description="What this condition is about.")
    status: ConditionStatus = Field(description="True, False or Unknown (could not look).")
    observed_generation: int = Field(
        ge=0, description="The metadata.generation that this observation was made for."
    )
    last_transition_time: Timestamp = Field(description="When status last flipped.")
    reason: Annotated[
        str,
        StringConstraints(
            min_length=1, max_length=64, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
        ),
        # Another version may have written others.
        AfterValidator(_known),
    ] = Field(description="Stable CamelCase cause, see the reason catalogue.")
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = Field(
        description="One sentence for people: what was found and what to do."
    )


class Verdict(Model):
    """A condition before it has a place in time: what a reconciler's step found.

    `field` is the one of the spec that it is about, such as ``spec.credentialsRef``; "" where it is
    about none in particular. `fix` is the one thing to change, a sentence; "" where the reason's
    remedy names it as well.
    """

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str
    field: str = ""
    fix: str = ""

    @property
    def passed(self) -> bool:
        return self.status is ConditionStatus.TRUE

    @property
    def failed(self) -> bool:
        return self.status is ConditionStatus.FALSE

    @classmethod
    def of(cls, condition: Condition) -> Verdict:
        """The verdict that a stored condition was made from."""
        return cls(
            type=condition.type,
            status=condition.status,
            reason=Reason(condition.reason),
            message=condition.message,
        )


_ORDER = {type_: place for place, type_ in enumerate(ConditionType)}


def find(conditions: Iterable[Condition], wanted: ConditionType) -> Condition | None:
    """Return the condition of this type, if present."""
    for condition in conditions:
        if condition.type is wanted:
            return condition
    return None


def is_true(conditions: Iterable[Condition], wanted: ConditionType) -> bool:
    """Whether the condition of this type is present and True."""
    found = find(conditions, wanted)
    return found is not None and found.status is ConditionStatus.TRUE


def place(
    verdicts: Iterable[Verdict], previous: Sequence[Condition], generation: int, now: str
) -> tuple[Condition, ...]:
    """Turn verdicts into conditions, keeping `last_transition_time` where the status stands.

    One that lies ahead of us was told by a clock that has been set since: it counts as now.
    The result follows the order of `ConditionType`, so that equal findings give equal lists.
    """
    placed = []
    for verdict in sorted(verdicts, key=lambda verdict: _ORDER[verdict.type]):
        before = find(previous, verdict.type)
        unmoved = before is not None and before.status is verdict.status
        since = before.last_transition_time if before and unmoved else now
        placed.append(_condition(verdict, generation, no_later(since, now)))
    return tuple(placed)


#: Most are the same for all objects of a kind that are judged in the same second.
@functools.lru_cache(maxsize=64)
def _condition(verdict: Verdict, generation: int, since: str) -> Condition:
    return Condition(
        type=verdict.type,
        status=verdict.status,
        observed_generation=generation,
        last_transition_time=since,
        reason=verdict.reason.value,
        message=shorten(verdict.message),
    )


def shorten(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """Cut a message to `limit` characters, marking the cut."""
    return message if len(message) <= limit else message[: limit - 1] + "…"

# SPDX-License-Identifier: Apache-2.0
"""The part of status that all kinds share."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from postroom.api.conditions import Condition, Timestamp
from postroom.api.fields import Model, no_entries
from postroom.api.findings import FINDINGS_LIMIT, Finding

#: What the API server fills in before the operator has seen an object, so that kstatus and
#: ``kubectl wait`` do not take an untouched object for a finished one.
DEFAULT_STATUS = {
    "observedGeneration": -1,
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "observedGeneration": 0,
            "reason": "Pending",
            "message": "Waiting for controller",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ],
}


#: Most users of an object that its status lists.
USERS_LIMIT = 20

#: The list that is told though it is empty, once there is a verdict.
ALWAYS_TOLD = "findings"


class Use(StrEnum):
    """What somebody uses an object for."""

    #: An account sends through the MailServer.
    SERVER = "Server"
    #: The SendingDomain is for the domain of an account's address.
    DOMAIN = "Domain"
    #: The mailbox receives another account's round trip: spec.roundTrip.receiverRef.
    RECEIVER = "Receiver"
    #: Another account's mail is sent on to the mailbox: spec.forwarding.receiverRef.
    FORWARDING = "Forwarding"
    #: The address, or the domain of it, stands in for another account's: spec.fallbackSender.
    FALLBACK_SENDER = "FallbackSender"
    #: An application sends as the account: spec.consumer.
    CONSUMER = "Consumer"


class User(Model):
    """Somebody who uses an object."""

    kind: Annotated[str, StringConstraints(max_length=63)] = Field(
        description="EmailAccount, or Application."
    )
    name: Annotated[str, StringConstraints(max_length=253)] = Field(description="Its name.")
    use: Use = Field(
        description="What it uses the object for: Server, Domain, Receiver, Forwarding, "
        "FallbackSender or Consumer."
    )


class CommonStatus(Model):
    """Generation, conditions and times."""

    observed_generation: int = Field(
        default=-1, ge=-1, description="The metadata.generation that this status describes."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=20)] = Field(
        default=(),
        description="Observations; Ready is the summary.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    used_by: Annotated[list[User], Field(max_length=USERS_LIMIT)] = Field(
        default_factory=no_entries,
        description=f"Who of its namespace uses the object, sorted: the first {USERS_LIMIT}.",
    )
    used_by_count: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="How many use the object, those of other namespaces among them, which are not "
        "named.",
    )
    last_handled_reconcile_at: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        default=None, description="The token of the last request to check now that was carried out."
    )
    last_check_time: Timestamp | None = Field(
        default=None,
        description="A recent check; refreshed with other changes, else at most every 15 minutes.",
    )
    last_ready_time: Timestamp | None = Field(
        default=None,
        description="When a check last found the object Ready; as exact as lastCheckTime.",
    )
    last_ready_generation: int | None = Field(
        default=None, ge=0, description="The latest generation that has been Ready."
    )

    def as_stored(self) -> dict[str, Any]:
        """Return the status as the API server stores it.

        An empty list reads the same where it is absent, and is not free: each field of a status is
        decoded, checked and kept among those that somebody owns with every write of any of them.
        Findings stay: that there are none is what is asked for, and ``.status.findings[]`` of jq
        fails where there is no list.
        """
        told = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {name: value for name, value in told.items() if value != [] or name == ALWAYS_TOLD}


class CredentialUse(StrEnum):
    """As what a key of a Secret signs in."""

    PASSWORD = "Password"  # noqa: S105
    REFRESH_TOKEN = "RefreshToken"  # noqa: S105


class CredentialAge(Model):
    """Since when a password or refresh token is the same."""

    use: CredentialUse = Field(description="Password or RefreshToken.")
    secret: Annotated[str, StringConstraints(max_length=253)] = Field(
        description="The Secret that holds it."
    )
    changed_at: Timestamp = Field(
        description="When its key was written last, as far as the Secret's managed fields tell; a "
        "password may be older."
    )
    ends_at: Timestamp | None = Field(
        default=None,
        description="When a refresh token ends that is not replaced; absent where the provider "
        "names no such time.",
    )


class MarkedStatus(CommonStatus):
    """What kinds add that sign in, and of which one object may be the default of its namespace."""

    is_default: bool | None = Field(
        default=None, description="Whether it is the default of its namespace."
    )
    default_since: Timestamp | None = Field(
        default=None,
        description="Since when spec.default marks it; of several the newest is the default.",
    )
    credentials: Annotated[list[CredentialAge], Field(max_length=4)] = Field(
        default_factory=no_entries,
        description="How old passwords and refresh tokens of its own are, sorted; without those of "
        "which nobody tells.",
    )
    findings: Annotated[list[Finding], Field(max_length=FINDINGS_LIMIT)] = Field(
        default_factory=no_entries,
        description="Causes and warnings, worst first.",
    )


class ResolvedReference(Model):
    """An object that a reference, or a default, led to."""

    kind: Annotated[str, StringConstraints(max_length=63)] = Field(description="Its kind.")
    name: Annotated[str, StringConstraints(max_length=253)] = Field(description="Its name.")
    namespace: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="Its namespace, where that is another one."
    )
    resource_version: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None,
        description="For a Secret or ConfigMap: the version whose content was used.",
    )

    @property
    def place(self) -> tuple[str, str | None, str]:
        """What it is, whatever its version."""
        return self.kind, self.namespace, self.name

# SPDX-License-Identifier: Apache-2.0
"""What is to be done before applications use an account, and how much of it is done."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.account_messages import MessageBasis
from postroom.api.conditions import MESSAGE_LIMIT, Timestamp
from postroom.api.fields import Model, no_entries


class LaunchItem(StrEnum):
    """The items of the checklist, in their order."""

    SEND_PROVEN = "SendProven"
    RECEIVE_PROVEN = "ReceiveProven"
    SENDER_NAME = "SenderName"
    REPLY_ADDRESS = "ReplyAddress"
    OWNER_AND_RECOVERY_CONTACT = "OwnerAndRecoveryContact"
    SMALL_BACKFILL = "SmallBackfill"
    DOMAIN_VERIFIED = "DomainVerified"
    TEST_SINCE_LAST_CHANGE = "TestSinceLastChange"


class LaunchState(StrEnum):
    """How far an item is."""

    DONE = "Done"
    #: Something is to be done; the message says what.
    OPEN = "Open"
    #: It does not concern this account.
    NOT_NEEDED = "NotNeeded"
    #: It could not be found out.
    UNKNOWN = "Unknown"


class LaunchEntry(Model):
    """One item of the checklist."""

    item: LaunchItem = Field(
        description="SendProven, ReceiveProven, SenderName, ReplyAddress, "
        "OwnerAndRecoveryContact, SmallBackfill, DomainVerified or TestSinceLastChange."
    )
    state: LaunchState = Field(description="Done, Open, NotNeeded or Unknown.")
    since: Timestamp | None = Field(
        default=None,
        description="Since when it is so; moves only when state changes. Not told of what is "
        "NotNeeded.",
    )
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = Field(
        description="What was found, and what to do where it is Open."
    )


class Launch(Model):
    """The checklist; it does not gate Ready."""

    summary: Annotated[str, StringConstraints(max_length=7, pattern=r"^[0-9]+/[0-9]+$")] = Field(
        description="How many items are Done or NotNeeded, of how many."
    )
    items: Annotated[
        list[LaunchEntry],
        Field(max_length=16),
    ] = Field(
        default_factory=no_entries,
        description="The items, always all of them and in the same order.",
    )
    basis: MessageBasis | None = Field(
        default=None,
        description="What the last message that went out was sent with: TestSinceLastChange is "
        "Done while that is what another one would be sent with.",
    )

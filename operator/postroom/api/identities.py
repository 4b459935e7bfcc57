# SPDX-License-Identifier: Apache-2.0
"""The addresses that an account may send as, and what was found out about each."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from postroom.api.conditions import MESSAGE_LIMIT, Timestamp
from postroom.api.fields import DisplayName, InternationalAddress, Model, Switch, Text, rule

#: Most identities that a spec declares, and that a status lists: declared ones go first.
DECLARED_LIMIT, IDENTITIES_LIMIT = 32, 64
#: Longest display name, in characters.
DISPLAY_NAME_LIMIT = 128


class IdentityType(StrEnum):
    """What an address is to the mailbox."""

    PRIMARY = "Primary"
    #: A further address of the same mailbox.
    ALIAS = "Alias"
    #: The address of a mailbox that several people work with.
    SHARED = "Shared"
    #: The address of someone or something else, with the right to send as it.
    SEND_AS = "SendAs"


class VerificationMethod(StrEnum):
    """How identities are looked into."""

    PROVIDER = "Provider"
    ENVELOPE = "Envelope"
    NONE = "None"


class IdentityState(StrEnum):
    """What is known of an identity."""

    VERIFIED = "Verified"
    REJECTED = "Rejected"
    #: Somebody still has to confirm it.
    PENDING = "Pending"
    #: Nobody says.
    UNVERIFIABLE = "Unverifiable"
    #: Nobody is to send as it, whatever the provider allows.
    DISABLED = "Disabled"


class IdentityMethod(StrEnum):
    """What a state was found by."""

    #: The account signed in as this address.
    SIGN_IN = "SignIn"
    #: The provider's API lists it.
    PROVIDER = "Provider"
    #: MAIL and RCPT; nothing was sent.
    ENVELOPE = "Envelope"
    #: A message that arrived.
    ROUND_TRIP = "RoundTrip"


#: Nothing but a name to postroom: consumers choose signature, tone or template by it.
ProfileName = Annotated[
    str,
    Text(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "must be a name such as billing: lowercase letters, digits, '-' and '.'",
        longest=63,
    ),
]


class Identity(Model):
    """An address that the account is to send as."""

    address: InternationalAddress = Field(description="The address to send as.")
    type: IdentityType = Field(
        default=IdentityType.SEND_AS,
        description="Primary (the account's own address), Alias (another address of the mailbox), "
        "Shared (a shared mailbox) or SendAs (any other, with the right to send as it).",
    )
    display_name: DisplayName | None = Field(
        default=None, description="Name that stands before the address."
    )
    sender_profile: ProfileName | None = Field(
        default=None, description="Name by which applications choose signature and tone."
    )
    enabled: Switch = Field(
        default=True,
        description="False: nobody is to send as this address, whatever the provider allows.",
    )


def _unique(identities: list[Identity]) -> list[Identity]:
    """The API server refuses doubles by the type of the list. Domains are lowercase already."""
    addresses = [identity.address for identity in identities]
    double = next((address for address in addresses if addresses.count(address) > 1), None)
    if double is not None:
        raise ValueError(f"{double} is listed twice: remove one of the two")
    return identities


#: ``spec.identities``.
Identities = Annotated[
    list[Identity],
    Field(
        max_length=DECLARED_LIMIT,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["address"],
        },
    ),
    AfterValidator(_unique),
]

_PRIMARY = "must have type Primary only for the account's own address"
_ENABLED = (
    "may not have enabled false for the account's own address: set connection to Disconnected to "
    "stop that one"
)
#: Belong to the spec of the account, which holds its own address and the others.
OWN_RULES = (
    rule(
        "!has(self.identities) || self.identities.all(identity, !has(identity.type) || "
        "identity.type != 'Primary' || identity.address == self.address)",
        _PRIMARY,
        field_path=".identities",
    ),
    rule(
        "!has(self.identities) || self.identities.all(identity, !has(identity.enabled) || "
        "identity.enabled || identity.address != self.address)",
        _ENABLED,
        field_path=".identities",
    ),
)


def own_fault(identities: list[Identity], own: str) -> str | None:
    """Which of `OWN_RULES` is broken, in Python; `own` is the account's address."""
    for identity in identities:
        if identity.type is IdentityType.PRIMARY and identity.address != own:
            return _PRIMARY
        if identity.address == own and not identity.enabled:
            return _ENABLED
    return None


class IdentityVerification(Model):
    """How it is found out whether the account may send as its identities."""

    method: VerificationMethod = Field(
        default=VerificationMethod.PROVIDER,
        description="Provider (ask Google or Microsoft, where spec.oauth allows), Envelope (MAIL "
        "and RCPT over SMTP once a day; nothing is sent) or None.",
    )


class IdentityStatus(Model):
    """What is known of one address."""

    address: Annotated[str, StringConstraints(max_length=254)] = Field(description="The address.")
    type: IdentityType = Field(description="What it is to the mailbox.")
    display_name: Annotated[str, StringConstraints(max_length=DISPLAY_NAME_LIMIT)] | None = Field(
        default=None, description="The spec's display name, else the provider's."
    )
    sender_profile: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None,
        description="That of spec.identities, else of the first of spec.senderProfiles that fits.",
    )
    declared: bool = Field(description="Whether the spec names it; others were discovered.")
    state: IdentityState = Field(
        description="Verified, Rejected, Pending, Unverifiable or Disabled."
    )
    method: IdentityMethod | None = Field(
        default=None, description="What the state was found by: SignIn, Provider, Envelope, ..."
    )
    verified_at: Timestamp | None = Field(
        default=None, description="Since when it is Verified by this method."
    )
    reason: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="Stable CamelCase cause, see the reason catalogue."
    )
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = Field(
        description="One sentence: what was found and what to do."
    )


#: ``status.identities``: the primary one, then the declared ones, then those discovered.
IdentityStatuses = Annotated[list[IdentityStatus], Field(max_length=IDENTITIES_LIMIT)]

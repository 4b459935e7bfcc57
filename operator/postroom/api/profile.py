# SPDX-License-Identifier: Apache-2.0
"""What an account is for and who answers for it: what applications and people go by. No verdict
depends on it; findings that gate nothing do (reviews, and the advice on bulk mail)."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from postroom.api import fields, inbound_delivery
from postroom.api.conditions import Timestamp
from postroom.api.identities import ProfileName

#: Most rules of ``spec.senderProfiles``.
PROFILES_LIMIT = 16
#: Longest name of a team and longest contact, in characters.
_TEAM_LIMIT, _CONTACT_LIMIT = 63, 254


class Purpose(StrEnum):
    """What an account is used for: a word for applications and people. NewBusiness from an
    organisation's own domain is also a reason for advice (`BULK_FROM_APEX`)."""

    NEW_BUSINESS = "NewBusiness"
    SUPPORT = "Support"
    GENERAL = "General"
    BILLING = "Billing"
    PERSONAL = "Personal"


def _printed(sentence: str, longest: int) -> fields.Text:
    """A text of one line, as people read it, that neither begins nor ends with a space."""
    letter, end = rf"[^{fields.UNPRINTED}]", rf"[^{fields.UNPRINTED} ]"
    return fields.Text(rf"^{end}({letter}*{end})?$", sentence, longest=longest)


#: Whom to turn to. Any way that reaches people will do: not all of them are mail.
Contact = Annotated[
    str,
    _printed(
        "must say whom to turn to, such as ops@example.com, https://chat.example.com/mail or a "
        "telephone number: without control characters, nor spaces at its ends",
        _CONTACT_LIMIT,
    ),
]
_Team = Annotated[
    str,
    _printed(
        "must be the name of a team: without control characters, nor spaces at its ends",
        _TEAM_LIMIT,
    ),
]

_NOBODY = "must name a team, a contact, or both"


class Owner(fields.Model):
    """Who answers for an account."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(fields.rule("has(self.team) || has(self.contact)", _NOBODY))
    )

    team: _Team | None = Field(default=None, description="The team that the account belongs to.")
    contact: Contact | None = Field(
        default=None,
        description="Whom to turn to about the account: an address, a URL or a number.",
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.team is None and self.contact is None:
            raise ValueError(_NOBODY)
        return self


class AIBehavior(StrEnum):
    """What an AI may do with incoming mail."""

    #: Sort it, answer it, and act on it.
    FULL_AUTO = "FullAuto"
    #: Answer it.
    REPLY_ONLY = "ReplyOnly"
    #: Sort it; a person answers.
    TRIAGE_ONLY = "TriageOnly"
    #: Nothing.
    DISABLED = "Disabled"


_NOTHING_SAID = "must say enabled, behavior, or both"
_UNSAID = "must be set where enabled is true: FullAuto, ReplyOnly or TriageOnly"
_ON_AND_OFF = (
    "may not be Disabled where enabled is true: set enabled to false, or say what it may do"
)
_OFF_AND_ON = (
    "may not be FullAuto, ReplyOnly or TriageOnly where enabled is false: set enabled to true, or "
    "behavior to Disabled"
)


class InboundAISettings(fields.Model):
    """What an AI may do with incoming mail, as status repeats it: both fields always agree."""

    enabled: fields.Switch = Field(description="Whether an AI may do anything with incoming mail.")
    behavior: AIBehavior = Field(
        description="FullAuto, ReplyOnly, TriageOnly, or Disabled where enabled is false."
    )


class InboundAI(fields.Model):
    """What an AI may do with incoming mail. The application that reads the mailbox goes by it;
    postroom only checks that it does not contradict itself."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule("has(self.enabled) || has(self.behavior)", _NOTHING_SAID),
            fields.rule(
                "!has(self.enabled) || !self.enabled || has(self.behavior)",
                _UNSAID,
                field_path=".behavior",
            ),
            fields.rule(
                "!has(self.enabled) || !self.enabled || !has(self.behavior) || "
                "self.behavior != 'Disabled'",
                _ON_AND_OFF,
                field_path=".behavior",
            ),
            fields.rule(
                "!has(self.enabled) || self.enabled || !has(self.behavior) || "
                "self.behavior == 'Disabled'",
                _OFF_AND_ON,
                field_path=".behavior",
            ),
        )
    )

    enabled: fields.Switch | None = Field(
        default=None,
        description="Whether an AI may do anything with incoming mail; omitted: as behavior says.",
    )
    behavior: AIBehavior | None = Field(
        default=None,
        description="FullAuto (sort, answer and act), ReplyOnly (answer), TriageOnly (sort; people "
        "answer) or Disabled; omitted with enabled false: Disabled.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        enabled, off = self.enabled, AIBehavior.DISABLED
        if enabled is None and self.behavior is None:
            raise ValueError(_NOTHING_SAID)
        if enabled and self.behavior is None:
            raise ValueError(f"behavior {_UNSAID}")
        if enabled and self.behavior is off:
            raise ValueError(f"behavior {_ON_AND_OFF}")
        if enabled is False and self.behavior not in (None, off):
            raise ValueError(f"behavior {_OFF_AND_ON}")
        return self

    @property
    def settings(self) -> InboundAISettings:
        """Both fields, whichever of them the spec has."""
        behavior = self.behavior or AIBehavior.DISABLED
        return InboundAISettings(enabled=behavior is not AIBehavior.DISABLED, behavior=behavior)


class Inbound(fields.Model):
    """What becomes of incoming mail."""

    ai: InboundAI | None = Field(
        default=None,
        description="What an AI may do with incoming mail; the application that reads the mailbox "
        "goes by it, not postroom.",
    )
    deliver: inbound_delivery.Deliver | None = Field(
        default=None,
        description="Which application gets incoming mail; `postroom deliver` hands it over, where "
        "an administrator runs it.",
    )


class InboundStatus(fields.Model):
    """What the application that reads the mailbox is to go by, and how far mail was handed to it;
    what is said of that is written by `postroom deliver` alone."""

    ai: InboundAISettings | None = Field(
        default=None,
        description="What an AI may do with incoming mail; absent: nothing was decided, and while "
        "the spec cannot be understood.",
    )
    cursors: Annotated[
        list[inbound_delivery.DeliveryCursor] | None,
        Field(max_length=inbound_delivery.CURSORS_LIMIT),
    ] = Field(
        default=None,
        description="How far each mailbox was handed over.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["mailbox"],
        },
    )
    waiting: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Messages that wait for the application, as last seen."
    )
    delivered_at: Timestamp | None = Field(
        default=None, description="When a message was handed over last."
    )
    rejected: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Messages that were passed by, because the application refused them for 48 "
        "hours.",
    )
    last_rejected: inbound_delivery.RejectedMessage | None = Field(
        default=None, description="The last of them; it still lies in the mailbox."
    )
    worker: Annotated[str, StringConstraints(max_length=320)] | None = Field(
        default=None,
        description="Namespace and name of the Lease by which whoever wrote this shows that it is "
        "at work.",
    )


_LOCAL = r"[A-Za-z0-9!#$%&'+/=?^_`{|}~.-]"
#: An address in which one ``*`` stands for any part of the local part, and another for the domain
#: or for the labels before one.
AddressPattern = Annotated[
    str,
    fields.Text(
        rf"^({_LOCAL}*\*?{_LOCAL}*)@(\*|(\*\.)?{fields.DOMAIN})$",
        "must be an address such as billing@example.com, or a pattern such as *@example.com, "
        "billing-*@example.com or *@*.example.com: its domain lowercase and in A-labels (xn--...)",
        longest=254,
        also=lambda pattern: not pattern.startswith("@"),
        also_rule="!self.startsWith('@')",
        mend=fields.as_address,
    ),
]


class SenderProfile(fields.Model):
    """A profile for the addresses of a pattern."""

    match: AddressPattern = Field(
        description="An address, or a pattern such as *@example.com or *@*.example.com."
    )
    profile: ProfileName = Field(
        description="Name by which applications choose signature and tone."
    )

    def fits(self, address: str) -> bool:
        """Whether an address is one of the pattern; capitals are taken for nothing."""
        parts = (re.escape(part) for part in self.match.lower().split("*"))
        return re.fullmatch("[^@]*".join(parts), address.lower()) is not None


_DOUBLE = "must have each match once: the first that fits an address counts"


def _unique(profiles: list[SenderProfile]) -> list[SenderProfile]:
    if len({rule.match for rule in profiles}) < len(profiles):
        raise ValueError(_DOUBLE)
    return profiles


#: ``spec.senderProfiles``: of several that fit an address the first counts.
SenderProfiles = Annotated[
    list[SenderProfile],
    Field(
        max_length=PROFILES_LIMIT,
        json_schema_extra=fields.rules(
            fields.rule(
                "self.all(profile, self.exists_one(other, other.match == profile.match))", _DOUBLE
            )
        ),
    ),
    AfterValidator(_unique),
]


def profile_for(address: str, profiles: Sequence[SenderProfile]) -> str | None:
    """The profile of the first pattern that an address fits; None where it fits none."""
    return next((rule.profile for rule in profiles if rule.fits(address)), None)

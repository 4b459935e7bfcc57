# SPDX-License-Identifier: Apache-2.0
"""What an application is given to send with: the Secret of a binding (servicebinding.io)."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from postroom.api import fields

#: The Secret of the account that is the default of its namespace.
DEFAULT_MAIL = "default-mail"
_Name = Annotated[str, StringConstraints(max_length=253)]


class Binding(fields.Model):
    """Asks for Secrets that have all that an application needs to send as the account."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "has(self.secretName) || self.default",
                "must be set, unless default is true: it names the Secret to write",
                field_path=".secretName",
            ),
            fields.rule(
                f"!has(self.secretName) || self.secretName != '{DEFAULT_MAIL}'",
                f"must be another name than {DEFAULT_MAIL}, which default asks for",
                field_path=".secretName",
            ),
        )
    )

    secret_name: fields.ObjectName | None = Field(
        default=None,
        description="Secret of the operator's own to write, unless the Secret of credentialsRef "
        "already has what an application needs.",
    )
    default: fields.Switch = Field(
        default=False,
        description=f"Whether Secret {DEFAULT_MAIL} is the account's while it is the default of "
        "its namespace; of several accounts that ask for it, the one marked last has it.",
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if self.secret_name is None and not self.default:
            raise ValueError(
                "secretName must be set, unless default is true: it names the Secret to write"
            )
        if self.secret_name == DEFAULT_MAIL:
            raise ValueError(
                f"secretName must be another name than {DEFAULT_MAIL}, which default asks for"
            )
        return self


class BindingStatus(fields.Model):
    """Where an application finds what it needs to send as the account."""

    name: _Name | None = Field(
        default=None,
        description="The Secret that an application binds to (servicebinding.io); absent while the "
        "account may not send.",
    )
    default_name: _Name | None = Field(
        default=None,
        description=f"{DEFAULT_MAIL}, where this account is the one behind it.",
    )
    keys: Annotated[tuple[_Name, ...], Field(max_length=64)] = Field(
        default=(), description="The keys of what was written; never a value."
    )
    secrets: Annotated[tuple[_Name, ...], Field(max_length=16)] = Field(
        default=(),
        description="Secrets of the operator's own for this account: there, about to come, or "
        "about to go.",
    )


#: Of an account for which nothing was written.
NOTHING = BindingStatus()

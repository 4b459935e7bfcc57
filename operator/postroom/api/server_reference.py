# SPDX-License-Identifier: Apache-2.0
"""Which MailServer an account names, and whose accounts a MailServer lets name it."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from postroom.api import fields
from postroom.api.fields import DomainName, Model, ObjectReference, Text, no_entries, rule, rules

NamespaceName = Annotated[
    str,
    Text(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be the name of a namespace: lowercase letters, digits and '-'",
        longest=63,
    ),
]
#: A list of namespaces, or what else is listed of them, has at most so many entries.
NAMES_LIMIT = 64


class Admission(StrEnum):
    """From which namespaces accounts may name a server."""

    SAME = "Same"
    ALL = "All"
    NAMES = "Names"


class AllowedNamespaces(Model):
    """Whose accounts may name a server, besides those of its own namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.from) && self.from == 'Names') == (has(self.names) && "
                "size(self.names) > 0)",
                "must name namespaces where from is Names, and only there",
                field_path=".names",
            )
        )
    )

    from_: Admission = Field(
        default=Admission.SAME,
        alias="from",
        description="Same (default): only accounts of the server's namespace; All: those of every "
        "namespace; Names: those of the namespaces in names, too.",
    )
    names: Annotated[list[NamespaceName], Field(max_length=NAMES_LIMIT)] = Field(
        default_factory=no_entries,
        description="Namespaces, where from is Names.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.from_ is Admission.NAMES) != bool(self.names):
            raise ValueError("names must name namespaces where from is Names, and only there")
        if len(set(self.names)) < len(self.names):
            raise ValueError("names must name each namespace once")
        return self

    def admit(self, namespace: str) -> bool:
        """Whether accounts of another namespace than the server's may name it."""
        return self.from_ is Admission.ALL or namespace in self.names


class ServedMailboxes(Model):
    """Mailboxes that an application's grant opens for the accounts of some namespaces."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.addresses) && size(self.addresses) > 0) || "
                "(has(self.domains) && size(self.domains) > 0)",
                "must name a mailbox: set addresses or domains",
                field_path=".addresses",
            )
        )
    )

    addresses: Annotated[list[fields.InternationalAddress], Field(max_length=NAMES_LIMIT)] = Field(
        default_factory=no_entries, description="Addresses of mailboxes."
    )
    domains: Annotated[list[DomainName], Field(max_length=NAMES_LIMIT)] = Field(
        default_factory=no_entries,
        description="Domains of which every mailbox is meant, none below them.",
    )
    namespaces: Annotated[list[NamespaceName], Field(max_length=NAMES_LIMIT)] = Field(
        default_factory=no_entries,
        description="Namespaces whose accounts are meant; default: the server's own.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.addresses or self.domains):
            raise ValueError("addresses must name a mailbox: set addresses or domains")
        return self

    def cover(self, address: str) -> bool:
        """Whether the mailbox of an address is meant; its local part in either case."""
        folded = address.lower()
        return folded.rpartition("@")[2] in self.domains or folded in {
            each.lower() for each in self.addresses
        }


class ServerReference(ObjectReference):
    """Names a MailServer, of another namespace where that lets it."""

    namespace: NamespaceName | None = Field(
        default=None,
        description="Namespace of the MailServer, whose spec.allowedNamespaces must admit this "
        "one; default: this one.",
    )

    def leads_out_of(self, namespace: str) -> bool:
        """Whether the server is to be in another namespace."""
        return self.namespace not in (None, namespace)

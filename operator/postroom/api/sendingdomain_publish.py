# SPDX-License-Identifier: Apache-2.0
"""Publishing a sending domain's records: what its owner asks for, and what was handed over."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.fields import Model, Switch, no_entries
from postroom.api.sendingdomain_records import Purpose


class Publisher(StrEnum):
    """Who is to publish: external-dns reads objects of kind DNSEndpoint."""

    EXTERNAL_DNS = "ExternalDNS"


class PublishedPurpose(StrEnum):
    """The purposes whose records may be published; those of other zones and hosts may not."""

    OWNERSHIP = Purpose.OWNERSHIP.value
    DKIM = Purpose.DKIM.value
    SPF = Purpose.SPF.value
    DMARC = Purpose.DMARC.value
    MX = Purpose.MX.value
    RETURN_PATH = Purpose.RETURN_PATH.value
    TRACKING = Purpose.TRACKING.value
    MTA_STS = Purpose.MTA_STS.value
    TLS_RPT = Purpose.TLS_RPT.value
    BIMI = Purpose.BIMI.value


class Publish(Model):
    """Which records are handed to a tool that publishes them."""

    via: Publisher = Field(description="ExternalDNS: by a DNSEndpoint of this namespace.")
    records: Annotated[list[PublishedPurpose], Field(min_length=1, max_length=10)] = Field(
        description="The purposes whose records are published: Ownership, DKIM, SPF, DMARC, MX, "
        "ReturnPath, Tracking, MTASTS, TLSRPT, BIMI. All but Ownership follow once control of the "
        "domain is proven.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    apex: Switch = Field(
        default=False,
        description="Publish also at the apex of a zone, where external-dns needs a --txt-prefix "
        "that keeps its own records in the zone.",
    )

    @property
    def purposes(self) -> frozenset[Purpose]:
        """The same as purposes of records."""
        return frozenset(Purpose(purpose.value) for purpose in self.records)


class Publication(Model):
    """The object that hands records over, and which it has."""

    endpoint: Annotated[str, StringConstraints(max_length=253)] = Field(
        description="Name of the DNSEndpoint in this namespace."
    )
    records: Annotated[
        list[Annotated[str, StringConstraints(max_length=100)]], Field(max_length=64)
    ] = Field(
        default_factory=no_entries,
        description="Ids of the records that it holds.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

# SPDX-License-Identifier: Apache-2.0
"""Which certificates are trusted instead of those of the public authorities, and for whom."""

from typing import Literal

from pydantic import Field

from postroom.api.fields import DataKey, HostName, Model, ObjectName


class CABundleReference(Model):
    """Names the PEM bundle of the authorities to trust instead of the public ones."""

    kind: Literal["ConfigMap", "Secret"] = Field(
        default="ConfigMap", description="ConfigMap or Secret."
    )
    name: ObjectName = Field(description="Name of the object in this namespace.")
    key: DataKey = Field(default="ca.crt", description="Key in its data.")


class Trust(Model):
    """Whom to believe that a server is the one that is meant."""

    ca_bundle_ref: CABundleReference | None = Field(
        default=None, description="Authorities to trust instead of the public ones."
    )
    server_name: HostName | None = Field(
        default=None, description="Name to verify in the certificate; default: the host."
    )

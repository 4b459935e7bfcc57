# SPDX-License-Identifier: Apache-2.0
"""A reference to the certificates that are trusted instead of the public authorities."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from postroom.api.fields import DataKey, Model, ObjectName


class CABundleReference(Model):
    """Names the PEM bundle of the authorities to trust instead of the public ones."""

    kind: Literal["ConfigMap", "Secret"] = Field(
        default="ConfigMap", description="ConfigMap or Secret."
    )
    name: ObjectName = Field(description="Name of the object in this namespace.")
    key: DataKey = Field(default="ca.crt", description="Key in its data.")

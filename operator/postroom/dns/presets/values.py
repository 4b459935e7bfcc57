# SPDX-License-Identifier: Apache-2.0
"""What a preset comes to for one domain: the pieces that a spec would otherwise declare."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PresetKey:
    """A DKIM selector: either a CNAME target, or a public key in base64.

    `text` is the TXT record as the provider writes it, None for a CNAME.
    """

    selector: str
    cname: str | None
    public_key: str | None
    text: str | None
    required: bool


@dataclass(frozen=True, slots=True)
class PresetExchange:
    """A mail exchange."""

    host: str
    preference: int
    required: bool


@dataclass(frozen=True, slots=True)
class PresetReturnPath:
    """The domain that bounces go to: `name` is relative to the sending domain, ``@`` for itself.

    It is a CNAME, or a domain of its own with exchanges and an SPF record.
    """

    name: str
    cname: str | None
    mx: tuple[PresetExchange, ...]
    spf_includes: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class PresetTracking:
    """A name of the sending domain under which the provider rewrites links."""

    name: str
    cname: str
    required: bool


@dataclass(frozen=True, slots=True)
class PresetOwnership:
    """A TXT record that proves control of the domain; `name` is relative, ``@`` for itself."""

    name: str
    value: str
    required: bool


@dataclass(frozen=True, slots=True)
class PresetValues:
    """All that a provider asks for, in the order of its preset.

    `dmarc_required` says that the provider refuses to work without; with `dmarc_policy` being the
    weakest policy that it takes.
    """

    provider: str
    spf_includes: tuple[str, ...] = ()
    dkim: tuple[PresetKey, ...] = ()
    return_path: PresetReturnPath | None = None
    mx: tuple[PresetExchange, ...] = ()
    tracking: tuple[PresetTracking, ...] = ()
    ownership: PresetOwnership | None = None
    dmarc_required: bool = False
    dmarc_policy: str | None = None

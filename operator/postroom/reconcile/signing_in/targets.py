# SPDX-License-Identifier: Apache-2.0
"""Where a spec leads: what it says itself, filled up with what is known of its provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postroom.api.ca_bundle import CABundleReference
from postroom.api.emailaccount import IMAP, EmailAccountSpec
from postroom.api.mail_provider import MailProvider
from postroom.api.mailserver import MailServerSpec, TLSMode
from postroom.api.resource import InvalidSpec, Problem
from postroom.mail.presets import MailPreset, PresetEndpoint, resolve
from postroom.mail.report import Endpoint

SMTP_PORT = 587
_IMPLICIT_SMTP_PORT = 465
_IMAP_PORTS = {TLSMode.START_TLS: 143, TLSMode.IMPLICIT: 993}


@dataclass(frozen=True, slots=True)
class Target:
    """One server to connect to.

    `username` is what the provider wants, None where only the user knows it. `provider` is the
    preset that the spec names. `bundle_field` is the field that `bundle` stands in. `mailbox` is
    what is read over IMAP. `namespace` is where host and `bundle` were written down, if that is
    another one than that of the object that signs in; `owner` is the object there.
    """

    host: str
    port: int
    tls: TLSMode
    server_name: str
    username: str | None = None
    provider: str | None = None
    bundle: CABundleReference | None = None
    bundle_field: str = "spec.tls.caBundleRef"
    may_select: bool = False
    mailbox: str = ""
    namespace: str | None = None
    owner: str = ""

    def endpoint(self, bundle: str | None, namespace: str) -> Endpoint:
        """Return what to dial for a tenant; `bundle` is the PEM that the reference led to."""
        return Endpoint(
            self.host,
            self.port,
            self.tls,
            self.server_name,
            bundle,
            namespace,
            self.may_select,
            self.namespace,
        )


def smtp_target(spec: MailServerSpec, address: str | None = None) -> Target:
    """Work out where a mail server is; `address` is that of the account that signs in there.

    Raises `InvalidSpec` for parameters that the provider does not take.
    """
    known = _preset(spec.provider, spec.parameters, address)
    found = _fitting(known.smtp if known else (), spec.port, spec.tls.mode)
    # Where the provider has none of this mode or port; without a provider always the same.
    implicit = known is not None and spec.tls.mode is TLSMode.IMPLICIT
    usual_port = _IMPLICIT_SMTP_PORT if implicit else SMTP_PORT
    port = spec.port or (found.port if found else usual_port)
    implicit = known is not None and port == _IMPLICIT_SMTP_PORT
    usual_mode = TLSMode.IMPLICIT if implicit else TLSMode.START_TLS
    mode = spec.tls.mode or (found.tls if found else usual_mode)
    offered = found or (known.smtp[0] if known else None)
    host = spec.host or (offered.host if offered else "")
    return Target(
        host=host,
        port=port,
        tls=mode,
        server_name=spec.tls.server_name or host,
        username=known.smtp_username if known else None,
        provider=known.provider if known else None,
        bundle=spec.tls.ca_bundle_ref,
    )


def own_smtp_target(spec: EmailAccountSpec) -> Target:
    """Work out the SMTP server of an account's own provider; raises `InvalidSpec`."""
    server = MailServerSpec(provider=spec.provider, parameters=spec.parameters)
    return smtp_target(server, spec.address)


def imap_target(spec: EmailAccountSpec, imap: IMAP) -> Target:
    """Work out where an account's mailbox is.

    Raises `InvalidSpec` for parameters that the provider does not take, and for a provider that
    has no IMAP server where the spec names none itself.
    """
    known = _preset(spec.provider, spec.parameters, spec.address)
    mode = TLSMode(imap.tls.mode.value) if imap.tls.mode else None
    found = _fitting(known.imap if known else (), imap.port, mode)
    offered = found or (known.imap[0] if known and known.imap else None)
    if imap.host is None and known is not None and offered is None:
        sentence = f"must be set: {known.title} has no IMAP server"
        raise InvalidSpec((Problem(("spec", "imap", "host"), sentence),))
    plain = imap.port == _IMAP_PORTS[TLSMode.START_TLS]
    usual_mode = TLSMode.START_TLS if plain else TLSMode.IMPLICIT
    mode = mode or (found.tls if found else usual_mode)
    host = imap.host or (offered.host if offered else "")
    return Target(
        host=host,
        port=imap.port or (found.port if found else _IMAP_PORTS[mode]),
        tls=mode,
        server_name=imap.tls.server_name or host,
        username=known.imap_username if known else None,
        provider=known.provider if known else None,
        bundle=imap.tls.ca_bundle_ref,
        bundle_field="spec.imap.tls.caBundleRef",
        may_select=imap.allow_select,
        mailbox=imap.mailbox,
    )


def _preset(
    provider: MailProvider | None, parameters: Mapping[str, str], address: str | None
) -> MailPreset | None:
    if provider is None:
        return None
    found = resolve(provider.value, parameters, address)
    if isinstance(found, MailPreset):
        return found
    raise InvalidSpec(
        tuple(
            Problem(("spec", "parameters", *filter(None, [problem.parameter])), problem.sentence)
            for problem in found
        )
    )


def _fitting(
    offered: Sequence[PresetEndpoint], port: int | None, mode: TLSMode | None
) -> PresetEndpoint | None:
    """The first endpoint that the spec does not contradict."""
    return next(
        (
            endpoint
            for endpoint in offered
            if port in (None, endpoint.port) and mode in (None, endpoint.tls)
        ),
        None,
    )

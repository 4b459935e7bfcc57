# SPDX-License-Identifier: Apache-2.0
"""What an application needs to send as an account, under the keys of the Service Binding spec, and
whether a Secret has it already.

Credentials are copied within one namespace, from the Secret that the account itself names. Those of
its MailServer go into a binding only where that Secret's owner says so. A refresh token, a client
secret or a private key never does. Of a CA bundle nothing but certificates does, which are public,
whatever else the object holds that the spec names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from postroom.api.conditions import ConditionType, is_true
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.api.names import ALLOW_BINDING
from postroom.api.resource import EmailAccount, InvalidSpec, MailServer
from postroom.api.send_limits import SendPlan
from postroom.concurrency.bounded import remembered
from postroom.mail.connect.tls import certificates_in
from postroom.mail.report import Endpoint, ProbeReport
from postroom.reconcile.account.sender import forbids
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.probing import AnyCredentials
from postroom.reconcile.signing_in.protocol_check import prepare_server
from postroom.reconcile.signing_in.references import Credentials, unnamed
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.world import LookupUnavailable, SecretContent

#: The type of a Secret of the operator's own, and what stands in it under ``type``.
SECRET_TYPE, TYPE, PROVIDER = "servicebinding.io/smtp", "smtp", "postroom"
_SECURITY = {
    TLSMode.START_TLS: "starttls",
    TLSMode.IMPLICIT: "implicit",
    TLSMode.NONE: "none",
}
#: What a Secret must have for an application to send by it alone.
_NEEDED = ("type", "host", "port", "username", "password")
#: What it may have besides, as long as it says the same.
_CONTRADICTABLE = ("security", "from", "server-name")
#: The authorities to trust; the key `certificates` of the spec is for the client's own chain.
_AUTHORITIES = "ca.crt"


@dataclass(frozen=True, slots=True)
class Access:
    """How one gets to send: where to, and signed in as whom.

    `secret` is the Secret that the account itself signs in with. `refusal` tells why credentials
    may not be copied; `is_proven` whether a server took them, as they are now.
    """

    endpoint: Endpoint
    credentials: AnyCredentials | None
    secret: SecretContent | None = None
    refusal: str | None = None
    is_proven: bool = True


async def access_of(view: AccountView) -> Access | None:
    """Return how the account gets to send; None where its references lead nowhere.

    Raises `LookupUnavailable`.
    """
    resource, server = view.resource, view.dependencies.server
    if resource.spec.signs_in:
        attempt = view.smtp.attempt
        if attempt is None:
            return None
        return await _own(view, attempt.endpoint, attempt.credentials)
    if server is None or resource.spec.binding is None:
        return None
    elsewhere = view.dependencies.server_namespace is not None
    try:
        with unnamed(view.dependencies.called(server) if elsewhere else None):
            check = await prepare_server(server, view.world)
    except InvalidSpec:
        return None
    except LookupUnavailable:
        if not forbids(resource.spec, view.dependencies):
            raise
        return None
    if check.attempt is None:
        return None
    # By a grant that the server lends it the account signs in as itself.
    attempt = view.smtp.attempt or check.attempt
    endpoint, credentials = attempt.endpoint, attempt.credentials
    refusal = await _refusal(view, resource, server) if credentials is not None else None
    copied = None if refusal else credentials
    return Access(endpoint, copied, refusal=refusal, is_proven=_is_proven(copied, None, server))


async def _own(view: AccountView, endpoint: Endpoint, credentials: AnyCredentials | None) -> Access:
    reference = view.resource.spec.credentials_ref
    if reference is None or not isinstance(credentials, Credentials):
        return Access(endpoint, credentials)
    secret = await view.world.secret(view.resource.metadata.namespace, reference.name)
    refusal = None
    if secret is not None and not (secret.silence_consents or ALLOW_BINDING in secret.allowed_uses):
        refusal = (
            f"Secret {reference.name} (spec.credentialsRef) may not be copied into a binding: let "
            f"its owner annotate it postroom.dev/allow: {ALLOW_BINDING}, or remove spec.binding."
        )
    proven = _is_proven(credentials, view.smtp.report, view.resource)
    return Access(endpoint, credentials, secret, refusal, proven)


def _is_proven(
    credentials: AnyCredentials | None,
    report: ProbeReport | None,
    holder: EmailAccount | MailServer,
) -> bool:
    """Whether a server took just these credentials: now, or when `holder` was looked at last."""
    if not isinstance(credentials, Credentials):
        return True
    if report is not None and report.authenticated is not None:
        return report.authenticated
    status = holder.status
    is_known = all(each in status.resolved_refs for each in credentials.resolved)
    return is_known and is_true(status.conditions, ConditionType.SMTP_AUTHENTICATED)


async def _refusal(view: AccountView, resource: EmailAccount, server: MailServer) -> str | None:
    """Why a server's credentials may not be copied: whoever writes accounts need not be allowed to
    read them, so that their owner decides."""
    if server.metadata.namespace != resource.metadata.namespace:
        return (
            "The account's MailServer is of another namespace and signs in with what is never "
            "copied from there: give it credentials of its own (spec.credentialsRef)."
        )
    reference = server.spec.credentials_ref
    if reference is None:
        # Of spec.oauth nothing goes into a binding that is secret.
        return None
    name = reference.name
    secret = await view.world.secret(server.metadata.namespace, name)
    if secret is not None and ALLOW_BINDING in secret.allowed_uses:
        return None
    return (
        f"The account signs in with the credentials of MailServer {server.metadata.name}, which "
        f"are not the account's own: let the owner of Secret {name} annotate it "
        f"postroom.dev/allow: {ALLOW_BINDING}, or give the account a credentialsRef."
    )


def content_of(
    spec: EmailAccountSpec, access: Access, sender: EffectiveSender, plan: SendPlan | None
) -> dict[str, Masked]:
    """Return what goes into a binding, by key; what is not known of an account has no key."""
    stands_in = sender.address not in (None, spec.address)
    inbound = spec.inbound_settings
    ai = inbound.ai if inbound is not None else None
    facts: dict[str, object] = {
        "type": TYPE,
        "provider": PROVIDER,
        "host": access.endpoint.host,
        "port": access.endpoint.port,
        "security": _SECURITY[access.endpoint.tls],
        _AUTHORITIES: _authorities(access.endpoint.ca_bundle),
        "server-name": access.endpoint.server_name
        if access.endpoint.server_name != access.endpoint.host
        else None,
        "from": sender.address,
        "display-name": spec.display_name,
        # Replies to what a fallback sender sends are for the account.
        "reply-to": spec.reply_to or (spec.address if stands_in else None),
        "daily-limit": plan.daily if plan else None,
        "hourly-limit": plan.hourly if plan else None,
        "connection-limit": plan.connections if plan else None,
        "purpose": spec.purpose.value if spec.purpose else None,
        "ai-enabled": str(ai.enabled).lower() if ai else None,
        "ai-behavior": ai.behavior.value if ai else None,
        "consumer": spec.consumer.name if spec.consumer else None,
        **_signing_in(access.credentials),
    }
    return {key: _masked(value) for key, value in facts.items() if value not in (None, "")}


@remembered(16)
def _authorities(bundle: str | None) -> str | None:
    """The certificates of a bundle as PEM, each written anew, so that nothing else comes along;
    None where none can be read."""
    try:
        found = x509.load_pem_x509_certificates(certificates_in(bundle or "").encode())
    except ValueError:
        return None
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def _signing_in(credentials: AnyCredentials | None) -> Mapping[str, object]:
    """A password, or where a token is to be had: whoever has the client's secret may ask there."""
    match credentials:
        case Credentials(login=login):
            return {"auth": "password", "username": login.username, "password": login.password}
        case TokenCredentials(grant=grant):
            return {
                "auth": "xoauth2",
                "username": grant.subject,
                "token-endpoint": grant.token_url,
                "client-id": grant.client_id,
                "scopes": " ".join(grant.scopes),
            }
    return {"auth": "none"}


def _masked(value: object) -> Masked:
    return value if isinstance(value, Masked) else Masked(str(value))


def fits(
    spec: EmailAccountSpec, access: Access, sender: EffectiveSender, wanted: Mapping[str, Masked]
) -> bool:
    """Whether the account's own Secret has all that an application needs, and nothing else.

    It has the type and says where and as whom one signs in, all of it as it was proven; where the
    address of another stands in for the account's, it must say that, too. So it must name other
    authorities than the public ones, where a binding that would is asked for.
    """
    there = dict(access.secret.data) if access.secret is not None else {}
    if _AUTHORITIES in there:
        there[_AUTHORITIES] = Masked(_authorities(there[_AUTHORITIES].reveal()) or "")
    needed = _NEEDED if sender.address == spec.address else (*_NEEDED, "from")
    if spec.binding is not None and access.endpoint.ca_bundle is not None:
        needed = (*needed, _AUTHORITIES)
    named = [key for key in (*_CONTRADICTABLE, _AUTHORITIES) if key in there]
    return all(key in there and there[key] == wanted.get(key) for key in (*needed, *named))


def sources_in(stored: object) -> frozenset[str]:
    """Return the Secrets that a stored spec signs in with, whatever else stands in it."""
    places = (stored, stored.get("imap")) if isinstance(stored, Mapping) else ()
    found = [place.get("credentialsRef") for place in places if isinstance(place, Mapping)]
    return frozenset(str(each.get("name")) for each in found if isinstance(each, Mapping))

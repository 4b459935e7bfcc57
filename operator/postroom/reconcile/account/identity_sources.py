# SPDX-License-Identifier: Apache-2.0
"""Asking a provider or a server about identities: rarely, and anew when something has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from postroom.api.identities import IdentityState, VerificationMethod
from postroom.api.oauth import OAuth, OAuthProvider
from postroom.mail.identities.judging import Knowledge
from postroom.mail.identities.providers import directory, judges_late
from postroom.mail.identities.values import Discovered, DiscoveryFailure, same
from postroom.mail.operations import Acceptance, Answer, AskSenders
from postroom.mail.presets import identify, preset
from postroom.reconcile.account.messages.correspondents import login_for
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in import references, token_credentials
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.signing_in.references import Credentials
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.status.outcome import IdentityLook

#: How often a provider is asked for its list: in general, and while somebody has to do something.
USUALLY, WHILE_OPEN = timedelta(hours=1), timedelta(minutes=5)
#: How often a server is asked: some count what they answer to RCPT.
ENVELOPE_PAUSE = timedelta(hours=24)
_OPEN = (IdentityState.REJECTED, IdentityState.PENDING)
_SECRET = references.reference_to("Secret", "")


def knowledge_of(known: Knowledge, sender: Attempt, look: IdentityLook | None) -> Knowledge:
    """Put together what a working sender and a look tell."""
    provider = _late_judge(sender)
    signed_in_as = _user_name(sender)
    if look is None:
        return replace(known, signed_in_as=signed_in_as, judges_late=provider)
    return replace(
        known,
        signed_in_as=signed_in_as,
        judges_late=provider,
        discovered=look.discovered,
        failure=look.failure,
        answers=look.answers,
    )


async def find_out(view: AccountView, sender: Attempt) -> IdentityLook | None:
    """The answer of whom the spec names, the last one while it is fresh; None: there is nobody."""
    token = _list_token(view, sender)
    if token is None and not _asks_server(view, sender):
        view.memory.identities = None
        return None
    now, last = view.world.now(), view.memory.identities
    inputs = _inputs(view, sender)
    if last is not None and last.inputs == inputs and now - last.at < _wait(view, last):
        return last
    look = IdentityLook(inputs, now)
    if token is not None:
        look = await _list(view, token, look)
    else:
        look = await _envelope(view, sender, look)
    if last is not None and last.inputs[0] == inputs[0]:
        look = _with_earlier(look, last)
    view.memory.identities = look
    return look


def _inputs(view: AccountView, sender: Attempt) -> tuple[object, ...]:
    """What a look is about, and what makes it worth another one."""
    metadata, method = view.resource.metadata, view.resource.spec.identity_verification.method
    version = sender.credentials.version if sender.credentials else ""
    about = (method, sender.endpoint, version)
    return about, metadata.generation, metadata.requested_at


def _wait(view: AccountView, last: IdentityLook) -> timedelta:
    if last.pause is not None:
        return last.pause
    found = view.resource.status.identities
    work = any(entry.declared and entry.state in _OPEN for entry in found)
    return WHILE_OPEN if work else USUALLY


def _with_earlier(look: IdentityLook, last: IdentityLook) -> IdentityLook:
    """Keep the provider's list where it could not be had now."""
    if look.failure is not None and look.failure.passing and last.discovered is not None:
        return replace(look, discovered=last.discovered, failure=None)
    return look


async def _list(view: AccountView, token: TokenCredentials, look: IdentityLook) -> IdentityLook:
    """The provider's list."""
    found: Discovered | DiscoveryFailure | None = await _refusal(view, token)
    if found is None:
        found = await view.world.outbound.identities.identities(token.grant, token.cloud)
    if isinstance(found, Discovered):
        return replace(look, discovered=found)
    pause = WHILE_OPEN if found.passing else USUALLY
    if found.retry_after is not None:
        pause = max(pause, timedelta(seconds=found.retry_after))
    return replace(look, failure=found, pause=pause)


async def _refusal(view: AccountView, token: TokenCredentials) -> DiscoveryFailure | None:
    """Which Secret does not agree that its token is shown to the provider's API."""
    grant = token.grant
    place = directory().apis.place(grant.provider, grant.flow, token.cloud)
    if place is None:
        return None
    namespace = view.resource.metadata.namespace
    for reference in sorted(token_credentials.references_of(_oauth_of(view))):
        if not reference.startswith(_SECRET):
            continue
        content = await view.world.secret(namespace, reference.removeprefix(_SECRET))
        refused = content and references.not_permitted(content, "spec.oauth", place.host)
        if refused:
            return DiscoveryFailure(refused.reason, refused.message)
    return None


def _oauth_of(view: AccountView) -> OAuth | None:
    """The account's own, else that of the server that it sends through."""
    server = view.dependencies.server
    return view.resource.spec.oauth or (server.spec.oauth if server is not None else None)


async def _envelope(view: AccountView, sender: Attempt, look: IdentityLook) -> IdentityLook:
    """What the server says of every sender."""
    own = view.resource.spec.address
    login = await login_for(sender, view.world)
    if isinstance(login, Answer):
        failure = DiscoveryFailure(login.reason, login.message, passing=True)
        return replace(look, failure=failure, pause=USUALLY)
    asking = AskSenders(_senders(view), own)
    report = await view.world.outbound.mail.perform(sender.endpoint, login, asking)
    asked = any(answer.acceptance is not Acceptance.UNKNOWN for answer in report.answers.values())
    answers: Mapping[str, Answer] = dict(report.answers)
    return replace(look, answers=answers, pause=ENVELOPE_PAUSE if asked else USUALLY)


def _senders(view: AccountView) -> tuple[str, ...]:
    """The account's own address, which others are compared with, and those of the spec."""
    spec = view.resource.spec
    return tuple(
        dict.fromkeys((spec.address, *(identity.address for identity in spec.enabled_identities)))
    )


def _list_token(view: AccountView, sender: Attempt) -> TokenCredentials | None:
    """The token of a provider that lists identities, if it is to be asked."""
    given, method = sender.credentials, view.resource.spec.identity_verification.method
    if method is not VerificationMethod.PROVIDER or not isinstance(given, TokenCredentials):
        return None
    return None if given.grant.provider is OAuthProvider.GENERIC else given


def _asks_server(view: AccountView, sender: Attempt) -> bool:
    """Whether the server is to be asked about senders, and has something to tell."""
    if view.resource.spec.identity_verification.method is not VerificationMethod.ENVELOPE:
        return False
    name = _user_name(sender) or ""
    return _late_judge(sender) is None and any(
        not same(address, name) for address in _senders(view)
    )


def _user_name(sender: Attempt) -> str | None:
    match sender.credentials:
        case Credentials(login=login):
            return login.username
        case TokenCredentials(grant=grant):
            return grant.subject
    return None


def _late_judge(sender: Attempt) -> str | None:
    """Name the provider behind the server, if it does not judge senders before DATA."""
    provider = sender.provider or identify(sender.endpoint.host)
    if provider is None or not judges_late(provider):
        return None
    return preset(provider).title

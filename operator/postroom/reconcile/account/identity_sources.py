# SPDX-License-Identifier: Apache-2.0
"""Asking a provider or a server about identities: rarely, and anew when something has changed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from postroom.api.identities import IdentityState, VerificationMethod
from postroom.api.oauth import OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.judging import Knowledge
from postroom.mail.identities.providers import directory, judges_late
from postroom.mail.identities.values import Discovered, DiscoveryFailure, same
from postroom.mail.operations import Acceptance, Answer, AskSenders
from postroom.mail.presets import identify, preset
from postroom.reconcile.account.messages.correspondents import login_for
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in import references, token_credentials
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.status.outcome import IdentityLook

#: How often a provider is asked for its list: in general, and while somebody has to do something.
USUALLY, WHILE_OPEN = timedelta(hours=1), timedelta(minutes=5)
#: How often a server is asked: some count what they answer to RCPT.
ENVELOPE_PAUSE = timedelta(hours=24)
_OPEN = (IdentityState.REJECTED, IdentityState.PENDING)
#: Why an identity is Pending of which no provider knows anything.
HELD = frozenset(
    reason.value
    for reason in (
        Reason.SENDING_DOMAIN_NOT_FOUND,
        Reason.REFERENCE_INVALID,
        Reason.SENDING_DOMAIN_NOT_READY,
        Reason.DEPENDENCY_UNKNOWN,
    )
)
_SECRET = references.reference_to("Secret", "")


def knowledge_of(known: Knowledge, sender: Attempt, look: IdentityLook | None) -> Knowledge:
    """Put together what a working sender and a look tell."""
    provider = _late_judge(sender)
    signed_in_as = sender.username
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
    metadata, memory = view.resource.metadata, view.memory
    spec, given = view.resource.spec, sender.credentials
    method = spec.identity_verification.method
    token: TokenCredentials | None = None
    if method is VerificationMethod.PROVIDER and isinstance(given, TokenCredentials):
        token = given if given.grant.provider is not OAuthProvider.GENERIC else None
    # The account's own address, which others are compared with, and those of the spec.
    senders = tuple(
        dict.fromkeys((spec.address, *(each.address for each in spec.enabled_identities)))
    )
    # A server has something to tell if it judges senders, and is asked about another than its user.
    asks_server = (
        method is VerificationMethod.ENVELOPE
        and _late_judge(sender) is None
        and any(not same(address, sender.username or "") for address in senders)
    )
    if token is None and not asks_server:
        memory.identities = None
        return None
    now, last = view.world.now(), memory.identities
    about = (method, sender.endpoint, sender.version)
    inputs = (about, metadata.generation, metadata.requested_at)
    if last is not None and last.inputs == inputs:
        found = view.resource.status.identities
        is_open = any(
            entry.declared and entry.state in _OPEN and entry.reason not in HELD for entry in found
        )
        if now - last.at < (last.pause or (WHILE_OPEN if is_open else USUALLY)):
            return last
    look = IdentityLook(inputs, now)
    if token is not None:
        look = await _list(view, token, look)
    else:
        look = await _envelope(view, sender, senders, look)
    passing = look.failure is not None and look.failure.passing
    if passing and last is not None and last.inputs[0] == about and last.discovered is not None:
        # The provider's list is kept where it could not be had now.
        look = replace(look, discovered=last.discovered, failure=None)
    memory.identities = look
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
    own, server = view.resource.metadata.namespace, view.dependencies.server
    # The account's own, else that of the server that it sends through.
    oauth, namespace = view.resource.spec.oauth, own
    if oauth is None and server is not None:
        oauth, namespace = server.spec.oauth, server.metadata.namespace
    for reference in sorted(token_credentials.references_of(oauth)):
        if not reference.startswith(_SECRET):
            continue
        content = await view.world.secret(namespace, reference.removeprefix(_SECRET))
        refused = content and references.not_permitted(content, "spec.oauth", place.host)
        if refused and namespace != own:
            message = f"The server's owner does not let its grant be shown to {place.host}."
            return DiscoveryFailure(refused.reason, message)
        if refused:
            return DiscoveryFailure(refused.reason, refused.message)
    return None


async def _envelope(
    view: AccountView, sender: Attempt, senders: tuple[str, ...], look: IdentityLook
) -> IdentityLook:
    """What the server says of every sender."""
    own = view.resource.spec.address
    login = await login_for(sender, view.world)
    if isinstance(login, Answer):
        failure = DiscoveryFailure(login.reason, login.message, passing=True)
        return replace(look, failure=failure, pause=USUALLY)
    asking = AskSenders(senders, own)
    report = await view.world.outbound.mail.perform(sender.endpoint, login, asking)
    asked = any(answer.acceptance is not Acceptance.UNKNOWN for answer in report.answers.values())
    answers: Mapping[str, Answer] = dict(report.answers)
    return replace(look, answers=answers, pause=ENVELOPE_PAUSE if asked else USUALLY)


def _late_judge(sender: Attempt) -> str | None:
    """Name the provider behind the server, if it does not judge senders before DATA."""
    provider = sender.provider or identify(sender.endpoint.host)
    if provider is None or not judges_late(provider):
        return None
    return preset(provider).title

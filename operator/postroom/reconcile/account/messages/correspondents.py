# SPDX-License-Identifier: Apache-2.0
"""Who sends a message of ours, and whose mailbox it is looked for in, once both work."""

from dataclasses import dataclass
from typing import cast

from postroom.api.conditions import ConditionStatus, ConditionType, is_true
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, InvalidSpec, MailServer, SendingDomain
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.report import Login
from postroom.reconcile import indexes
from postroom.reconcile.account.coverage import is_degraded, withheld
from postroom.reconcile.account.dependencies import domain_of
from postroom.reconcile.account.protocols import imap_check
from postroom.reconcile.account.server import ServerFound, find_server, not_ready
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.signing_in.protocol_check import prepare_server
from postroom.reconcile.signing_in.references import Credentials, reference_to
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.status.assessment import readiness
from postroom.reconcile.world import LookupUnavailable, World


@dataclass(frozen=True, slots=True)
class Receiver:
    """A mailbox that may be read, and its address."""

    address: str
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why there is no sender or receiver now.

    `passing`: there may be one at the next look, without anybody's doing.
    """

    reason: Reason
    message: str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Correspondents:
    """Both ends of a message of ours; without a receiver it is sent and not looked for."""

    sender: Attempt | Obstacle
    receiver: Receiver | Obstacle | None


async def sender_of(view: AccountView) -> Attempt | Obstacle:
    """Return how the account sends: as itself, or as its MailServer signs in."""
    check, spec, server = view.smtp, view.resource.spec, view.dependencies.server
    if check.attempt is not None and check.report is not None:
        if check.report.stage is ProbeStage.DONE:
            return check.attempt
        passing = not check.report.conclusive
        return Obstacle(check.report.reason, check.report.message, passing)
    if check.problem is not None or check.is_blocked or server is None:
        return Obstacle(Reason.NOT_ATTEMPTED, "The account cannot sign in: read its conditions.")
    if spec.signs_in or view.dependencies.server_state is not ConditionStatus.TRUE:
        message = not_ready(server, view.dependencies.namespace).message
        return Obstacle(Reason.MAIL_SERVER_NOT_READY, message, passing=True)
    if view.dependencies.server_namespace is not None:
        message = "Messages are sent with credentials of this namespace only: set credentialsRef."
        return Obstacle(Reason.MAIL_SERVER_NOT_PERMITTED, message)
    return await _as_the_server(server, view.world)


async def _as_the_server(server: MailServer, world: World) -> Attempt | Obstacle:
    """As the server itself, so that both know of the same refresh token."""
    if not server.spec.signs_in:
        message = "Neither the account nor its MailServer has credentials: set credentialsRef."
        return Obstacle(Reason.SECRET_NOT_FOUND, message)
    try:
        check = await prepare_server(server, world)
    except InvalidSpec as error:
        return Obstacle(Reason.INVALID_SPEC, f"{error}.")
    except LookupUnavailable as error:
        return Obstacle(Reason.NOT_ATTEMPTED, error.sentence, passing=True)
    if check.problem is not None:
        return Obstacle(check.problem.reason, check.problem.message)
    if check.attempt is None or check.attempt.endpoint.tls is TLSMode.NONE:
        message = "Messages are only sent over TLS: set the MailServer's tls.mode."
        return Obstacle(Reason.ENCRYPTION_REQUIRED, message)
    return check.attempt


async def unverified_domain(address: str, view: AccountView) -> Obstacle | None:
    """Return why nothing may leave from an address: its SendingDomain is not verified.

    One that is Degraded still sends; an address without a SendingDomain is judged by nobody, but
    for the account's own where there must be one.
    """
    missed = view.dependencies.missed_domain
    if missed is not None and domain_of(address) == view.resource.spec.domain:
        return Obstacle(view.dependencies.missed_reason, missed, passing=True)
    namespace, index = view.resource.metadata.namespace, indexes.by_domain(domain_of(address))
    for found in await view.world.find(Kind.SENDING_DOMAIN, namespace, index):
        declared = cast("SendingDomain", found)
        if readiness(declared) is ConditionStatus.TRUE or is_degraded(declared):
            continue
        name = declared.metadata.name
        return Obstacle(
            Reason.SENDING_DOMAIN_NOT_READY,
            f"Nothing was sent from {address}: SendingDomain {name} is not verified. Read its "
            "status, then ask anew.",
            passing=True,
        )
    for held in (await withheld(view.resource, [address], view.world)).values():
        return Obstacle(
            held.reason, f"Nothing was sent from {address}. {held.message}", passing=True
        )
    return None


def own_receiver(view: AccountView) -> Receiver | Obstacle | None:
    """Return the account's own mailbox; None where it has none."""
    if view.resource.spec.imap is None:
        return None
    attempt, report = view.imap.attempt, view.imap.report
    if attempt is None or report is None:
        return Obstacle(Reason.NOT_ATTEMPTED, "The mailbox cannot be read: read the conditions.")
    if report.stage is not ProbeStage.DONE:
        return Obstacle(report.reason, report.message, passing=not report.conclusive)
    return Receiver(view.resource.spec.address, attempt)


async def receiver_named(name: str, view: AccountView) -> Receiver | Obstacle | None:
    """Return the mailbox of another account of the namespace."""
    metadata = view.resource.metadata
    if name == metadata.name:
        return own_receiver(view)
    found = await view.world.get(Kind.EMAIL_ACCOUNT, metadata.namespace, name)
    if found is None:
        if view.world.exists(Kind.EMAIL_ACCOUNT, metadata.namespace, name):
            message = f"The spec of EmailAccount {name} is invalid: read its status."
            return Obstacle(Reason.REFERENCE_INVALID, message)
        message = f"EmailAccount {name} does not exist in this namespace: create it."
        return Obstacle(Reason.RECEIVER_NOT_READY, message)
    return await _mailbox_of(cast("EmailAccount", found), view.world)


async def receiver_at(address: str, view: AccountView) -> Receiver | Obstacle | None:
    """Return the mailbox of the account with an address, or else the account's own."""
    metadata = view.resource.metadata
    index = indexes.by_address(address)
    for account in await view.world.find(Kind.EMAIL_ACCOUNT, metadata.namespace, index):
        if account.metadata.name != metadata.name:
            return await _mailbox_of(cast("EmailAccount", account), view.world)
    own = own_receiver(view)
    if own is not None:
        return own
    return Obstacle(
        Reason.RECEIVER_NOT_READY,
        f"Nothing reads {address}: create an EmailAccount with that address and imap, or set "
        "spec.imap to its mailbox.",
    )


async def _mailbox_of(other: EmailAccount, world: World) -> Receiver | Obstacle:
    """The mailbox of another account, only where its own status says that it can be read.

    Its credentials are not tried where its server refused them.
    """
    name = other.metadata.name
    if other.spec.imap is None:
        return Obstacle(
            Reason.RECEIVER_NOT_READY, f"EmailAccount {name} reads no mailbox: set its spec.imap."
        )
    if other.spec.disconnected:
        return Obstacle(
            Reason.RECEIVER_DISCONNECTED,
            f"EmailAccount {name}, in whose mailbox the messages would be looked for, is "
            "disconnected: have another one receive them, or connect it again.",
        )
    current = other.status.observed_generation == other.metadata.generation
    works = is_true(other.status.conditions, ConditionType.IMAP_AUTHENTICATED)
    if other.spec.suspend or not (current and works):
        message = f"The mailbox of EmailAccount {name} cannot be read: read its status."
        return Obstacle(Reason.RECEIVER_NOT_READY, message, passing=True)
    try:
        attempt = await attempt_at(other, world)
    except LookupUnavailable as error:
        # That is no reason not to judge the account whose messages it receives.
        return Obstacle(Reason.RECEIVER_NOT_READY, error.sentence, passing=True)
    if attempt is None:
        message = f"The mailbox of EmailAccount {name} cannot be read: read its status."
        return Obstacle(Reason.RECEIVER_NOT_READY, message, passing=True)
    return Receiver(other.spec.address, attempt)


async def attempt_at(account: EmailAccount, world: World) -> Attempt | None:
    """How an account's mailbox is read, None where something forbids it; raises
    `LookupUnavailable`."""
    behind = ServerFound() if account.spec.at_provider else await find_server(account, world)
    check = await imap_check(account, behind.server if behind.problem is None else None, world)
    return None if check.is_blocked else check.attempt


def references_to_receiver(name: str | None = None, address: str | None = None) -> frozenset[str]:
    """What must bring an account back whose messages another one receives."""
    found = set()
    if name is not None:
        found.add(reference_to(Kind.EMAIL_ACCOUNT, name))
    if address is not None:
        found.add(reference_to(Kind.EMAIL_ACCOUNT, indexes.by_address(address)))
    return frozenset(found)


async def login_for(attempt: Attempt, world: World) -> Login | Answer:
    """Return what to sign in with: the password, or a token."""
    given = attempt.credentials
    if isinstance(given, Credentials):
        return given.login
    if isinstance(given, TokenCredentials):
        got = await world.outbound.tokens.token(given.grant)
        if isinstance(got, TokenFailure):
            return Answer(Acceptance.UNKNOWN, Reason(got.reason.value), got.message)
        grant = given.grant
        return Login(grant.subject, got.value, token=True, secret=grant.secret)
    return Answer(
        Acceptance.UNKNOWN, Reason.NOT_ATTEMPTED, "There are no credentials to sign in with."
    )

# SPDX-License-Identifier: Apache-2.0
"""What is known of one address that an account would send as. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from postroom.api.account_messages import MessageOutcome, SenderTrip
from postroom.api.identities import IdentityMethod, IdentityState, IdentityType, VerificationMethod
from postroom.api.oauth import OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.values import Discovered, DiscoveryFailure, ListedIdentity, same
from postroom.mail.operations import Acceptance, Answer


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was found out for an account.

    `own` is its address, `signed_in_as` the user name that the SMTP server accepted, if any.
    `failure` is why nothing new could be found out. `answers` are the server's, by address, to
    MAIL and RCPT. `judges_late` names the provider whose server says nothing to them. `trips` are
    the last round trips, by sender.
    """

    own: str
    method: VerificationMethod
    signed_in_as: str | None = None
    discovered: Discovered | None = None
    failure: DiscoveryFailure | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    judges_late: str | None = None
    trips: Mapping[str, SenderTrip] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one address; without `method` nothing was found out.

    `passing` tells that this says nothing against what was found out earlier.
    """

    state: IdentityState
    method: IdentityMethod | None
    reason: Reason
    message: str
    passing: bool = False


def judge(address: str, kind: IdentityType, known: Knowledge) -> Judgement:
    """Judge one address; what the provider lists outweighs what its server answers."""
    if same(address, known.own):
        if known.signed_in_as is not None and same(known.signed_in_as, address):
            return _verified(IdentityMethod.SIGN_IN, "The account signs in as this address.")
        # Whose address it is otherwise only a list tells that decides about all.
        kind = IdentityType.SEND_AS
    if known.discovered is not None:
        listed = known.discovered.find(address)
        if listed is not None:
            return _listed(listed, known.discovered)
        if kind in known.discovered.decides:
            mailbox = known.discovered.mailbox
            if known.discovered.provider is OAuthProvider.GOOGLE:
                message = (
                    f"Gmail would put another sender in its place: {address} is not among those of "
                    f"{mailbox}. Add it there under Settings, Accounts, Send mail as, and confirm "
                    "it."
                )
            else:
                message = (
                    f"{address} is no alias of {mailbox}: have an administrator add it with "
                    f"Set-Mailbox {mailbox} -EmailAddresses @{{Add='{address}'}}, or correct its "
                    "type."
                )
            return _rejected(IdentityMethod.PROVIDER, message)
    travelled = _travelled(address, known)
    if travelled is not None:
        return travelled
    answer = known.answers.get(address)
    if answer is not None and known.judges_late is None:
        return _answered(address, answer, known)
    return _why_not(address, known)


def _verified(method: IdentityMethod, message: str) -> Judgement:
    return Judgement(IdentityState.VERIFIED, method, Reason.IDENTITY_VERIFIED, message)


def _rejected(method: IdentityMethod, message: str) -> Judgement:
    return Judgement(IdentityState.REJECTED, method, Reason.IDENTITY_REJECTED, message)


def _unverifiable(reason: Reason, message: str, *, passing: bool = False) -> Judgement:
    return Judgement(IdentityState.UNVERIFIABLE, None, reason, message, passing)


def _listed(listed: ListedIdentity, discovered: Discovered) -> Judgement:
    gmail = discovered.provider is OAuthProvider.GOOGLE
    match listed.state:
        case IdentityState.PENDING:
            return Judgement(
                IdentityState.PENDING,
                IdentityMethod.PROVIDER,
                Reason.IDENTITY_PENDING,
                f"Gmail waits for a confirmation: open the message that it sent to "
                f"{listed.address} and follow its link.",
            )
        case IdentityState.VERIFIED if gmail:
            return _verified(IdentityMethod.PROVIDER, "Gmail lists it among the senders.")
        case IdentityState.VERIFIED if listed.type is IdentityType.ALIAS:
            return _verified(
                IdentityMethod.PROVIDER,
                "It is an alias of the mailbox. Microsoft 365 replaces it by the primary address, "
                "unless the organisation has SendFromAliasEnabled (Set-OrganizationConfig).",
            )
        case IdentityState.VERIFIED:
            return _verified(IdentityMethod.PROVIDER, "It is the mailbox's primary address.")
    return _unverifiable(
        Reason.IDENTITY_UNVERIFIABLE, "The provider lists it, but not whether it is confirmed."
    )


def _travelled(address: str, known: Knowledge) -> Judgement | None:
    """Read what became of a message that was sent as this address; None: it tells nothing."""
    trip = known.trips.get(address)
    if trip is None:
        return None
    if trip.reason == Reason.SENDER_REWRITTEN.value:
        return _rejected(
            IdentityMethod.ROUND_TRIP,
            f"A message sent as {address} arrived from another sender: register the address with "
            f"the provider as one that {known.own} may send as.",
        )
    if trip.outcome in (MessageOutcome.DELIVERED, MessageOutcome.DELIVERED_TO_SPAM):
        return _verified(IdentityMethod.ROUND_TRIP, "A message sent as this address arrived.")
    if trip.reason == Reason.SENDER_NOT_AUTHORIZED.value:
        return _rejected(
            IdentityMethod.ROUND_TRIP,
            f"The server refused a message of {known.own} sent as {address}: grant the right to "
            "send as it, or remove the identity.",
        )
    return None


def _answered(address: str, answer: Answer, known: Knowledge) -> Judgement:
    """Read an answer to MAIL and RCPT; the recipient was the account itself."""
    if answer.acceptance is Acceptance.ACCEPTED:
        return _verified(IdentityMethod.ENVELOPE, "The server accepts it as sender.")
    # Where the account itself is accepted as sender, it is not the recipient that is refused.
    usual = known.answers.get(known.own)
    of_the_sender = answer.reason is Reason.SENDER_NOT_AUTHORIZED or (
        usual is not None and usual.acceptance is Acceptance.ACCEPTED
    )
    if answer.acceptance is Acceptance.REFUSED and of_the_sender:
        return _rejected(
            IdentityMethod.ENVELOPE,
            f"The server does not let {known.own} send as {address}: grant the right there, or "
            "remove the identity.",
        )
    return _unverifiable(
        Reason.PROBE_INCONCLUSIVE,
        "The server's answer to this sender tells nothing of its right.",
        passing=True,
    )


def _why_not(address: str, known: Knowledge) -> Judgement:
    """Why nobody tells about an address, and what would."""
    if known.method is VerificationMethod.NONE and not same(address, known.own):
        message = "Nobody was asked: spec.identityVerification.method is None."
    elif known.failure is not None:
        failure = known.failure
        return _unverifiable(failure.reason, failure.message, passing=failure.passing)
    elif known.discovered is not None and known.discovered.cut:
        message = (
            f"The provider's list for {known.discovered.mailbox} is longer than what is read of "
            f"it, and does not name {address} so far: send a test message as this address."
        )
    elif known.discovered is not None:
        # Only Microsoft's list does not decide about everything.
        message = (
            f"Microsoft does not tell who may send as {address}: an administrator grants it with "
            f"Add-RecipientPermission {address} -AccessRights SendAs -Trustee "
            f"{known.discovered.mailbox}."
        )
    elif known.judges_late is not None:
        message = (
            f"{known.judges_late} judges senders only after it has the message: sign in with "
            "spec.oauth and method Provider where it lists identities, or send a test message."
        )
    elif known.method is VerificationMethod.ENVELOPE:
        message = "The server has not answered to this sender yet."
        return _unverifiable(Reason.PROBE_INCONCLUSIVE, message, passing=True)
    else:
        message = (
            "The provider has no list that postroom can read: set "
            "spec.identityVerification.method to Envelope to ask the server."
        )
    return _unverifiable(Reason.IDENTITY_UNVERIFIABLE, message)

# SPDX-License-Identifier: Apache-2.0
"""What the status of a disconnected account says: who relied on it, and which addresses stop."""

from postroom.api import emailaccount_status, identities
from postroom.api.account_messages import LastTest
from postroom.api.conditions import ConditionType, find, shorten
from postroom.api.findings import FINDING_LIMIT, Finding, Severity
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.api.status import Use
from postroom.mail.operations import Answer
from postroom.reconcile import indexes
from postroom.reconcile.account.messages.results import failed_before
from postroom.reconcile.signing_in.probing import code_of
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status import outcome, rest
from postroom.reconcile.world import World

#: So many of each are named in a sentence.
_NAMED = 5
_FIELDS = {
    Use.RECEIVER: "spec.roundTrip.receiverRef",
    Use.FORWARDING: "spec.forwarding.receiverRef",
    Use.FALLBACK_SENDER: "spec.fallbackSender",
}
#: What is said of every identity that is not turned off by itself.
_STOPPED = {
    "state": identities.IdentityState.DISABLED,
    "method": None,
    "verified_at": None,
    "reason": Reason.DISCONNECTED.value,
    "message": "The account is disconnected: nobody is to send as it.",
}


async def rest_of(resource: EmailAccount, world: World, memory: outcome.Memory) -> rest.Rest:
    """What the status of a disconnected account says; what was announced is not sent any more."""
    known = memory.sends.items()
    memory.sends = {token: answer for token, answer in known if isinstance(answer, Answer)}
    metadata, before = resource.metadata, resource.status
    by_use = {
        Use.RECEIVER: indexes.by_receiver(metadata.name),
        Use.FORWARDING: indexes.by_forwarding(metadata.name),
        Use.FALLBACK_SENDER: indexes.by_fallback(resource.spec.address),
    }
    users = [
        emailaccount_status.RelianceOn(kind=user.kind.value, name=user.metadata.name, use=use)
        for use, index in by_use.items()
        for user in await world.find(Kind.EMAIL_ACCOUNT, metadata.namespace, index)
        if user.metadata.name != metadata.name
    ]
    users.sort(key=lambda user: (user.name, user.use))
    # The mark of a default stands, and others may be newer.
    watched = [*by_use.values(), *([indexes.DEFAULT] if resource.spec.default else [])]
    stopped = _stopped(resource)
    finding = Finding(
        code=code_of(Reason.DISCONNECTED),
        severity=Severity.WARNING if users else Severity.INFO,
        subject="connection",
        message=_consequences(users, stopped),
    )
    turned_off = Reason.IDENTITY_DISABLED.value
    suspended = find(before.conditions, ConditionType.SUSPENDED)
    notices: tuple[outcome.Notice, ...] = ()
    if suspended is None or suspended.reason != Reason.DISCONNECTED.value:
        kind = outcome.NoticeType.WARNING if users else outcome.NoticeType.NORMAL
        notices = (outcome.Notice(kind, Reason.DISCONNECTED.value, shorten(finding.message)),)
    return rest.Rest(
        rest.resting(
            Reason.DISCONNECTED,
            "spec.connection is Disconnected: nothing is sent, read or checked.",
        ),
        Reason.DISCONNECTED,
        "Disconnected before this spec was evaluated.",
        {
            "identities": [
                entry if entry.reason == turned_off else entry.model_copy(update=_STOPPED)
                for entry in before.identities
            ],
            "disconnection": emailaccount_status.Disconnection(
                relied_on_by=users[: emailaccount_status.RELIANCES_LIMIT],
                stopped_identities=stopped[: identities.IDENTITIES_LIMIT],
            ),
            "consumer": None,
            "findings": [finding],
            "last_test": _refused_test(resource, world),
        },
        frozenset(reference_to(Kind.EMAIL_ACCOUNT, index) for index in watched),
        notices,
    )


def _stopped(resource: EmailAccount) -> list[str]:
    """The addresses that nobody is to send as: those of the spec, then those discovered."""
    spec = resource.spec
    named = {spec.address, *(identity.address for identity in spec.identities)}
    addresses = [spec.address, *(identity.address for identity in spec.enabled_identities)]
    addresses += [
        entry.address
        for entry in resource.status.identities
        if not entry.declared and entry.address not in named
    ]
    return list(dict.fromkeys(addresses))


def _consequences(users: list[emailaccount_status.RelianceOn], stopped: list[str]) -> str:
    """How the account is used again, which addresses stop, and who relied on it."""
    sentence = (
        "The account is disconnected: set spec.connection to Connected to use it again. Meanwhile "
        f"nobody is to send as {_listed(stopped)}."
    )
    if users:
        relied = [f"EmailAccount {user.name} ({_FIELDS[user.use]})" for user in users]
        sentence += f" So these need another one: {_listed(relied)}."
    return shorten(sentence, FINDING_LIMIT)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _refused_test(resource: EmailAccount, world: World) -> LastTest | None:
    """The answer to a test message that is asked for meanwhile, so that it is not sent later."""
    metadata, last = resource.metadata, resource.status.last_test
    nonce = metadata.send_test
    if nonce is None or (last is not None and last.nonce == nonce):
        return last
    recipient = metadata.send_test_to or resource.spec.address
    message = "Nothing is sent as the account: set spec.connection to Connected, then ask anew."
    result = failed_before(recipient, world.now(), Reason.DISCONNECTED, message)
    return LastTest(nonce=nonce, result=result)

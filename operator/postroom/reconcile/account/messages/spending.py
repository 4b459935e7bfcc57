# SPDX-License-Identifier: Apache-2.0
"""What an account's messages count for (`budgets`), and which its status tells of."""

from collections.abc import Iterator
from datetime import datetime

from postroom.api.account_messages import MessageOutcome
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.resource import EmailAccount, MailServer
from postroom.api.times import parse_timestamp
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.tenancy.budgets import Budgets, Spender

#: No server took the message over, and none may have.
_NOT_SENT = frozenset({MessageOutcome.FAILED, MessageOutcome.DEFERRED})


def spender_of(
    account: EmailAccount, server: MailServer | None = None, sender: Attempt | None = None
) -> Spender:
    """Return what an account's messages count for, as far as it is known how it sends."""
    own, theirs = account.spec.credentials_ref, None
    if server is not None and server.metadata.namespace == account.metadata.namespace:
        theirs = server.spec.credentials_ref
    secret = own or (None if account.spec.signs_in else theirs)
    username = sender.username if sender is not None else None
    return Spender(
        account.metadata.namespace,
        account.metadata.name,
        account.spec.address,
        secret.name if secret is not None else None,
        (username, sender.endpoint.host) if sender is not None and username is not None else None,
    )


def learn(
    budgets: Budgets, account: EmailAccount, server: MailServer | None, now: datetime
) -> None:
    """Count the messages of which an account's status tells, and that are not counted yet."""
    spender, uid = spender_of(account, server), account.metadata.uid
    for time, recipient in _sent(account.status):
        moment = parse_timestamp(time)
        budgets.learn(spender, recipient or spender.address, message_id(uid, time), moment, now)


def message_id(uid: str, time: str) -> str:
    """Return what a message is known by that a status tells of."""
    return f"{uid} {time}"


def _sent(status: EmailAccountStatus) -> Iterator[tuple[str, str]]:
    """Give time and recipient of each message that was sent or may have been."""
    for state in (status.last_test, status.round_trip, status.forwarding):
        if state is None:
            continue
        if state.in_flight is not None:
            yield state.in_flight.time, state.in_flight.recipient
        if state.result is not None and state.result.outcome not in _NOT_SENT:
            yield state.result.time, state.result.recipient
    for message in status.recent_messages:
        yield message.time, message.recipient
    for trip in status.round_trip.senders if status.round_trip is not None else ():
        if trip.outcome not in _NOT_SENT:
            yield trip.time, ""

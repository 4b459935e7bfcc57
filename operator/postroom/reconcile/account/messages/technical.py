# SPDX-License-Identifier: Apache-2.0
"""The technical address of an account: the one that its spec names, or a sub-address of the account
to whose mailbox its mail is sent on (RFC 5233).

A derived one is no secret's business but hard to guess: whoever could write to it would be taken
for one of the account's correspondents. It follows from addresses and the operator's key, so that
it is the same for every replica, after a restart, and for an object that is created again.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from postroom.api.account_messages import ForwardedFrom
from postroom.api.emailaccount_status import FORWARDED_LIMIT
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.mail.presets import identify, preset, providers
from postroom.mail.presets.model import SubAddresses
from postroom.reconcile import indexes
from postroom.reconcile.account.messages import correspondents
from postroom.reconcile.account.messages.correspondents import Obstacle, Receiver
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.signing_in.references import reference_to, unusable

#: What most servers take between the local part and what follows.
_USUAL = "+"
_TOKEN_LENGTH = 16  # base32 characters: 80 bits
_LOCAL_PART_LIMIT = 64  # octets: RFC 5321 section 4.5.3.1.1
_ASSUMED = (
    "The server of the technical mailbox must take what follows a + before the @ for a part of the "
    "mailbox's address, as most do; where it does not, name an alias of the mailbox in "
    "spec.forwarding.technicalAddress instead of receiverRef."
)
_INSTEAD = "Create an alias of its mailbox and name it in spec.forwarding.technicalAddress instead."


@dataclass(frozen=True, slots=True)
class Technical:
    """Where mail is sent on to, and whose mailbox that is.

    `address` is None where there is none, and `refused` says why; it also tells of a receiver that
    is gone, whose address is only the last known. `note` is what sub-addresses depend on.
    """

    address: str | None
    receiver: Receiver | Obstacle | None
    references: frozenset[str] = frozenset()
    refused: Obstacle | None = None
    note: str = ""


async def technical_of(view: AccountView) -> Technical:
    """Find the technical address of an account that has `spec.forwarding`."""
    forwarding, metadata = view.resource.spec.forwarding, view.resource.metadata
    if forwarding is None:
        raise ValueError("the account does not forward")
    if forwarding.technical_address is not None:
        address = forwarding.technical_address
        if address.lower() == view.resource.spec.address.lower():
            # What arrives there proves that nothing is sent on.
            itself = _itself("technicalAddress is the account's own address")
            return Technical(None, itself, refused=itself)
        receiver = await correspondents.receiver_at(address, view)
        referred = correspondents.references_to_receiver(address=address)
        return Technical(address, receiver, referred, _gone(receiver))
    name = forwarding.receiver_ref.name if forwarding.receiver_ref is not None else ""
    referred = correspondents.references_to_receiver(name=name)
    before = view.resource.status.forwarding
    last_known = before.technical_address if before is not None else None
    found = await view.world.get(Kind.EMAIL_ACCOUNT, metadata.namespace, name)
    if found is None:
        field = "spec.forwarding.receiverRef"
        there = unusable(view.world, Kind.EMAIL_ACCOUNT, metadata.namespace, name, field)
        message = (
            f"EmailAccount {name}, to whose mailbox mail is to be sent on, does not exist in this "
            "namespace: create it or correct spec.forwarding.receiverRef."
        )
        missing = Obstacle(Reason.EMAIL_ACCOUNT_NOT_FOUND, message)
        if there is not None:
            missing = Obstacle(there.reason, there.message)
        return Technical(last_known, missing, referred, missing)
    if name == metadata.name:
        itself = _itself("receiverRef names the account itself")
        return Technical(None, itself, referred, itself)
    other = cast("EmailAccount", found)
    derived = derived_for(view.resource, other, view.world.ownership.keys)
    if isinstance(derived, Obstacle):
        return Technical(None, derived, referred, derived)
    receiver = await correspondents.receiver_named(name, view)
    known = sub_addresses_of(other)
    note = (known.sentence or "") if known is not None else _ASSUMED
    return Technical(derived, receiver, referred, _gone(receiver), note)


def _itself(what: str) -> Obstacle:
    """That mail is to be sent on to where it arrives already."""
    return Obstacle(
        Reason.RECEIVER_NOT_READY,
        f"spec.forwarding.{what}, where the mail arrives already: name the mailbox that "
        "applications read.",
    )


def _gone(receiver: Receiver | Obstacle | None) -> Obstacle | None:
    """That nobody reads the technical mailbox any more; None where only this look could not."""
    gone = isinstance(receiver, Obstacle) and receiver.reason is Reason.RECEIVER_DISCONNECTED
    return receiver if isinstance(receiver, Obstacle) and gone else None


def derived_for(
    sender: EmailAccount, receiver: EmailAccount, keys: tuple[bytes, ...]
) -> str | Obstacle:
    """Return the sub-address of `receiver` for the mail of `sender`.

    What status has stays, as long as one of the keys, or what there was before there was a key,
    makes it: somebody has set forwarding up for it.
    """
    name, known = receiver.metadata.name, sub_addresses_of(receiver)
    separator = known.separator if known is not None else _USUAL
    if separator is None:
        why = known.sentence if known is not None and known.sentence else ""
        message = f"The provider of EmailAccount {name} passes sub-addresses on to no mailbox."
        return Obstacle(
            Reason.SUB_ADDRESS_UNSUPPORTED, " ".join((message, *([why] if why else []), _INSTEAD))
        )
    local, _, domain = receiver.spec.address.rpartition("@")
    if len(f"{local}{separator}".encode()) + _TOKEN_LENGTH > _LOCAL_PART_LIMIT:
        message = (
            f"The address of EmailAccount {name} is too long for a sub-address: 64 octets before "
            f"the @ are all that mail allows. {_INSTEAD}"
        )
        return Obstacle(Reason.SUB_ADDRESS_UNSUPPORTED, message)
    possible = [f"{local}{separator}{token}@{domain}" for token in _tokens(sender, receiver, keys)]
    stored = sender.status.forwarding
    before = stored.technical_address if stored is not None else None
    return before if before in possible else possible[0]


def _tokens(sender: EmailAccount, receiver: EmailAccount, keys: tuple[bytes, ...]) -> Iterator[str]:
    """The tokens of a sub-address, the one to use first.

    Without a key of the operator the receiver's uid stands in, which nobody knows who may not read
    the namespace.
    """
    addresses = (sender.spec.address.lower(), receiver.spec.address.lower())
    text = "\n".join(("technical-address", sender.metadata.namespace, *addresses))
    for key in (*keys, receiver.metadata.uid.encode()):
        digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
        yield base64.b32encode(digest).decode().lower()[:_TOKEN_LENGTH]


def sub_addresses_of(receiver: EmailAccount) -> SubAddresses | None:
    """What is known of the sub-addresses of an account's mailbox; None: nothing."""
    spec = receiver.spec
    host = spec.imap.host if spec.imap is not None else None
    name = spec.provider if spec.provider is not None and host is None else identify(host or "")
    return preset(name).sub_addresses if name is not None and name in providers() else None


async def step(view: AccountView) -> Contribution:
    """Tell an account whose mail is sent on to its mailbox, and under which sub-address.

    All of them are of its own namespace, as a reference leads to no other.
    """
    metadata, resource = view.resource.metadata, view.resource
    index = indexes.by_forwarding(metadata.name)
    senders = await view.world.find(Kind.EMAIL_ACCOUNT, metadata.namespace, index)
    listed: list[ForwardedFrom] = []
    for found in senders:
        sender = cast("EmailAccount", found)
        address = derived_for(sender, resource, view.world.ownership.keys)
        if sender.metadata.name == metadata.name or isinstance(address, Obstacle):
            continue
        listed.append(
            ForwardedFrom(
                name=sender.metadata.name, address=sender.spec.address, technical_address=address
            )
        )
    return Contribution(
        fields={"forwarded_from": listed[:FORWARDED_LIMIT]},
        references=frozenset({reference_to(Kind.EMAIL_ACCOUNT, index)}),
    )

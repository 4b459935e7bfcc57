# SPDX-License-Identifier: Apache-2.0
"""What Gmail and Microsoft Graph answer, read tolerantly: what cannot be understood is left out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from postroom.api.fields import EmailAddress
from postroom.api.identities import DISPLAY_NAME_LIMIT, IdentityState, IdentityType
from postroom.api.oauth import OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.values import Discovered, DiscoveryFailure, ListedIdentity, same

#: Entries of a list that are looked at, and identities that are kept of them. Exchange Online
#: allows 400 addresses of a mailbox.
_ENTRIES_LIMIT, _KEPT_LIMIT = 1000, 400
#: How an answer says that there is more of it (OData 4.01 section 4.6.5; Google's AIP-158).
_GOES_ON = re.compile(r"\A(?:nextPageToken|(?:proxyAddresses)?@(?:odata\.)?nextLink)\Z")
_ADDRESS = TypeAdapter[str](EmailAddress)


def read(
    provider: OAuthProvider, document: Mapping[str, object], mailbox: str
) -> Discovered | DiscoveryFailure:
    """Read a provider's answer about a mailbox. Never raises."""
    if provider is OAuthProvider.GOOGLE:
        return read_gmail(document, mailbox)
    return read_graph(document, mailbox)


def read_gmail(document: Mapping[str, object], mailbox: str) -> Discovered | DiscoveryFailure:
    """Read the answer of ``users.settings.sendAs.list``.

    Gmail rewrites the sender of a message to the primary address unless it is listed here, so that
    the list decides about every address.
    """
    entries = _entries(document, "sendAs")
    found = [
        identity
        for entry in entries[:_ENTRIES_LIMIT]
        if isinstance(entry, dict) and (identity := _send_as(entry)) is not None
    ]
    if not found:
        return _incomprehensible("Gmail")
    if not any(same(listed.address, mailbox) for listed in found):
        return _another_mailbox(mailbox)
    made = Discovered(OAuthProvider.GOOGLE, mailbox, _ordered(found), frozenset(IdentityType))
    return _as_far_as_read(made, document, entries)


def read_graph(document: Mapping[str, object], mailbox: str) -> Discovered | DiscoveryFailure:
    """Read the answer of ``GET /me`` or ``/users/{id}``: mail, userPrincipalName, proxyAddresses.

    The type of a proxy address is ``SMTP`` for the primary one, ``smtp`` for an alias. Personal
    accounts have none, so that nothing is known of their aliases.
    """
    proxies = _entries(document, "proxyAddresses")
    found: list[ListedIdentity] = []
    for entry in proxies[:_ENTRIES_LIMIT]:
        label, _, rest = entry.partition(":") if isinstance(entry, str) else ("", "", "")
        address = _address(rest)
        # Others are SIP, X500 and the like.
        if address is not None and label.upper() == "SMTP":
            kind = IdentityType.PRIMARY if label == "SMTP" else IdentityType.ALIAS
            found.append(ListedIdentity(address, kind, IdentityState.VERIFIED))
    aliases_known = bool(found)
    mail = _address(document.get("mail"))
    if mail is not None and not any(same(identity.address, mail) for identity in found):
        kind = IdentityType.ALIAS if aliases_known else IdentityType.PRIMARY
        found.append(ListedIdentity(mail, kind, IdentityState.VERIFIED))
    # The name to sign in with looks like an address, but need not be one.
    login = _address(document.get("userPrincipalName"))
    if not found and login is None:
        return _incomprehensible("Microsoft Graph")
    names = [identity.address for identity in found] + ([login] if login is not None else [])
    if not any(same(name, mailbox) for name in names):
        return _another_mailbox(mailbox)
    decides = {IdentityType.PRIMARY, IdentityType.ALIAS} if aliases_known else set()
    made = Discovered(OAuthProvider.MICROSOFT, mailbox, _ordered(found), frozenset(decides))
    return _as_far_as_read(made, document, proxies)


def _entries(document: Mapping[str, object], name: str) -> list[object]:
    entries = document.get(name)
    return entries if isinstance(entries, list) else []


def _as_far_as_read(
    found: Discovered, document: Mapping[str, object], entries: Sequence[object]
) -> Discovered:
    """A list that goes on elsewhere decides about no address that it does not name.

    Neither API hands out this list in pages, as documented; one that does is not followed.
    """
    goes_on = any(document.get(mark) for mark in document if _GOES_ON.search(mark))
    if goes_on or len(entries) > _ENTRIES_LIMIT or len(found.listed) > _KEPT_LIMIT:
        return replace(found, listed=found.listed[:_KEPT_LIMIT], decides=frozenset(), cut=True)
    return found


def _send_as(entry: Mapping[str, object]) -> ListedIdentity | None:
    address = _address(entry.get("sendAsEmail"))
    if address is None:
        return None
    said = entry.get("displayName")
    shown = said[: 4 * DISPLAY_NAME_LIMIT] if isinstance(said, str) else ""
    words = "".join(character for character in shown if character.isprintable()).split()
    name = " ".join(words)[:DISPLAY_NAME_LIMIT].strip() or None
    if entry.get("isPrimary") is True:
        # Only custom addresses have a verification status.
        return ListedIdentity(address, IdentityType.PRIMARY, IdentityState.VERIFIED, name)
    kind = IdentityType.ALIAS if entry.get("treatAsAlias") is True else IdentityType.SEND_AS
    states = {"accepted": IdentityState.VERIFIED, "pending": IdentityState.PENDING}
    status = entry.get("verificationStatus")
    state = states.get(status) if isinstance(status, str) else None
    return ListedIdentity(address, kind, state or IdentityState.UNVERIFIABLE, name)


def _address(value: object) -> str | None:
    """Return an address as a spec would write it: its domain lowercase."""
    if not isinstance(value, str):
        return None
    local, at, domain = value[:_ENTRIES_LIMIT].rpartition("@")
    try:
        return _ADDRESS.validate_python(f"{local}{at}{domain.lower()}")
    except ValidationError:
        return None


def _ordered(found: Iterable[ListedIdentity]) -> tuple[ListedIdentity, ...]:
    """Drop doubles, and sort: the primary one first."""
    first: dict[str, ListedIdentity] = {}
    for identity in found:
        first.setdefault(identity.address.casefold(), identity)
    ordered = sorted(
        first.values(), key=lambda listed: (listed.type is not IdentityType.PRIMARY, listed.address)
    )
    return tuple(ordered)


def _another_mailbox(mailbox: str) -> DiscoveryFailure:
    return DiscoveryFailure(
        Reason.IDENTITY_UNVERIFIABLE,
        f"The token was granted by another person, whose list does not name {mailbox}: what this "
        "mailbox may send as cannot be read with it.",
    )


def _incomprehensible(api: str) -> DiscoveryFailure:
    return DiscoveryFailure(
        Reason.PROBE_INCONCLUSIVE, f"{api} answers without any address.", passing=True
    )

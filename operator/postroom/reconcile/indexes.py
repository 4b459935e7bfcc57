# SPDX-License-Identifier: Apache-2.0
"""The indexes under which objects are found by others that depend on them.

One text per index (``default=true``), so that a world can keep them in a plain dict and a
dependant can name them in `Outcome.references`: nothing ever scans a namespace.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.fields import DomainName, Model
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.profile import Purpose
from postroom.api.resource import AnyResource, InvalidSpec, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec

#: Servers and accounts that claim to be the default of their namespace.
DEFAULT = "default=true"
#: Accounts that nobody is to use; here so that those who do are told when one of them changes.
DISCONNECTED, SUSPENDED = "connection=Disconnected", "suspend=true"
#: Objects that are being deleted, and that a finalizer of somebody's may keep for ever.
LEAVING = "deleted=true"
#: From so many messages a day Gmail, Yahoo and Microsoft ask more of a sender.
BULK_DAILY = 5000
_DOMAIN, _ADDRESS, _IDENTITY = "domain=", "address=", "identity="
_SERVER, _RECEIVER, _FALLBACK, _SENDS = "server=", "receiver=", "fallback=", "sends="
_FORWARDING = "forwarding="
_DOMAIN_NAME: TypeAdapter[str] = TypeAdapter(DomainName)


def by_address(address: str) -> str:
    """Accounts of an address; receivers fold the case of addresses, so this does."""
    return f"{_ADDRESS}{address.lower()}"


def by_identity(address: str) -> str:
    """Accounts that are to send as an address besides their own."""
    return f"{_IDENTITY}{address.lower()}"


def by_consumer(name: str) -> str:
    """Accounts that one application alone is to use."""
    return f"consumer={name}"


def by_domain(domain: str) -> str:
    """Sending domains for a domain."""
    return f"{_DOMAIN}{domain}"


def unusable(index: str) -> str:
    """Objects that say what an index is about, in a spec that is invalid."""
    return f"unusable:{index}"


def domain_among(indexes: Iterable[str]) -> str | None:
    """Return the domain that a sending domain's indexes name."""
    return next((index[len(_DOMAIN) :] for index in indexes if index.startswith(_DOMAIN)), None)


def address_among(indexes: Iterable[str]) -> str | None:
    """Return the address that an account's indexes name, folded."""
    return next((index[len(_ADDRESS) :] for index in indexes if index.startswith(_ADDRESS)), None)


def is_at_rest(indexes: Iterable[str]) -> bool:
    """Whether an account's indexes say that nothing is done with it."""
    return not {DISCONNECTED, SUSPENDED, LEAVING}.isdisjoint(indexes)


def known_by(indexes: Iterable[str]) -> set[str]:
    """The indexes under which others look for an account that they use."""
    return {index for index in indexes if index.startswith((_ADDRESS, _IDENTITY))}


def by_server(name: str | None, namespace: str | None = None) -> str:
    """Accounts that name a server; None: those that leave it to the namespace's default."""
    return f"{_SERVER}{namespace}/{name}" if namespace else f"{_SERVER}{name or ''}"


def namespace_in(index: str) -> str | None:
    """Return the namespace that an index names, where it may be another than the object's."""
    target, slash, _ = index.removeprefix(_SERVER).partition("/")
    return target if slash and index.startswith(_SERVER) else None


def tells_use(index: str) -> bool:
    """Whether an index only tells who uses an object: no verdict stands on it."""
    return index.startswith((_SERVER, _RECEIVER, _FORWARDING, _FALLBACK, _SENDS))


def by_receiver(name: str) -> str:
    """Accounts whose round trip goes to the mailbox of an account of this name."""
    return f"{_RECEIVER}{name}"


def by_forwarding(name: str) -> str:
    """Accounts whose mail is sent on to the mailbox of an account of this name."""
    return f"{_FORWARDING}{name}"


def by_sender(domain: str) -> str:
    """Accounts that send, or fall back to sending, under a domain."""
    return f"{_SENDS}{domain}"


def by_fallback(address: str) -> str:
    """Accounts that an address stands in for."""
    return f"{_FALLBACK}{address.lower()}"


def by_bulk_of(domain: str) -> str:
    """Accounts of a domain's addresses whose specs declare bulk mail."""
    return f"bulk={domain}"


def _declares_bulk(spec: EmailAccountSpec) -> bool:
    """Whether an account is meant for mail to many, or to strangers: by its purpose, or as it may
    send so much in a day that receivers call it bulk."""
    daily = spec.send_limits.daily if spec.send_limits is not None else None
    return spec.purpose is Purpose.NEW_BUSINESS or (daily or 0) >= BULK_DAILY


def indexes_of(spec: Model) -> frozenset[str]:
    """Return every index that an object with this spec stands under."""
    match spec:
        case SendingDomainSpec():
            return frozenset({by_domain(spec.domain)})
        case MailServerSpec():
            return frozenset({DEFAULT}) if spec.default else frozenset()
        case EmailAccountSpec():
            found = {by_address(spec.address), by_sender(spec.domain)}
            if not spec.at_provider:
                server = spec.server_ref
                found.add(by_server(server.name, server.namespace) if server else by_server(None))
            if spec.round_trip.receiver_ref is not None:
                found.add(by_receiver(spec.round_trip.receiver_ref.name))
            if spec.forwarding is not None and spec.forwarding.receiver_ref is not None:
                found.add(by_forwarding(spec.forwarding.receiver_ref.name))
            if spec.fallback_sender is not None:
                found.add(by_fallback(spec.fallback_sender))
                found.add(by_sender(spec.fallback_sender.rpartition("@")[2].lower()))
            if spec.consumer is not None:
                found.add(by_consumer(spec.consumer.name))
            if _declares_bulk(spec) and not spec.at_rest:
                found.add(by_bulk_of(spec.domain))
            found.update(by_identity(identity.address) for identity in spec.enabled_identities)
            marks = {
                DEFAULT: spec.default,
                DISCONNECTED: spec.disconnected,
                SUSPENDED: spec.suspend,
            }
            return frozenset(found | {mark for mark, is_set in marks.items() if is_set})
        case _:
            return frozenset()


def standing(kind: Kind, raw: Mapping[str, Any]) -> frozenset[str]:
    """Return every index of an object as the API server has it; that somebody deletes it is a new
    generation, too."""
    found = indexes_in(kind, raw.get("spec"))
    leaving = (raw.get("metadata") or {}).get("deletionTimestamp")
    return found | {LEAVING} if leaving else found


def indexes_in(kind: Kind, spec: Any) -> frozenset[str]:
    """Return every index of an object that may have an invalid spec, as the API server has it."""
    try:
        return indexes_of(parse_spec(kind, spec))
    except InvalidSpec:
        return frozenset(map(unusable, _said(kind, spec if isinstance(spec, Mapping) else {})))


def _said(kind: Kind, spec: Mapping[str, Any]) -> Iterator[str]:
    """What an invalid spec says of that for which others look, as far as that is valid itself."""
    if kind is Kind.MAIL_SERVER and spec.get("default") is True:
        yield DEFAULT
    if kind is Kind.SENDING_DOMAIN:
        # How it is written may be all that is wrong.
        name = str(spec.get("domain")).lower().removesuffix(".")
        try:
            yield by_domain(_DOMAIN_NAME.validate_python(name))
        except ValidationError:
            return


def age(resource: AnyResource) -> tuple[str, str]:
    """By what objects are ordered that stand under one index: the older one is less."""
    return resource.metadata.creation_timestamp, resource.metadata.name

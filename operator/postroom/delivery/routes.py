# SPDX-License-Identifier: Apache-2.0
"""Finds from which mailbox to which application an account's mail goes, or what is in the way.

The mailbox is the one that the operator has signed in to: what it does not reach, or whose
credentials were refused, is not tried a second time by another process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from postroom.api import inbound_delivery
from postroom.api.conditions import ConditionStatus, ConditionType, Verdict
from postroom.api.conditions import find as find_condition
from postroom.api.mailserver import ProbeStage
from postroom.api.masked import Masked
from postroom.api.names import ALLOW_SIGNING
from postroom.api.reasons import CATALOGUE, Reason
from postroom.api.resource import EmailAccount
from postroom.delivery import contract, cursors, signing
from postroom.delivery.events import Format
from postroom.delivery.sinks import http, jetstream
from postroom.delivery.sinks.choice import Destination
from postroom.mail.connect.dial import Failure
from postroom.mail.operations import Answer
from postroom.mail.report import Login
from postroom.reconcile.account.messages import correspondents
from postroom.reconcile.account.messages.correspondents import Obstacle
from postroom.reconcile.signing_in import references
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.world import LookupUnavailable, World

CURRENT, PREVIOUS = "current", "previous"
#: What the operator must have found of an account before its mailbox is read.
_NEEDED = (ConditionType.REFERENCES_RESOLVED, ConditionType.IMAP_AUTHENTICATED)
_FIELD = "spec.inbound.deliver.signingKeyRef"

#: What the worker has against a destination of a namespace: see `Sinks.objection`.
Objection = Callable[[Destination, str], tuple[Reason, str] | None]


class Services(Protocol):
    """Reads Services; raises `LookupUnavailable`."""

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """A Service as the API server has it: one that was made anew is another, and so is one whose
    address is."""

    uid: str
    address: str


@dataclass(frozen=True, slots=True)
class Found:
    """All that a courier needs; `mark` is another one when anything of it is.

    `standing` is None where mail goes to no Service.
    """

    destination: Destination
    standing: Standing | None
    written_as: Format
    keys: Sequence[Masked]
    attempt: Attempt
    plan: contract.Plan
    mark: tuple[object, ...]
    addressee: str


async def find(
    resource: EmailAccount, world: World, services: Services, objection: Objection
) -> Found | Obstacle:
    """Return where an account's mail comes from and goes to.

    An obstacle is passing where it is not known whether there is one: who is at work goes on.
    """
    spec, namespace = resource.spec, resource.metadata.namespace
    deliver = spec.inbound.deliver if spec.inbound is not None else None
    if deliver is None:
        return Obstacle(Reason.NOT_ATTEMPTED, "spec.inbound.deliver names no application.")
    if spec.disconnected:
        return Obstacle(Reason.DISCONNECTED, "The account is disconnected: no mail is handed over.")
    if spec.suspend:
        message = "spec.suspend is true: no mail is handed over."
        return Obstacle(Reason.SUSPENDED_BY_SPEC, message)
    if (obstacle := _unproven(resource)) is not None:
        return obstacle
    try:
        keys: Sequence[Masked] | Obstacle = ()
        if deliver.signing_key_ref is not None:
            keys = await signing_keys(world, namespace, deliver.signing_key_ref.name)
        if isinstance(keys, Obstacle):
            return keys
        destination: Destination | Obstacle = jetstream.Subject(namespace, resource.metadata.name)
        stands: Standing | None = None
        if deliver.service is not None:
            raw = await services.service(namespace, deliver.service.name)
            looked = standing(raw, deliver.service)
            if isinstance(looked, Obstacle):
                return looked
            stands = looked
            destination = await _destination(deliver.service, stands.address, namespace, world)
        if isinstance(destination, Obstacle):
            return destination
        if (against := objection(destination, namespace)) is not None:
            return Obstacle(*against)
        attempt = await correspondents.attempt_at(resource, world)
    except LookupUnavailable as error:
        return Obstacle(Reason.AWAITING_DEPENDENCY, error.sentence, passing=True)
    if attempt is None:
        message = "The mailbox may not be signed in to now: read the account's other conditions."
        return Obstacle(Reason.AWAITING_DEPENDENCY, message)
    plan = contract.Plan(
        tuple(map(inbound_delivery.canonical, deliver.mailboxes)),
        cursors.Start(deliver.start.value),
        backfill=timedelta(days=spec.sync.backfill_days),
        max_size=inbound_delivery.octets(deliver.max_size),
        interval=spec.sync.interval,
    )
    mark = (plan, destination, stands, deliver.format, keys, attempt.endpoint, attempt.credentials)
    asked, written_as = resource.metadata.requested_at, Format(deliver.format.value)
    to = cursors.addressee_of(deliver)
    return Found(destination, stands, written_as, keys, attempt, plan, (*mark, asked), to)


def _unproven(resource: EmailAccount) -> Obstacle | None:
    """What keeps an account's mailbox from being read, by what the operator found out of it."""
    status = resource.status
    if status.observed_generation != resource.metadata.generation:
        # No verdict: whoever changed the spec waits for the one that follows within a moment.
        message = "The operator has not looked at this spec yet."
        return Obstacle(Reason.PROGRESSING, message, passing=True)
    for needed in _NEEDED:
        condition = find_condition(status.conditions, needed)
        if condition is None or condition.status is ConditionStatus.UNKNOWN:
            message = f"The mailbox is not known to be good yet: read {needed}."
            return Obstacle(Reason.AWAITING_DEPENDENCY, message, passing=True)
        if condition.status is ConditionStatus.FALSE:
            message = f"{needed} is False, so the mailbox is not read: {condition.message}"
            # Another version of the operator may know others.
            known = condition.reason in CATALOGUE
            reason = Reason(condition.reason) if known else Reason.AWAITING_DEPENDENCY
            return Obstacle(reason, message)
    return None


def references_of(resource: EmailAccount) -> frozenset[str]:
    """What must bring an account back besides what its conditions stand on."""
    inbound = resource.spec.inbound
    if inbound is None or inbound.deliver is None:
        return frozenset()
    deliver, found = inbound.deliver, set[str]()
    if deliver.signing_key_ref is not None:
        found.add(reference_to("Secret", deliver.signing_key_ref.name))
    if deliver.service is not None:
        found.add(reference_to("Service", deliver.service.name))
    bundle = deliver.service.ca_bundle_ref if deliver.service is not None else None
    if bundle is not None:
        found.add(reference_to(bundle.kind, bundle.name))
    return frozenset(found)


def signing_in(attempt: Attempt, world: World) -> Callable[[], Any]:
    """How a courier gets what it signs in with, each time anew: a token may have ended."""

    async def login() -> Login:
        got = await correspondents.login_for(attempt, world)
        if isinstance(got, Answer):
            raise Failure(ProbeStage.AUTH, got.reason, got.message, conclusive=False)
        return got

    return login


async def signing_keys(world: World, namespace: str, name: str) -> Sequence[Masked] | Obstacle:
    """The keys that a Secret signs with, or why there are none; raises `LookupUnavailable`."""
    secret = await world.secret(namespace, name)
    if secret is None:
        message = f"Secret {name} ({_FIELD}) does not exist in this namespace: create it."
        return Obstacle(Reason.SECRET_NOT_FOUND, message)
    if not (secret.silence_consents or ALLOW_SIGNING in secret.allowed_uses):
        message = (
            f"Secret {name} ({_FIELD}) may not sign what is handed over: let its owner annotate it "
            f"postroom.dev/allow: {ALLOW_SIGNING}."
        )
        return Obstacle(Reason.REFERENCE_NOT_PERMITTED, message)
    if CURRENT not in secret.data:
        message = f"Secret {name} ({_FIELD}) has no key {CURRENT}: put the signing key there."
        return Obstacle(Reason.SECRET_KEY_MISSING, message)
    found: list[Masked] = []
    for key in (CURRENT, PREVIOUS):
        if key not in secret.data:
            continue
        try:
            found.append(signing.parse_key(secret.data[key].reveal()))
        except ValueError as error:
            message = f"Key {key} of Secret {name} {error}: echo whsec_$(openssl rand -base64 32)."
            return Obstacle(Reason.SIGNING_KEY_INVALID, message)
    return tuple(found)


def standing(
    raw: Mapping[str, Any] | None, service: inbound_delivery.ConsumerService
) -> Standing | Obstacle:
    """Which Service an account's is, by what the API server says of its name."""
    spec = raw.get("spec") if raw is not None else None
    if raw is None or not isinstance(spec, Mapping):
        message = f"Service {service.name} does not exist in this namespace: create it."
        return Obstacle(Reason.SERVICE_NOT_FOUND, message)
    address = str(spec.get("clusterIP") or "")
    if spec.get("type") == "ExternalName" or address in ("", "None"):
        message = (
            f"Service {service.name} has no address of its own (ExternalName, or clusterIP None): "
            "name one of type ClusterIP."
        )
        return Obstacle(Reason.SERVICE_NOT_USABLE, message)
    ports = [
        port.get("port")
        for port in spec.get("ports") or ()
        if isinstance(port, Mapping) and port.get("protocol", "TCP") == "TCP"
    ]
    if service.port not in ports:
        have = ", ".join(map(str, ports)) or "none"
        message = f"Service {service.name} has no TCP port {service.port} (it has {have})."
        return Obstacle(Reason.SERVICE_NOT_FOUND, message)
    metadata = raw.get("metadata")
    uid = metadata.get("uid") if isinstance(metadata, Mapping) else None
    return Standing(str(uid or ""), address)


async def _destination(
    service: inbound_delivery.ConsumerService, address: str, namespace: str, world: World
) -> http.Destination | Obstacle:
    bundle = None
    if service.ca_bundle_ref is not None:
        field = "spec.inbound.deliver.service.caBundleRef"
        found = await references.ca_bundle(world, namespace, service.ca_bundle_ref, field)
        if isinstance(found, Verdict):
            return Obstacle(found.reason, found.message)
        bundle = found.value
    return http.Destination(
        address,
        service.port,
        f"{service.name}.{namespace}.svc",
        service.path,
        secure=service.scheme is inbound_delivery.Scheme.HTTPS,
        ca_bundle=bundle,
    )

# SPDX-License-Identifier: Apache-2.0
"""What was found out and done, for whoever has to account for it: one log line for each.

Most of it is read off what a status says that it did not say before, so that nothing that was
written is left out and nothing is told that was not. No line has content of a message, of a reply
or of a Secret.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import Any

from postroom.api.names import (
    BACKFILL_ANNOTATION,
    REQUESTED_AT_ANNOTATIONS,
    SEND_TEST_ANNOTATION,
    Key,
)
from postroom.api.resource import MAPPINGS
from postroom.concurrency.bounded import BoundedMap
from postroom.controller import shared_status
from postroom.controller.raw_objects import (
    REQUESTED_BY,
    SPEC_BY,
    Raw,
    metadata_of,
    status_of,
)
from postroom.log import Event, about, account_for
from postroom.mail.oauth.grant import Grant
from postroom.mail.report import Endpoint, Login

#: Pairs of a Secret and a host that are remembered; one that was forgotten is told again.
_PAIRS_REMEMBERED = 50_000


class Action(StrEnum):
    """What a line is about."""

    VERDICT_CHANGED = "VerdictChanged"
    REQUEST_HANDLED = "RequestHandled"
    MESSAGE_SENT = "MessageSent"
    SECRET_USED = "SecretUsed"  # noqa: S105 - no Secret, but its use
    SECRET_WRITTEN = "SecretWritten"  # noqa: S105
    SECRET_DELETED = "SecretDeleted"  # noqa: S105
    BINDING_PUBLISHED = "BindingPublished"
    BINDING_WITHDRAWN = "BindingWithdrawn"
    RECORDS_PUBLISHED = "RecordsPublished"
    RECORDS_WITHDRAWN = "RecordsWithdrawn"


#: Where a status acknowledges what an annotation asked for.
_ACKNOWLEDGED = {
    "check": (REQUESTED_AT_ANNOTATIONS, ("lastHandledReconcileAt",)),
    "test": ((SEND_TEST_ANNOTATION,), ("lastTest", "nonce")),
    "backfill": ((BACKFILL_ANNOTATION,), ("lastBackfill", "nonce")),
}


class Audit:
    """Writes the lines. Whoever has no use for them drops the logger ``audit``."""

    def __init__(self) -> None:
        self._pairs: BoundedMap[tuple[str, str, str], None] = BoundedMap(
            _PAIRS_REMEMBERED, party_of=itemgetter(0)
        )

    def status_written(self, key: Key, before: Raw, status: Mapping[str, Any]) -> None:
        """A status took the place of the one of the object as it was before; what stands there of
        `postroom deliver` stays."""
        stood = shared_status.without_delivery(status_of(before))
        account_for((*_differences(stood, status, metadata_of(before)),), about(key))

    def signed_in(self, endpoint: Endpoint, login: Login) -> None:
        """A login was sent to a mail server, whatever that said."""
        self._secret_used(endpoint.namespace, login.secret, f"{endpoint.host}:{endpoint.port}")

    def token_asked(self, grant: Grant) -> None:
        """The Secrets of a grant were sent to its token endpoint, or signed what was."""
        self._secret_used(grant.namespace, grant.secret, grant.token_url)

    def secret_written(self, namespace: str, name: str, *, deleted: bool = False) -> None:
        """A Secret of the operator's own was created, changed or deleted."""
        action = Action.SECRET_DELETED if deleted else Action.SECRET_WRITTEN
        account_for([{"action": action, "namespace": namespace, "secret": name}])

    def records_published(self, key: Key, endpoint: str, records: Sequence[str]) -> None:
        """A DNSEndpoint was made or changed, and has these records: types and names."""
        told = {"action": Action.RECORDS_PUBLISHED, "endpoint": endpoint, "records": list(records)}
        account_for([told], about(key))

    def records_withdrawn(self, key: Key, endpoint: str) -> None:
        """A DNSEndpoint of ours was deleted."""
        account_for([{"action": Action.RECORDS_WITHDRAWN, "endpoint": endpoint}], about(key))

    def _secret_used(self, namespace: str, secret: str, target: str) -> None:
        """The first use of a Secret at a target since this process started."""
        pair = (namespace, secret, target)
        if secret and pair not in self._pairs:
            used = {"action": Action.SECRET_USED, "namespace": namespace, "secret": secret}
            account_for([{**used, "target": target}])
        self._pairs.put(pair, None)


def _differences(
    stored: Mapping[str, Any], status: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[Event]:
    """What a status says anew of verdicts, requests and messages."""
    asked_by, requests = metadata.get(REQUESTED_BY) or {}, metadata.get("annotations") or {}
    known = _conditions(stored)
    moved = stored.get("observedGeneration") != status.get("observedGeneration")
    verdicts = _conditions(status)
    for type_ in (*verdicts, *(gone for gone in known if gone not in verdicts)):
        before, condition = known.get(type_, {}), verdicts.get(type_, {})
        if _verdict(before) == _verdict(condition):
            continue
        entry = {
            "action": Action.VERDICT_CHANGED.value,
            "condition": type_,
            "from": _verdict(before)[0],
            "to": condition.get("status"),
            "reason": condition.get("reason"),
            "generation": status.get("observedGeneration"),
        }
        if moved and metadata.get(SPEC_BY):
            entry["changedBy"] = metadata[SPEC_BY]
        yield entry
    for request, (names, path) in _ACKNOWLEDGED.items():
        token = _at(status, path)
        if token is not None and token != _at(stored, path):
            entry = {"action": Action.REQUEST_HANDLED.value, "request": request, "token": token}
            # Somebody may have asked anew since, or long before: this was not their request.
            new = {str(token), *str(token).split(",")} - set(str(_at(stored, path)).split(","))
            asked = [name for name in names if requests.get(name) in new]
            managers = sorted({asked_by[name] for name in asked if name in asked_by})
            yield {**entry, "requestedBy": ", ".join(managers)} if managers else entry
    earlier, now = _bound(stored), _bound(status)
    for action, bound in (
        (Action.BINDING_WITHDRAWN, earlier - now),
        (Action.BINDING_PUBLISHED, now - earlier),
    ):
        yield from ({"action": action, "secret": name} for name in sorted(bound))
    sent_before = stored.get("recentMessages") or ()
    for message in status.get("recentMessages") or ():
        if message not in sent_before:
            yield {
                "action": Action.MESSAGE_SENT,
                "time": message.get("time"),
                "recipient": message.get("recipient"),
                "purpose": _purpose_of(message, status),
            }


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The conditions by type."""
    return {
        str(condition.get("type")): condition
        for condition in status.get("conditions") or ()
        if isinstance(condition, MAPPINGS)
    }


def _bound(status: Mapping[str, Any]) -> set[str]:
    """The Secrets in which applications find what they need."""
    return {
        name
        for part in ("name", "defaultName")
        if isinstance(name := _at(status, ("binding", part)), str)
    }


def _verdict(condition: Mapping[str, Any]) -> tuple[object, object]:
    return condition.get("status"), condition.get("reason")


def _at(status: Mapping[str, Any], path: tuple[str, ...]) -> object:
    """The value at a path; None where nothing is."""
    value: object = status
    for name in path:
        if value is None:
            break  # most of these are of few accounts
        value = value.get(name) if isinstance(value, MAPPINGS) else None
    return value


def _purpose_of(message: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """What a message was sent for: the part of status that has one of the same time."""
    for purpose in ("lastTest", "roundTrip", "forwarding"):
        for part in ("inFlight", "result"):
            if _at(status, (purpose, part, "time")) == message.get("time"):
                return purpose
    return "unknown"

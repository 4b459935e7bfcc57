# SPDX-License-Identifier: Apache-2.0
"""What the API server's audit log says of a ServiceAccount's requests."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from cluster.objects import eventually
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import USER, OperatorProcess

#: What an API server notes of the token that a request came with.
_CREDENTIAL = "authentication.kubernetes.io/credential-id"
_EVER = datetime.min.replace(tzinfo=UTC)
#: Without a write for so long, what is told a moment later has been told, too.
_AT_REST = timedelta(seconds=3)


def forbidden(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests that RBAC denied; an Event for a namespace that is being deleted is denied by
    its life cycle, whatever the rights are."""
    return [
        request
        for request in requests
        if request["responseStatus"]["code"] == 403
        and "being terminated" not in request["responseStatus"].get("message", "")
    ]


def requests_of(
    plane: ControlPlane, user: str = USER, since: datetime = _EVER
) -> list[dict[str, Any]]:
    """Every request of a ServiceAccount, the operator's unless another is named, that was received
    since a moment.

    Not since so many lines of the audit log: a request has its line there when it is answered, and
    what it does can be read before. Without what an API server that was starting denied: it did not
    know the rights yet.
    """
    return [
        event
        for event in plane.audit_events()
        if event["user"]["username"] == user
        and _received(event) >= since
        and not _denied_while_starting(plane, event)
    ]


def _received(request: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(request["requestReceivedTimestamp"])


def _denied_while_starting(plane: ControlPlane, request: dict[str, Any]) -> bool:
    return request["responseStatus"]["code"] == 403 and any(
        began <= _received(request) <= ready for began, ready in plane.outages
    )


def writes_of(
    plane: ControlPlane,
    user: str = USER,
    since: datetime = _EVER,
    by: OperatorProcess | None = None,
) -> list[dict[str, Any]]:
    """Every request of a ServiceAccount that writes, since a moment.

    With `by` those of one process, which has a token of its own: what another one had asked for
    before it was stopped may still be on its way.
    """
    reading = {"get", "list", "watch"}
    writes = [each for each in requests_of(plane, user, since) if each["verb"] not in reading]
    if by is None:
        return writes
    known = f"JTI={_identifier_of(by)}"
    return [each for each in writes if known in each["user"]["extra"][_CREDENTIAL]]


def comes_to_rest(plane: ControlPlane) -> datetime:
    """Wait until nothing has been written for a while; returns since when nothing is expected."""
    eventually(lambda: writes_of(plane, since=datetime.now(UTC) - _AT_REST) == [], "nothing to do")
    return datetime.now(UTC)


def _identifier_of(process: OperatorProcess) -> str:
    """Which token a process signs in with (RFC 7519 section 4.1.7)."""
    config = yaml.load(process.kubeconfig.read_text(), Loader=yaml.CSafeLoader)
    claims = config["users"][0]["user"]["token"].split(".")[1]
    return str(json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"])

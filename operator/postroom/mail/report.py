# SPDX-License-Identifier: Apache-2.0
"""What a probe is asked to do and what it yields: values that a reconciler turns into status."""

from __future__ import annotations

from dataclasses import dataclass

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials for one AUTH attempt; `token`: the password is an OAuth access token."""

    username: str
    password: Masked
    token: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and whom to trust.

    `ca_bundle` is a PEM text; None means the public authorities. `server_name` is the name to
    verify in the certificate and to send as SNI. `namespace` is the tenant: only its own
    Services may be dialled at private addresses.
    """

    host: str
    port: int
    tls: TLSMode
    server_name: str
    ca_bundle: str | None
    namespace: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Counts of a mailbox (RFC 9051 section 6.3.11)."""

    name: str
    messages: int
    unseen: int | None
    uid_next: int | None
    uid_validity: int | None


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How far one probe came.

    `stage` is the stage that failed, or DONE; `reason` is PROBE_SUCCEEDED when DONE, else the
    cause in catalogue terms; `message` is one deterministic sentence with the remedy: no server
    text, times, ports of ours or ids in it. `conclusive` is False for passing causes (4xx, broken
    off), which must not turn a verified thing False. `authenticated` is None when no AUTH was
    asked for or reached, else whether it was accepted.
    """

    stage: ProbeStage
    reason: Reason
    message: str
    conclusive: bool
    authenticated: bool | None = None
    code: int | None = None
    enhanced_code: str | None = None
    server: ServerFacts | None = None
    tls: TLSFacts | None = None
    mailbox: Mailbox | None = None

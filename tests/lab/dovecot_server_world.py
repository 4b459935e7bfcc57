# SPDX-License-Identifier: Apache-2.0
"""Accounts at a real Dovecot as the reconcilers see them, with a clock that tests set."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from lab.dovecot_server import Dovecot
from lab.mail_probing import AUTHORITY, HOST, PATIENT
from postroom.api.conditions import ConditionType, find
from postroom.api.names import API_VERSION, REQUESTED_AT_ANNOTATIONS, Key, Kind
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE
from postroom.cli.directory import DirectoryWorld
from postroom.dns.answers import Asker
from postroom.dns.ownership import OwnershipRules
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.world import MessagePolicy, NoTokens, Outbound, Tokens

NAMESPACE = "mail"
TRUST = {"caBundleRef": {"name": "ca"}}


@dataclass
class Took:
    """One probe with its login: whose, how many seconds, and what came of it."""

    username: str
    seconds: float
    report: ProbeReport


class TimedProbes(NetworkProbes):
    """Probes that note how long each login took."""

    def __init__(self, server: Dovecot) -> None:
        super().__init__(*server.reach(), PATIENT)
        self.took: list[Took] = []

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        begun = time.monotonic()
        return self._noted(login, begun, await super().probe(endpoint, login, mailbox))

    def _noted(self, login: Login | None, begun: float, report: ProbeReport) -> ProbeReport:
        if login is not None:
            self.took.append(Took(login.username, time.monotonic() - begun, report))
        return report


class DovecotWorld(DirectoryWorld):
    """A world whose time passes when a test says so."""

    time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def look(self, wait: timedelta = timedelta(minutes=5)) -> None:
        """Let time pass, and evaluate everything."""
        self.time += wait
        await self.check(AT_ONCE)

    def ask_for_a_check(self, key: Key) -> None:
        """Ask as people do, with the annotation."""
        metadata = self.raw(key)["metadata"]
        metadata.setdefault("annotations", {})[REQUESTED_AT_ANNOTATIONS[0]] = str(self.time)


def account(address: str) -> Key:
    return Key(Kind.EMAIL_ACCOUNT, NAMESPACE, address.partition("@")[0])


def verdict(world: DovecotWorld, key: Key, wanted: ConditionType) -> tuple[str, str, str]:
    """Status, reason and message of a condition, which must be there."""
    found = find(dict(world.statuses())[key].conditions, wanted)
    assert found is not None
    return found.status.value, found.reason, found.message


def world_at(
    server: Dovecot,
    directory: Path,
    accounts: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, Mapping[str, str]],
    mail: NetworkProbes,
    tokens: Tokens | None = None,
    messages: MessagePolicy | None = None,
) -> DovecotWorld:
    """Make a world with one server; `accounts` are parts of specs by address."""
    objects: list[dict[str, Any]] = [
        _object("ConfigMap", "ca", "v1", data={"ca.crt": AUTHORITY.cert_pem.bytes().decode()}),
        _object("MailServer", "dovecot", spec=_where(server, "submissions")),
    ]
    objects += [_object("Secret", name, "v1", stringData=data) for name, data in secrets.items()]
    for address, spec in accounts.items():
        spec = {
            "address": address,
            "serverRef": {"name": "dovecot"},
            "imap": _where(server, "imaps"),
            **spec,
        }
        objects.append(_object("EmailAccount", account(address).name, spec=spec))
    file = directory / "objects.yaml"
    # JSON is YAML.
    file.write_text("\n---\n".join(map(json.dumps, objects)))
    found = manifests.load([file], NAMESPACE)
    assert found.complaints == []
    # Accounts without a domain ask no DNS.
    out = Outbound(
        cast("Asker", None),
        mail,
        cast("PolicyFetcher", None),
        tokens or NoTokens(),
        messages=messages,
    )
    return DovecotWorld(found, out, OwnershipRules((b"k" * 32,)))


def _where(server: Dovecot, service: str) -> dict[str, Any]:
    return {"host": HOST, "port": server.ports[service], "tls": {"mode": "Implicit", **TRUST}}


def _object(kind: str, name: str, version: str = API_VERSION, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

# SPDX-License-Identifier: Apache-2.0
"""Servers and accounts as the reconcilers see them, doing all that they can."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest

from lab.canary_watch import Watch
from lab.mail_probing import AUTHORITY, HOST, SOON
from postroom.api.names import API_VERSION, Key, Kind
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE
from postroom.cli.directory import DirectoryWorld
from postroom.dns.answers import Asker
from postroom.dns.ownership import OwnershipRules
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.identities.values import IdentitySource, NoIdentities
from postroom.mail.probes import NetworkProbes
from postroom.metrics import Metrics
from postroom.reconcile.engine import reconcile
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import MessagePolicy, NoTokens, Outbound, Tokens
from scrapes import scraped, told_of


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody wait for long: after a refusal, or for what never comes."""
    monkeypatch.setattr("postroom.mail.probes.Deadlines", lambda: SOON)
    at_once = partial(NetworkProbes, quiet=0)
    monkeypatch.setattr("postroom.controller.network.NetworkProbes", at_once)


NAMESPACE, NAME, ADDRESS = "mail", "it", "alice@example.com"
TLS = {"mode": "Implicit", "caBundleRef": {"name": "ca"}}
#: Long enough for the next look, test message and round trip to be due.
_LATER = timedelta(hours=7)


@dataclass(frozen=True)
class Ports:
    """Where the servers of an account listen."""

    smtp: int
    imap: int
    address: str = "127.0.0.1"


def objects(
    ports: Ports, secrets: Mapping[str, Mapping[str, str]], spec: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A server, an account that does all that accounts do, Secrets, and the authority."""
    made = [
        _object("ConfigMap", "ca", "v1", data={"ca.crt": AUTHORITY.cert_pem.bytes().decode()}),
        _object(
            "MailServer",
            NAME,
            spec={"host": HOST, "port": ports.smtp, "tls": TLS, **_signing_in(spec)},
        ),
        _object(
            "EmailAccount",
            NAME,
            spec={
                "address": ADDRESS,
                "serverRef": {"name": NAME},
                "imap": {"host": HOST, "port": ports.imap, "tls": TLS},
                "identities": [{"address": "billing@example.com", "type": "Alias"}],
                "identityVerification": {"method": "Envelope"},
                "roundTrip": {"enabled": True},
                **spec,
            },
        ),
    ]
    made += [_object("Secret", name, "v1", stringData=data) for name, data in secrets.items()]
    return made


def _signing_in(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: spec[name] for name in ("credentialsRef", "oauth") if name in spec}


def _object(kind: str, name: str, version: str = API_VERSION, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def written(directory: Path, made: list[dict[str, Any]]) -> Path:
    """Write manifests into a file; JSON is YAML, but for its surrogates."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "objects.yaml"
    file.write_text("\n---\n".join(json.dumps(one, ensure_ascii=False) for one in made))
    return file


class CanaryWorld(DirectoryWorld):
    """A world with a clock of its own that shows all it evaluates to a watch."""

    time = datetime(2026, 1, 1, tzinfo=UTC)

    def __init__(
        self,
        file: Path,
        ports: Ports,
        watch: Watch,
        key: str,
        tokens: Tokens | None = None,
        identities: IdentitySource | None = None,
    ) -> None:
        async def resolve(host: str) -> tuple[str, ...]:
            return (ports.address,)

        found = manifests.load([file], NAMESPACE)
        assert found.complaints == []
        watch.see("manifests", found.secrets, found.config_maps)
        self._policy = DialPolicy((ip_network("127.0.0.0/8"),), frozenset({ports.smtp, ports.imap}))
        self._resolve = resolve
        out = Outbound(
            cast("Asker", None),
            NetworkProbes(self._policy, resolve, SOON, quiet=0),
            cast("PolicyFetcher", None),
            tokens or NoTokens(),
            identities or NoIdentities(),
            MessagePolicy(),
        )
        super().__init__(found, out, OwnershipRules((key.encode(),)))
        self._watch = watch
        self._seen_memories: dict[Key, Memory] = {}

    def now(self) -> datetime:
        return self.time

    async def look(self, name: str, times: int = 3) -> None:
        """Evaluate everything again and again, asked for all that one can ask for."""
        for number in range(times):
            for key in self._raw:
                # Without the refusals that count against the host, which would end the hunt.
                fresh = NetworkProbes(self._policy, self._resolve, SOON, quiet=0)
                self._outbound = replace(self._outbound, mail=fresh)
                self._annotate(key, str(number))
                await self._evaluate(key, name)
            # The message that was announced is sent at once, and looked for soon.
            self.time += timedelta(seconds=2) if number % 3 != 2 else _LATER
        await self._show_metrics(name)

    def _annotate(self, key: Key, nonce: str) -> None:
        asked = ("requested-at", "send-test", "backfill")
        annotations = {f"postroom.dev/{one}": nonce for one in asked}
        self._raw[key]["metadata"]["annotations"] = annotations

    async def _evaluate(self, key: Key, name: str) -> None:
        memory = self._seen_memories.setdefault(key, Memory())
        outcome = await reconcile(key.kind, self._raw[key], self, memory, AT_ONCE)
        if outcome.status is not None:
            self._raw[key]["status"] = outcome.status.as_stored()
        self._watch.see(f"{name}, status of {key.kind}", json.dumps(self._raw[key]["status"]))
        self._watch.see(f"{name}, outcome", outcome)
        self._watch.see(f"{name}, events", *(notice.message for notice in outcome.notices))
        self._watch.see(f"{name}, memory", repr(memory.known()))

    async def _show_metrics(self, name: str) -> None:
        metrics = Metrics()
        metrics.observe_objects(told_of(self._raw).pieces)
        self._watch.see(f"{name}, metrics", await scraped(metrics))

    def account(self) -> dict[str, Any]:
        """The status of the account."""
        found: dict[str, Any] = self._raw[Key(Kind.EMAIL_ACCOUNT, NAMESPACE, NAME)]["status"]
        return found

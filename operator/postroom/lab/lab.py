# SPDX-License-Identifier: Apache-2.0
"""The lab as a whole: DNS, SMTP and IMAP on one loopback address, and the way to them."""

import ipaddress
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from postroom.dns import ownership
from postroom.lab import certificates
from postroom.lab.dns import LabDns
from postroom.lab.imap import LabImap
from postroom.lab.mailboxes import Accounts
from postroom.lab.smtp import LabSmtp
from postroom.lab.zone_data import ZoneData

#: The same in every lab, because the samples name them.
DNS_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT, IMAPS_PORT = 2053, 2587, 2465, 2993
#: Makes the derived tokens in the lab's zones; no secret.
OWNERSHIP_KEY_FILE = Path(__file__).with_name("ownership-key.txt")
NAMESERVER = "ns.lab.example.org"
#: Lab-only passwords; manifests/samples/secrets.yaml has the same.
PASSWORDS = {
    "relay@example.com": "lab-relay-password",
    "support@send.example.com": "lab-support-password",
    "billing@send.example.com": "lab-billing-password",
}


class LabUnavailable(Exception):
    """The lab cannot start; the text is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The operator's settings for a lab."""

    address: str
    dns_port: int

    @property
    def flags(self) -> tuple[str, ...]:
        """As flags of ``postroom check`` and ``postroom run``."""
        return (*self.network_flags, f"--ownership-key-file={OWNERSHIP_KEY_FILE}")

    @property
    def network_flags(self) -> tuple[str, ...]:
        """Those of them that ``postroom deliver`` has, too."""
        return (
            f"--dns-resolver={self.address}:{self.dns_port}",
            f"--dns-authoritative-port={self.dns_port}",
            f"--allow-cidr={self.address}/32",
            f"--allow-port={SUBMISSION_PORT}",
            f"--allow-port={SUBMISSIONS_PORT}",
            f"--allow-port={IMAPS_PORT}",
        )


class Lab:
    """Use as an async context manager; raises `LabUnavailable`."""

    def __init__(
        self, state: Path, *, address: str = "127.0.0.1", dns_port: int = DNS_PORT
    ) -> None:
        if not ipaddress.ip_address(address).is_loopback:
            raise LabUnavailable(f"{address} is not a loopback address: the lab stays on one.")
        self.reach = Reach(address, dns_port)
        ca = certificates.authority(state)
        self.ca_pem = ca.cert_pem.bytes().decode()
        context = certificates.server_context(ca)
        self.accounts = Accounts(PASSWORDS)
        self.zones = load_zones(address)
        self.dns = LabDns(self.zones, address, dns_port)
        self.smtp = LabSmtp(self.accounts, context, address, SUBMISSION_PORT, implicit=False)
        self._servers: list[tuple[str, int, LabDns | LabSmtp | LabImap]] = [
            ("DNS", dns_port, self.dns),
            ("SMTP with STARTTLS", SUBMISSION_PORT, self.smtp),
            (
                "SMTP with implicit TLS",
                SUBMISSIONS_PORT,
                LabSmtp(self.accounts, context, address, SUBMISSIONS_PORT, implicit=True),
            ),
            (
                "IMAP with implicit TLS",
                IMAPS_PORT,
                LabImap(self.accounts, context, address, IMAPS_PORT),
            ),
        ]
        self._running: list[LabDns | LabSmtp | LabImap] = []

    @property
    def listeners(self) -> list[tuple[str, str]]:
        """What runs where, for people."""
        return [(name, f"{self.reach.address}:{port}") for name, port, _ in self._servers]

    def ca_manifest(self, namespaces: tuple[str, ...] = ("mail", "mail-broken")) -> str:
        """The ConfigMap that the samples name as their CA bundle, one for each namespace."""
        documents: list[dict[str, Any]] = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "lab-ca", "namespace": namespace},
                "data": {"ca.crt": self.ca_pem},
            }
            for namespace in namespaces
        ]
        return yaml.safe_dump_all(documents, sort_keys=False)

    async def __aenter__(self) -> Self:
        for name, port, server in self._servers:
            try:
                await server.start()
            except OSError as error:
                await self._stop()
                raise LabUnavailable(
                    f"{self.reach.address}:{port} ({name}) is taken or not allowed: stop what uses "
                    "it, or choose another --address such as 127.0.0.2."
                ) from error
            self._running.append(server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        for server in reversed(self._running):
            await server.stop()
        self._running.clear()


def load_zones(address: str) -> ZoneData:
    """Read zones.yaml, filling in address, keys and derived tokens."""
    here = resources.files("postroom.lab")
    described = yaml.load(here.joinpath("zones.yaml").read_text(), Loader=yaml.CSafeLoader)
    known = yaml.safe_load(here.joinpath("keys.yaml").read_text()) | {"address": address}
    key = OWNERSHIP_KEY_FILE.read_text(encoding="utf-8").strip().encode()

    def fill(match: re.Match[str]) -> str:
        kind, _, rest = match[1].partition(":")
        if kind == "token":
            namespace, _, domain = rest.partition(":")
            return ownership.challenge(key, namespace, domain)[1]
        return str(known[kind])

    zones = ZoneData(tuple(described), NAMESERVER, address)
    for apex, records in described.items():
        for owner, kind, values in records:
            name = apex if owner == "@" else f"{owner}.{apex}"
            for value in values:
                zones.add(name, kind, re.sub(r"\{([^{}]+)\}", fill, str(value)))
    return zones

# SPDX-License-Identifier: Apache-2.0
"""A healthy domain, its spec, and how tests look at it."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dnsworld.clock import run
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns import planning
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.dns.verifying.verify import verify
from unit.dns.fake_zone import FakeZone, Key
from unit.rsa_keys import rsa_pair


def rsa_text(number: int) -> str:
    key = rsa_pair(number).public_key()
    return base64.b64encode(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


RSA, OTHER_RSA = rsa_text(0), rsa_text(1)
ED25519 = base64.b64encode(
    Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()
DOMAIN = "send.example.com"
SPEC: dict[str, Any] = {
    "domain": DOMAIN,
    "ownership": {"value": "provider-verify=abc"},
    "spf": {"includes": ["spf.provider.net"], "ip4": ["192.0.2.7"]},
    "dkim": [{"selector": "k1", "cname": "k1.provider.net"}, {"selector": "s1", "publicKey": RSA}],
    "dmarc": {"policy": "quarantine", "rua": ["mailto:dmarc@example.com"]},
    "mx": [{"host": "mx.provider.net"}],
}
HEALTHY: dict[Key, list[str]] = {
    (DOMAIN, "TXT"): [
        "provider-verify=abc",
        "v=spf1 include:spf.provider.net ip4:192.0.2.0/24 ~all",
    ],
    (f"k1._domainkey.{DOMAIN}", "CNAME"): ["k1.provider.net"],
    ("k1.provider.net", "TXT"): [f"k=rsa; p={OTHER_RSA}"],
    (f"s1._domainkey.{DOMAIN}", "TXT"): [f"v=DKIM1; p={RSA}"],
    (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject; rua=mailto:dmarc@example.com"],
    ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none; rua=mailto:dmarc@example.com"],
    (DOMAIN, "MX"): ["10 mx.provider.net"],
    ("mx.provider.net", "A"): ["192.0.2.1"],
    ("spf.provider.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 -all"],
}
APEX_TXT = (DOMAIN, "TXT")
S1 = (f"s1._domainkey.{DOMAIN}", "TXT")
K1 = (f"k1._domainkey.{DOMAIN}", "CNAME")
DMARC = (f"_dmarc.{DOMAIN}", "TXT")
OWNED = "provider-verify=abc"
SPF = "v=spf1 include:spf.provider.net ip4:192.0.2.7 ~all"


def look(zone: FakeZone, **changes: Any) -> DomainReport:
    spec = parse_spec(Kind.SENDING_DOMAIN, {**SPEC, **changes})
    assert isinstance(spec, SendingDomainSpec)
    return run(verify(planning.plan(spec, "mail", b"key", {}), zone))


def record(report: DomainReport, id: str) -> RecordReport:
    return next(one for one in report.records if one.id == id)

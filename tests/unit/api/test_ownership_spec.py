# SPDX-License-Identifier: Apache-2.0
"""What a spec may say of ownership: a name at or below the domain, and a value that someone handed
out. The API server says the same (tests/cluster/test_schema.py)."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec

#: Values that stand in DNS anyway: they show nothing about who wrote them into a spec.
STANDARD = [
    "v=spf1 -all",
    "V=SPF1 include:x.example ~all",
    '"v=spf1 -all"',
    "  v=spf1",
    "'v=spf1 -all'",
    "v = spf1 -all",
    "v=spf1",
    "spf2.0/pra -all",
    "v=DKIM1; k=rsa; p=MIGfMA0GCSq",
    "v=DKIM1;p=",
    "k=rsa; p=MIGfMA0GCSq",
    "t=y; k=rsa; p=",
    "h=sha256;p=abc",
    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5N",
    "p = MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5N; k=rsa",
    "v=DMARC1; p=none",
    "v=dmarc1;p=reject",
    "v=STSv1; id=20260101",
    "v=TLSRPTv1; rua=mailto:a@b.example",
    "v=BIMI1; l=https://x.example/l.svg",
    "v=ATPS1; d=example.com",
    "dkim=all",
    "dkim = discardable",
]
HANDED_OUT = [
    "provider-verify=abc",
    "google-site-verification=rXOxyZounnZasA8Z7oaD3c14JdjS9aKSWvsR1EbUSIQ",
    "MS=ms12345678",
    "v=verifydomain MS=1234",
    "v=msv1 t=2097A7B9-1",
    "apple-domain=30afIBcvSuDV2PLX",
    "0123456789abcdef0123456789abcdef01234567",
    "postal-verification ex4mplet0ken",
    "spf1",
    "dkim=verification",
    "p=1",
    "v=spf10",
]


def spec(**ownership: Any) -> object:
    raw = {"domain": "mail.example.com", "dmarc": {}, "ownership": ownership}
    return parse_spec(Kind.SENDING_DOMAIN, raw)


@pytest.mark.parametrize("value", STANDARD)
def test_a_record_that_stands_there_anyway_is_no_proof(value: str) -> None:
    with pytest.raises(InvalidSpec, match=r"spec\.ownership\.value: must be the value that"):
        spec(value=value)


@pytest.mark.parametrize("value", HANDED_OUT)
def test_a_value_that_was_handed_out_is_taken(value: str) -> None:
    assert spec(value=value)


@pytest.mark.parametrize(
    "name", ["mail.example.com", "_x.mail.example.com", "a.b.mail.example.com"]
)
def test_a_name_at_or_below_the_domain_is_taken(name: str) -> None:
    assert spec(name=name)
    assert spec(name=name, value="x=1")


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "_x.example.com",
        "evil.example",
        "xmail.example.com",
        "mail.example.com.evil.example",
    ],
)
@pytest.mark.parametrize("more", [{}, {"value": "x=1"}])
def test_a_name_elsewhere_proves_nothing(name: str, more: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec, match=r"ownership\.name must be the domain itself or a name"):
        spec(name=name, **more)

# SPDX-License-Identifier: Apache-2.0
"""No password shows that a server has its certificate made of.

Covers: subject, issuer and names of certificates that hold the password of the login, in each
spelling that fits there; trusted and not, expired, for other names; at SMTP and IMAP.
Searched: reports in every print, and logs at DEBUG.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from lab.canary_secrets import Secrets, spellings
from lab.canary_servers import IMAP, SMTP, Row
from lab.canary_watch import watching
from lab.hostile import Hostile
from lab.mail_probing import AUTHORITY, HOST, probes
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Endpoint, Login

#: Days that a certificate lasts, whether it is for the host, and whether it is trusted.
FAULTS = [
    (30, True, True),
    (-1, True, True),
    (30, False, True),
    (30, True, False),
    (30, False, False),
]
_UNFIT = re.compile(r"[^\x20-\x7e]")


def names_of(secret: str) -> list[str]:
    """The secret as names of hosts can hold it."""
    octets = secret.encode()
    texts = (base64.b32encode(octets).decode().strip("="), octets.hex(), "x".join(octets.hex()))
    return [f"{text[:63].lower()}.example.com" for text in texts]


def texts_of(secret: str) -> Iterator[str]:
    """The secret as the names of subjects can hold it."""
    for spelling in spellings(secret):
        text = spelling.decode("latin-1")
        if 0 < len(text) <= 64 and not _UNFIT.search(text):
            yield text


def made_of(text: str, names: list[str], *, days: int) -> tuple[trustme.CA, ssl.SSLContext]:
    """An authority, and the context of a server, whose names are all made of a secret."""
    authority = trustme.CA(organization_name=text, organization_unit_name=text)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(
        *names,
        common_name=text,
        organization_name=text,
        organization_unit_name=text,
        not_before=datetime.now(UTC) - timedelta(days=30),
        not_after=datetime.now(UTC) + timedelta(days=days),
    ).configure_cert(made)
    return authority, made


@pytest.mark.parametrize("protocol", [SMTP, IMAP], ids=["SMTP", "IMAP"])
async def test_certificates_that_hold_the_password(protocol: Mapping[str, Row]) -> None:
    made, shown = Secrets(870), 0
    async with watching() as watch:
        for number, (days, ours, trusted) in enumerate(FAULTS):
            secret = made.core(24)
            watch.hide(f"password {number}", secret)
            names = [*names_of(secret), *([HOST] if ours else [])]
            texts = list(texts_of(secret))
            for text in texts if days > 0 and ours and trusted else texts[:2]:
                authority, context = made_of(text, names, days=days)
                bundle = (authority if trusted else AUTHORITY).cert_pem.bytes().decode()
                steps = protocol["refuses"](secret)
                async with Hostile(*steps, context=context, implicit=True) as server:
                    where = Endpoint(HOST, server.port, TLSMode.IMPLICIT, HOST, bundle, "mail")
                    login = Login("user@example.com", Masked(secret))
                    report = await probes(server.port).probe(where, login)
                watch.see(f"certificate {number}", report)
                shown += report.tls is not None
    assert shown >= len(texts)

# SPDX-License-Identifier: Apache-2.0
"""The lab's throw-away authority: made once, kept in a state directory so that a CA ConfigMap that
was applied before still fits."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509

#: The names that the lab's servers show.
NAMES = ("smtp.mail.example.org", "imap.mail.example.org")
_FRESH = timedelta(days=2)


def authority(directory: Path) -> trustme.CA:
    """Return the authority of a state directory, making a new one where there is none."""
    certificate, key = directory / "ca.crt", directory / "ca.key"
    if certificate.exists() and key.exists():
        pem = certificate.read_bytes()
        ends = x509.load_pem_x509_certificate(pem).not_valid_after_utc
        if ends - datetime.now(UTC) > _FRESH:
            return trustme.CA.from_pem(pem, key.read_bytes())
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = trustme.CA(organization_name="postroom lab")
    for path, blob in ((certificate, made.cert_pem), (key, made.private_key_pem)):
        path.touch(mode=0o600)
        path.write_bytes(blob.bytes())
    return made


def server_context(ca: trustme.CA) -> ssl.SSLContext:
    """Return a context with a certificate for the lab's names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*NAMES).configure_cert(context)
    return context

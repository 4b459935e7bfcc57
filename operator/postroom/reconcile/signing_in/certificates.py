# SPDX-License-Identifier: Apache-2.0
"""What is worth a warning of a certificate that was accepted."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime, timedelta

from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import TLSFacts
from postroom.api.times import parse_timestamp

#: How long before its end a certificate is worth a warning.
EXPIRY_WARNING = timedelta(days=21)


def warnings_of(
    facts: TLSFacts | None, subject: str, server_name: str, now: datetime
) -> Iterator[Finding]:
    """Warn of a certificate that ends soon, or names the server as fewer and fewer look for it.

    `subject` is what the findings are about, `server_name` the name that was verified.
    """
    if facts is None:
        return
    if facts.not_after is not None:
        dates = (facts.not_after, facts.chain_not_after)
        end = min(date for date in dates if date is not None)
        if timedelta() < parse_timestamp(end) - now < EXPIRY_WARNING:
            # The date, not the days left: it must not change from day to day.
            message = f"The certificate chain expires on {end[:10]}: renew it on the server."
            yield _finding("CERTIFICATE_EXPIRING_SOON", subject, message)
    # Only what was verified has a version; an address is no DNS name, wherever it stands.
    verified = facts.version is not None and facts.subject is not None
    if verified and not facts.dns_names and not _is_address(server_name):
        message = (
            f"The certificate has the name {server_name} only as its common name, at which many "
            "programs do not look (RFC 9525 section 6.3): have it issued anew with this name as "
            "subjectAltName."
        )
        yield _finding("CERTIFICATE_NAME_IN_SUBJECT", subject, message)


def _finding(code: str, subject: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, subject=subject, message=message)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

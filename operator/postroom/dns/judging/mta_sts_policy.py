# SPDX-License-Identifier: Apache-2.0
"""What came of fetching an MTA-STS policy, in words, and which policy to serve instead."""

from collections.abc import Sequence
from typing import NamedTuple

from postroom.api.sendingdomain import MTASTSMode
from postroom.dns.finding_codes import Code
from postroom.dns.texts.quoting import quoted
from postroom.dns.tls import mta_sts
from postroom.dns.tls.mta_sts_host import CertificateFault, FetchedPolicy, PolicyFetchOutcome

#: Longest policy that a sentence holds.
_SAID_LIMIT = 500
_EXCHANGES_SAID = 10


class PolicyFault(NamedTuple):
    """Why there is no policy: a code of the catalogue and one sentence or two.

    `definite` tells it from what only kept us from looking, `page` whether what is served must
    change, rather than how.
    """

    code: Code
    message: str
    definite: bool = True
    page: bool = False


_CERTIFICATES = {
    CertificateFault.EXPIRED: "is expired: renew it",
    CertificateFault.NOT_YET_VALID: "is not valid yet: correct the clock of whoever issues it",
    CertificateFault.OTHER_NAME: "is for other names: have one issued for this host",
    CertificateFault.UNTRUSTED: "is not of an authority that senders trust, or its intermediate "
    "certificate is not sent: have one issued by a public authority, and serve the whole chain",
}
_FAULTS = {
    PolicyFetchOutcome.HANDSHAKE: (
        Code.MTA_STS_HANDSHAKE,
        "the server speaks no TLS that senders accept: enable TLS 1.2 or newer on port 443",
    ),
    PolicyFetchOutcome.REDIRECT: (
        Code.MTA_STS_REDIRECT,
        "the server redirects, which senders do not follow: serve the policy at this address",
    ),
    PolicyFetchOutcome.WRONG_MEDIA_TYPE: (
        Code.MTA_STS_MEDIA_TYPE,
        "the server does not call it text/plain: set the Content-Type",
    ),
}
_PAGES = {
    PolicyFetchOutcome.NOT_FOUND: (
        Code.MTA_STS_POLICY_NOT_FOUND,
        "the server has no such page for everyone",
    ),
    PolicyFetchOutcome.TOO_LARGE: (
        Code.MTA_STS_POLICY_SYNTAX,
        "the page is far larger than a policy can be",
    ),
}
_PASSING = {
    PolicyFetchOutcome.DENIED: (
        Code.MTA_STS_DENIED,
        "its host has an address that the operator may not dial: use a public address, or have "
        "the operator's --allow-cidr name the range",
    ),
    #: The zone has the host: the resolver does not know it yet.
    PolicyFetchOutcome.HOST_NOT_FOUND: (
        Code.MTA_STS_UNREACHABLE,
        "the resolver does not show its host yet; the look is repeated",
    ),
    PolicyFetchOutcome.UNREACHABLE: (
        Code.MTA_STS_UNREACHABLE,
        "the server does not answer; the look is repeated. If it stays, check that port 443 is "
        "open to everyone, the operator included",
    ),
}


def fault_of(found: FetchedPolicy | None, address: str) -> PolicyFault | None:
    """Why there is no policy, for a host that the zone has; None where there is one."""
    found = found or FetchedPolicy(PolicyFetchOutcome.UNREACHABLE)
    begin, outcome = f"The policy cannot be fetched from {address}:", found.outcome
    if outcome is PolicyFetchOutcome.CERTIFICATE:
        sentence = _CERTIFICATES[found.certificate or CertificateFault.UNTRUSTED]
        return PolicyFault(Code.MTA_STS_CERTIFICATE, f"{begin} the certificate {sentence}.")
    if outcome in _FAULTS:
        code, sentence = _FAULTS[outcome]
        return PolicyFault(code, f"{begin} {sentence}.")
    if outcome in _PAGES:
        code, sentence = _PAGES[outcome]
        status = f" (status {found.status})" if outcome is PolicyFetchOutcome.NOT_FOUND else ""
        return PolicyFault(code, f"{begin} {sentence}{status}.", page=True)
    if outcome in _PASSING:
        code, sentence = _PASSING[outcome]
        if found.status is not None:
            sentence = f"the server has a problem (status {found.status}); the look is repeated"
        return PolicyFault(code, f"{begin} {sentence}.", definite=False)
    return None


def policy_of(found: FetchedPolicy | None) -> mta_sts.Policy:
    """Parse what was fetched."""
    return mta_sts.parse_policy(found.text if found is not None else "")


def to_serve(mode: MTASTSMode, hosts: Sequence[str], there: mta_sts.Policy | None = None) -> str:
    """Which policy to serve: at least this mode, every host, and what is good of `there`."""
    age = mta_sts.MAX_AGE_ADVISED
    if there is not None and there.problem is None:
        mode = there.mode if there.at_least(mode) else mode
        age = max(there.max_age, age)
    lines = mta_sts.policy_text(mode, hosts, age).split("\r\n")[:-1]
    said = ", ".join(f'"{quoted(line)}"' for line in lines)
    begin = "Serve these lines"
    if len(said) > _SAID_LIMIT or len(hosts) > _EXCHANGES_SAID or not hosts:
        begin = "Serve a policy"
        said = f"mode {mode.value.lower()}, one mx for every mail exchange, max_age {age}"
    return f"{begin}, then change the id of the record: {said}."

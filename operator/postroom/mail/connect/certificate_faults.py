# SPDX-License-Identifier: Apache-2.0
"""Why a certificate was not accepted, and what to do about it: a fix that is enough.

The code of OpenSSL says what ended the verification; what the certificates say of themselves tells
which of them it was, and what would end the next one.
"""

import re
from collections.abc import Iterator

from postroom.api.mailserver import TLSFacts
from postroom.api.reasons import Reason
from postroom.concurrency.tls_faults import TLSFault, of_certificate
from postroom.mail.connect.certificate import ShownFacts
from postroom.mail.report import Endpoint

_NAMES_SHOWN = 5
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,9}")
_REASONS = {
    TLSFault.NOT_YET_VALID: Reason.CERTIFICATE_NOT_YET_VALID,
    TLSFault.EXPIRED: Reason.CERTIFICATE_EXPIRED,
    TLSFault.OTHER_NAME: Reason.CERTIFICATE_NAME_MISMATCH,
    TLSFault.WEAK_KEY: Reason.CERTIFICATE_WEAK,
    TLSFault.WEAK_AUTHORITY: Reason.CERTIFICATE_WEAK,
    TLSFault.WEAK_DIGEST: Reason.CERTIFICATE_WEAK,
}


def certificate_reason(verify_code: int, facts: TLSFacts | None = None) -> Reason:
    """What a failed verification means.

    `facts` are those of the second look, which tell an incomplete chain.
    """
    fault = of_certificate(verify_code)
    shown = isinstance(facts, ShownFacts) and facts.lacks_intermediate
    # Who issued the certificate is neither shown nor trusted.
    if shown and fault is TLSFault.ISSUER_UNKNOWN:
        return Reason.CERTIFICATE_CHAIN_INCOMPLETE
    return _REASONS.get(fault, Reason.CERTIFICATE_UNTRUSTED)


def what_to_mend(verify_code: int, endpoint: Endpoint, facts: TLSFacts | None) -> tuple[str, str]:
    """Why a certificate was not accepted; and what mends that, and what else it needs."""
    place = f"{endpoint.host}:{endpoint.port}"
    match certificate_reason(verify_code, facts):
        case Reason.CERTIFICATE_EXPIRED:
            wrong, fix = _expired(place, endpoint, facts)
        case Reason.CERTIFICATE_NOT_YET_VALID:
            wrong = f"{_whose(facts, 'not_yet_valid', place)} is not valid yet:"
            fix = "check its dates and the clocks of both sides."
        case Reason.CERTIFICATE_NAME_MISMATCH:
            names = ", ".join(shown_names(facts.dns_names)) if facts else ""
            shown = f", only for {names}" if names else ""
            wrong = f"The certificate of {place} is not for {endpoint.server_name}{shown}:"
            fix = "use one of its names as host, or set tls.serverName."
        case Reason.CERTIFICATE_WEAK:
            wrong, fix = _weak(verify_code, place, facts)
        case Reason.CERTIFICATE_CHAIN_INCOMPLETE:
            wrong = f"{place} sends its certificate without the intermediate that vouches for it:"
            fix = (
                "have the server send the whole chain or, if the authority is a private one, "
                "reference it in tls.caBundleRef."
            )
        case _:
            wrong, fix = _untrusted(verify_code, place, facts)
    if not isinstance(facts, ShownFacts):
        return wrong, fix
    return wrong, " ".join([fix, *_what_else(verify_code, endpoint, facts)])


def _whose(facts: TLSFacts | None, fault: str, place: str) -> str:
    """The certificate that has a fault: the server's own, or one above it."""
    at = getattr(facts, fault) if isinstance(facts, ShownFacts) else 0
    if at:
        return f"The certificate of {place} is good, but an intermediate that it is sent with"
    return f"The certificate of {place}"


def _expired(place: str, endpoint: Endpoint, facts: TLSFacts | None) -> tuple[str, str]:
    if not isinstance(facts, ShownFacts) or facts.expired == 0:
        return f"The certificate of {place} has expired:", "renew it on the server."
    if facts.expired is not None:
        return (
            f"{_whose(facts, 'expired', place)} has expired:",
            "renew it on the server. Its authority offers the current one, which takes its place "
            "in the chain; the certificate itself stays.",
        )
    if endpoint.ca_bundle is not None:
        return (
            f"The certificate of {place} is good, but its authority in tls.caBundleRef has "
            "expired:",
            "reference the authority's current certificate there.",
        )
    return (
        f"The certificate of {place} is good, but the authority behind it has expired:",
        "have the server send a chain that ends at a current one.",
    )


def _weak(verify_code: int, place: str, facts: TLSFacts | None) -> tuple[str, str]:
    """Nothing that is referenced helps against a weak key or signature (RFC 9325 section 4.5)."""
    weakness = facts.weakness if isinstance(facts, ShownFacts) else None
    at, why = weakness or (None, "")
    if at == 0:
        return (
            f"The certificate of {place} {why}, which is too weak:",
            "have it issued anew, with a key of EC or RSA of 2048 bits at least and a signature "
            "with SHA-256.",
        )
    if at is not None:
        return (
            f"An intermediate that {place} sends with its certificate {why}, which is too weak:",
            "have the certificate issued by an authority with stronger keys and signatures.",
        )
    fault = of_certificate(verify_code)
    what = "certificate" if fault is TLSFault.WEAK_KEY else "authority"
    weak = "signs with a digest" if fault is TLSFault.WEAK_DIGEST else "has a key"
    return (
        f"The {what} of {place} {weak} that is too weak:",
        "have the certificate issued anew, with a key of EC or RSA of 2048 bits at least, by an "
        "authority that signs with SHA-256 and has such a key itself.",
    )


def _untrusted(verify_code: int, place: str, facts: TLSFacts | None) -> tuple[str, str]:
    # With certificates above it, these are judged all the same.
    alone = isinstance(facts, ShownFacts) and facts.count == 1
    instead = ", or reference the server's own certificate in tls.caBundleRef." if alone else "."
    certificate, fault = f"The certificate of {place}", of_certificate(verify_code)
    if fault is TLSFault.SELF_SIGNED:
        return (
            f"{certificate} is signed by itself alone:",
            "have an authority issue one, or reference this one in tls.caBundleRef.",
        )
    if fault is TLSFault.OWN_AUTHORITY:
        return (
            f"{certificate} comes from an authority that is not trusted:",
            "reference that authority in tls.caBundleRef, or use a certificate of a public one.",
        )
    if fault is TLSFault.WRONG_SIGNATURE:
        return (
            f"{certificate} is not signed with the key of the authority that it names:",
            "reference in tls.caBundleRef the one that has issued it, not another of the same "
            "name.",
        )
    if fault is TLSFault.NO_AUTHORITY:
        return (
            f"{certificate} is issued by a certificate that may issue none (it is no CA, or lacks "
            "keyCertSign):",
            f"have it issued by a real authority{instead}",
        )
    if fault is TLSFault.OTHER_PURPOSE:
        return (
            f"{certificate} is made for another purpose than servers (extended key usage):",
            "have it issued anew with serverAuth.",
        )
    if fault is TLSFault.TOO_DEEP:
        return (
            f"{certificate} has more intermediates above it than its authority permits (pathlen):",
            f"have it issued by the authority that sets this limit{instead}",
        )
    if fault is TLSFault.CONSTRAINED:
        return (
            f"{certificate} is for names that its authority may not issue for (name constraints):",
            f"have it issued by another{instead}",
        )
    if fault is TLSFault.MALFORMED:
        return f"{certificate} is malformed:", "have it issued anew."
    return (
        f"No trusted authority vouches for the certificate of {place}:",
        "reference its authority in tls.caBundleRef, or have the server send its intermediate.",
    )


def _what_else(verify_code: int, endpoint: Endpoint, facts: ShownFacts) -> Iterator[str]:
    """What the next look would find, were this alone mended."""
    reason = certificate_reason(verify_code, facts)
    if reason is not Reason.CERTIFICATE_WEAK and facts.weakness and facts.weakness[0] == 0:
        yield f"It also {facts.weakness[1]}, which is too weak: have it issued anew."
    elif reason is not Reason.CERTIFICATE_EXPIRED and facts.expired == 0:
        yield "It has also expired: renew it."
    # Names are compared as RFC 9525 section 6.3 does.
    wanted = endpoint.server_name.lower().rstrip(".")
    fitting = (wanted, f"*.{wanted.partition('.')[2]}")
    fits = any(presented.lower().rstrip(".") in fitting for presented in facts.dns_names)
    if reason is not Reason.CERTIFICATE_NAME_MISMATCH and facts.dns_names and not fits:
        names = ", ".join(shown_names(facts.dns_names))
        yield (
            f"It is also not for {endpoint.server_name}, only for {names}."
            if names
            else f"It is also not for {endpoint.server_name}."
        )


def shown_names(names: list[str]) -> list[str]:
    """Pick the names of a certificate that a message may show: few, sorted, and only names."""
    return sorted(name for name in names if len(name) <= 80 and _NAME.fullmatch(name))[
        :_NAMES_SHOWN
    ]

# SPDX-License-Identifier: Apache-2.0
"""What went wrong in TLS, by the numbers and names of OpenSSL: the one place that knows them. Pure.

Who shows it to people has sentences of their own; whose server it is, and what mends it, differs.
"""

import ssl
from enum import StrEnum


class TLSFault(StrEnum):
    """Why a handshake failed: a certificate that was not accepted, or what came before it."""

    # certificates (X509_V_ERR_*)
    EXPIRED = "Expired"
    NOT_YET_VALID = "NotYetValid"
    OTHER_NAME = "OtherName"
    SELF_SIGNED = "SelfSigned"
    OWN_AUTHORITY = "OwnAuthority"
    ISSUER_UNKNOWN = "IssuerUnknown"
    WRONG_SIGNATURE = "WrongSignature"
    WEAK_KEY = "WeakKey"
    WEAK_AUTHORITY = "WeakAuthority"
    WEAK_DIGEST = "WeakDigest"
    NO_AUTHORITY = "NoAuthority"
    TOO_DEEP = "TooDeep"
    OTHER_PURPOSE = "OtherPurpose"
    CONSTRAINED = "Constrained"
    MALFORMED = "Malformed"
    UNTRUSTED = "Untrusted"
    # handshakes
    NO_TLS = "NoTLS"
    CERTIFICATE_WANTED = "CertificateWanted"
    TOO_OLD = "TooOld"
    NAME_UNKNOWN = "NameUnknown"
    INTERNAL_ERROR = "InternalError"
    LEGACY_RENEGOTIATION = "LegacyRenegotiation"
    SMALL_KEY_EXCHANGE = "SmallKeyExchange"
    BROKEN_OFF = "BrokenOff"
    OTHER = "Other"


#: The codes are stable, their texts are not.
_CERTIFICATES = {
    code: fault
    for fault, codes in {
        TLSFault.ISSUER_UNKNOWN: (2, 20, 21),
        TLSFault.MALFORMED: (4, 6, 13, 14, 34, 41, 49, 51, 52, 53),
        TLSFault.WRONG_SIGNATURE: (7,),
        TLSFault.NOT_YET_VALID: (9,),
        TLSFault.EXPIRED: (10,),
        TLSFault.SELF_SIGNED: (18,),
        TLSFault.OWN_AUTHORITY: (19,),
        TLSFault.NO_AUTHORITY: (24, 32, 79),
        TLSFault.TOO_DEEP: (25,),
        TLSFault.OTHER_PURPOSE: (26,),
        TLSFault.CONSTRAINED: (47, 48),
        TLSFault.OTHER_NAME: (62, 64),
        TLSFault.WEAK_KEY: (66,),
        TLSFault.WEAK_AUTHORITY: (67,),
        TLSFault.WEAK_DIGEST: (68,),
    }.items()
    for code in codes
}
#: Parts of the names of OpenSSL's other errors, and of alerts (RFC 8446 section 6.2); the first
#: that is found decides.
_HANDSHAKES = (
    ("WRONG_VERSION_NUMBER", TLSFault.NO_TLS),
    ("RECORD_LAYER_FAILURE", TLSFault.NO_TLS),
    ("HTTP_REQUEST", TLSFault.NO_TLS),
    ("CERTIFICATE_REQUIRED", TLSFault.CERTIFICATE_WANTED),
    ("UNSUPPORTED_PROTOCOL", TLSFault.TOO_OLD),
    ("PROTOCOL_VERSION", TLSFault.TOO_OLD),
    ("UNRECOGNIZED_NAME", TLSFault.NAME_UNKNOWN),
    ("INTERNAL_ERROR", TLSFault.INTERNAL_ERROR),
    ("LEGACY_RENEGOTIATION", TLSFault.LEGACY_RENEGOTIATION),
    ("DH_KEY_TOO_SMALL", TLSFault.SMALL_KEY_EXCHANGE),
    ("EOF", TLSFault.BROKEN_OFF),
)


def of_certificate(verify_code: int) -> TLSFault:
    """What the code of a failed verification means."""
    return _CERTIFICATES.get(verify_code, TLSFault.UNTRUSTED)


def fault_in(error: BaseException) -> TLSFault:
    """What an error of a handshake means; one that is not of TLS: it was broken off."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return of_certificate(getattr(error, "verify_code", 0))
    if not isinstance(error, ssl.SSLError):
        return TLSFault.BROKEN_OFF
    return of_handshake(str(error))


def of_handshake(text: str) -> TLSFault:
    """What the text of an error of TLS means, in which the name of OpenSSL's error stands."""
    names = text.upper().replace(" ", "_")
    return next((fault for name, fault in _HANDSHAKES if name in names), TLSFault.OTHER)

# SPDX-License-Identifier: Apache-2.0
"""Private keys where public ones belong: knowing them in every form, and whose other half they are.

Whoever could read one signs with it for ever, so that its public half is never to be trusted again.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from itertools import islice

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_ssh_public_key,
)

from postroom.concurrency.bounded import remembered
from postroom.dns.dkim import key
from postroom.dns.dkim.mending import without_pem
from postroom.dns.dkim.record import published_base64

#: How far is looked into a text, and at how many places of it.
_TEXT_LIMIT, _PLACES_LIMIT = 8192, 20
#: What says itself that it is a private key: PEM, the keys of BIND, of PuTTY, and of XML.
_SAID = re.compile(
    r"PRIVATE[ \t]{1,4}KEY|BEGIN[A-Z0-9 \t]{1,20}PRIVATE|Private-key-format|PrivateExponent"
    r"|PuTTY-User-Key-File|<RSAKeyValue>.{0,8000}<D>",
    re.IGNORECASE | re.DOTALL,
)
#: How the DER of PKCS#1 and PKCS#8 begins in base64 (RFC 8017, RFC 5958).
_BEGINNING = re.compile(
    r"(?<![A-Za-z0-9])M(?:C4|I|HE|FE)|M(?:C4CAQAw|I[A-Za-z0-9+/]{2,6}(?:IB|EA)A)"
    r"|M[A-H][AEIMQUYcgkosw048]CAQ[AE]|MI[E-H][A-Za-z0-9+/]AgE[AB]"
)
_FOREIGN = re.compile(r"[^A-Za-z0-9+/\s]")
#: What comes of line ends in JSON, shells, zone files and quoting.
_ESCAPED_ENDS = re.compile(r"\\(?:[nrt]|[0-9]{3})|[\"'\\()]")
#: How the private key of OpenSSH begins in base64: ``openssh-key-v1`` and a zero byte.
_OPENSSH, _OPENSSH_MAGIC = "b3BlbnNzaC1rZXktdjE", b"openssh-key-v1\0"
#: ``-----BEGIN`` in base64, as a Secret holds a PEM file.
_WRAPPED = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}={0,2}")
#: DER in hexadecimal, with what may part its octets.
HEX = re.compile(r"(?<![0-9A-Za-z])30(?:[: ]?[0-9A-Fa-f]{2}){40,4000}(?![0-9A-Za-z])")
_SEED_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{64}(?![0-9A-Za-z])")
#: A member of a JSON Web Key (RFC 7517), the quotation marks lost or not.
_MEMBER = re.compile(r"(?:^|[{,;\"'])(kty|crv|n|e|d|x)[\"']?[:=][\"']?([A-Za-z0-9_-]{2,2800})")
_NUMBERS = (
    re.compile(r"<Modulus>([^<]{20,1400})</Modulus>.{0,8000}?<Exponent>([^<]{2,12})<", re.DOTALL),
    re.compile(r"\bModulus:\s*(\S{20,1400})\s.{0,200}?PublicExponent:\s*(\S{2,12})", re.DOTALL),
)


def is_private(text: str, wanted: key.PublicKey | None = None) -> bool:
    """Whether a text is, or says that it is, a private key: it must not be shown then.

    The `wanted` public key helps to know its own private half where nothing else would tell.
    """
    if _SAID.search(text) or _OPENSSH in _in_one_line(text) or _web_key(text):
        return True
    if any(_wrapped(text)) or any(_in_hex(text, wanted)):
        return True
    return any(_is_encoded(variant, wanted) for variant in {text, text.translate(key.TO_STANDARD)})


def holds_private(text: str, wanted: key.PublicKey | None = None) -> bool:
    """Whether a private key stands anywhere in a text."""
    return is_private(text, wanted) or any(
        _is_encoded(f"p={run}", wanted) for run in _encoded_runs(text)
    )


@remembered(64)
def public_halves(
    text: str, wanted: key.PublicKey | None = None
) -> tuple[key.PublicKey | None, ...]:
    """Return the public halves of the private keys in a text, None for those that do not tell.

    () where it holds no private key.
    """
    if not holds_private(text, wanted):
        return ()
    plain = _ESCAPED_ENDS.sub(" ", text[:_TEXT_LIMIT])
    found = list(dict.fromkeys(_halves(plain, wanted)))
    return tuple(half for half in found if half is not None) or (None,)


def public_half(raw: bytes) -> key.PublicKey | None:
    """Return the public key that belongs to a private key in DER; None where none can be read."""
    try:
        # The validation takes long for large keys, and a false one is as public as a true one.
        private = load_der_private_key(
            _first_element(raw), None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.load_der(public)


def _first_element(raw: bytes) -> bytes:
    """A DER element without what stands behind it."""
    if len(raw) < 2 or raw[1] < 0x80:
        return raw[: 2 + raw[1]] if len(raw) > 1 else raw
    start = 2 + (raw[1] & 0x7F)
    return raw[: start + int.from_bytes(raw[2:start])]


def _halves(text: str, wanted: key.PublicKey | None) -> Iterator[key.PublicKey | None]:
    members = _web_key(text)
    if "n" in members and "e" in members:
        yield _of_numbers(members["n"], members["e"])
    else:
        yield _of_seed(_decoded(members.get("d", "").translate(key.TO_STANDARD)) or b"")
    for pattern in _NUMBERS:
        for match in pattern.finditer(text):
            yield _of_numbers(match[1], match[2])
    for inner in _wrapped(text):
        yield from public_halves(inner, wanted)
    for raw in _in_hex(text, wanted):
        yield public_half(raw) or _of_seed(raw)
    compact = _in_one_line(without_pem(text))
    start = compact.find(_OPENSSH)
    if start >= 0:
        yield _of_openssh(_FOREIGN.split(compact[start:], maxsplit=1)[0])
    for run in _encoded_runs(text):
        yield public_half(_decoded(run) or b"")
    if wanted is not None and any(
        _is_seed_of(variant, wanted) for variant in {text, text.translate(key.TO_STANDARD)}
    ):
        yield wanted


def _is_seed_of(text: str, wanted: key.PublicKey) -> bool:
    """Whether a text is the bare secret of an Ed25519 key, which only its public half shows."""
    raw = _decoded(published_base64(text) or re.sub(r"\s+", "", text)) or b""
    return len(raw) in (key.ED25519_BYTES, 2 * key.ED25519_BYTES) and key.holds_private_key(
        raw, wanted
    )


def _is_encoded(text: str, wanted: key.PublicKey | None) -> bool:
    """Whether a text is a private key in base64, be it bare or in p=."""
    encoded = published_base64(text) or re.sub(r"\s+", "", without_pem(text))
    raw = _decoded(encoded)
    return raw is not None and key.holds_private_key(raw, wanted)


def _decoded(encoded: str) -> bytes | None:
    """Decode base64 as far as it goes: the padding may be lost, and the end cut off."""
    bare = encoded.rstrip("=")
    whole = bare[: len(bare) // 4 * 4]
    return key.decode_base64(bare + "=" * (-len(bare) % 4)) or key.decode_base64(whole)


def _encoded_runs(text: str) -> Iterator[str]:
    """Whatever begins as a private key does, in either alphabet of base64."""
    text = _ESCAPED_ENDS.sub(" ", text[:_TEXT_LIMIT])
    for variant in dict.fromkeys((text, text.translate(key.TO_STANDARD))):
        for match in islice(_BEGINNING.finditer(variant), _PLACES_LIMIT):
            run = _FOREIGN.split(variant[match.start() :], maxsplit=1)[0]
            yield re.sub(r"\s", "", run)


def _in_one_line(text: str) -> str:
    return re.sub(r"\s", "", _ESCAPED_ENDS.sub("", text))


def _wrapped(text: str) -> Iterator[str]:
    """PEM files that were encoded once more."""
    for match in islice(_WRAPPED.finditer(_in_one_line(text[:_TEXT_LIMIT])), _PLACES_LIMIT):
        inner = (_decoded(match[0]) or b"").decode("latin-1")
        if _SAID.search(inner):
            yield inner


def _in_hex(text: str, wanted: key.PublicKey | None) -> Iterator[bytes]:
    """Private keys whose bytes are written in hexadecimal digits."""
    for pattern in (HEX, _SEED_HEX):
        for match in islice(pattern.finditer(text[:_TEXT_LIMIT]), _PLACES_LIMIT):
            raw = bytes.fromhex(re.sub(r"[: ]", "", match[0]))
            if key.holds_private_key(raw, wanted):
                yield raw


def _web_key(text: str) -> Mapping[str, str]:
    """The members of a JSON Web Key that holds a private key; {} for any other text."""
    text = text[:_TEXT_LIMIT]
    if "kty" not in text:
        return {}
    members = dict(_MEMBER.findall(re.sub(r"[\s\\]", "", text)))
    private = members.get("kty") in ("RSA", "OKP", "EC") and len(members.get("d", "")) >= 20
    return members if private else {}


def _of_numbers(modulus: str, exponent: str) -> key.PublicKey | None:
    """The RSA key of two numbers in base64."""
    raw = [
        _decoded(re.sub(r"\s", "", number).translate(key.TO_STANDARD))
        for number in (modulus, exponent)
    ]
    n, e = (int.from_bytes(number or b"") for number in raw)
    return key.PublicKey(key.Algorithm.RSA, n.bit_length(), (n, e)) if n and e else None


def _of_seed(raw: bytes) -> key.PublicKey | None:
    if len(raw) != key.ED25519_BYTES:
        return None
    public = Ed25519PrivateKey.from_private_bytes(raw).public_key()
    return key.PublicKey(
        key.Algorithm.ED25519, 256, public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    )


def _of_openssh(encoded: str) -> key.PublicKey | None:
    """The public key that stands in the clear before the private one, be that encrypted or not."""
    raw = (_decoded(encoded) or b"").removeprefix(_OPENSSH_MAGIC)
    for _ in range(3):  # the cipher, and how its key is derived
        raw = raw[4 + int.from_bytes(raw[:4]) :]
    raw = raw[4:]  # how many keys there are
    blob = raw[4 : 4 + int.from_bytes(raw[:4])]
    kind = blob[4 : 4 + int.from_bytes(blob[:4])]
    if kind not in (b"ssh-rsa", b"ssh-ed25519"):
        return None
    try:
        public = load_ssh_public_key(kind + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key.load_der(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

# SPDX-License-Identifier: Apache-2.0
"""Why a stream of NATS did not take a message: one clause each, with what mends it. Pure.

None of them has a word of the server's.
"""

import ssl
from collections.abc import Iterable, Sequence

from postroom.concurrency.tls_faults import TLSFault, of_handshake

PLAIN = "NATS does not begin with TLS, which --nats-url asks for: enable it on the server"
_UNREACHABLE = "NATS cannot be reached: see that its server runs, and that --nats-url names it"
_FORBIDDEN = (
    "NATS does not let postroom sign in: have --nats-creds-file name credentials that it accepts"
)
_UNREADABLE = "The file of --nats-creds-file or --nats-ca-file cannot be read: see that it is there"
_UNTRUSTED = (
    "The certificate of NATS is not trusted, or not for the host of --nats-url: have "
    "--nats-ca-file name the authority that issued it"
)
_WANTS_CERTIFICATE = (
    "NATS asks for a client certificate, and postroom has none to show: have it accept clients "
    "without one"
)
_CUT = "NATS ends the connection: see that its server runs"
_NO_STREAM = (
    "No stream of NATS takes {subject}: have the stream of --nats-stream take postroom.mail.>"
)
_OTHER_STREAM = "Another stream of NATS takes {subject} than --nats-stream names: correct one"
_FULL = (
    "The stream of NATS is full and takes nothing new: raise its limits, or have it discard the old"
)
_TOO_LARGE = (
    "The stream of NATS takes no message so large as what is told of one: raise its maximum "
    "(max_msg_size), or that of the server (max_payload)"
)
_BUCKET_FULL = (
    "The Object Store of --nats-object-store is full and takes nothing new: raise its limits, and "
    "have those who consume events delete what they have read"
)
_PIECE_TOO_LARGE = (
    "The Object Store of --nats-object-store takes no piece so large: raise the maximum of a "
    "message (max_msg_size) of its stream"
)
_RESOURCES = "JetStream has no room left (the account's or the server's limit): raise that limit"
_OFF = "JetStream is not available on this server of NATS, or not to this account: enable it there"
_NO_BUCKET = "NATS has no Object Store of the name in --nats-object-store: create it"
_SILENT = "NATS does not acknowledge the message in time"
_SUBJECT = "NATS lets postroom not publish {subject}: allow postroom.mail.> to its credentials"
_OBJECTS = (
    "NATS lets postroom not write into the Object Store: allow $O.<bucket>.> and "
    "$JS.API.> to its credentials"
)
_NOT_OURS = "Something answers on {subject} that is no stream: take the subject from it"
_REFUSED = "NATS refuses the message (JetStream error {code}): see the log of its server"

#: Codes of JetStream's errors (nats-server server/errors.json).
_BY_CODE = {
    10054: _TOO_LARGE,
    10060: _OTHER_STREAM,
    10077: _FULL,
    10002: _RESOURCES,
    10023: _RESOURCES,
    10028: _RESOURCES,
    10047: _RESOURCES,
    10039: _OFF,
    10076: _OFF,
    10059: _NO_STREAM,
}
#: What is said otherwise where it comes from the stream of an Object Store.
_OF_OBJECTS = {
    _TOO_LARGE: _PIECE_TOO_LARGE,
    _FULL: _BUCKET_FULL,
    _NO_STREAM: _NO_BUCKET,
}
#: The code of a message that a stream does not take for its size.
_SIZE = 10054


class NotTaken(Exception):
    """A message was not taken, or NATS is not there; the text is a clause."""


class NotStored(Exception):
    """The Object Store did not take a message, by an error of nats-py."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def is_too_large(error: Exception) -> bool:
    """Whether a message was not taken for its size alone, by the stream or the server."""
    # Imported where it is used: nats-py is an extra.
    import nats.errors
    import nats.js.errors

    by_stream = isinstance(error, nats.js.errors.APIError) and _code_of(error) == _SIZE
    return by_stream or isinstance(error, nats.errors.MaxPayloadError)


def of_connecting(errors: Sequence[Exception], *, wants_certificate: bool = False) -> NotTaken:
    """Return what errors of one attempt to connect mean; the last of them is the outcome.

    `wants_certificate`: the server said that it takes no client without one. What it says then as
    it ends the connection is lost where it has not read all of ours (RFC 1122 section 4.2.2.13).
    """
    # Imported where it is used: nats-py is an extra.
    import nats.errors

    for error in errors:
        if isinstance(error, NotTaken):
            return error
    texts = [str(error).upper() for error in errors]
    if _tell(texts, "AUTHORIZATION", "AUTHENTICATION", "USER CREDENTIALS", "NKEY"):
        return NotTaken(_FORBIDDEN)
    for error in errors:
        if isinstance(error, ssl.SSLCertVerificationError):
            return NotTaken(_UNTRUSTED)
        files = FileNotFoundError | PermissionError | IsADirectoryError
        # What neither the network nor the server does, comes from what the files hold.
        if isinstance(error, files) or not isinstance(error, OSError | nats.errors.Error):
            return NotTaken(_UNREADABLE)
    wanted = TLSFault.CERTIFICATE_WANTED in map(of_handshake, texts)
    if wants_certificate or wanted or _tell(texts, "BAD_CERTIFICATE"):
        return NotTaken(_WANTS_CERTIFICATE)
    return NotTaken(_UNREACHABLE)


def of_publishing(error: Exception, subject: str, complaints: Iterable[str]) -> NotTaken:
    """Return what an error of publishing means; `complaints` came from the server beside it."""
    # Imported where it is used: nats-py is an extra.
    import nats.errors
    import nats.js.errors

    heard = [text.upper() for text in complaints if "PERMISSIONS VIOLATION" in text.upper()]
    clause, met = _REFUSED, error.error if isinstance(error, NotStored) else error
    match met:
        case NotTaken():
            return met
        case nats.js.errors.NoStreamResponseError() | nats.errors.NoRespondersError():
            clause = _NO_STREAM
        case nats.js.errors.BucketNotFoundError():
            clause = _NO_BUCKET
        case nats.js.errors.APIError():
            clause = _BY_CODE.get(_code_of(met), _OFF if met.code == 503 else _REFUSED)
        case nats.errors.MaxPayloadError():
            clause = _TOO_LARGE
        case TimeoutError() if _tell(heard, subject.upper()):
            clause = _SUBJECT
        case TimeoutError() if _tell(heard, '"$O.', '"$JS.'):
            clause = _OBJECTS
        case TimeoutError():
            clause = _SILENT
        case nats.errors.Error() | OSError():
            clause = _CUT
        case ValueError() | LookupError() | TypeError():
            clause = _NOT_OURS
    if met is not error:
        clause = _OF_OBJECTS.get(clause, clause)
    return NotTaken(clause.format(subject=subject, code=_code_of(met)))


def _code_of(error: Exception) -> int:
    """The code of a JetStream error, or of what it answers in general; 0 for any other error."""
    return int(getattr(error, "err_code", None) or getattr(error, "code", None) or 0)


def _tell(texts: Iterable[str], *words: str) -> bool:
    return any(word in text for text in texts for word in words)

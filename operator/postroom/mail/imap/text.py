# SPDX-License-Identifier: Apache-2.0
"""How IMAP writes names and passwords, and how it answers about mailboxes (RFC 3501, RFC 9051)."""

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial

from postroom.mail.imap.protocol import Continuation
from postroom.mail.imap.values import without_literals
from postroom.mail.report import Login
from postroom.mail.session.sasl import PROVING, TokenExchange, cram_md5
from postroom.mail.session.scram import SCRAM, ScramExchange

_LINE_ENDS = re.compile(r"[\x00\r\n]")
#: Every server reads these in a quoted string; escapes and control characters it may also hold
#: (RFC 3501 section 9, QUOTED-CHAR), but not all read them back. All else goes in a literal.
_QUOTABLE = re.compile(r"[ !#-\[\]-~]*")
#: Servers bound command lines; RFC 7162 section 4 advises 8192 octets for all of a line.
_QUOTED_LIMIT = 1024
_MECHANISM = re.compile(r"AUTH=([A-Z0-9_-]{1,20})")
#: An untagged response, or a response code in the text of a greeting or result.
_CAPABILITIES = re.compile(
    rb"\ACAPABILITY ([^\r\n]*)|\A(?:(?:\* )?OK )?\[CAPABILITY ([^\]\r\n]*)\]", re.IGNORECASE
)


def quoted(text: str) -> str:
    """Write a quoted string (RFC 9051 section 4.3). Raises `ValueError` for a line end or NUL."""
    if _LINE_ENDS.search(text):
        raise ValueError("a quoted string holds no line end and no NUL")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def login_arguments(username: str, password: str) -> tuple[list[str], list[bytes]]:
    """Return the arguments of LOGIN, and what to send when the server asks for the literals.

    What is not ASCII, or would need an escape, goes in a literal (RFC 3501 section 4.3), which the
    server asks for one by one. Raises `ValueError` for a line end or NUL.
    """
    sent: list[str] = []
    answers: list[bytes] = []
    for text in (username, password):
        if _LINE_ENDS.search(text):
            raise ValueError("a login holds no line end and no NUL")
        plain = len(text) <= _QUOTED_LIMIT and _QUOTABLE.fullmatch(text)
        octets = text.encode()
        written = quoted(text) if plain else f"{{{len(octets)}}}"
        if answers:
            answers[-1] += b" " + written.encode()
        else:
            sent.append(written)
        if not plain:
            answers.append(octets)
    return sent, answers


@dataclass(frozen=True, slots=True)
class LoginCommand:
    """A command that signs in, and what to send when the server asks for more: all of it secret.

    `scram` tells at the end whether the server has proven itself; None with other mechanisms.
    """

    name: str
    arguments: Sequence[str] = field(repr=False)
    answers: Sequence[Continuation] = field(repr=False)
    scram: ScramExchange | None = None


def password_command(login: Login, offered: AbstractSet[str]) -> LoginCommand | None:
    """AUTHENTICATE PLAIN, which needs no quoting, else LOGIN in either form, else what proves that
    the password is known without sending it; None where all are forbidden.

    Who offers mechanisms, and none for which the password is sent, takes no command LOGIN either,
    whether it says so or not.
    """
    password = login.password.reveal()
    if "AUTH=PLAIN" in offered:
        packed = base64.b64encode(f"\0{login.username}\0{password}".encode()).decode()
        return _authenticate("PLAIN", packed, offered)
    proving = next((mechanism for mechanism in PROVING if f"AUTH={mechanism}" in offered), None)
    if "AUTH=LOGIN" in offered:
        proving = None
    if "LOGINDISABLED" not in offered and proving is None:
        return LoginCommand("LOGIN", *login_arguments(login.username, password))
    if proving in SCRAM:
        exchange = ScramExchange(proving, login)
        first = base64.b64encode(exchange.first).decode()
        command = _authenticate(proving, first, offered)
        steps = (partial(_packed_answer, step) for step in (exchange.proof, exchange.hear))
        return replace(command, answers=[*command.answers, *steps], scram=exchange)
    if proving is not None:
        return LoginCommand(
            "AUTHENTICATE", [proving], [partial(_packed_answer, partial(cram_md5, login))]
        )
    if "AUTH=LOGIN" not in offered:
        return None
    # Two questions, whatever they say, for the name and the password.
    answers = [base64.b64encode(answer.encode()) for answer in (login.username, password)]
    return LoginCommand("AUTHENTICATE", ["LOGIN"], answers)


def _packed_answer(step: Callable[[bytes], bytes], challenge: bytes) -> bytes:
    """One step on both sides of base64; raises `ValueError` for a challenge that is none."""
    return base64.b64encode(step(base64.b64decode(challenge, validate=True)))


def token_command(exchange: TokenExchange, offered: AbstractSet[str]) -> LoginCommand:
    """AUTHENTICATE with a token; the server's error is answered as its mechanism wants it."""
    command = _authenticate(exchange.mechanism, exchange.packed.reveal(), offered)
    return LoginCommand(command.name, command.arguments, [*command.answers, exchange.farewell])


def _authenticate(mechanism: str, packed: str, offered: AbstractSet[str]) -> LoginCommand:
    if "SASL-IR" in offered:  # RFC 4959
        return LoginCommand("AUTHENTICATE", [mechanism, packed], [])
    return LoginCommand("AUTHENTICATE", [mechanism], [packed.encode()])


def capabilities_in(lines: Iterable[bytes]) -> set[str]:
    """Return the words of CAPABILITY responses and response codes (RFC 9051 section 7.1)."""
    found = (_CAPABILITIES.search(line) for line in without_literals(lines))
    words = (match[match.lastindex or 0] for match in found if match)
    return {word.decode("ascii", "replace").upper() for some in words for word in some.split()}


def mechanisms_among(capabilities: Iterable[str]) -> list[str]:
    """The SASL mechanisms among capabilities (RFC 4422 section 3.1), in their order."""
    found = map(_MECHANISM.fullmatch, capabilities)
    return [match[1] for match in found if match]


def modified_utf7(name: str) -> str:
    """Write a mailbox name in the modified UTF-7 of RFC 3501 section 5.1.3."""

    def encode(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        packed = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=")
        return f"&{packed.replace('/', ',')}-"

    return re.sub(r"&|[^\x20-\x7e]+", encode, name)

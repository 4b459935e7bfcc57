# SPDX-License-Identifier: Apache-2.0
"""Mail servers that repeat what they were told, at every stage and in every place of an answer.

Each row knows the secret beforehand, as a server does from the second session on, and spells it in
every encoding; and repeats each line of the client, raw and decoded.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.canary_secrets import spellings, spelt
from lab.hostile import Answers, Step, answer, imap_until_login, packed, smtp_until_auth

Steps = tuple[Step, ...]
#: What a row plays, from the secret that its clients sign in with.
Row = Callable[[str], Steps]


def echo(code: bytes, secret: str = "") -> Step:
    """Answer with what the client said, raw and decoded, and with all spellings of the secret.

    ``TAG`` in the code becomes the client's tag.
    """

    def made(line: bytes) -> bytes:
        said = line.strip()
        words = b" ".join(map(decoded, said.split(b" ")))
        tag = said.split(b" ")[0] or b"*"
        text = b" ".join([code.replace(b"TAG", tag), said, words, spelt(secret)])
        return text.replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n"

    return made


def decoded(word: bytes) -> bytes:
    """What a word is in base64, with blanks for NULs; nothing where it is none."""
    try:
        return base64.b64decode(word + b"===").replace(b"\0", b" ")
    except ValueError:
        return b""


def challenge(code: bytes, secret: str) -> bytes:
    """An error document of OAuth with the secret wherever a server may put something."""
    keys = ("status", "schemes", "scope", "error", "error_description")
    return code + b" " + packed(dict.fromkeys(keys, secret) | {secret: secret}) + b"\r\n"


def challenge_with_status(code: bytes, secret: str) -> bytes:
    """The same with a status that is taken for a refusal."""
    return code + b" " + packed({"status": "invalid_token", "scope": secret}) + b"\r\n"


def lines(code: bytes, secret: str) -> bytes:
    """A reply of SMTP in several lines, with a spelling in each."""
    return b"".join(
        code + (b"-" if at + 1 < len(spellings(secret)) else b" ") + b"5.7.8 " + one + b"\r\n"
        for at, one in enumerate(spellings(secret))
    )


def _smtp(offers: bytes, *after: Step) -> Steps:
    return smtp_until_auth(offers, after=("read", *after))


def _named(secret: str) -> bytes:
    """The secret as a keyword: without what would end one."""
    return b"".join(secret.encode().split())


def _offering(secret: str) -> Steps:
    """Extensions and mechanisms that are the secret."""
    word = _named(secret)
    codes = base64.b32encode(secret.encode()).rstrip(b"=")
    offers = (b"AUTH " + word + b" " + codes, b"SIZE " + word, word + b" " + word, codes)
    return smtp_until_auth(*offers, after=("read", echo(b"535", secret)))


SMTP: dict[str, Row] = {
    "greets with it": lambda secret: (b"220 " + spelt(secret) + b"\r\n", "read", "close"),
    "refuses in the greeting": lambda secret: (lines(b"554", secret),),
    "is busy": lambda secret: (lines(b"421", secret), "close"),
    "speaks something else": lambda secret: (spelt(secret) + b"\r\n", "stall"),
    "refuses EHLO": lambda secret: (b"220 x\r\n", "read", *(lines(b"550", secret), "read") * 2),
    "offers it": _offering,
    "refuses": lambda secret: _smtp(b"AUTH PLAIN", echo(b"535 5.7.8", secret)),
    "refuses in lines": lambda secret: _smtp(b"AUTH PLAIN LOGIN", lines(b"535", secret)),
    "defers": lambda secret: _smtp(b"AUTH PLAIN", echo(b"454 4.7.0", secret)),
    "locks out": lambda secret: _smtp(b"AUTH PLAIN", echo(b"421 4.7.0 try again in", secret)),
    "knows no AUTH": lambda secret: _smtp(b"AUTH PLAIN", echo(b"500", secret)),
    "asks on": lambda secret: _smtp(b"AUTH LOGIN", echo(b"334", secret), "read", echo(b"535")),
    "asks twice": lambda secret: _smtp(
        b"AUTH LOGIN", b"334 VXNlcm5hbWU6\r\n", "read", *(echo(b"334", secret), "read") * 3
    ),
    "challenges": lambda secret: _smtp(
        b"AUTH CRAM-MD5", b"334 " + packed(secret) + b"\r\n", "read", echo(b"535", secret)
    ),
    "is no SMTP": lambda secret: _smtp(b"AUTH PLAIN", echo(b"xyz", secret), "stall"),
    "never ends a line": lambda secret: _smtp(b"AUTH PLAIN", b"535-" + spelt(secret), "endless"),
    "ends within a line": lambda secret: _smtp(b"AUTH PLAIN", b"535 " + spelt(secret), "close"),
    "breaks off": lambda secret: _smtp(b"AUTH PLAIN", "reset"),
    "is silent": lambda secret: _smtp(b"AUTH PLAIN", "stall"),
    "says too much": lambda secret: _smtp(b"AUTH PLAIN", b"235 ok\r\n" + lines(b"250", secret) * 3),
}

SMTP_TOKEN: dict[str, Row] = {
    "refuses": lambda secret: _smtp(b"AUTH XOAUTH2", echo(b"535 5.7.8", secret)),
    "refuses in JSON": lambda secret: _smtp(
        b"AUTH OAUTHBEARER", challenge(b"334", secret), "read", echo(b"535 5.7.8", secret)
    ),
    "names a status": lambda secret: _smtp(
        b"AUTH XOAUTH2", challenge_with_status(b"334", secret), "read", lines(b"535", secret)
    ),
    "breaks off after JSON": lambda secret: _smtp(
        b"AUTH XOAUTH2", challenge(b"334", secret), "read", "reset"
    ),
    "goes on after JSON": lambda secret: _smtp(
        b"AUTH XOAUTH2", *(challenge(b"334", secret), "read") * 4, "close"
    ),
    "offers it": _offering,
}


def _imap(offers: bytes, *after: Step) -> Steps:
    return imap_until_login(*offers.split(), after=("read", *after))


IMAP: dict[str, Row] = {
    "greets with it": lambda secret: (b"* OK " + spelt(secret) + b"\r\n", "read", "close"),
    "sends away": lambda secret: (b"* BYE " + spelt(secret) + b"\r\n", "close"),
    "speaks something else": lambda secret: (spelt(secret) + b"\r\n", "stall"),
    "offers it": lambda secret: imap_until_login(
        _named(secret), b"AUTH=" + _named(secret), after=("read", echo(b"TAG NO", secret))
    ),
    "refuses": lambda secret: _imap(b"", echo(b"TAG NO [AUTHENTICATIONFAILED]", secret)),
    "refuses PLAIN": lambda secret: _imap(b"AUTH=PLAIN SASL-IR", echo(b"TAG NO", secret)),
    "refuses with an odd code": lambda secret: _imap(
        b"", echo(b"TAG NO [" + _named(secret) + b"]", secret)
    ),
    "defers": lambda secret: _imap(b"", echo(b"TAG NO [UNAVAILABLE]", secret)),
    "says bad": lambda secret: _imap(b"", echo(b"TAG BAD", secret)),
    "alerts": lambda secret: _imap(
        b"", b"* NO [ALERT] " + spelt(secret) + b"\r\n", echo(b"TAG NO [ALERT]", secret)
    ),
    "alerts before that": lambda secret: (
        b"* OK [ALERT] " + spelt(secret) + b"\r\n",
        *("read", answer(b"OK x", b"CAPABILITY IMAP4rev1", b"OK [ALERT] " + spelt(secret))),
        *("read", answer(b"NO no")),
    ),
    "answers another": lambda secret: _imap(b"", echo(b"OTHER OK", secret), "stall"),
    "says bye": lambda secret: _imap(b"", echo(b"* BYE", secret), "close"),
    "asks for more": lambda secret: _imap(
        b"AUTH=PLAIN", echo(b"+", secret), "read", echo(b"+", secret), "read", "close"
    ),
    "is silent": lambda _: _imap(b"", "stall"),
    "breaks off": lambda _: _imap(b"", "reset"),
    "never ends a line": lambda secret: _imap(b"", b"* OK " + spelt(secret), "endless"),
    "ends in a literal": lambda secret: _imap(
        b"", b"* LIST {9999}\r\n" + spelt(secret) + b"\r\n", "close"
    ),
}

IMAP_TOKEN: dict[str, Row] = {
    "refuses": lambda secret: _imap(b"AUTH=XOAUTH2 SASL-IR", echo(b"TAG NO", secret)),
    "refuses in JSON": lambda secret: _imap(
        b"AUTH=XOAUTH2 SASL-IR", challenge(b"+", secret), "read", echo(b"* BYE", secret)
    ),
    "names a status": lambda secret: _imap(
        b"AUTH=OAUTHBEARER SASL-IR",
        *(challenge_with_status(b"+", secret), "read", echo(b"* NO", secret), "stall"),
    ),
    "two lines": lambda secret: _imap(
        b"AUTH=OAUTHBEARER", b"+ \r\n", "read", challenge(b"+", secret), "read", "stall"
    ),
    "says bad": lambda secret: _imap(b"AUTH=OAUTHBEARER SASL-IR", echo(b"TAG BAD", secret)),
    "asks on": lambda secret: _imap(
        b"AUTH=XOAUTH2 SASL-IR", *(echo(b"+", secret), "read") * 5, "close"
    ),
}


@dataclass(frozen=True)
class Talk:
    """A reply to each command after signing in, by the word that is in it."""

    replies: Mapping[bytes, Step | Steps]
    until: bytes

    def step(self) -> Step:
        made = {
            word: one if isinstance(one, tuple) else (one,) for word, one in self.replies.items()
        }
        return Answers(made, until=self.until)


def _after_smtp(replies: Mapping[bytes, Step | Steps]) -> Steps:
    said = {b"QUIT": b"221 bye\r\n", **replies}
    return (b"235 2.7.0 ok\r\n", Talk(said, b"QUIT").step())


def smtp_after_login(secret: str, at: bytes, code: bytes) -> Steps:
    """Take any login, agree up to one command, and answer that with the secret."""
    yes: dict[bytes, Step | Steps] = {
        word: echo(b"250 2.0.0", secret) for word in (b"FROM", b"MAIL", b"RCPT", b"TO", b"RSET")
    }
    yes |= {b"DATA": (echo(b"354", secret), "content", echo(b"250 2.0.0", secret))}
    if at == b"CONTENT":
        yes[b"DATA"] = (echo(b"354", secret), "content", lines(code, secret))
    elif at == b"QUIT":
        yes[at] = lines(code, secret)
    else:
        yes[at] = lines(code, secret)
    return _smtp(b"AUTH PLAIN XOAUTH2", *_after_smtp(yes))


#: Commands of an errand, and codes that they are answered with.
SMTP_ERRANDS: dict[str, Row] = {
    f"{code.decode()} to {at.decode()}": (
        lambda secret, at=at, code=code: smtp_after_login(secret, at, code)  # type: ignore[misc]
    )
    for at in (b"MAIL", b"RCPT", b"RSET", b"DATA", b"CONTENT", b"QUIT")
    for code in (b"550", b"421", b"250", b"999")
}

_COMMANDS = (
    *(b"ID", b"LIST", b"NAMESPACE", b"STATUS", b"EXAMINE", b"SELECT", b"SEARCH", b"FETCH"),
    *(b"STORE", b"EXPUNGE", b"MOVE", b"GETQUOTAROOT", b"CLOSE", b"CAPABILITY"),
)
_OFFERS = (
    b"ID NAMESPACE SPECIAL-USE LIST-EXTENDED QUOTA STATUS=SIZE UIDPLUS MOVE SASL-IR AUTH=PLAIN "
    b"AUTH=XOAUTH2"
)


def _talks_of_it(secret: str) -> dict[bytes, Step | Steps]:
    """Answer each command well, with the secret wherever a text may stand."""
    text = secret.replace("\\", "\\\\").replace('"', '\\"').encode()
    quoted = b'"' + text + b'"'
    wide = b'"' + secret.encode("utf-7").replace(b'"', b"") + b'"'

    def ok(*untagged: bytes) -> Step:
        said = b"".join(b"* " + one + b"\r\n" for one in untagged)
        tagged = echo(b"TAG OK [" + _named(secret) + b"]", secret)
        assert callable(tagged)
        return lambda line: said + tagged(line)

    header = b"X-Postroom-Probe: v1 a b 00\r\nSubject: " + spelt(secret) + b"\r\n\r\n"
    size = str(len(header)).encode()
    fetched = b'3 FETCH (UID 8 INTERNALDATE "01-May-2026 12:00:00 +0200" BODY[HEADER] {%s}\r\n%s)'
    return {
        b"ID": ok(b'ID ("name" ' + quoted + b' "version" ' + quoted + b")"),
        b"LIST": ok(
            b'LIST (\\Junk) "/" ' + quoted,
            b"LIST (\\Sent " + _named(secret) + b") " + quoted + b" " + wide,
            b"LIST () NIL " + quoted,
        ),
        b"NAMESPACE": ok(b"NAMESPACE ((" + quoted + b" " + quoted + b")) NIL NIL"),
        b"STATUS": ok(b"STATUS INBOX (MESSAGES 3 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 5 SIZE 9)"),
        b"EXAMINE": ok(b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x"),
        b"SELECT": ok(b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"FLAGS (" + _named(secret) + b")"),
        b"GETQUOTAROOT": ok(
            b"QUOTAROOT INBOX " + quoted, b"QUOTA " + quoted + b" (STORAGE 1 2 MESSAGE 1 2)"
        ),
        b"SEARCH": ok(b"SEARCH 8"),
        b"FETCH": ok(fetched % (size, header)),
        b"CAPABILITY": ok(b"CAPABILITY IMAP4rev1 " + _OFFERS + b" " + _named(secret)),
    }


def imap_after_login(secret: str, at: bytes, code: bytes) -> Steps:
    """Take any login, answer well up to one command, and that with the secret alone."""
    replies: dict[bytes, Step | Steps] = {word: echo(b"TAG OK", secret) for word in _COMMANDS}
    replies |= _talks_of_it(secret) | {b"LOGOUT": echo(b"TAG OK", secret)}
    if at:
        replies[at] = (echo(code, secret), "close") if code == b"* BYE" else echo(code, secret)
    return imap_until_login(
        *_OFFERS.split(),
        after=(
            "read",
            echo(b"TAG OK [CAPABILITY IMAP4rev1 %s]" % _OFFERS, secret),
            Talk(replies, b"LOGOUT").step(),
        ),
    )


IMAP_ERRANDS: dict[str, Row] = {
    "talks of it": lambda secret: imap_after_login(secret, b"", b""),
} | {
    f"{code.decode()} to {at.decode()}": (
        lambda secret, at=at, code=code: imap_after_login(secret, at, code)
    )
    for at in (b"STATUS", b"EXAMINE", b"SELECT", b"SEARCH", b"FETCH", b"LIST", b"GETQUOTAROOT")
    for code in (b"TAG NO", b"TAG BAD", b"* BYE")
}

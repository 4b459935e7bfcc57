# SPDX-License-Identifier: Apache-2.0
"""Ways in which servers are odd, by name: what they offer, and what becomes of their replies."""

from __future__ import annotations

from collections.abc import Iterator

from lab.odd_server import Act, Odd, Spoil

SMTP_STAGES = ("greeting", "capabilities", "challenge", "auth")
IMAP_STAGES = ("greeting", "capabilities", "challenge", "auth", "mailbox")


def bare_line_feeds(reply: bytes) -> list[Act]:
    return [reply.replace(b"\r\n", b"\n")]


def carriage_returns_alone(reply: bytes) -> list[Act]:
    return [reply.replace(b"\r\n", b"\r")]


def with_text(noise: bytes) -> Spoil:
    """Put it at the end of a line in which words are free: SMTP's first, IMAP's last."""

    def made(reply: bytes) -> list[Act]:
        lines = reply.split(b"\r\n")
        at = len(lines) - 2 if not reply[:3].isdigit() else 0
        if reply[:3] == b"334":
            return [reply]
        lines[at] += noise
        return [b"\r\n".join(lines)]

    return made


def slowly(seconds: float) -> Spoil:
    """One byte at a time."""

    def made(reply: bytes) -> list[Act]:
        return [act for at in range(len(reply)) for act in (reply[at : at + 1], seconds)]

    return made


def late(seconds: float) -> Spoil:
    return lambda reply: [seconds, reply]


def closes(_: bytes) -> list[Act]:
    return ["close"]


def resets(_: bytes) -> list[Act]:
    return ["reset"]


def closes_in_the_middle(reply: bytes) -> list[Act]:
    return [reply[: len(reply) // 2], "close"]


class _Endless(list[Act]):
    """A line again and again."""

    def __init__(self, line: bytes) -> None:
        self._batch = line * 1000

    def __iter__(self) -> Iterator[Act]:
        while True:
            yield self._batch


def endless_lines(reply: bytes) -> list[Act]:
    code = reply[:3]
    return _Endless(code + b"-more\r\n" if code.isdigit() else b"* OK more\r\n")


def endless_line(_: bytes) -> list[Act]:
    return _Endless(b"x" * 100)


def after_noise(reply: bytes) -> list[Act]:
    """Untagged responses that nobody asked for."""
    return [b"* OK still here\r\n* 9 EXPUNGE\r\n* NO [ALERT] be nice\r\n" + reply]


def smtp(*mechanisms: bytes, **changes: object) -> Odd:
    offers = (b"AUTH " + b" ".join(mechanisms), b"SIZE 9") if mechanisms else (b"SIZE 9",)
    return Odd("smtp", offers, **changes)  # type: ignore[arg-type]


def imap(*words: bytes, **changes: object) -> Odd:
    return Odd("imap", words, **changes)  # type: ignore[arg-type]


TLS = b"STARTTLS"
AFTER = (b"AUTH PLAIN LOGIN",)
ODD: dict[str, Odd] = {
    "smtp usual": smtp(b"PLAIN", b"LOGIN"),
    "smtp LOGIN alone": smtp(b"LOGIN"),
    "smtp PLAIN alone": smtp(b"PLAIN"),
    "smtp CRAM-MD5 alone": smtp(b"CRAM-MD5"),
    "smtp SCRAM alone": smtp(b"SCRAM-SHA-256"),
    "smtp all": smtp(b"SCRAM-SHA-256", b"CRAM-MD5", b"LOGIN", b"PLAIN"),
    "smtp unknown mechanisms": smtp(b"GSSAPI", b"X-ODD"),
    "smtp no AUTH": smtp(),
    "smtp AUTH=": Odd("smtp", (b"AUTH=PLAIN LOGIN",)),
    "smtp lowercase": Odd("smtp", (b"auth plain login",)),
    "smtp HELO only 502": smtp(b"PLAIN", replies={b"EHLO": b"502 what?\r\n"}),
    "smtp HELO only 500": smtp(b"PLAIN", replies={b"EHLO": b"500 what?\r\n"}),
    "smtp EHLO refused": smtp(b"PLAIN", replies={b"EHLO": b"550 no\r\n", b"HELO": b"550 no\r\n"}),
    "smtp greets in lines": smtp(b"PLAIN", greeting=b"220-hello\r\n220-no spam\r\n220 odd\r\n"),
    "smtp greets without words": smtp(b"PLAIN", greeting=b"220\r\n"),
    "smtp greets with a hyphen": smtp(b"PLAIN", greeting=b"220-odd\r\n220-odd\r\n220\r\n"),
    "smtp 421": smtp(b"PLAIN", greeting=b"421 busy\r\n"),
    "smtp 554": smtp(b"PLAIN", greeting=b"554 no service here\r\n"),
    "smtp greets twice": smtp(b"PLAIN", greeting=b"220 odd\r\n220 odd again\r\n"),
    "smtp greets as IMAP": smtp(b"PLAIN", greeting=b"* OK IMAP4 ready\r\n"),
    "smtp greets as POP3": smtp(b"PLAIN", greeting=b"+OK POP3 ready\r\n"),
    "smtp empty line first": smtp(b"PLAIN", greeting=b"\r\n220 odd\r\n"),
    "smtp AUTH unknown": smtp(b"PLAIN", replies={b"AUTH": b"502 5.5.1 unknown\r\n"}),
    "smtp AUTH 503": smtp(b"PLAIN", replies={b"AUTH": b"503 5.5.1 not now\r\n"}),
    "smtp AUTH 454": smtp(b"PLAIN", replies={b"AUTH": b"454 4.7.0 try later\r\n"}),
    "smtp AUTH 538": smtp(b"PLAIN", replies={b"AUTH": b"538 5.7.11 encrypt\r\n"}),
    "smtp STARTTLS": Odd("smtp", (TLS,), AFTER),
    "smtp STARTTLS, AUTH in the clear too": Odd("smtp", (TLS, b"AUTH PLAIN"), AFTER),
    "smtp STARTTLS, other mechanisms": Odd("smtp", (TLS, b"AUTH PLAIN"), (b"AUTH CRAM-MD5",)),
    "smtp STARTTLS, no AUTH after": Odd("smtp", (TLS, b"AUTH PLAIN"), (b"SIZE 9",)),
    "smtp STARTTLS offered after it": Odd("smtp", (TLS,), (TLS, *AFTER)),
    "smtp STARTTLS missing": Odd("smtp", AFTER, AFTER),
    "smtp STARTTLS missing but taken": Odd("smtp", (b"SIZE 9",), AFTER),
    "smtp STARTTLS refused": Odd("smtp", (TLS,), AFTER, replies={TLS: b"454 4.7.0 no TLS\r\n"}),
    "smtp STARTTLS refused for ever": Odd("smtp", (TLS,), AFTER, replies={TLS: b"502 no\r\n"}),
    "smtp STARTTLS in lines": Odd(
        "smtp", (TLS,), AFTER, {"starttls": lambda _: [b"220-go\r\n220 ahead\r\n"]}
    ),
    "smtp STARTTLS injected": Odd(
        "smtp", (TLS,), AFTER, {"starttls": lambda reply: [reply + b"250 injected\r\n"]}
    ),
    "smtp STARTTLS closes": Odd("smtp", (TLS,), AFTER, {"starttls": closes}),
    "smtp STARTTLS closes after": Odd("smtp", (TLS,), AFTER, {"starttls": lambda r: [r, "close"]}),
    "smtp STARTTLS resets": Odd("smtp", (TLS,), AFTER, {"starttls": resets}),
    "imap usual": imap(b"AUTH=PLAIN"),
    "imap without AUTH=": imap(),
    "imap LOGIN alone": imap(b"AUTH=LOGIN", b"LOGINDISABLED"),
    "imap CRAM-MD5 alone": imap(b"AUTH=CRAM-MD5", b"LOGINDISABLED"),
    "imap CRAM-MD5 beside LOGIN": imap(b"AUTH=CRAM-MD5"),
    "imap SCRAM alone": imap(b"AUTH=SCRAM-SHA-256", b"LOGINDISABLED"),
    "imap all": imap(
        b"AUTH=SCRAM-SHA-256", b"AUTH=CRAM-MD5", b"AUTH=LOGIN", b"AUTH=PLAIN", b"SASL-IR"
    ),
    "imap unknown mechanisms": imap(b"AUTH=GSSAPI"),
    "imap unknown mechanisms alone": imap(b"AUTH=GSSAPI", b"LOGINDISABLED"),
    "imap PLAIN beside LOGINDISABLED": imap(b"AUTH=PLAIN", b"LOGINDISABLED"),
    "imap LOGINDISABLED": imap(b"LOGINDISABLED"),
    "imap LOGIN takes back": imap(b"AUTH=PLAIN", replies={b"AUTHENTICATE": b"TAG BAD what\r\n"}),
    "imap PREAUTH": imap(greeting=b"* PREAUTH welcome\r\n"),
    "imap BYE": imap(greeting=b"* BYE busy\r\n"),
    "imap NO": imap(greeting=b"* NO busy\r\n"),
    "imap greets as SMTP": imap(greeting=b"220 odd ESMTP\r\n"),
    "imap greets as POP3": imap(greeting=b"+OK POP3 ready\r\n"),
    "imap capabilities in the greeting": imap(
        b"AUTH=PLAIN", greeting=b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] odd\r\n"
    ),
    "imap capabilities cut in the greeting": imap(
        b"AUTH=PLAIN", greeting=b"* OK [CAPABILITY IMAP4rev1\r\n"
    ),
    "imap NIL in LIST": imap(replies={b"LIST": b"* LIST () NIL INBOX\r\nTAG OK done\r\n"}),
    "imap literal in LIST": imap(
        replies={b"LIST": b'* LIST () "/" {5}\r\nINBOX\r\nTAG OK done\r\n'}
    ),
    "imap literal in STATUS": imap(
        replies={b"STATUS": b"* STATUS {5}\r\nINBOX (MESSAGES 3 UNSEEN 1)\r\nTAG OK\r\n"}
    ),
    "imap literal that is huge": imap(
        replies={b"STATUS": b"* STATUS {99999999999}\r\nINBOX\r\nTAG OK\r\n"}
    ),
    "imap no ID": imap(b"ID", replies={b"ID": b"TAG BAD what\r\n"}),
    "imap NIL in ID": imap(b"ID", replies={b"ID": b"* ID NIL\r\nTAG OK done\r\n"}),
    "imap no NAMESPACE": imap(b"NAMESPACE", replies={b"NAMESPACE": b"TAG BAD what\r\n"}),
    "imap NIL in NAMESPACE": imap(
        b"NAMESPACE", replies={b"NAMESPACE": b"* NAMESPACE NIL NIL NIL\r\nTAG OK done\r\n"}
    ),
    "imap STARTTLS": imap(TLS, secured=(b"AUTH=PLAIN",)),
    "imap STARTTLS beside LOGINDISABLED": imap(TLS, b"LOGINDISABLED", secured=(b"AUTH=PLAIN",)),
    "imap STARTTLS, LOGINDISABLED after": imap(TLS, secured=(b"LOGINDISABLED",)),
    "imap STARTTLS missing": imap(b"AUTH=PLAIN", secured=(b"AUTH=PLAIN",)),
    "imap STARTTLS refused": imap(TLS, secured=(), replies={TLS: b"TAG NO no TLS\r\n"}),
    "imap STARTTLS unknown": imap(TLS, secured=(), replies={TLS: b"TAG BAD what\r\n"}),
    "imap STARTTLS injected": imap(
        TLS, secured=(), spoils={"starttls": lambda reply: [reply + b"* OK injected\r\n"]}
    ),
    "imap STARTTLS after noise": imap(TLS, secured=(), spoils={"starttls": after_noise}),
    "imap STARTTLS closes": imap(TLS, secured=(), spoils={"starttls": closes}),
    "imap STARTTLS resets": imap(TLS, secured=(), spoils={"starttls": resets}),
    "imap PREAUTH before STARTTLS": imap(TLS, secured=(), greeting=b"* PREAUTH welcome\r\n"),
}

SPOILS: dict[str, Spoil] = {
    "bare line feeds": bare_line_feeds,
    "carriage returns alone": carriage_returns_alone,
    "8 bits": with_text(b" gr\xfc\xdf \xff\xfe gott"),
    "NUL": with_text(b" a\0b \x1b[31m\x07\x7f"),
    "a long line": with_text(b" " + b"x" * 3000),
    "a longer line": with_text(b" " + b"x" * 30_000),
    "a huge line": with_text(b" " + b"x" * 3_000_000),
    "slowly": slowly(0.001),
    "late": late(0.2),
    "closes": closes,
    "resets": resets,
    "closes in the middle": closes_in_the_middle,
    "endless lines": endless_lines,
    "endless line": endless_line,
    "after noise": after_noise,
}
#: Beyond the time that there is: real clients are not asked, since theirs is longer.
TOO_SLOW: dict[str, Spoil] = {
    "a byte each second": slowly(1.0),
    "a line each second": lambda reply: [act for _ in range(60) for act in (_more(reply), 1.0)],
    "silence": late(60.0),
}


def _more(reply: bytes) -> bytes:
    return reply[:3] + b"-more\r\n" if reply[:3].isdigit() else b"* OK more\r\n"


def spoilt(spoils: dict[str, Spoil]) -> dict[str, Odd]:
    """Each of them at each stage of each protocol."""
    made = {}
    for name, spoil in spoils.items():
        for stage in SMTP_STAGES:
            if name != "after noise":
                made[f"smtp {name} in {stage}"] = smtp(b"LOGIN", spoils={stage: spoil})
        for stage in IMAP_STAGES:
            if (name, stage) != ("after noise", "greeting"):
                words = (b"AUTH=PLAIN", b"LOGINDISABLED")
                made[f"imap {name} in {stage}"] = imap(*words, spoils={stage: spoil})
    return made


ODD |= spoilt(SPOILS)

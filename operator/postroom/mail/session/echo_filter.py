# SPDX-License-Identifier: Apache-2.0
"""Keeps what a server repeats of a login out of the facts that it tells of itself.

A hostile server may put the password that it was told into a mailbox's name or a certificate, in
any encoding that fits there. What holds a good part of it is left out, without a word, since to say
so would confirm the guess.
"""

import binascii
import codecs
import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property, lru_cache
from string import ascii_letters
from urllib.parse import quote

from postroom.api.mailserver import TLSFacts
from postroom.api.masked import Masked
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport

#: Shorter ones stand in ordinary words: to look for them would tell them.
_SHORTEST = 6
#: Characters in a row that are a good part of a longer secret.
_PART = 12
#: Characters of what is said times those of the secret's spellings from which on all runs of both
#: are compared at once: a long token, and a server that repeats its beginning, cost seconds.
_MANY = 1_000_000
#: Between texts, and between spellings; printable texts hold neither.
_NEXT_TEXT, _NEXT_SPELLING = "\1", "\0"
#: The digits of base32 (RFC 4648 section 6), once they are folded, and how many bits each has.
_BASE32, _BITS = b"abcdefghijklmnopqrstuvwxyz234567", 5
#: Of so many servers what their certificates tell is made ready to be compared once for all logins.
_SERVERS = 64
_ROT13 = {ord(letter): codecs.encode(letter, "rot13") for letter in ascii_letters}
#: Makes of them the digits that `int` reads, and white space of all else.
_AS_DIGITS = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_BASE32.index(octet)] if octet in _BASE32 else ord(" ")
    for octet in range(256)
)


class EchoFilter:
    """Takes out what holds a secret, whole or in part."""

    def __init__(self, secret: Masked, known: Iterable[str] = ()) -> None:
        """`known` are the names that we have for the server: they are no echo."""
        self._secret = secret
        self._known = frozenset(known)
        self._width = min(len(_folded(secret.reveal())), _PART)

    @cached_property
    def _spelt(self) -> str:
        """The secret in every way that a text can hold it, but for base32.

        Made when it is needed: some servers tell nothing but the names that we have for them.
        """
        secret, octets = self._secret.reveal(), _octets_of(self._secret)
        spellings = [secret, secret[::-1], secret.translate(_ROT13), octets.hex()]
        spellings += [octets.decode("latin-1"), json.dumps(secret), quote(octets)]
        spellings.append(secret.encode("utf-7", "replace").decode())
        for shift in range(3):
            packed = binascii.b2a_base64(b"\0" * shift + octets, newline=False).decode()
            spellings += [packed, packed.replace("+", "-").replace("/", "_")]
        return _folded(_NEXT_SPELLING.join(dict.fromkeys(spellings)))

    def __repr__(self) -> str:
        return "EchoFilter(***)"

    def echoes(self, *texts: str) -> bool:
        """Whether a part of one of the texts is one of the secret, regardless of case and white
        space."""
        width = self._width
        told = tuple(text for text in texts if text and text not in self._known)
        if width < _SHORTEST or not told:
            return False
        said = _said(told)
        is_spelt = _may_share((said,), self._spelt, width) and _holds(
            self._spelt, _parts(said, width), width
        )
        return is_spelt or self._echoes_in_base32(said)

    def _echoes_in_base32(self, said: str) -> bool:
        """The same for digits of base32, which folding leaves readable: bit by bit, since a secret
        may begin anywhere in five octets."""
        width = self._width * _BITS
        runs = _runs_of_base32(said, self._width)
        if not runs:
            return False
        octets, beside = _octets_of(self._secret), "0" * (_BITS - 1)
        # The digits at its ends may hold bits of something else.
        spelt = beside + _bits(int.from_bytes(octets, "big"), 8 * len(octets)) + beside
        return _may_share(runs, spelt, width) and _holds(
            spelt, set[str]().union(*(_parts(run, width, _BITS) for run in runs)), width
        )

    def certificate(self, facts: TLSFacts | None) -> TLSFacts | None:
        """The facts of a certificate without the texts that hold it."""
        if facts is None:
            return None
        if not self.echoes(facts.subject or "", facts.issuer or "", *facts.dns_names):
            return facts
        kept = [name for name in facts.dns_names if not self.echoes(name)]
        changed: dict[str, object] = {"dns_names": kept}
        for field in ("subject", "issuer"):
            if self.echoes(getattr(facts, field) or ""):
                changed[field] = None
        return facts.model_copy(update=changed)

    def sentence(self, text: str, facts: TLSFacts | None) -> str:
        """What is said of a certificate, without its names that hold the secret."""
        for name in facts.dns_names if facts is not None else ():
            if name in text and self.echoes(name):
                # In a list, at its end, or alone.
                for form in (f"{name}, ", f", {name}", f", only for {name}"):
                    text = text.replace(form, "")
        return text

    def mailbox(self, facts: Mailbox | None) -> Mailbox | None:
        """The facts of a mailbox without names that hold it; its own name is the spec's."""
        if facts is None or not self.echoes(*facts.special.values(), facts.prefix or ""):
            return facts
        return replace(
            facts,
            special={use: name for use, name in facts.special.items() if not self.echoes(name)},
            prefix=None if self.echoes(facts.prefix or "") else facts.prefix,
        )


def without_withheld(report: ProbeReport, endpoint: Endpoint, login: Login | None) -> ProbeReport:
    """What may be shown of a session in which a `login` was not used.

    The server may know it from an earlier one: its words are left out, and of its certificate what
    repeats the password.
    """
    report = replace(report, server_text=None)
    if login is None:
        return report
    names = (endpoint.host, endpoint.server_name)
    kept = EchoFilter(login.password, names)
    wrong, fix = (kept.sentence(text, report.tls) for text in (report.wrong, report.fix))
    return replace(report, wrong=wrong, fix=fix, tls=kept.certificate(report.tls))


def _may_share(texts: tuple[str, ...], spelt: str, width: int) -> bool:
    """Whether one of the texts may share so long a run with another: then it shares one of the
    pieces of half of that into which it falls. Mostly none is there, and that takes no time."""
    if sum(map(len, texts)) * len(spelt) >= _MANY:
        return True
    return any(piece in spelt for piece in _pieces(texts, (width + 1) // 2))


@lru_cache(maxsize=_SERVERS)
def _pieces(texts: tuple[str, ...], width: int) -> tuple[str, ...]:
    """The pieces of so many characters into which texts fall."""
    return tuple(
        text[begin : begin + width]
        for text in texts
        for begin in range(0, len(text) - width + 1, width)
    )


@lru_cache(maxsize=_SERVERS)
def _said(texts: tuple[str, ...]) -> str:
    """Texts as they are compared."""
    return _folded(_NEXT_TEXT.join(texts))


@lru_cache(maxsize=_SERVERS)
def _runs_of_base32(said: str, least: int) -> tuple[str, ...]:
    """The bits of each run of at least so many digits of base32."""
    digits = said.encode("ascii", "replace").translate(_AS_DIGITS).split()
    return tuple(_bits(int(run, 32), _BITS * len(run)) for run in digits if len(run) >= least)


def _parts(text: str, width: int, step: int = 1) -> set[str]:
    """All runs of so many characters of a text that begin with one of its digits, of `step`."""
    return {text[at : at + width] for at in range(0, len(text) - width + 1, step)}


def _holds(spelt: str, parts: AbstractSet[str], width: int) -> bool:
    """Whether a text holds one of the parts, all of this width; it is gone through once."""
    return any(spelt[at : at + width] in parts for at in range(len(spelt) - width + 1))


def _bits(number: int, width: int) -> str:
    return format(number, f"0{width}b")


def _octets_of(secret: Masked) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()

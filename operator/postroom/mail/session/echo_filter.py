# SPDX-License-Identifier: Apache-2.0
"""Keeps what a server repeats of a login out of the facts that it tells of itself.

A hostile server may put the password that it was told into a mailbox's name or a certificate, in
any encoding that fits there. What holds a good part of it is left out, without a word, since to say
so would confirm the guess.
"""

import base64
import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from urllib.parse import quote

from postroom.api.mailserver import TLSFacts
from postroom.api.masked import Masked
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport

#: What a certificate's maker writes; all else is ours or OpenSSL's.
_TOLD = ("subject", "issuer", "dns_names")
#: Shorter ones stand in ordinary words: to look for them would tell them.
_SHORTEST = 6
#: Characters in a row that are a good part of a longer secret.
_PART = 12
#: What base64 and base32 are written with, once it is folded.
_RUN = re.compile(r"[a-z0-9+/=_-]+")
_FOR_URLS = str.maketrans("+/", "-_")


class EchoFilter:
    """Takes out what holds a secret, whole or in part."""

    def __init__(self, secret: Masked, known: Iterable[str] = ()) -> None:
        """`known` are the names that we have for the server: they are no echo."""
        self._secret = secret
        self._known = frozenset(known)
        self._width = min(len(_folded(secret.reveal())), _PART)

    @cached_property
    def _plain(self) -> str:
        """The secret as it is, and in encodings that leave most of it so.

        Made when it is needed: most servers tell nothing that is long enough to be looked for.
        """
        secret = self._secret.reveal()
        octets = secret.encode("utf-8", "surrogatepass")
        spellings = [secret, octets.decode("latin-1"), json.dumps(secret), quote(octets)]
        spellings += [secret.encode("utf-7", "replace").decode(), octets.hex()]
        spellings += [secret[::-1], codecs.encode(secret, "rot13")]
        return "\n".join(map(_folded, spellings))

    @cached_property
    def _packed(self) -> str:
        """The secret in the other encodings of which a protocol's words can consist, all of `_RUN`.

        Making them is a good part of what a look costs.
        """
        octets, spellings = self._secret.reveal().encode("utf-8", "surrogatepass"), list[str]()
        for shift in range(3):
            standard = base64.b64encode(b"\0" * shift + octets).decode()
            spellings += [standard, standard.translate(_FOR_URLS)]
        for shift in range(5):
            spellings.append(base64.b32encode(b"\0" * shift + octets).decode())
        return "\n".join(map(_folded, spellings))

    def __repr__(self) -> str:
        return "EchoFilter(***)"

    def echoes(self, text: str) -> bool:
        """Whether a part of a text is one of the secret, regardless of case and white space."""
        width = self._width
        # What is known is so mostly; it need not be folded, either.
        if width < _SHORTEST or text in self._known or len(said := _folded(text)) < width:
            return False
        if _shares(said, self._plain, width):
            return True
        may_be_packed = any(len(run) >= width for run in _RUN.findall(said))
        return may_be_packed and _shares(said, self._packed, width)

    def certificate(self, facts: TLSFacts | None) -> TLSFacts | None:
        """The facts of a certificate without the texts that hold it."""
        if facts is None:
            return None
        changed: dict[str, object] = {}
        for field in _TOLD:
            value = getattr(facts, field)
            if isinstance(value, str) and self.echoes(value):
                changed[field] = None
            elif isinstance(value, list):
                changed[field] = [name for name in value if not self.echoes(name)]
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
        if facts is None:
            return None
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
    message = kept.sentence(report.message, report.tls)
    return replace(report, message=message, tls=kept.certificate(report.tls))


def _shares(said: str, spelt: str, width: int) -> bool:
    """Whether so many characters in a row of one text are in the other."""
    # They hold one of the pieces of half that length into which the text falls: mostly none of
    # these is there.
    piece = (width + 1) // 2
    begins = range(0, len(said) - piece + 1, piece)
    if not any(said[begin : begin + piece] in spelt for begin in begins):
        return False
    return any(said[end - width : end] in spelt for end in range(width, len(said) + 1))


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()

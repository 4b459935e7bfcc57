# SPDX-License-Identifier: Apache-2.0
"""Finds secrets in what was shown, however they are encoded there, whole or in part.

What was shown is decoded in every way that programs encode text, again and again, and each view is
searched for windows of the secret: a message that was cut still holds one.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterable, Iterator
from string import ascii_letters
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

#: Characters in a row that are a leak; what is not longer is a secret as a whole.
WINDOW = 8
#: Decodings on top of each other.
DEPTH = 2
#: Where it stops: text that decodes into ever more.
_VIEWS_LIMIT = 4096


class Secret(NamedTuple):
    """What must not show, and how failures call it."""

    name: str
    text: str


Decoder = Callable[[bytes], bytes]

#: One literal first, by which the next place is found fast.
_ESCAPE = re.compile(
    rb"\\(?:(u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*)|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))",
    re.S,
)
_SHORT_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0"}
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{10,}")
_HEX = re.compile(rb"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,-]?){8,}|[0-9a-fA-F]{16,}")
#: 1 for each octet that a match of it may have, 0 for others.
_OF_HEX = bytes(bool(re.match(rb"[0-9a-fA-Fx\\\s:,-]", bytes([each]))) for each in range(256))
_NUMBERS = re.compile(rb"\d{1,3}(?:[\s,;]+\d{1,3}){7,}")
_UTF7 = re.compile(rb"\+([A-Za-z0-9+/]*)-?")
_UTF7_OF_IMAP = re.compile(rb"&([A-Za-z0-9+,]*)-")
_QUOTED_PRINTABLE = re.compile(rb"=([0-9A-Fa-f]{2})|=\r?\n")


_SPACES, _LOWER = b" \t\n\r\v\f\0", bytes(range(256)).lower()


def leaks(seen: str | bytes, secrets: Iterable[Secret], depth: int = DEPTH) -> list[str]:
    """Return the name of each secret that shows, and how it is encoded; sorted."""
    wanted = {secret.name: _windows(secret.text) for secret in secrets}
    told: dict[str, str] = {}
    candidates = _candidates(frozenset().union(*wanted.values()))
    for path, view in views(_octets(seen), depth):
        folded = candidates(_folded(view))
        for name, windows in wanted.items():
            if name not in told and any(window in folded for window in windows):
                told[name] = f"{name} ({' of '.join(path) or 'as it is'})"
    return sorted(told.values())


def views(seen: bytes, depth: int = DEPTH) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Yield what was shown, and everything that it decodes to; the path names the decoders."""
    known = {seen}
    fresh: list[tuple[tuple[str, ...], bytes]] = [((), seen)]
    for level in range(depth + 1):
        following: list[tuple[tuple[str, ...], bytes]] = []
        for path, view in fresh:
            yield path, view
            if level == depth:
                continue
            for name, decode in DECODERS.items():
                if path and name in _FIRST_ALONE:
                    continue
                decoded = decode(view)
                if decoded and decoded not in known and len(known) < _VIEWS_LIMIT:
                    known.add(decoded)
                    following.append(((name, *path), decoded))
        fresh = following


def _octets(seen: str | bytes) -> bytes:
    if isinstance(seen, bytes):
        return seen
    try:
        return seen.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return seen.encode("utf-8", "surrogatepass")


def _folded(view: bytes) -> bytes:
    """Without what logs and terminals add or change: white space, case, zeros of UTF-16."""
    return view.translate(_LOWER, _SPACES)


def _unspaced(view: bytes) -> bytes:
    return view.translate(None, _SPACES)


def _candidates(windows: frozenset[bytes]) -> Decoder:
    """What leaves of a view the runs in which a window may be, each once: a tenth of most.

    A window is in a run of octets that windows have, and which is no shorter than it.
    """
    known = {octet for window in windows for octet in window}
    others = bytes(octet if octet in known else 0 for octet in range(256))
    run = re.compile(rb"[^\0]{%d,}" % min(map(len, windows), default=1))

    def candidates(folded: bytes) -> bytes:
        return b"\0".join(dict.fromkeys(run.findall(folded.translate(others))))

    return candidates


def _windows(text: str) -> frozenset[bytes]:
    """Runs of characters all over a secret, as each charset writes them."""
    bare = "".join(text.split())
    if len(bare) < WINDOW:
        raise ValueError("a secret this short cannot be told from chance")
    # More of them would only cost time: a part of eleven characters holds one all the same.
    width, step = (WINDOW, WINDOW // 2) if len(bare) <= 128 else (2 * WINDOW, WINDOW)
    last = len(bare) - width
    runs = (bare[at : at + width] for at in {*range(0, last, step), last})
    return frozenset(_folded(octets) for run in runs for octets in _charsets(run))


def _charsets(run: str) -> Iterator[bytes]:
    """As each charset writes it, and as it looks where its octets were read as Latin-1."""
    if run.isascii():
        yield run.encode()
        return
    for text in {run, run.lower(), run.upper()}:
        for charset in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
            try:
                octets = text.encode(charset)
            except UnicodeEncodeError:
                continue
            yield octets
            yield octets.decode("latin-1").encode()


def _unescaped(octets_of_x: Decoder) -> Decoder:
    r"""Undo backslashes of Python, JSON, C and IMAP; `octets_of_x` reads ``\xNN``."""

    def replaced(found: re.Match[bytes]) -> bytes:
        if found[1]:
            units = bytes.fromhex(found[1][1:].replace(b"\\u", b"").decode())
            return units.decode("utf-16-be", "replace").encode()
        if found[2]:
            number = int(found[2], 16)
            valid = number < 0x110000 and not 0xD800 <= number < 0xE000
            return chr(number).encode() if valid else b""
        if found[3]:
            return octets_of_x(bytes.fromhex(found[3].decode()))
        if found[4]:
            return octets_of_x(bytes([int(found[4], 8) & 0xFF]))
        return _SHORT_ESCAPES.get(found[5], found[5])

    return lambda seen: _ESCAPE.sub(replaced, seen)


def _base64(seen: bytes) -> bytes:
    """Decode all that looks like base64, of either alphabet, from each of the four alignments.

    Once, however often it comes: logs have the same words in each line.
    """
    words: dict[bytes, None] = {}
    for text in (seen, _unspaced(seen)):
        words |= dict.fromkeys(_BASE64.findall(text.translate(bytes.maketrans(b"-_", b"+/"))))
    decoded = []
    for word in words:
        for shift in range(4):
            run = word[shift:]
            run = run[: len(run) - 1] if len(run) % 4 == 1 else run
            decoded.append(binascii.a2b_base64(run + b"A" * (-len(run) % 4)))
    return b"|".join(decoded)


def _hexadecimal_runs(seen: bytes) -> Iterator[bytes]:
    """Where a match may be, which are few places: the pattern would begin to match at each."""
    told, end = seen.translate(_OF_HEX) + b"\0", 0
    while (start := told.find(b"\1" * 16, end)) >= 0:
        end = told.index(b"\0", start)
        yield seen[start:end]


def _hexadecimal(seen: bytes) -> bytes:
    decoded = []
    runs = _hexadecimal_runs(seen)
    for found in dict.fromkeys(found for run in runs for found in _HEX.findall(run)):
        digits = re.sub(rb"0x|\\x|[\s:,-]", b"", found).decode()
        for shift in (0, 1):
            run = digits[shift:]
            decoded.append(bytes.fromhex(run[: len(run) // 2 * 2]))
    return b"|".join(decoded)


def _numbers(seen: bytes) -> bytes:
    """Octets as a list of numbers, such as ``list(b"...")`` shows."""
    found = (re.findall(rb"\d+", one[0]) for one in _NUMBERS.finditer(seen))
    return b"|".join(bytes(int(number) & 0xFF for number in numbers) for numbers in found)


def _utf7(pattern: re.Pattern[bytes], slash: bytes) -> Decoder:
    def replaced(found: re.Match[bytes]) -> bytes:
        if not found[1]:
            return found[0][:1]  # the sign that begins a run stands for itself
        run = found[1].replace(slash, b"/")
        run = run[: len(run) - 1] if len(run) % 4 == 1 else run
        units = base64.b64decode(run + b"A" * (-len(run) % 4))
        return units[: len(units) // 2 * 2].decode("utf-16-be", "replace").encode()

    return lambda seen: pattern.sub(replaced, seen)


def _quoted_printable(seen: bytes) -> bytes:
    return _QUOTED_PRINTABLE.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"", seen
    )


def _percent(seen: bytes) -> bytes:
    return unquote_to_bytes(seen.replace(b"+", b" "))


def _entities(seen: bytes) -> bytes:
    return html.unescape(seen.decode("utf-8", "replace")).encode()


def _doubled(seen: bytes) -> bytes:
    """Undo quotes that are doubled within quotes (YAML, CSV)."""
    return seen.replace(b"''", b"'").replace(b'""', b'"')


_ROT13 = bytes.maketrans(
    *(text.encode() for text in (ascii_letters, codecs.encode(ascii_letters, "rot13")))
)

#: Undone before all others, or not at all: they would double everything that comes after.
_FIRST_ALONE = frozenset({"backwards", "rot13"})

DECODERS: dict[str, Decoder] = {
    "escapes": _unescaped(bytes),
    "escapes of characters": _unescaped(lambda octets: octets.decode("latin-1").encode()),
    "percent encoding": _percent,
    "HTML": _entities,
    "doubled quotes": _doubled,
    "quoted-printable": _quoted_printable,
    "base64": _base64,
    "hexadecimal": _hexadecimal,
    "numbers": _numbers,
    "backwards": lambda seen: seen.decode("utf-8", "replace")[::-1].encode(),
    "rot13": lambda seen: seen.translate(_ROT13),
    "UTF-7": _utf7(_UTF7, b"/"),
    "UTF-7 of IMAP": _utf7(_UTF7_OF_IMAP, b","),
}

# SPDX-License-Identifier: Apache-2.0
"""Private keys in texts of DNS: where they stand, and the text without them.

However public such a key is by now, nothing that we say makes it known to more. What a text says
besides stays readable, and stays published: a policy does not go with the key that stands in it.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from postroom.dns.dkim import key
from postroom.dns.dkim.private import HEX, holds_private, public_halves

#: What is shown in the place of a private key.
MASK = "(a private key)"
#: Characters of the shortest private key in base64, of Ed25519.
_SHORTEST = 40
#: As many characters of a key in a row are taken for part of it.
_TELLING = 12
_HEADER = re.compile(
    r"-{2,5}\s?BEGIN[A-Z0-9 \t]{0,24}PRIVATE[ \t]{1,4}KEY[A-Z \t]{0,8}-{2,5}", re.I
)
_FOOTER = re.compile(r"-{2,5}\s?END[A-Z0-9 \t]{0,24}PRIVATE[ \t]{1,4}KEY[A-Z \t]{0,8}-{2,5}", re.I)
#: How keys begin in base64: DER, OpenSSH, a PEM file that was encoded once more.
_BEGINNING = re.compile(r"M[A-I][A-Za-z0-9+/_-]|b3BlbnNz|LS0tLS1C")
#: Where a JSON Web Key (RFC 7517) or an XML key begins and ends.
_OBJECT = re.compile(r"\{[^{}]{20,8000}\}|<RSAKeyValue>.*?(?:</RSAKeyValue>|\Z)", re.I | re.S)
_CHUNK = re.compile(r"[A-Za-z0-9+/_-]+")
#: What parts the lines of a key: space, and what else comes of ends of lines and of quoting.
_GAP = re.compile(r"(?:\\[nrt]|\\[0-9]{3}|[\s\"'\\()]){1,16}")
#: What nobody parts lines with, unless something went wrong; only a long line goes on behind it.
_ODD_GAP = re.compile(r"[^A-Za-z0-9+/_-]{1,8}")
_LONG = 40
_PADDING = re.compile(r"={1,2}(?![A-Za-z0-9+/_=-])")
#: Behind such a character stands the value of a term, so that what is before it is no key.
_NAMES = frozenset(":=.@/")
#: What parts the terms and tags of policies.
_APART = frozenset(" \t\r\n;,")


@lru_cache(maxsize=256)
def spans(text: str) -> tuple[tuple[int, int], ...] | None:
    """Return where private keys begin and end in a text; None where that cannot be told."""
    if len(text) < _SHORTEST or not holds_private(text):
        return ()
    found = list(_blocks(text))
    found += [each.span() for each in _OBJECT.finditer(text) if holds_private(each[0])]
    for begin in _BEGINNING.finditer(text):
        inside = found and any(start <= begin.start() < end for start, end in found)
        if not inside and (end := _end(text, begin.start())) is not None:
            found.append((begin.start(), end))
    in_hex = {match: bytes.fromhex(re.sub("[: ]", "", match[0])) for match in HEX.finditer(text)}
    found += [match.span() for match, raw in in_hex.items() if key.holds_private_key(raw)]
    found.sort()
    return None if holds_private(_between(text, found, " ")) else tuple(found)


def concealed(text: str) -> str:
    """Return a text with a mask in the place of each private key."""
    found = spans(text)
    return MASK if found is None else _between(text, found, MASK)


def without_private(text: str) -> str | None:
    """Return a text without the terms or tags that hold a private key; None where these cannot be
    told from the rest."""
    found = spans(text)
    parted = list[tuple[int, int]]()
    for start, end in found or ():
        # Those in one term go with it, at once.
        if parted and _APART.isdisjoint(text[parted[-1][1] : start]):
            first, last = parted.pop()
            start, end = first, max(last, end)
        parted.append((start, end))
    for start, end in reversed(parted):
        text = _without(text, start, end)
    return None if found is None else text


class PrivateKeys:
    """The private keys in some texts, known again wherever part of one is repeated.

    What is told of a text is often but a piece of it, cut somewhere, with other ends of lines.
    What is in a public key as well, or in `known` texts, is no secret.
    """

    def __init__(self, texts: Iterable[str], known: Iterable[str] = ()) -> None:
        self._pieces: set[str] = set()
        public = list[str]()
        for text in dict.fromkeys(texts):
            found = spans(text)
            for start, end in ((0, len(text)),) if found is None else found:
                plain = _FOOTER.sub(" ", _HEADER.sub(" ", text[start:end]))
                self._pieces.update(_pieces(_compact(plain)[0]))
            if found != ():
                halves = public_halves(text)
                public += [form for half in halves if half for form in key.published_forms(half)]
        if self._pieces:
            for text in (*public, *known):
                self._pieces.difference_update(_pieces(_compact(text)[0]))

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def concealed(self, text: str) -> str:
        """Return a text with a mask in the place of what it repeats."""
        if not self._pieces or len(text) < _TELLING:
            return text
        compact, at = _compact(text)
        found = list[tuple[int, int]]()
        for number, piece in enumerate(_pieces(compact)):
            if piece not in self._pieces:
                continue
            start, end = at[number], at[number + _TELLING - 1] + 1
            if found and start <= found[-1][1] + _TELLING:
                start = found.pop()[0]
            found.append((start, end))
        return _between(text, found, MASK)


def _compact(text: str) -> tuple[str, list[int]]:
    """What a text has of base64, in one case and alphabet, and where each character stands."""
    gaps = {at for gap in _GAP.finditer(text) for at in range(*gap.span())}
    at = [
        index
        for chunk in _CHUNK.finditer(text)
        for index in range(*chunk.span())
        if index not in gaps
    ]
    return "".join(text[index] for index in at).translate(key.TO_STANDARD).lower(), at


def _pieces(compact: str) -> Iterator[str]:
    return (compact[at : at + _TELLING] for at in range(len(compact) - _TELLING + 1))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """What stands in PEM, to its last line, or as far as it goes."""
    position = 0
    while (header := _HEADER.search(text, position)) is not None:
        footer = _FOOTER.search(text, header.end())
        if footer is not None:
            position = footer.end()
        else:
            body = _CHUNK.search(text, header.end())
            end = _end(text, body.start()) if body is not None else None
            position = _run(text, header.end(), None) if end is None else end
        yield header.start(), position


def _end(text: str, start: int) -> int | None:
    """Where the private key ends that begins at a place; None where none does."""
    beginning, _ = _compact(text[start : start + 2 * _SHORTEST])
    if beginning.startswith(("b3blbnnzac1rzxktdje", "ls0tls1crudjti")):
        return _run(text, start, None)
    raw = _decoded(text[start : start + 4 * _SHORTEST])
    if not key.holds_private_key(raw):
        return None
    # As long as DER says that it is (ITU-T X.690 section 8.1.3).
    octets = raw[1] + 2
    if raw[1] & 0x80:
        size = raw[1] & 0x7F
        octets = 2 + size + int.from_bytes(raw[2 : 2 + size])
    return _run(text, start, -(-octets * 4 // 3))


def _decoded(text: str) -> bytes:
    bare = "".join(_CHUNK.findall(_GAP.sub("", text))[:1]).translate(key.TO_STANDARD)
    return key.decode_base64(bare[: len(bare) // 4 * 4]) or b""


def _run(text: str, position: int, wanted: int | None) -> int:
    """Where a key ends that goes on at a place, in `wanted` characters of base64, as far as known.

    A line of it is longer than any word of a policy, but for its last.
    """
    count, end, least = 0, position, 0
    while position < len(text):
        chunk = _CHUNK.match(text, position)
        if chunk is None:
            gap = _GAP.match(text, position) or _ODD_GAP.match(text, position)
            assert gap is not None  # noqa: S101 - what is no chunk begins a gap
            plain = _GAP.fullmatch(gap[0]) is not None
            least, position = (_TELLING if plain else _LONG), gap.end()
            continue
        size, left = len(chunk[0]), None if wanted is None else wanted - count
        named = text[chunk.end() : chunk.end() + 1] in _NAMES and _is_word(chunk[0])
        names = named and not _PADDING.match(text, chunk.end())
        if count and size != left and (size < least or names):
            break
        end = chunk.end() if left is None or size < left else chunk.start() + left
        if (padding := _PADDING.match(text, end)) or end < chunk.end() or size == left:
            return padding.end() if padding else end
        count, position = count + size, end
    return end


def _is_word(text: str) -> bool:
    """Whether a text may be the name of a term or a host, which nobody writes in mixed case."""
    return text in (text.lower(), text.upper(), text.capitalize())


def _between(text: str, found: Iterable[tuple[int, int]], put: str) -> str:
    parts, position = list[str](), 0
    for start, end in found:
        parts += [text[position:start], put]
        position = max(position, end)
    return "".join([*parts, text[position:]])


def _without(text: str, start: int, end: int) -> str:
    """Take out the term, the tag or the item of a list that holds what stands between."""
    left, right = start, end
    while left and text[left - 1] not in _APART:
        left -= 1
    while right < len(text) and text[right] not in _APART:
        right += 1
    if text[right : right + 1] == "," and "=" in text[left:start]:
        # The first of a list: what is behind it is of the same tag.
        return text[: text.index("=", left) + 1] + text[right + 1 :].lstrip()
    before, after = text[:left].rstrip(), text[right:].lstrip()
    if before.endswith(",") and (not after or after[0] in ",;"):
        before = before[:-1]
    if (not before or before.endswith(";")) and after.startswith(";"):
        after = after[1:].lstrip()
    tight = not before or not after or after[0] in ",;" or before.endswith(",")
    return f"{before}{after}" if tight else f"{before} {after}"

# SPDX-License-Identifier: Apache-2.0
"""TXT values as DNS carries them: character-strings, and how zone files write those.

A value is one text whose characters stand for bytes (latin-1), as in `postroom.dns.answers`.
"""

#: Longest character-string, in bytes (RFC 1035 section 3.3).
STRING_LIMIT = 255

_SPF_VERSION = b"v=spf1 "


class CannotPublish(ValueError):
    """A record cannot be written in the form that was asked for; the text is one sentence."""


def character_strings(value: str) -> tuple[bytes, ...]:
    """Split a TXT value into character-strings of at most 255 bytes each; joined they are it.

    An SPF record is split behind a space, which stays in the earlier string: receivers join the
    strings without adding one (RFC 7208 section 3.3), and people, and some DNS hosts, may not keep
    a space at the start. An empty value is one empty string. Raises `CannotPublish` for
    characters that stand for no byte.
    """
    try:
        rest = value.encode("latin-1")
    except UnicodeEncodeError:
        raise CannotPublish("The value of a TXT record has characters that are no bytes.") from None
    at_spaces = rest[: len(_SPF_VERSION)].lower() == _SPF_VERSION
    strings = []
    while len(rest) > STRING_LIMIT:
        end = rest.rfind(b" ", 0, STRING_LIMIT) + 1 if at_spaces else 0
        # A single term that long leaves no space to split at.
        end = end or STRING_LIMIT
        strings.append(rest[:end])
        rest = rest[end:]
    return (*strings, rest)


def presentation(value: str, *, octal: bool = False) -> str:
    """Write a TXT value as zone files do: quoted character-strings with a space between.

    What is not printable ASCII becomes ``\\DDD`` in decimal (RFC 1035 section 5.1), or in `octal`
    for the DNS host that deviates. Raises `CannotPublish`.
    """
    return " ".join(f'"{escaped(string, octal=octal)}"' for string in character_strings(value))


def escaped(string: bytes, *, octal: bool = False) -> str:
    """Escape one character-string for use between quotation marks."""
    code = "\\{:03o}" if octal else "\\{:03d}"
    written: list[str] = []
    for byte in string:
        if byte in b'"\\':
            written.append(f"\\{chr(byte)}")
        else:
            written.append(chr(byte) if 0x20 <= byte <= 0x7E else code.format(byte))
    return "".join(written)

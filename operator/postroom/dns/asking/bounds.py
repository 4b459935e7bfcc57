# SPDX-License-Identifier: Apache-2.0
"""How much work a message is, known before it is parsed.

Compression lets a record of 14 bytes stand for two names of 127 labels each: dnspython takes
seconds for a message of 8 KiB that is made of them.
"""

import struct

#: Most records in a message, and labels in all its names (with the jumps between them).
RECORDS_LIMIT = 256
LABELS_LIMIT = 4096
#: Most labels and jumps in one name: 127 labels fit into 255 bytes.
_NAME_LIMIT = 255

_HEADER = 12
_COUNTS = struct.Struct("!HHHH")
_FIXED = struct.Struct("!HHIH")

#: Types whose data holds names, with where those begin and how many there are: NS, CNAME, SOA,
#: PTR, MX, SRV, DNAME, RRSIG, NSEC, SVCB, HTTPS.
_NAMES_AT = {
    2: (0, 1),
    5: (0, 1),
    6: (0, 2),
    12: (0, 1),
    15: (2, 1),
    33: (6, 1),
    39: (0, 1),
    46: (18, 1),
    47: (0, 1),
    64: (2, 1),
    65: (2, 1),
}
#: Types whose data holds none: A, TXT, AAAA, OPT, DS, SSHFP, DNSKEY, NSEC3, TLSA, SPF, CAA.
_NAMELESS = frozenset({1, 16, 28, 41, 43, 44, 48, 50, 52, 99, 257})


def is_bounded(message: bytes) -> bool:
    """Whether a message can be parsed in little time; False too where it is cut off."""
    try:
        return _labels_of(message) <= LABELS_LIMIT
    except (IndexError, struct.error, ValueError):
        return False


def is_crowded(message: bytes) -> bool:
    """Whether a message has more records than are parsed: they are there, not only counted."""
    try:
        questions, *others = _COUNTS.unpack_from(message, 4)
        if questions > 1 or sum(others) <= RECORDS_LIMIT:
            return False
        total, at = 0, _HEADER
        for place in range(questions + RECORDS_LIMIT + 1):
            labels, at = _name(message, at)
            total += labels
            if total > LABELS_LIMIT:
                return False
            asked = place < questions
            at += 4 if asked else _FIXED.size + _FIXED.unpack_from(message, at)[3]
        return at <= len(message)
    except (IndexError, struct.error, ValueError):
        return False


def _labels_of(message: bytes) -> int:
    """Count labels and jumps, not much further than the limit; raises where names are broken."""
    questions, *others = _COUNTS.unpack_from(message, 4)
    if questions > 1 or sum(others) > RECORDS_LIMIT:
        raise ValueError("too many records")
    total, at = 0, _HEADER
    for _ in range(questions):
        labels, at = _name(message, at)
        total, at = total + labels, at + 4
    for _ in range(sum(others)):
        labels, at = _name(message, at)
        kind, _, _, length = _FIXED.unpack_from(message, at)
        at += _FIXED.size
        total += labels
        if kind in _NAMES_AT and length:
            offset, names = _NAMES_AT[kind]
            here = at + offset
            for _ in range(names):
                labels, here = _name(message, here)
                total += labels
        elif kind not in _NAMELESS:
            # Nobody asked for it. Every two bytes might be a pointer to the longest name.
            total += length // 2 * _NAME_LIMIT
        if total > LABELS_LIMIT:
            break
        at += length
    return total


def _name(message: bytes, at: int) -> tuple[int, int]:
    """Return how many labels and jumps a name has, and where it ends (RFC 1035 section 4.1.4)."""
    count, end = 0, -1
    while length := message[at]:
        count += 1
        if count > _NAME_LIMIT:
            raise ValueError("a name without end")
        if length < 64:
            at += length + 1
        elif length >= 192:
            end = at + 2 if end < 0 else end
            at = (length & 63) << 8 | message[at + 1]
        else:
            raise ValueError("a label of unknown kind")
    return count + 1, at + 1 if end < 0 else end

# SPDX-License-Identifier: Apache-2.0
"""TLSA records (RFC 6698, RFC 7671) as mail senders use them (RFC 7672)."""

import re
from dataclasses import dataclass

#: Hex digits of each matching type (RFC 6698 section 2.1.3); the whole data may have any length.
_DIGITS = {1: 64, 2: 128}
_EVEN_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
#: The smallest certificate or key that can be: its DER has a header of some bytes.
_LEAST_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Association:
    """A record; `problem` says why mail senders do not use it.

    `usage`, `selector` and `matching` are the numbers of RFC 6698 section 2.1, -1 where there is
    none; `data` is hex in lowercase.
    """

    usage: int = -1
    selector: int = -1
    matching: int = -1
    data: str = ""
    problem: str | None = None


def parse(value: str) -> Association:
    """Parse a record in presentation form; never raises."""
    parts = value.split(maxsplit=3)
    if len(parts) < 4 or not all(re.fullmatch(r"[0-9]{1,3}", part) for part in parts[:3]):
        return Association(problem="it is not three numbers and data in hex")
    usage, selector, matching = map(int, parts[:3])
    data = "".join(parts[3].split()).lower()
    problem = _problem(usage, selector, matching, data)
    return Association(usage, selector, matching, data, problem)


def _problem(usage: int, selector: int, matching: int, data: str) -> str | None:
    if usage not in (2, 3):
        # RFC 7672 section 3.1.3: PKIX-TA and PKIX-EE are not for mail.
        return f"usage {usage} is not for mail: it must be 3, or 2 for an authority"
    if selector not in (0, 1):
        return f"there is no selector {selector}: it must be 1 (the key) or 0 (the certificate)"
    if matching not in (0, *_DIGITS):
        return f"there is no matching type {matching}: it must be 1 (SHA-256)"
    if not _EVEN_HEX.fullmatch(data):
        return "its data is not in hex"
    digits = _DIGITS.get(matching)
    if digits is not None and len(data) != digits:
        return f"its data has {len(data)} hex digits instead of {digits}"
    if digits is None and len(data) < _LEAST_DIGITS:
        return "its data is shorter than any certificate or key"
    return None

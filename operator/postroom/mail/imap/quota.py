# SPDX-License-Identifier: Apache-2.0
"""How full a mailbox may get: QUOTA (RFC 9208) and APPENDLIMIT (RFC 7889)."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from postroom.mail.imap.values import Value, number, responses
from postroom.mail.report import Quota

#: STORAGE is counted in units of 1024 octets (RFC 9208 section 5.1).
_UNIT = 1024
_LARGEST = 2**63 - 1
_APPEND_LIMIT = re.compile(r"APPENDLIMIT=(\d{1,18})")


def quotas(lines: Sequence[bytes]) -> tuple[Quota | None, Quota | None]:
    """Read QUOTA responses: the quota in octets, and the one in messages.

    Of several quota roots the one counts that is the fullest. A limit of zero, which some servers
    write for none, is left out.
    """
    octets: list[Quota] = []
    messages: list[Quota] = []
    for words in responses(lines, b"QUOTA"):
        match words:
            case [bytes(kind), _, list(resources), *_] if kind.upper() == b"QUOTA":
                octets += _of_resource(resources, b"STORAGE", _UNIT)
                messages += _of_resource(resources, b"MESSAGE", 1)
    return _fullest(octets), _fullest(messages)


def offers_quota(offered: AbstractSet[str]) -> bool:
    """Whether quotas may be asked for; RFC 9208 servers may offer no more than resources."""
    return any(capability == "QUOTA" or capability.startswith("QUOTA=") for capability in offered)


def append_limit_in(offered: AbstractSet[str]) -> int | None:
    """Return the largest message for all mailboxes, in octets, where the server tells it so."""
    limits = [int(found[1]) for found in map(_APPEND_LIMIT.fullmatch, sorted(offered)) if found]
    return limits[0] if limits else None


def _of_resource(resources: list[Value], name: bytes, unit: int) -> list[Quota]:
    found: list[Quota] = []
    for kind, usage, limit in zip(resources[::3], resources[1::3], resources[2::3], strict=False):
        used, most = number(usage), number(limit)
        if isinstance(kind, bytes) and kind.upper() == name and used is not None and most:
            found.append(Quota(min(used * unit, _LARGEST), min(most * unit, _LARGEST)))
    return found


def _fullest(found: Sequence[Quota]) -> Quota | None:
    return max(found, key=lambda quota: (quota.used / quota.limit, -quota.limit), default=None)

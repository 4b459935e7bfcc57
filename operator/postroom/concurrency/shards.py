# SPDX-License-Identifier: Apache-2.0
"""Which of several processes a party belongs to: to exactly one, the same everywhere and for ever;
and what each of them has of what there is once for all. Pure."""

import functools
import hashlib
import re
from dataclasses import dataclass

MOST = 64
#: The name of a Pod of a StatefulSet may stand for the index: it ends with the Pod's ordinal.
_FORM = re.compile(
    r"(?:(?P<index>[0-9]{1,2})|[a-z0-9.-]+-(?P<ordinal>[0-9]{1,4}))/(?P<of>[0-9]{1,2})"
)
_MULTIPLIER, _MASK, _ONE = 2862933555777941757, 2**64 - 1, 2**31
#: Parties whose shard is remembered: it is asked at every piece of news.
_REMEMBERED = 16_384


@functools.lru_cache(_REMEMBERED)
def shard_of(party: str, shards: int) -> int:
    """Return the shard, from 0, that a party belongs to where there are so many.

    Jump consistent hash (Lamping and Veach 2014): one shard more takes its part of the parties from
    the others, and moves nobody between these.
    """
    key = int.from_bytes(hashlib.sha256(party.encode()).digest()[:8])
    found, jump = 0, 0
    while jump < shards:
        found = jump
        key = (key * _MULTIPLIER + 1) & _MASK
        jump = int((found + 1) * (_ONE / ((key >> 33) + 1)))
    return found


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several: `index` counts from 0."""

    index: int = 0
    of: int = 1

    def has(self, party: str) -> bool:
        """Whether a party belongs to it."""
        return shard_of(party, self.of) == self.index

    def share(self, whole: int) -> int:
        """What it has of so many that all shards have together: the parts differ by one at most.

        Never nothing: where there are more shards than that, each has one.
        """
        return max(1, whole * (self.index + 1) // self.of - whole * self.index // self.of)

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


#: All that there is, in one process.
WHOLE = Shard()


def parse_shard(value: object) -> Shard:
    """Parse ``index/number``, such as 0/3 for the first of three; raises `ValueError`.

    ``postroom-4/3`` is what the Pod of that name has, as the fifth of a StatefulSet: the ordinals
    go round, so that 1 and 4 are replicas of the same shard.
    """
    if isinstance(value, Shard):
        return value
    found = _FORM.fullmatch(str(value).strip())
    of = int(found["of"]) if found else 0
    if found and found["ordinal"] and of:
        shard = Shard(int(found["ordinal"]) % of, of)
    else:
        shard = Shard(int(found["index"] or 0) if found else 0, of)
    if not 0 <= shard.index < shard.of <= MOST:
        raise ValueError(f"must be a shard and how many there are, from 0/1 to {MOST - 1}/{MOST}")
    return shard

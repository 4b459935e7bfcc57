# SPDX-License-Identifier: Apache-2.0
"""Equal texts of what the cache holds, kept once: decoded JSON has every field name and enum value
anew per object."""

from typing import Any

#: Texts that were met before. Not `sys.intern`, which keeps texts for ever on some Pythons.
_pool: dict[str, str] = {}
_LIMIT, _DEEPEST = 20_000, 32
#: Characters of a text that is worth looking for another like it.
LONGEST = 128


def pooled(value: Any, depth: int = 0) -> Any:
    """Copy decoded JSON so that equal texts are the same object."""
    if len(_pool) >= _LIMIT:
        _pool.clear()
    once = _pool.setdefault
    if isinstance(value, str):
        return once(value, value) if len(value) <= LONGEST else value
    if depth > _DEEPEST:
        return value
    # Texts are most of what there is, and a call for each would be most of what this costs.
    if isinstance(value, dict):
        return {
            once(name, name): once(inner, inner)
            if isinstance(inner, str) and len(inner) <= LONGEST
            else pooled(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [pooled(item, depth + 1) for item in value]
    return value

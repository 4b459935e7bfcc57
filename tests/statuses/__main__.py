# SPDX-License-Identifier: Apache-2.0
"""Writes every status of a fixed set of worlds, to be compared byte by byte: see README.md.

PYTHONPATH=operator:tests python -m statuses [--thorough] FILE
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from statuses import dns_worlds, lab_worlds, recording

#: The tokens of messages.
_DRAWN = re.compile(r"\b[0-9a-f]{32}\b")
#: Keys that unit tests make anew, and their fingerprints.
_MADE = re.compile(r"\b[0-9a-f]{32}\b|(?<![\w+/])[\w+/]{40,}=*|(?<=sha256 )[0-9a-f]{12,16}")


def main(target: Path, *, thorough: bool) -> None:
    """One line per world: its hash, its name, its statuses as JSON with sorted keys."""
    seen = Counter[str]()
    whole = hashlib.sha256()
    with target.open("w", encoding="utf-8") as out:
        for name, statuses in _worlds(thorough=thorough):
            seen[name] += 1
            named = name if seen[name] == 1 else f"{name} ({seen[name]})"
            plain = json.dumps(statuses, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            text = _numbered(plain, _MADE if name.startswith("unit test") else _DRAWN)
            digest = hashlib.sha256(text.encode()).hexdigest()
            out.write(f"{digest[:16]}\t{named}\t{text}\n")
            whole.update(f"{named}{digest}".encode())
    print(f"{seen.total()} worlds, {whole.hexdigest()[:16]}: {target}")


def _numbered(text: str, drawn: re.Pattern[str]) -> str:
    """Write for what is drawn at random how many others came before it: equal ones stay equal."""
    seen = list(dict.fromkeys(drawn.findall(text)))
    return drawn.sub(lambda match: f"drawn-{seen.index(match[0])}", text)


def _worlds(*, thorough: bool) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    yield from recording.all_worlds()
    yield from lab_worlds.all_worlds()
    names = dns_worlds.names(thorough=thorough)
    with ProcessPoolExecutor() as pool:
        yield from zip(names, pool.map(dns_worlds.statuses_of, names, chunksize=4), strict=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="statuses")
    parser.add_argument("target", type=Path)
    parser.add_argument("--thorough", action="store_true", help="every case of the closed loop")
    given = parser.parse_args()
    main(given.target, thorough=given.thorough)

# SPDX-License-Identifier: Apache-2.0
"""Writes `postroom.dns.finding_codes` from the catalogue of DNS findings.

It imports the catalogue and nothing that uses a code, so that a new one can be written first.
"""

from __future__ import annotations

from pathlib import Path

from postroom.dns.findings import families

CODES = Path(__file__).parent.parent / "operator" / "postroom" / "dns" / "finding_codes.py"
_HEAD = '''# SPDX-License-Identifier: Apache-2.0
# Made by `make docs` from catalogue/; edit that instead.
"""The codes of DNS findings, by family as in the catalogue: a code that is none does not run."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What stands as `code` in `status.findings` of a SendingDomain; `catalogue` explains it."""
'''


def source() -> str:
    """The module that holds the enum."""
    lines = [_HEAD]
    for name, family in families().items():
        lines += [f"    # {name}", *(f'    {code} = "{code}"' for code in family.codes), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    CODES.write_text(source(), encoding="utf-8")

# SPDX-License-Identifier: Apache-2.0
"""Writes the pages of docs/ that are made from the code: reasons.md and findings.md."""

from __future__ import annotations

from pathlib import Path

from postroom.api.reasons import CATALOGUE as REASONS
from postroom.dns.findings import CATALOGUE as FINDINGS

HERE = Path(__file__).parent
_MADE = "<!-- Made by `make docs` from the code; edit that instead. -->\n"


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    reasons = [
        f"| `{reason.value}` | {entry.meaning} | {entry.remedy} |"
        for reason, entry in REASONS.items()
    ]
    findings = [
        f"| `{code}` | {entry.severity.value} | {entry.meaning} | {entry.remedy} |"
        for code, entry in sorted(FINDINGS.items())
    ]
    return {
        "reasons.md": _page(
            "Reasons",
            "What stands as `reason` in conditions. A reason is never renamed. "
            "`postroom explain REASON` prints the same.",
            ["| Reason | Meaning | What to do |", "|---|---|---|", *reasons],
        ),
        "findings.md": _page(
            "Findings",
            "What stands as `code` in `status.findings` of a SendingDomain. MailServer and "
            "EmailAccount use the [reasons](reasons.md) in upper snake case as codes, and "
            "`CERTIFICATE_EXPIRING_SOON`.",
            ["| Code | Severity | Meaning | What to do |", "|---|---|---|---|", *findings],
        ),
    }


def _page(title: str, lead: str, table: list[str]) -> str:
    return "\n".join([_MADE + f"# {title}", "", lead, "", *table, ""])


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text)

# SPDX-License-Identifier: Apache-2.0
"""``postroom explain``: what a reason, a finding or a cause means, and what to do about it."""

import difflib
from typing import Annotated, NamedTuple

import typer

from postroom.api.reasons import CATALOGUE as REASONS
from postroom.dns import findings as dns
from postroom.mail import finding_meanings as mail
from postroom.mail.replies.catalogue import causes


class Entry(NamedTuple):
    """What there is to say of a reason, cause or code.

    `severity` and `source` are empty where there is none; `reason` is what a condition says of a
    cause, which is coarser.
    """

    meaning: str
    remedy: str
    severity: str = ""
    source: str = ""
    reason: str = ""


def entries() -> dict[str, Entry]:
    """Return what there is to say of every reason, every cause and every code, by all their names.

    A reason and a cause of one name mean the same; the reason is explained.
    """
    known: dict[str, Entry] = {}
    for cause, what in causes().items():
        reason = "" if what.reason.value == cause.value else what.reason.value
        known[cause.value] = known[cause.name] = Entry(what.meaning, what.remedy, reason=reason)
    for reason, text in REASONS.items():
        known[reason.value] = known[reason.name] = Entry(*text)
    for catalogue in (dns.catalogue(), mail.catalogue()):
        for code, entry in catalogue.items():
            known[code] = Entry(entry.meaning, entry.remedy, entry.severity.value, entry.source)
    return known


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A reason (RecordNotFound) or a finding (SPF_MULTIPLE).")
    ] = None,
) -> None:
    """Explain a reason, finding or cause; without one, list them all."""
    known = entries()
    if code is None:
        # Each thing once: reasons and causes are known by two spellings.
        camel = {reason.value for reason in REASONS} | {cause.value for cause in causes()}
        for name in (*sorted(camel), *sorted({*dns.catalogue(), *mail.catalogue()})):
            typer.echo(f"{name:34} {known[name].meaning}")
        return
    folded = {name.lower(): name for name in known}
    if code.lower() not in folded:
        near = difflib.get_close_matches(code.lower(), folded, n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(folded[name] for name in near)}?" if near else ""
        typer.echo(f"postroom explain: nothing is called {code}.{hint}", err=True)
        raise typer.Exit(2)
    name = folded[code.lower()]
    entry = known[name]
    severity = f" ({entry.severity})" if entry.severity else ""
    paragraphs = [f"{name}{severity}", entry.meaning, f"What to do: {entry.remedy}"]
    if entry.reason:
        paragraphs.append(f"Conditions say: {entry.reason}")
    if entry.source:
        paragraphs.append(f"Source: {entry.source}")
    typer.echo("\n\n".join(paragraphs))

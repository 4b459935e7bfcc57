# SPDX-License-Identifier: Apache-2.0
"""``postroom explain``: what a reason, a finding or a cause means, and what to do about it."""

import difflib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, NamedTuple

import typer

from postroom.api.conditions import ConditionType
from postroom.api.reasons import CATALOGUE as REASONS
from postroom.cli import completion
from postroom.cli.condition_meanings import CONDITIONS, STATES
from postroom.cli.options import fail
from postroom.cli.pasted_replies import explained, paragraphs
from postroom.dns import findings as dns
from postroom.mail import finding_meanings as mail
from postroom.mail.replies.catalogue import causes

#: Octets of standard input; no reply is longer.
_LONGEST = 64 * 1024
#: How alike a name must be to be what was meant, but for a slip or two: less is a guess.
_NEAR = 0.8


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


@cache
def entries() -> Mapping[str, Entry]:
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


def _offered(incomplete: str) -> list[str]:
    """What of all that goes on from what is typed."""
    return sorted(completion.beginning({*entries(), *ConditionType, *_states()}, incomplete))


@cache
def _states() -> Mapping[str, list[str]]:
    """What each word of a domain's status means, wherever it stands."""
    meanings: dict[str, list[str]] = {}
    for place, states in STATES.items():
        for state, meaning in states.items():
            meanings.setdefault(state.value, []).append(f"In {place}: {meaning}")
    return meanings


def explain(
    asked: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT",
            autocompletion=_offered,
            help="A reason (RecordNotFound), finding (SPF_MULTIPLE), condition (DKIMVerified), "
            "code (5.7.139) or a whole reply of a mail server; - reads it from standard input.",
        ),
    ] = None,
) -> None:
    """Explain a reason, finding, condition or reply of a mail server; without one, list all."""
    pasted = " ".join(asked or ()).strip()
    if pasted == "-":
        # Logs are in any encoding, and what is cut off may end within a character.
        pasted = sys.stdin.buffer.read(_LONGEST).decode("utf-8", "replace").strip()
        if not pasted:
            raise fail("explain", "standard input is empty: pipe a reply or a name into it.")
    if not pasted:
        _list_all()
        return
    # Several names are explained one by one; a sentence is a reply.
    named = [list(_named(word)) for word in pasted.split()]
    whole = [paragraph for entry in named for paragraph in entry]
    found = whole if all(named) else list(paragraphs(explained(pasted)))
    if not found:
        unknown = next(word for word, told in zip(pasted.split(), named, strict=True) if not told)
        raise fail("explain", _nothing_called(unknown if whole else pasted))
    typer.echo("\n\n".join(found))


def _list_all() -> None:
    """Print each thing once: reasons and causes are known by two spellings."""
    known = entries()
    camel = {reason.value for reason in REASONS} | {cause.value for cause in causes()}
    for name in (*sorted(camel), *sorted({*dns.catalogue(), *mail.catalogue()})):
        typer.echo(f"{name:34} {known[name].meaning}")
    for condition, meaning in CONDITIONS.items():
        if condition.value not in camel:
            typer.echo(f"{condition.value:34} {meaning}")
    for state, meanings in _states().items():
        if state not in camel:
            typer.echo(f"{state:34} {' '.join(meanings)}")


def _named(word: str) -> Iterator[str]:
    """What there is to say of a name; a condition and a reason may have the same one."""
    condition = next((each for each in ConditionType if each.lower() == word.lower()), None)
    if condition is not None:
        yield f"{condition.value} (condition)"
        yield CONDITIONS[condition]
    known, states = entries(), _states()
    state = next((each for each in states if each.lower() == word.lower()), None)
    # What is known by two spellings is called as it was asked for, else as conditions have it.
    name = word if word in known else _by_folded().get(word.lower())
    if state is not None:
        yield state if name is None else f"{state} (state)"
        yield from states[state]
    if name is None:
        return
    entry = known[name]
    yield f"{name} ({entry.severity or 'reason'})" if entry.severity or state else name
    yield entry.meaning
    yield f"What to do: {entry.remedy}"
    if entry.reason:
        yield f"Conditions say: {entry.reason}"
    if entry.source:
        yield f"Source: {entry.source}"


@cache
def _by_folded() -> Mapping[str, str]:
    """By names in lower case, the first that is spelled so."""
    return {each.lower(): each for each in reversed([*entries()])}


def _nothing_called(word: str) -> str:
    """What was probably meant; of a long text, that it is none of a mail server."""
    if len(word.split()) > 1:
        return (
            "that is no reply of a mail server: paste it with its code, such as "
            '"535 5.7.8 Authentication failed".'
        )
    folded = {name.lower(): name for name in (*entries(), *ConditionType, *_states())}
    near = difflib.get_close_matches(word.lower(), folded, n=6, cutoff=_NEAR)
    # A reason and the code of its finding are one thing by two names: the nearest is enough.
    offered: dict[str, str] = {}
    for name in near:
        offered.setdefault(name.replace("_", ""), folded[name])
    hint = f" Did you mean {', '.join([*offered.values()][:3])}?" if near else ""
    return f"nothing is called {word[:80]}.{hint} Without a name, all are listed."

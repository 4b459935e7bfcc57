# SPDX-License-Identifier: Apache-2.0
"""The steps that make a mail service pass mail on unchanged, from ``forwarding.yaml``."""

import re
from datetime import date
from functools import cache
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.account_messages import ForwardingSource
from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.data_files import Row, read

_PLACEHOLDER = re.compile(r"\{([A-Za-z]*)\}")
_NAMES = frozenset({"publicAddress", "technicalAddress"})
#: In a command a placeholder stands between single quotes, where only the quote itself is special.
_IN_QUOTES = re.compile(r"'\{[A-Za-z]+\}'")

_Source = Annotated[str, StringConstraints(pattern=r"^https://[^ ]+$", max_length=300)]
_Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z].*[.:]$", max_length=300)]
_Title = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class Step(Row):
    """One thing to do: `where` is the place in a portal, `command` is for PowerShell."""

    text: _Sentence
    where: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    command: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = None
    source: _Source
    checked: date

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        texts = (self.text, self.where or "", self.command or "")
        unknown = {name for text in texts for name in _PLACEHOLDER.findall(text)} - _NAMES
        if unknown:
            raise ValueError(f"unknown placeholders: {', '.join(sorted(unknown))}")
        if "{" in _IN_QUOTES.sub("", self.command or ""):
            raise ValueError("a placeholder in a command stands between single quotes")
        return self


class Way(Row):
    """One way to the goal; its steps are in order."""

    title: _Title
    use_when: _Sentence
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=8)]


class Guide(Row):
    """The ways of one mail service, the recommended one first."""

    name: ForwardingSource
    title: _Title
    ways: Annotated[tuple[Way, ...], Field(min_length=1, max_length=4)]


class _GuidesFile(Row):
    guides: tuple[Guide, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if [entry.name for entry in self.guides] != list(ForwardingSource):
            raise ValueError("there must be one guide for each source, in their order")
        return self


@cache
def guides() -> tuple[Guide, ...]:
    """Load the guides; raises `InvalidData`."""
    return read("postroom.mail.round_trip", "forwarding.yaml", _GuidesFile).guides


def guide(source: ForwardingSource) -> Guide:
    """Return the guide for a mail service."""
    return next(entry for entry in guides() if entry.name is source)


def steps_for(
    source: ForwardingSource, public_address: str, technical_address: str
) -> tuple[str, ...]:
    """Return the steps of the recommended way, filled in; each fits a message of status."""
    values = {"publicAddress": public_address, "technicalAddress": technical_address}
    # Of addresses so long that a step would not fit, the names stay: a command must not be cut.
    names = {name: f"<{name}>" for name in values}
    steps = []
    for step in guide(source).ways[0].steps:
        text = _filled(step, values)
        steps.append(text if len(text) <= MESSAGE_LIMIT else _filled(step, names))
    return tuple(steps)


def _filled(step: Step, values: dict[str, str]) -> str:
    escaped = {name: value.replace("'", "''") for name, value in values.items()}
    parts = [
        f"{step.where}:" if step.where else "",
        _PLACEHOLDER.sub(lambda found: values[found[1]], step.text),
        _PLACEHOLDER.sub(lambda found: escaped[found[1]], step.command or ""),
    ]
    return " ".join(part for part in parts if part)

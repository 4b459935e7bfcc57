# SPDX-License-Identifier: Apache-2.0
"""The state map of docs/status.md as data: each state, what consumers make of it, and the objects
that were captured in it from a real API server.

The captured objects are the test data of the Argo CD customizations, which are shipped: Argo CD's
own tests ask for objects as a cluster has them. tests/cluster/test_state_map.py writes them, and
holds that a live operator still makes the same.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from postroom.api.names import GROUP, Kind

ROOT = Path(__file__).resolve().parents[1]
INTEGRATIONS = ROOT / "manifests" / "integrations"
CUSTOMIZATIONS = INTEGRATIONS / "argocd" / "resource_customizations" / GROUP
Raw = dict[str, Any]


class State(StrEnum):
    """A row of the state map; where a row tells of two kinds of object, one for each."""

    UNSEEN = "unseen"
    EVALUATING = "evaluating"
    EDITED = "edited"
    WAITING = "waiting"
    VERIFIED = "verified"
    REGRESSED = "regressed"
    STALLED = "stalled"
    STALE = "stale"
    SUSPENDED = "suspended"
    SUSPENDED_UNSEEN = "suspended-unseen"
    DISCONNECTED = "disconnected"


class Row(NamedTuple):
    """What is seen of a state: the status of Ready, what else is True, and each consumer's word."""

    ready: str
    also: frozenset[str]
    kstatus: str
    flux: str
    argo: str


def _row(ready: str, also: str, kstatus: str, flux: str, argo: str) -> Row:
    return Row(ready, frozenset(also.split()), kstatus, flux, argo)


#: `flux` is with the expressions of docs/flux.md, which fail fast.
ROWS: Mapping[State, Row] = {
    State.UNSEEN: _row("Unknown", "", "InProgress", "InProgress", "Progressing"),
    State.EVALUATING: _row("Unknown", "Reconciling", "InProgress", "InProgress", "Progressing"),
    State.EDITED: _row("True", "", "InProgress", "InProgress", "Progressing"),
    State.WAITING: _row("False", "Reconciling", "InProgress", "InProgress", "Progressing"),
    State.VERIFIED: _row("True", "", "Current", "Current", "Healthy"),
    State.REGRESSED: _row("False", "", "InProgress", "Failed", "Degraded"),
    State.STALLED: _row("False", "Stalled", "Failed", "Failed", "Degraded"),
    State.STALE: _row("Unknown", "Reconciling", "InProgress", "InProgress", "Progressing"),
    State.SUSPENDED: _row("True", "Suspended", "Current", "Current", "Suspended"),
    State.SUSPENDED_UNSEEN: _row("Unknown", "Suspended", "InProgress", "InProgress", "Suspended"),
    State.DISCONNECTED: _row("True", "Suspended", "Current", "Current", "Suspended"),
}


class Case(NamedTuple):
    """An object of a kind in a state."""

    kind: Kind
    state: State

    @property
    def path(self) -> Path:
        return CUSTOMIZATIONS / self.kind / "testdata" / f"{self.state}.yaml"

    @property
    def row(self) -> Row:
        return ROWS[self.state]

    def captured(self) -> Raw:
        """The object as the API server served it."""
        found: Raw = yaml.load(self.path.read_text(), Loader=yaml.CSafeLoader)
        return found

    def __str__(self) -> str:
        return f"{self.kind}-{self.state}"


def _cases() -> Iterator[Case]:
    for kind in Kind:
        for state in State:
            if state is not State.DISCONNECTED or kind is Kind.EMAIL_ACCOUNT:
                yield Case(kind, state)


CASES = tuple(_cases())

#: What differs from one run to the next, and what stands for it.
_ACCIDENTS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "2026-11-29T12:00:00Z"),
    # the lab's certificates
    (re.compile(r"(?<=Testing )(CA|cert) #[\w-]+"), r"\1"),
    # where the lab is, as those see it who are told how to ask it
    (re.compile(r"@127(\.\d+){3}(?= -p )"), "@127.0.0.1"),
)
_NAMESPACE = "mail"


def without_accidents(obj: Mapping[str, Any]) -> Raw:
    """An object without what differs from one run to the next: times, ids, the test's namespace."""
    place = obj["metadata"]["namespace"]

    def fixed(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {name: fixed(inner) for name, inner in value.items() if name not in _LEFT_OUT}
            counted = _OF_THE_MAILBOX if "uidValidity" in value else {}
            return kept | counted | ({"resourceVersion": "1"} if "resourceVersion" in value else {})
        if isinstance(value, list):
            return [fixed(inner) for inner in value]
        if isinstance(value, str):
            for pattern, instead in _ACCIDENTS:
                value = pattern.sub(instead, value)
            return value.replace(place, _NAMESPACE)
        return value

    made: Raw = fixed(obj)
    return made


#: So does what tells how often somebody looked.
_LEFT_OUT = {"managedFields", "uid", "newMessages", "refusals"}
#: What stands for what earlier tests left in the mailbox of the lab that they share.
_OF_THE_MAILBOX = {"messages": 3, "unseen": 3, "uidNext": 4, "newestTime": "2026-11-29T12:00:00Z"}
#: What is written for people, and may be put better.
_SENTENCES = {"message", "ask", "instruction", "serverText"}


def differences(live: Any, captured: Any, path: str = "") -> Iterator[str]:
    """Where a live object is not what was captured, and in what.

    Sentences may be put better, and fields may have come since: no consumer breaks by them.
    """
    if isinstance(live, dict) and isinstance(captured, dict):
        for name, before in captured.items():
            if not (name in _SENTENCES and before and live.get(name)):
                yield from differences(live.get(name), before, f"{path}.{name}")
    elif isinstance(live, list) and isinstance(captured, list) and len(live) == len(captured):
        for number, pair in enumerate(zip(live, captured, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif live != captured:
        yield f"{path}: {live!r}, not {captured!r}"

# SPDX-License-Identifier: Apache-2.0
"""Every verb of ``kubectl postroom`` that tells of objects, at statuses that hold anything.

Covers: what a status holds steers no terminal, hides nothing and begins no line of its own, in no
form of output, wherever in the object it stands; and no verb breaks over it.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
import yaml
from rich.text import Text

from postroom.api.names import BACKFILL_ANNOTATION, REQUESTED_AT_ANNOTATIONS, Key, Kind
from postroom.cli import plugin, terminal
from postroom.cli.cluster import Cluster
from postroom.cli.options import Output
from postroom.cli.record_output import RecordFormat
from postroom.dns.publishing.terraform import TerraformProvider

STORED = Path(__file__).parents[2] / "stored" / "v1alpha1-2026-11-29" / "objects.yaml"
#: A title of the window, a screen that is wiped, CSI as one character, a line written over, text
#: that runs backwards, a line of its own, and commands to runners of CI.
STEERING = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202e\u2066\x7f\x08\u2028\n::error::owned ##[error]owned"
)
#: What ends lines of ours.
LINE_END = "\n"


@cache
def stored() -> dict[Key, dict[str, Any]]:
    objects = {}
    for raw in yaml.load_all(STORED.read_text(), Loader=yaml.CSafeLoader):
        for one in raw["items"] if raw["kind"] == "List" else [raw]:
            name = one["metadata"]["name"]
            # The others have fewer fields.
            if one["kind"] in set(Kind) and name.startswith("full-"):
                metadata = {"namespace": "mail", **one["metadata"]}
                key = Key(Kind(one["kind"]), metadata["namespace"], name)
                objects[key] = {**one, "metadata": metadata}
                if key.kind is Kind.SENDING_DOMAIN:
                    # Of other words nobody would publish anything.
                    told = {"type": "TXT", "name": "example.com", "state": "Missing"}
                    status = objects[key]["status"]
                    status["zone"] = "example.com"
                    status["records"] = [{**record, **told} for record in status["records"]]
                if key.kind is Kind.EMAIL_ACCOUNT:
                    # Of one that is switched off nothing can be asked.
                    spec = {**one["spec"], "connection": "Connected", "suspend": False}
                    objects[key]["spec"] = spec
    return objects


Place = tuple[str | int, ...]


def texts_of(value: object, place: Place = ()) -> Iterator[Place]:
    """Where the texts of an object stand."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_of(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from texts_of(inner, (*place, number))


def with_steering(raw: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    made = copy.deepcopy(dict(raw))
    for *way, last in places:
        inner: Any = made
        for step in way:
            inner = inner[step]
        inner[last] += STEERING
    return made


class Hostile:
    """An API server whose objects hold what steers terminals; every annotation is answered."""

    server = "https://cluster.example"

    def __init__(self, key: Key, raw: Mapping[str, Any]) -> None:
        self.key, self.raw, self.namespace = key, raw, key.namespace

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.raw

    async def list_whole(self, kind: Kind, namespace: str | None) -> list[Mapping[str, Any]]:
        return [self.raw] if kind is self.key.kind else []

    async def annotate(self, key: Key, annotations: Mapping[str, str | None]) -> None:
        made = copy.deepcopy(dict(self.raw))
        status = made.setdefault("status", {})
        made["metadata"]["annotations"] = dict(annotations)
        status["lastHandledReconcileAt"] = annotations.get(REQUESTED_AT_ANNOTATIONS[0]) or ""
        asked = "lastBackfill" if BACKFILL_ANNOTATION in annotations else "lastTest"
        if asked in status:
            status[asked]["nonce"] = next(iter(annotations.values()))
        self.raw = made


def commands(key: Key) -> Iterator[list[str]]:
    name = f"{key.kind.plural}/{key.name}"
    outputs = [f"--output={one}" for one in Output]
    yield from (["status", name, one] for one in outputs)
    yield from (["status", one] for one in outputs)
    yield from (["verify", name, "--timeout=0.01", one] for one in outputs)
    yield ["report", "--json"]
    yield ["report", "--html=-"]
    if key.kind is Kind.SENDING_DOMAIN:
        for form in RecordFormat:
            yield from (["records", key.name, f"--output={form}", *more] for more in ([], _MISSING))
        for provider in TerraformProvider:
            yield ["records", "--output=terraform", f"--terraform-provider={provider}"]
    if key.kind is Kind.EMAIL_ACCOUNT:
        for verb in ("sync", "test", "backfill"):
            yield from ([verb, key.name, "--timeout=0.01", one] for one in outputs)


_MISSING = ["--missing"]
#: A process makes its command line once, and here hundreds of calls are one process.
_MADE = cache(typer.main.get_command)


def told_by(key: Key, raw: Mapping[str, Any], capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    @asynccontextmanager
    async def connect(kubeconfig: object, context: object) -> AsyncIterator[Cluster]:
        yield Cluster(Hostile(key, raw))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Cluster, "connect", staticmethod(connect))
        patched.setattr(typer.main, "get_command", _MADE)
        for command in commands(key):
            with pytest.raises((typer.Exit, SystemExit)):
                plugin.main(command)
                raise SystemExit
            out, err = capsys.readouterr()
            # Steering in the place of a record's type or of an outcome leaves nothing to print.
            assert out or (err and command[0] in ("records", "test", "backfill")), (command, err)
            yield out + err


@pytest.mark.parametrize("key", stored(), ids=lambda key: f"{key.kind.plural}/{key.name}")
def test_what_a_status_holds_steers_no_terminal(
    key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everywhere at once, and at one place alone, as the rest is read then."""
    raw = stored()[key]
    places = list(texts_of(raw.get("status", {}), ("status",)))
    published = [one for one in places if one[:2] == ("status", "records") and one[-1] == "value"]
    for chosen in (places, *([one] for one in (*places[:: len(places) // 3 + 1], *published))):
        for told in told_by(key, with_steering(raw, chosen), capsys):
            steering = {mark for mark in told if not (mark.isprintable() or mark == LINE_END)}
            assert (steering, told if steering else "") == (set(), "")
            assert not any(line.startswith("::") for line in told.splitlines())
            assert "##[" not in told


def test_what_the_library_says_to_a_terminal_still_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = terminal.output()
    with console.capture() as told:
        console.print(Text("a\x1b[2Jb", style="red"))
        console.clear()
    assert told.get().startswith("\x1b[31ma\\u001b[2Jb\x1b[0m\n")


def test_what_is_well_is_not_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """A check of objects that are not there is no check."""
    key = Key(Kind.MAIL_SERVER, "mail", "smtp")

    @asynccontextmanager
    async def connect(kubeconfig: object, context: object) -> AsyncIterator[Cluster]:
        yield Cluster(Hostile(key, {}))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Cluster, "connect", staticmethod(connect))
        with pytest.raises(SystemExit) as ended:
            plugin.main(["verify", "sendingdomains"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("there is nothing to check in namespace mail.\n")

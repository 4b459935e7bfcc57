# SPDX-License-Identifier: Apache-2.0
"""What of DNS is no secret and not ours is told within bounds; what is a secret there, not at all.

Covers: strangers' texts beside each record of the lab's domains, longer than any status may hold,
and private keys of DKIM at every name that is looked at; each form of `postroom check`, and the
report. In a log stands neither.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lab.canary_secrets import Secrets
from lab.canary_watch import Watch, watching
from lab.oauth_lab import identity
from lab.test_canary_check import show
from lab.test_canary_tokens import hide_key
from loopback import own_address
from postroom.api.masked import Masked
from postroom.cli import report_output
from postroom.cli.check import CheckInput, CheckRun
from postroom.cli.check_options import Destination
from postroom.cli.demo import settings_for
from postroom.cli.formats.writing import Format
from postroom.cli.report import of_files
from postroom.dns.texts.quoting import QUOTE_LIMIT
from postroom.lab.lab import Lab

FILE = Path(__file__).resolve().parents[2] / "manifests" / "samples" / "domains.yaml"
#: What a stranger's text is made of, again and again.
_WORD = "Zq7stranger%02dx"
_RUN = re.compile(r"(?:Zq7stranger\d\dx)+")
_LENGTH = 3000


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, address=own_address(33)) as running:
        yield running


def strangers() -> Iterator[str]:
    """Texts that begin as records of ours do, and go on as none does."""
    beginnings = ("", "v=spf2 ", "v=DKIM2; p=", "v=DMARC2; ", "v=TLSRPTv2; ", "site-verification=")
    for number, begins in enumerate(beginnings):
        word = _WORD % number
        yield begins + word * (_LENGTH // len(word))


async def checked(
    lab: Lab, watch: Watch, capsys: pytest.CaptureFixture[str], key: str, place: Path
) -> None:
    """Have all said that can be said of the domains."""
    known = settings_for(lab).model_copy(update={"ownership_key": Masked(key)})
    source = CheckInput([str(FILE)], "default")
    forms = [form for form in Format if form is not Format.TABLE]
    written = [Destination(form, place / form.value) for form in forms]
    run = CheckRun(source, known, Format.TABLE, quiet=False, destinations=written)
    await run.once(timedelta())
    show(watch, capsys, "a table")
    for form, file in written:
        watch.see(f"{form.value} in a file", file.read_text())
    found = await of_files(source, known)
    report_output.write(found.objects, found.source, place / "page", as_json=True)
    show(watch, capsys, "a report")
    watch.see("the page of the report", (place / "page").read_text())


def logged(watch: Watch) -> str:
    return "\n".join(text for place, text in watch.shown if place.startswith("log of"))


def told(watch: Watch) -> str:
    return "\n".join(text for place, text in watch.shown if not place.startswith("log of"))


async def test_texts_of_strangers(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = Secrets(840)
    for name in {name for name, kind, _ in lab.zones.records() if kind == "TXT"}:
        for text in strangers():
            lab.zones.add(name, "TXT", text)
    async with watching() as watch:
        watch.hide("ownership key", key := made.core(32))
        await checked(lab, watch, capsys, key, tmp_path)
        assert _RUN.search(logged(watch)) is None
        runs = [found[0] for found in _RUN.finditer(told(watch))]
        assert all(len(run) <= QUOTE_LIMIT for run in runs)


@pytest.mark.parametrize("shape", ["{}", "v=DKIM1; k=rsa; p={}", "v=spf1 {} -all"])
async def test_private_keys(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path, shape: str
) -> None:
    made, pem = Secrets(850), identity(1).key_pem
    body = "".join(pem.splitlines()[1:-1])
    for name in {name for name, kind, _ in lab.zones.records() if kind == "TXT"}:
        for text in (pem, body):
            lab.zones.add(name, "TXT", shape.format(text))
    async with watching() as watch:
        watch.hide("ownership key", key := made.core(32))
        hide_key(watch, 1)
        await checked(lab, watch, capsys, key, tmp_path)
    assert "private key" in told(watch)


@pytest.mark.parametrize("shape", ["{} x={}", "{}; x={}", "{} {}", "v=spf1 {1} {0}", "{0}{1}"])
async def test_private_keys_inside_of_records(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path, shape: str
) -> None:
    made, body = Secrets(860), "".join(identity(1).key_pem.splitlines()[1:-1])
    for name, kind, value in list(lab.zones.records()):
        if kind == "TXT":
            lab.zones.replace(name, "TXT", [shape.format(value, body)])
    async with watching() as watch:
        watch.hide("ownership key", key := made.core(32))
        hide_key(watch, 1)
        await checked(lab, watch, capsys, key, tmp_path)
    assert "PRIVATE_KEY_IN_RECORD" in told(watch)

# SPDX-License-Identifier: Apache-2.0
"""`postroom check` shows no secret: in no form of its output, on no stream, and in no log.

Covers: each output against hostile servers and the lab's; input that is broken around a Secret.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from lab.canary_secrets import Secrets
from lab.canary_servers import IMAP, IMAP_ERRANDS, SMTP, SMTP_ERRANDS, Row
from lab.canary_watch import Watch, watching
from lab.canary_world import (
    ADDRESS,
    Ports,
    impatient,  # noqa: F401 - a fixture
    objects,
    written,
)
from lab.hostile import Hostile
from lab.mail_probing import HOST, context
from loopback import own_address
from postroom.api.masked import Masked
from postroom.cli import report_output
from postroom.cli.check import CheckInput, CheckRun
from postroom.cli.formats.writing import Format
from postroom.cli.options import ExitCode
from postroom.cli.report import of_files
from postroom.lab.dns import LabDns
from postroom.lab.zone_data import ZoneData
from postroom.settings import Settings, load

pytestmark = pytest.mark.usefixtures("impatient")

DNS_PORT = 2053


@asynccontextmanager
async def names(address: str) -> AsyncIterator[None]:
    """A name server that leads to 127.0.0.1."""
    zones = ZoneData(("example.com",), "ns.example.com", address)
    zones.add(HOST, "A", "127.0.0.1")
    server = LabDns(zones, address, DNS_PORT)
    await server.start()
    try:
        yield
    finally:
        await server.stop()


def settings(address: str, ports: Ports, key: str) -> Settings:
    given = {
        "dns_resolvers": [f"{address}:{DNS_PORT}"],
        "dns_authoritative_port": str(DNS_PORT),
        "allow_cidrs": ["127.0.0.0/8"],
        "allow_ports": [str(ports.smtp), str(ports.imap)],
    }
    made = load(given, {})
    return made.model_copy(update={"ownership_key": Masked(key)})


#: The servers, and the exit code of a check at them.
PAIRS: dict[str, tuple[Row, Row, int]] = {
    "refused": (SMTP["refuses in lines"], IMAP["refuses"], ExitCode.NOT_READY),
    "offered": (SMTP["offers it"], IMAP["offers it"], ExitCode.NOT_READY),
    "talked of": (SMTP_ERRANDS["250 to QUIT"], IMAP_ERRANDS["talks of it"], ExitCode.READY),
    # What ends before it has answered says neither yes nor no.
    "broken off": (
        SMTP["ends within a line"],
        IMAP["ends in a literal"],
        ExitCode.COULD_NOT_LOOK,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
async def test_each_output(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = list(PAIRS).index(name)
    made, address = Secrets(500 + number), own_address(32)
    secret, key = made.password(2 * number + 1), made.core(32)
    smtp_row, imap_row, expected = PAIRS[name]
    smtp, imap = smtp_row(secret), imap_row(secret)
    codes = set()
    async with (
        watching() as watch,
        names(address),
        Hostile(*smtp, context=context(), implicit=True) as sending,
        Hostile(*imap, context=context(), implicit=True) as reading,
    ):
        watch.hide("password", secret)
        watch.hide("ownership key", key)
        ports = Ports(sending.port, reading.port)
        login = {"login": {"username": ADDRESS, "password": secret}}
        spec = {"credentialsRef": {"name": "login"}}
        file = written(tmp_path, objects(ports, login, spec))
        known = settings(address, ports, key)
        watch.see("settings", known)
        for output in Format:
            run = CheckRun(CheckInput([str(file)], "default"), known, output, quiet=False)
            codes.add(await run.once(timedelta()))
            show(watch, capsys, output.value)
        page = tmp_path / "report.html"
        found = await of_files(CheckInput([str(file)], "default"), known)
        report_output.write(found.objects, found.source, page, as_json=True)
        show(watch, capsys, "a report")
        watch.see("the page of the report", page.read_text())
        assert ADDRESS in page.read_text()
    assert sending.connections >= 4
    assert codes == {expected}


def show(watch: Watch, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Have what was printed searched; something must have been."""
    out, err = capsys.readouterr()
    assert out or err
    watch.see(f"standard output as {name}", out)
    watch.see(f"standard error as {name}", err)


BROKEN = {
    "no mapping": "apiVersion: v1\nkind: Secret\nmetadata: {{name: login}}\nstringData: {0}\n",
    "a list": "apiVersion: v1\nkind: Secret\nmetadata: {{name: login}}\nstringData: [{0}]\n",
    "no YAML": "apiVersion: v1\nkind: Secret\nstringData:\n  password: {0}: {0}\n - x\n",
    "unknown field": "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{0}: {0}\n",
    "in data": "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{password: {0}}}\n",
    "twice": "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{a: b, a: {0}}}\n",
    "as its name": "apiVersion: v1\nkind: Secret\nmetadata: {{name: [{0}]}}\nstringData: {{}}\n",
    "unclosed": 'apiVersion: v1\nkind: Secret\nstringData: {{password: "{0}\n',
    "odd tag": "apiVersion: v1\nkind: Secret\nstringData: {{password: !{0} {0}}}\n",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_input(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Secrets(600)
    secret = made.core(24)
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN[name].format(secret))
    async with watching() as watch:
        watch.hide("password", secret)
        known = settings(own_address(32), Ports(1, 2), made.core(32))
        for output in Format:
            run = CheckRun(CheckInput([str(file)], "default"), known, output, quiet=False)
            with contextlib.suppress(ValueError):
                assert await run.once(timedelta()) == ExitCode.BAD_INPUT
            show(watch, capsys, output.value)

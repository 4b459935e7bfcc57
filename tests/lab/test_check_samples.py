# SPDX-License-Identifier: Apache-2.0
"""`postroom check` over the samples, on the lab: they verify, and each broken one gets its reason.

Also: exit codes, the three outputs, that the fixes offered really mend the zones, and that no
secret shows.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopback import own_address
from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE, CheckInput, CheckRun, objects_of, world_of
from postroom.cli.demo import settings_for
from postroom.cli.directory import DirectoryWorld
from postroom.cli.options import ExitCode, Output
from postroom.dns import dkim, dmarc, spf
from postroom.lab.lab import PASSWORDS, Lab

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
BROKEN = SAMPLES / "broken"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, address=own_address(1)) as running:
        (tmp_path / "lab-ca.yaml").write_text(running.ca_manifest())
        yield running


def world(lab: Lab, tmp_path: Path, *paths: Path) -> DirectoryWorld:
    found = manifests.load([*paths, tmp_path / "lab-ca.yaml"], "default")
    assert found.complaints == []
    return world_of(found, settings_for(lab))


async def run(lab: Lab, output: Output, *paths: Path) -> int:
    check = CheckRun(
        CheckInput([str(path) for path in paths], "default"), settings_for(lab), output, quiet=False
    )
    return await check.once(timedelta())


async def test_the_samples_verify(lab: Lab, tmp_path: Path) -> None:
    made = world(lab, tmp_path, SAMPLES)
    assert await made.check(AT_ONCE)
    assert len(objects_of(made)) == 9


def reasons(made: DirectoryWorld) -> dict[str, str]:
    return {
        f"{key.kind.value}/{key.name}": status.conditions[0].reason
        for key, status in made.statuses()
    }


def expectations() -> dict[str, str]:
    found = {}
    for path in BROKEN.glob("*-*.yaml"):
        text = path.read_text()
        expected = re.match(r"# expect: (\w+)\n# \S", text)
        assert expected, path
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            found[f"{document['kind']}/{document['metadata']['name']}"] = expected[1]
    return found


async def test_each_broken_sample_gets_its_reason(lab: Lab, tmp_path: Path) -> None:
    made = world(lab, tmp_path, BROKEN)
    assert not await made.check(AT_ONCE)
    assert reasons(made) == expectations()
    assert len(expectations()) >= 28


def of_purpose(value: str, name: str, kind: str) -> Any:
    """What Replace takes away: the records of the same purpose."""
    if kind != "TXT":
        return lambda _: True
    if spf.is_spf(value):
        return spf.is_spf
    if dmarc.is_dmarc(value):
        return dmarc.is_dmarc
    return dkim.looks_like_key if "_domainkey" in name else lambda _: True


async def test_the_fixes_of_the_broken_domains_work(lab: Lab, tmp_path: Path) -> None:
    made = world(lab, tmp_path, *BROKEN.glob("domain-*.yaml"))
    await made.check(AT_ONCE)
    for _, status in made.statuses():
        assert isinstance(status, SendingDomainStatus)
        for finding in status.findings:
            fix = finding.fix
            if fix is None or not fix.name:
                continue
            same = of_purpose(fix.value, fix.name, fix.type)
            there = lab.zones.get(fix.name, fix.type)
            kept = there if fix.action == "Create" else [one for one in there if not same(one)]
            lab.zones.replace(fix.name, fix.type, [*kept, fix.value])
    await asyncio.sleep(1.1)
    assert await made.check(AT_ONCE), reasons(made)


async def test_a_line_end_in_a_password_is_said_although_it_is_left_out(
    lab: Lab, tmp_path: Path
) -> None:
    text = (SAMPLES / "secrets.yaml").read_text()
    changed = text.replace("lab-relay-password", '"lab-relay-password\\n"')
    assert changed != text
    (tmp_path / "secrets.yaml").write_text(changed)
    names = ("domains.yaml", "servers.yaml", "accounts.yaml", "namespace.yaml")
    for name in names:
        (tmp_path / name).write_text((SAMPLES / name).read_text())
    found = manifests.load([tmp_path], "mail")
    made = world_of(found, settings_for(lab))
    await made.check(AT_ONCE)
    server = dict(made.statuses())[Key(Kind.MAIL_SERVER, "mail", "production-smtp")]
    assert isinstance(server, MailServerStatus)
    assert server.conditions[0].reason == "Succeeded"
    assert [
        (finding.code, finding.severity.value, "ends with a line end" in finding.message)
        for finding in server.findings
    ] == [("CREDENTIAL_HAS_WHITESPACE", "Warning", True)]


async def test_a_run_says_how_often_it_signed_in(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(lab, Output.JSON, SAMPLES, tmp_path / "lab-ca.yaml")
    assert "of which 0 were refused." in capsys.readouterr().err
    wrong = (BROKEN / "server-wrong-password.yaml", BROKEN / "secrets.yaml")
    await run(lab, Output.JSON, *wrong, tmp_path / "lab-ca.yaml")
    assert "Signed in to mail servers 1 time, of which 1 was refused." in capsys.readouterr().err
    await run(lab, Output.JSON, SAMPLES / "domains.yaml")
    assert "Signed in" not in capsys.readouterr().err


async def test_exit_codes(lab: Lab, tmp_path: Path) -> None:
    ca = tmp_path / "lab-ca.yaml"
    assert await run(lab, Output.TABLE, SAMPLES, ca) == ExitCode.READY
    assert await run(lab, Output.TABLE, BROKEN, ca) == ExitCode.NOT_READY
    (tmp_path / "bad.yaml").write_text("a: [")
    assert await run(lab, Output.TABLE, SAMPLES, tmp_path / "bad.yaml") == ExitCode.BAD_INPUT
    (tmp_path / "none.yaml").write_text("{apiVersion: v1, kind: Pod, metadata: {name: x}}")
    assert await run(lab, Output.TABLE, tmp_path / "none.yaml") == ExitCode.BAD_INPUT


async def test_outputs_are_for_programs_too(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca = tmp_path / "lab-ca.yaml"
    await run(lab, Output.JSON, SAMPLES, ca)
    by_json = json.loads(capsys.readouterr().out)["items"]
    await run(lab, Output.YAML, SAMPLES, ca)
    by_yaml = yaml.load(capsys.readouterr().out, Loader=yaml.CSafeLoader)["items"]
    assert [one["metadata"] for one in by_json] == [one["metadata"] for one in by_yaml]
    assert all(one["status"]["conditions"][0]["status"] == "True" for one in by_json)


async def test_values_to_copy_are_whole_and_secrets_do_not_show(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(lab, Output.TABLE, BROKEN, SAMPLES, tmp_path / "lab-ca.yaml")
    said = capsys.readouterr().out
    key = yaml.load((BROKEN / "domain-dkim-other-key.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert f"        v=DKIM1; k=rsa; p={key['spec']['dkim'][0]['publicKey']}\n" in said
    for password in [*PASSWORDS.values(), "not-the-password"]:
        assert password not in said


async def test_a_second_check_knows_the_first(lab: Lab, tmp_path: Path) -> None:
    made = world(lab, tmp_path, SAMPLES)
    await made.check(AT_ONCE)
    key = Key(Kind.MAIL_SERVER, "mail", "production-smtp")
    first = made.raw(key)["status"]
    await made.check(AT_ONCE)
    assert made.raw(key)["status"]["conditions"] == first["conditions"]

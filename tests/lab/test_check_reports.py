# SPDX-License-Identifier: Apache-2.0
"""`postroom check` as CI uses it, on the lab: without credentials, with those that are elsewhere,
and its reports on the samples, each at the line of the field that is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopback import own_address
from postroom.cli.check import CheckInput, CheckRun
from postroom.cli.check_options import Destination
from postroom.cli.demo import settings_for
from postroom.cli.formats.writing import Format
from postroom.cli.options import ExitCode
from postroom.cli.secret_stores import Credentialing, SecretsFrom
from postroom.lab.lab import PASSWORDS, Lab

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
BROKEN = SAMPLES / "broken"
WITHOUT_SECRETS = [SAMPLES / f"{name}.yaml" for name in ("domains", "servers", "accounts")]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, address=own_address(1)) as running:
        (tmp_path / "lab-ca.yaml").write_text(running.ca_manifest())
        yield running


def check(lab: Lab, tmp_path: Path, *paths: Path, output: str = "json", **more: Any) -> CheckRun:
    source = CheckInput([str(path) for path in (*paths, tmp_path / "lab-ca.yaml")], "default")
    return CheckRun(source, settings_for(lab), output, quiet=False, **more)


async def test_without_credentials_all_but_signing_in_is_checked(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    withheld = Credentialing(withheld=True)
    run = check(lab, tmp_path, *WITHOUT_SECRETS, credentials=withheld)
    assert await run.once(timedelta()) == ExitCode.READY
    printed = capsys.readouterr()
    assert "Signed in" not in printed.err
    found = {item["metadata"]["name"]: item["status"] for item in json.loads(printed.out)["items"]}
    server = {each["type"]: each for each in found["production-smtp"]["conditions"]}
    assert server["Ready"]["message"].endswith("answers. Signing in was left out.")
    assert server["SMTPAvailable"]["status"] == server["TLSVerified"]["status"] == "True"
    assert "SMTPAuthenticated" not in server
    account = {each["type"]: each["status"] for each in found["support"]["conditions"]}
    assert account["IMAPAvailable"] == "True"
    assert "IMAPAuthenticated" not in account


async def test_without_credentials_what_else_is_broken_is_broken(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The passwords are wrong in two samples, and missing in others; all else must still show."""
    run = check(lab, tmp_path, BROKEN, credentials=Credentialing(withheld=True))
    assert await run.once(timedelta()) == ExitCode.NOT_READY
    report = json.loads(capsys.readouterr().out)
    broken = {
        f"{remark['object']['kind']}/{remark['object']['name']}"
        for remark in report["remarks"]
        if remark["level"] == "error"
    }
    expected = set(expectations())
    signing_in = {
        "MailServer/wrong-password",
        "MailServer/missing-secret",
        "EmailAccount/imap-password",
        "EmailAccount/no-mailbox",
    }
    assert broken == expected - signing_in


@pytest.mark.parametrize("source", [SecretsFrom.ENV, SecretsFrom.DIR])
async def test_credentials_from_elsewhere_are_the_samples_own(
    source: SecretsFrom, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    for secret in yaml.load_all((SAMPLES / "secrets.yaml").read_text(), Loader=yaml.CSafeLoader):
        place, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
        for key, value in secret["stringData"].items():
            file = folder / place / name / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(value)
            words = "__".join((place, name, key)).upper().replace("-", "_").replace(".", "_")
            monkeypatch.setenv(f"POSTROOM_SECRET__{words}", value)
    credentials = Credentialing(source=source, folder=folder)
    run = check(lab, tmp_path, *WITHOUT_SECRETS, credentials=credentials, output="table")
    assert await run.once(timedelta()) == ExitCode.READY
    assert await check(lab, tmp_path, *WITHOUT_SECRETS).once(timedelta()) == (
        ExitCode.COULD_NOT_LOOK
    )


def expectations() -> dict[str, Path]:
    """Every broken sample that is expected to be, by kind and name."""
    found = {}
    for path in BROKEN.glob("*-*.yaml"):
        expected = re.match(r"# expect: (\w+)\n", path.read_text())
        assert expected is not None
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            if expected[1] != "Succeeded":
                found[f"{document['kind']}/{document['metadata']['name']}"] = path
    return found


#: What stands in the line that a remark on a broken sample points to.
LINES = {
    "SendingDomain/dkim-missing": "selector: k1",
    "SendingDomain/dmarc-weak": "policy: reject",
    "SendingDomain/spf-twice": "spf:",
    "SendingDomain/null-mx": "host: ",
    "SendingDomain/ownership-missing": "domain: ",
    "MailServer/refused": "port: 2525",
    "MailServer/odd-port": "port: 6379",
    "MailServer/unknown-host": "host: ",
    "MailServer/wrong-mode": "mode: ",
    "MailServer/missing-secret": "credentialsRef:",
    "MailServer/wrong-password": "credentialsRef:",
    "EmailAccount/no-server": "serverRef:",
    "EmailAccount/imap-password": "credentialsRef:",
    "EmailAccount/no-mailbox": "mailbox: ",
    "EmailAccount/no-default": "address: ",
}


async def test_every_broken_sample_is_remarked_at_its_field(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        Destination(form, tmp_path / f"out.{form.value}") for form in Format if form != "table"
    ]
    await check(lab, tmp_path, BROKEN, destinations=files).once(timedelta())
    report = json.loads(capsys.readouterr().out)
    placed: dict[str, dict[str, Any]] = {}
    for remark in report["remarks"]:
        name = f"{remark['object']['kind']}/{remark['object']['name']}"
        placed.setdefault(name, remark["location"])
    wanted = expectations()
    assert set(wanted) <= set(placed)
    for name, path in wanted.items():
        assert Path(placed[name]["file"]).name == path.name
    for name, text in LINES.items():
        line = wanted[name].read_text().splitlines()[placed[name]["line"] - 1]
        assert line[placed[name]["column"] - 1 :].startswith(text), (name, line)
    # All formats were written of the same run, and none of them holds a password.
    assert json.loads((tmp_path / "out.json").read_text()) == report
    count = len(report["remarks"])
    assert (tmp_path / "out.github").read_text().count("\n") == count
    assert len(json.loads((tmp_path / "out.gitlab").read_text())) == count
    (log,) = json.loads((tmp_path / "out.sarif").read_text())["runs"]
    assert len(log["results"]) == count
    for _, file in files:
        for password in [*PASSWORDS.values(), "not-the-password"]:
            assert password not in file.read_text()


async def test_a_file_that_cannot_be_written_is_bad_input(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = [Destination(Format.SARIF, tmp_path / "gone" / "a.sarif")]
    run = check(lab, tmp_path, SAMPLES / "domains.yaml", output="github", destinations=to)
    assert await run.once(timedelta()) == ExitCode.BAD_INPUT
    assert "--write " in capsys.readouterr().err

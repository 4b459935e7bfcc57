# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: --version, --help, a verb that answers, and how errors end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from postroom.cli.main import VERBS, main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line; return exit code, standard output and error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), said.out, said.err


def test_crds_are_printed_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "crds")
    documents = yaml.load_all(out, Loader=yaml.CSafeLoader)
    assert [one["spec"]["names"]["kind"] for one in documents] == [
        "SendingDomain",
        "MailServer",
        "EmailAccount",
    ]


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "--version")[1].startswith("postroom ")
    shown = call(capsys, "--help")[1]
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing",), "there is no verb nothing"),
        (("check",), "missing argument 'TARGETS'"),
        (("check", "x.yaml", "-o", "xml"), "'xml' is not one of"),
        (("check", ".", "--wait", "soon"), "--wait: must be a duration"),
        (("check", ".", "--wait", "5"), "--wait: must be a duration"),
        (("check", ".", "--allow-cidr", "everything"), "--allow-cidr: must be networks"),
        (("check", ".", "--dns-resolver", "dns.example.com"), "--dns-resolver: must be an IP"),
        (("check", ".", "--ownership-key-file", "/no/file"), "No such file or directory"),
        (("check", ".", "--ownership-key-file", "/"), "Is a directory"),
        (("records", "a.example", "--ttl", "5"), "invalid value for '--ttl': must be at least 60."),
        (("records", "a.example", "--ttl", "999999"), "must be at most 86400."),
        (("records", "a.example", "--ttl", "soon"), "'--ttl': must be a number."),
        (("auth", "login"), "missing option '--provider'. Use one of google, microsoft."),
        (("run", "--workers", "many"), "--workers: must be a whole number"),
    ],
)
def test_bad_arguments_end_in_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert says in err
    # Nothing that only those who program understand.
    assert not re.search(r"Traceback|Error\b|[Ii]nput should|\\t|parse string", err)


@pytest.mark.parametrize("verb", ["explain", "crds"])
def test_an_output_that_takes_nothing_ends_in_a_sentence(verb: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "postroom", verb],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "postroom: the output cannot be written: No space left on device.\n"
    assert done.returncode == os.EX_IOERR


_NOTHING = "postroom check: there is no resource of postroom.dev in the input.\n"


@pytest.mark.parametrize(
    ("closed", "code", "out", "err"),
    [
        ("a.yaml >&-", 2, "", "a.yaml:1: spec.domain: is required\n"),
        ("a.yaml 2>&-", 2, "1 object: 1 not looked at yet.\n", ""),
        ("- <&-", 2, "0 objects.\n", _NOTHING),
        ("- <&- >&- 2>&-", 2, "", ""),
        ("a.yaml <&- >&- 2>&-", 2, "", ""),
    ],
)
def test_a_stream_that_is_closed_is_no_error_of_postroom(
    tmp_path: Path, closed: str, code: int, out: str, err: str
) -> None:
    (tmp_path / "a.yaml").write_text(
        "{apiVersion: postroom.dev/v1alpha1, kind: SendingDomain, metadata: {name: a}, spec: {}}"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m postroom check --offline {closed}', sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, err)
    assert done.stdout.endswith(out)

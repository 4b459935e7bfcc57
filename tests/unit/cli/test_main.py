# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: --version, --help, a verb that answers, and how errors end."""

from __future__ import annotations

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
    "arguments",
    [
        ("nothing",),
        ("check",),
        ("check", "x.yaml", "-o", "xml"),
        ("check", ".", "--wait", "soon"),
        ("check", ".", "--allow-cidr", "everything"),
        ("check", ".", "--dns-resolver", "dns.example.com"),
        ("run", "--workers", "many"),
    ],
)
def test_bad_arguments_end_in_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert err.strip()
    assert "Traceback" not in err

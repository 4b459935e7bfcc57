# SPDX-License-Identifier: Apache-2.0
"""The command line's small verbs: explain, crds, --version, and how errors end."""

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


@pytest.mark.parametrize(
    "name",
    [
        "RecordNotFound",
        "SPF_MULTIPLE",
        "spf_multiple",
        "SECRET_NOT_FOUND",
        "AppPasswordRequired",
        "app_password_required",
        "MAIL_LOOP",
    ],
)
def test_explain(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = call(capsys, "explain", name)
    assert code == 0
    assert "What to do:" in out


def test_a_cause_names_the_reason_of_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "explain", "APP_PASSWORD_REQUIRED")
    assert "Conditions say: AuthenticationRejected" in out


def test_explain_offers_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "explain", "SPF_MULTIPEL")
    assert code == 2
    assert "SPF_MULTIPLE" in err


def test_explain_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "explain")
    assert "RecordNotFound" in out
    assert "DKIM_REVOKED" in out
    assert "AppPasswordRequired" in out
    listed = [line.split()[0] for line in out.splitlines()]
    assert len(listed) == len(set(listed))


def test_crds_are_printed_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "crds")
    assert [one["spec"]["names"]["kind"] for one in yaml.safe_load_all(out)] == [
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

# SPDX-License-Identifier: Apache-2.0
"""A domain that flags describe needs no file, and ends with what is to be typed next."""

import shlex
from pathlib import Path

import pytest

from postroom.cli import described
from postroom.cli.check import CheckInput


@pytest.mark.parametrize(
    ("targets", "domain"),
    [
        (["example.com"], True),
        (["mail.example.co.uk"], True),
        (["example.com."], True),
        (["domains.yaml"], False),
        (["a.json"], False),
        (["./example.com"], False),
        (["mail"], False),
        (["-"], False),
        (["."], False),
        (["example.com", "example.org"], False),
    ],
)
def test_what_is_a_domain(targets: list[str], domain: bool) -> None:
    assert described.is_domain(targets) is domain


def test_what_exists_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CheckInput(["example.com"], "default").next_step()
    (tmp_path / "example.com").mkdir()
    assert CheckInput(["example.com"], "default").next_step() == ""


def test_a_check_of_a_domain_ends_with_the_command_for_its_records() -> None:
    source = CheckInput(["example.com"], "mail", "Fastmail", ("receiving=my domain",))
    words = shlex.split(source.next_step())
    assert words[:5] == ["postroom", "records", "example.com", "--provider", "Fastmail"]
    assert words[5:] == ["--set", "receiving=my domain", "--missing"]
    assert source.stamp() == []


def test_a_domain_has_the_records_of_its_provider() -> None:
    found = CheckInput(["Example.COM"], "mail", "Fastmail").read()
    [(key, manifest)] = found.resources.items()
    assert (key.namespace, key.name) == ("mail", "example.com")
    assert manifest.raw["spec"] == {"domain": "example.com", "provider": "Fastmail"}
    assert found.complaints == []


@pytest.mark.parametrize(
    ("provider", "parameters", "said"),
    [("Fastmial", (), "Fastmail"), ("Fastmail", ("x=y",), "no parameter of Fastmail")],
)
def test_a_provider_or_value_that_is_not_known_is_said(
    provider: str, parameters: tuple[str, ...], said: str
) -> None:
    complaints = CheckInput(["example.com"], "mail", provider, parameters).read().complaints
    assert any(said in str(complaint) for complaint in complaints)


@pytest.mark.parametrize(
    "targets",
    [["example.com", "example.org"], ["a.yaml", "example.org"], ["example.org", "gone.yaml"]],
)
def test_a_domain_beside_others_is_not_called_a_file_that_is_gone(targets: list[str]) -> None:
    told = [str(complaint) for complaint in CheckInput(targets, "mail").read().complaints]
    astray = [target for target in targets if target.startswith("example.")]
    assert [line.split(":")[0] for line in told if "a domain is named alone" in line] == astray
    assert [line for line in told if "file or directory" in line] == [
        f"{target}: there is no such file or directory" for target in targets if "yaml" in target
    ]


@pytest.mark.parametrize("parameters", [("x",), ("=y",), ("a=1", "a=2")])
def test_flags_that_do_not_fit_are_refused(parameters: tuple[str, ...]) -> None:
    with pytest.raises(described.BadFlag):
        CheckInput(["example.com"], "mail", "Fastmail", parameters).read()
    with pytest.raises(described.BadFlag, match="go with a domain"):
        CheckInput(["a.yaml"], "mail", "Fastmail").read()

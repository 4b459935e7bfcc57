# SPDX-License-Identifier: Apache-2.0
"""Options of `postroom check` that must fit together, each slip one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.cli.check_options import BadOption, credentials_of, destination
from postroom.cli.formats.writing import Format
from postroom.cli.secret_stores import FROM_INPUT, SecretsFrom


def test_a_destination_is_a_format_and_a_file() -> None:
    assert destination("sarif=out/a=b.sarif") == (Format.SARIF, Path("out/a=b.sarif"))


@pytest.mark.parametrize("said", ["sarif", "sarif=", "=a.txt", "table=a.txt", "xml=a.xml", ""])
def test_what_is_no_destination(said: str) -> None:
    with pytest.raises(BadOption, match="--write takes FORMAT=FILE with a format of yaml, json, "):
        destination(said)


def test_nothing_said_is_the_input() -> None:
    assert credentials_of(False, None, None, None, None) == FROM_INPUT


@pytest.mark.parametrize(
    ("without", "source", "folder", "kubeconfig", "context", "says"),
    [
        (True, SecretsFrom.ENV, None, None, None, "leave --secrets-from out"),
        (False, SecretsFrom.DIR, None, None, None, "--secrets-dir FOLDER go together"),
        (False, None, Path(), None, None, "--secrets-dir FOLDER go together"),
        (False, SecretsFrom.DIR, Path("/nowhere"), None, None, "there is no such folder"),
        (False, SecretsFrom.ENV, None, Path("x"), None, "go with --secrets-from cluster"),
        (False, None, None, None, "x", "go with --secrets-from cluster"),
    ],
)
def test_options_that_do_not_fit(
    without: bool,
    source: SecretsFrom | None,
    folder: Path | None,
    kubeconfig: Path | None,
    context: str | None,
    says: str,
) -> None:
    with pytest.raises(BadOption, match=says):
        credentials_of(without, source, folder, kubeconfig, context)

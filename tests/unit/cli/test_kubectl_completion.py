# SPDX-License-Identifier: Apache-2.0
"""What a shell offers: verbs, options, kinds, names of the cluster, providers and codes.

Asked as the shells ask: of `postroom` by its environment, of the plugin by kubectl's own protocol.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.cli import kubectl_completion, main
from postroom.controller import client
from postroom.controller.client import ApiError, Listed

ROOT = Path(__file__).resolve().parents[3]


class Server:
    """An API server that knows some names; `asked` is of which kind and namespace."""

    namespace = "default"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.fails: Exception | None = None

    async def list_metadata(self, kind: Kind, namespace: str | None) -> dict[Key, Listed]:
        self.asked.append((kind.value, namespace))
        if self.fails is not None:
            raise self.fails
        names = {Kind.EMAIL_ACCOUNT: ("support", "sales", "news"), Kind.MAIL_SERVER: ("smtp",)}
        place = namespace or "any"
        return {Key(kind, place, name): Listed("u", "1") for name in names.get(kind, ("send",))}

    async def request(self, method: str, path: str) -> Mapping[str, Any]:
        assert (method, path) == ("GET", "/api/v1/namespaces")
        return {"items": [{"metadata": {"name": name}} for name in ("mail", "marketing", "other")]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()

    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[Server]:
        yield made

    monkeypatch.setattr(client, "connected", connected)
    return made


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sta"], ["status"]),
        (["sup"], ["support-bundle"]),
        (["verify", ""], ["sendingdomain/", "mailserver/", "emailaccount/"]),
        (["verify", "e"], ["emailaccount/"]),
        (["verify", "emailaccount/s"], ["emailaccount/sales", "emailaccount/support"]),
        (["status", "MailServers/"], ["MailServers/smtp"]),
        (["verify", "pods/"], []),
        (["records", "s"], ["send"]),
        (["sync", ""], ["news", "sales", "support"]),
        (["test", "su"], ["support"]),
        (["backfill", "x"], []),
        (["sync", "-n", "ma"], ["mail", "marketing"]),
        (["status", "--output", "j"], ["json"]),
    ],
)
def test_what_kubectl_is_offered(words: list[str], offered: list[str], server: Server) -> None:
    assert kubectl_completion.offers(words) == offered


def test_names_are_those_of_the_namespace_that_is_meant(server: Server) -> None:
    kubectl_completion.offers(["sync", ""])
    kubectl_completion.offers(["sync", "-n", "mail", ""])
    kubectl_completion.offers(["status", "-A", "emailaccount/"])
    assert [place for _, place in server.asked] == ["default", "mail", None]


@pytest.mark.parametrize(
    "failure", [ApiError("GET", 403, "x"), TimeoutError(), OSError("x"), ValueError("x")]
)
def test_a_cluster_that_does_not_answer_offers_nothing_and_says_nothing(
    failure: Exception, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fails = failure
    assert kubectl_completion.offers(["sync", ""]) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["sync", "su"], "support\n:4\n"),
        (["sync", "nobody"], ":4\n"),
        (["support-bundle", "--file", ""], ":0\n"),
        ([], None),
    ],
)
def test_kubectl_is_told_whether_files_may_stand_there(
    words: list[str],
    end: str | None,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As cobra understands it: 4 keeps the shell from offering files, 0 does not."""
    monkeypatch.setattr("sys.argv", ["kubectl_complete-postroom", *words])
    before = dict(os.environ)
    kubectl_completion.main()
    printed = capsys.readouterr().out
    assert dict(os.environ) == before
    if end is None:
        assert {"status", "verify", "records"} <= set(printed.splitlines())
    else:
        assert printed == end


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("postroom check example.com --provider Fastm", ["Fastmail"]),
        ("postroom explain SPF_MULT", ["SPF_MULTIPLE"]),
        ("postroom explain DKIMV", ["DKIMVerified"]),
    ],
)
def test_what_postroom_offers(
    words: str,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("_POSTROOM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        main.main([])
    assert capsys.readouterr().out.split() == offered


def test_kubectl_finds_the_program_by_its_name() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["kubectl_complete-postroom"] == "postroom.cli.entry:kubectl_complete_postroom"

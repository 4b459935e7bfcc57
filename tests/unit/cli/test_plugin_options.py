# SPDX-License-Identifier: Apache-2.0
"""What the verbs of kubectl postroom share: names of kinds, and how they end."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
import yaml

from postroom.api.names import Kind
from postroom.cli.auth import SignInTimeout, auth
from postroom.cli.cluster import NotAnswered, PluginError
from postroom.cli.main import run
from postroom.cli.options import ExitCode, Output
from postroom.cli.plugin_options import (
    TimeoutOption,
    edge,
    exit_unless_ready,
    kind_of,
    selected,
    show,
)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("sendingdomain", Kind.SENDING_DOMAIN),
        ("sendingdomains", Kind.SENDING_DOMAIN),
        ("SendingDomain", Kind.SENDING_DOMAIN),
        ("mailservers.postroom.dev", Kind.MAIL_SERVER),
        ("EMAILACCOUNTS", Kind.EMAIL_ACCOUNT),
    ],
)
def test_a_kind_is_known_by_the_words_of_kubectl(word: str, kind: Kind) -> None:
    assert kind_of(word) is kind


@pytest.mark.parametrize("word", ["", "pods", "mailserverss", "mailservers.example.dev"])
def test_another_word_is_answered_with_those_that_there_are(word: str) -> None:
    with pytest.raises(PluginError) as raised:
        kind_of(word)
    assert str(raised.value) == (
        f"{word} is no kind of postroom: use one of sendingdomain/NAME, mailserver/NAME, "
        "emailaccount/NAME."
    )


def ready(status: str, kind: str = "Ready") -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status}]}}


@pytest.mark.parametrize(
    ("objects", "well"),
    [
        ([], True),
        ([ready("True")], True),
        ([ready("True"), ready("False")], False),
        ([ready("Unknown")], False),
        ([ready("True", kind="Stalled")], False),
        ([{"status": {}}], False),
        ([{"status": None}], False),
        ([{}], False),
    ],
)
def test_all_must_be_ready(objects: list[dict[str, Any]], well: bool) -> None:
    if well:
        exit_unless_ready(objects)
        return
    with pytest.raises(typer.Exit) as ended:
        exit_unless_ready(objects)
    assert ended.value.exit_code == ExitCode.NOT_READY


@pytest.mark.parametrize(
    ("error", "code"),
    [(PluginError, ExitCode.BAD_INPUT), (NotAnswered, ExitCode.COULD_NOT_LOOK)],
)
def test_what_cannot_be_done_is_one_sentence(
    error: type[PluginError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        raise error("Nothing answers.")

    with pytest.raises(typer.Exit) as ended:
        edge(work())
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == "kubectl postroom: Nothing answers.\n"


def test_objects_are_printed_in_the_form_that_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metadata = {"namespace": "mail", "name": "smtp"}
    server = {"kind": "MailServer", "metadata": {**metadata, "managedFields": [{}]}, "spec": {}}
    shown = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"kind": "MailServer", "metadata": metadata}],
    }
    show([server], Output.JSON)
    assert json.loads(capsys.readouterr().out) == shown
    show([server], Output.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == shown
    show([server, server], Output.NAME)
    assert capsys.readouterr().out == "mailserver.postroom.dev/smtp\n" * 2
    show([], Output.NAME)
    assert capsys.readouterr().out == ""
    for output in (Output.TABLE, Output.WIDE):
        show([server], output)
        assert "smtp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("", []),
        ("sdom", [("SendingDomain", None)]),
        ("sdom a", [("SendingDomain", "a")]),
        # As kubectl: the name of a domain may be that of a kind.
        ("sdom mailserver", [("SendingDomain", "mailserver")]),
        ("sdom a b", [("SendingDomain", "a"), ("SendingDomain", "b")]),
        (
            "sdom msrv eacct",
            [("SendingDomain", None), ("MailServer", None), ("EmailAccount", None)],
        ),
        ("sdom,msrv", [("SendingDomain", None), ("MailServer", None)]),
        ("sdom,msrv a", [("SendingDomain", "a"), ("MailServer", "a")]),
        ("sdom/a msrv/b", [("SendingDomain", "a"), ("MailServer", "b")]),
        ("sdom/a msrv", [("SendingDomain", "a"), ("MailServer", None)]),
    ],
)
def test_objects_are_named_as_for_kubectl(words: str, meant: list[tuple[str, str | None]]) -> None:
    assert selected(words.split()) == meant


@pytest.mark.parametrize("words", ["pods", "pods a", "sdom,pods", "a sdom", "sdom/a,b/c x", ","])
def test_what_names_no_kind_is_refused(words: str) -> None:
    with pytest.raises(PluginError, match="is no kind of postroom"):
        selected(words.split())


@pytest.mark.parametrize("words", [["emailaccount/"], [""], ["sdom", ""], ["sdom/a", "msrv/"]])
def test_a_variable_that_is_not_set_does_not_mean_all_of_a_kind(words: list[str]) -> None:
    with pytest.raises(PluginError, match="names no object"):
        selected(words)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("60", 60),
        ("0.5", 0.5),
        ("90s", 90),
        ("1h30m", 5400),
        *(
            (wrong, None)
            for wrong in ("", "-1", "nan", "inf", "1e3", "soon", "5 m", "٣", "1.", ".5")
        ),
    ],
)
def test_a_time_to_wait_is_a_duration_or_seconds(
    given: str, seconds: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer(name="ask")
    waited: list[float] = []

    @app.command()
    def ask(timeout: TimeoutOption = 60) -> None:
        waited.append(timeout)

    with pytest.raises(SystemExit) as ended:
        run(app, ["--timeout", given])
    if seconds is None:
        assert ended.value.code == 2 and "must be a duration" in capsys.readouterr().err
    else:
        assert waited == [seconds]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("5m", 300), ("600", 600), ("30m", 1800), ("1s", 1), ("31m", None), ("0", None)],
)
def test_a_time_to_wait_may_be_bounded(
    given: str, seconds: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer(name="ask")
    waited: list[float] = []

    @app.command()
    def ask(timeout: SignInTimeout = 600) -> None:
        waited.append(timeout)

    with pytest.raises(SystemExit) as ended:
        run(app, ["--timeout", given])
    if seconds is None:
        assert ended.value.code == 2
        assert "must be between 1s and 30m" in capsys.readouterr().err
    else:
        assert waited == [seconds]


def test_a_sign_in_is_waited_for_as_other_things_are(capsys: pytest.CaptureFixture[str]) -> None:
    required = ["--provider", "google", "--client-id", "a", "--address", "a@example.com"]
    with pytest.raises(SystemExit) as ended:
        run(auth, ["login", *required, "--timeout", "31m"])
    assert ended.value.code == 2
    assert "must be between 1s and 30m" in capsys.readouterr().err

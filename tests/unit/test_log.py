# SPDX-License-Identifier: Apache-2.0
"""Log lines for machines and for people."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from postroom.controller.audit import Audit
from postroom.log import AUDIT, LogFormat, about, account_for, configure
from unit.controller.samples import SERVER, stored


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A stream for the lines; logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.getLogger(AUDIT).setLevel(logging.NOTSET)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_names_its_object(stream: io.StringIO) -> None:
    configure("info", LogFormat.JSON, stream)
    logging.getLogger("postroom.test").warning("it %s", "happened", extra=about(SERVER))
    entry = json.loads(stream.getvalue())
    assert entry["object"] == {"kind": "MailServer", "namespace": "mail", "name": "smtp"}
    assert (entry["level"], entry["message"]) == ("warning", "it happened")
    assert entry["logger"] == "postroom.test"
    assert entry["timestamp"].endswith("+00:00")


def test_an_exception_stays_on_its_json_line(stream: io.StringIO) -> None:
    configure("info", LogFormat.JSON, stream)
    logging.getLogger("postroom.test").error("failed", exc_info=RuntimeError("two\nlines"))
    assert stream.getvalue().count("\n") == 1
    assert "RuntimeError" in json.loads(stream.getvalue())["exception"]


def test_a_text_line_names_its_object(stream: io.StringIO) -> None:
    configure("info", LogFormat.TEXT, stream)
    logging.getLogger("postroom.test").info("done", extra=about(SERVER))
    assert stream.getvalue().endswith("INFO    MailServer mail/smtp: done\n")


@pytest.mark.parametrize("form", list(LogFormat))
@pytest.mark.parametrize("end", ["\n", "\r", "\x1b[2K\x1b[G", "\x85", "\u2028", "\x9b2K", "\u202e"])
def test_what_a_tenant_wrote_forges_no_line(stream: io.StringIO, form: LogFormat, end: str) -> None:
    configure("info", form, stream)
    token = f"now{end}12:00:00 INFO    EmailAccount shop/support: VerdictChanged"
    Audit().status_written(SERVER, stored(SERVER), {"lastHandledReconcileAt": token})
    written = stream.getvalue()
    assert written.count("RequestHandled") >= 1
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    if form is LogFormat.JSON:
        assert json.loads(written)["audit"]["token"] == token


def test_no_line_of_an_exception_looks_like_one_of_ours(stream: io.StringIO) -> None:
    configure("info", LogFormat.TEXT, stream)
    logging.getLogger("postroom.test").error("failed", exc_info=RuntimeError("a\n12:00:00 INFO"))
    assert all(line.startswith("    ") for line in stream.getvalue().splitlines()[1:])


def test_an_audit_line_is_told_at_any_level(stream: io.StringIO) -> None:
    configure("error", LogFormat.JSON, stream)
    logging.getLogger("postroom.test").info("not this")
    account_for([{"action": "MessageSent"}])
    entry = json.loads(stream.getvalue())
    assert (entry["logger"], entry["audit"]) == ("audit", {"action": "MessageSent"})


class _Pieces(io.StringIO):
    """Counts in how many pieces it was written."""

    number = 0

    def write(self, text: str, /) -> int:
        self.number += 1
        return super().write(text)


@pytest.mark.parametrize("form", list(LogFormat))
def test_what_one_status_tells_anew_is_a_line_each_and_written_at_once(form: LogFormat) -> None:
    root, pieces = logging.getLogger(), _Pieces()
    handlers, level = root.handlers[:], root.level
    try:
        configure("info", form, pieces)
        conditions = [
            {"type": type_, "status": "True", "reason": "Succeeded"} for type_ in ("Ready", "Other")
        ]
        Audit().status_written(SERVER, stored(SERVER), {"conditions": conditions})
        Audit().status_written(SERVER, stored(SERVER), {})
    finally:
        logging.getLogger(AUDIT).setLevel(logging.NOTSET)
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = pieces.getvalue().splitlines()
    assert ["condition Ready" in line for line in lines] == [True, False]
    assert ["condition Other" in line for line in lines] == [False, True]
    assert pieces.number == 1
    if form is LogFormat.JSON:
        entries = [json.loads(line) for line in lines]
        assert [entry["audit"]["condition"] for entry in entries] == ["Ready", "Other"]
        assert {entry["object"]["name"] for entry in entries} == {"smtp"}
        assert entries[0]["message"].startswith("VerdictChanged: condition Ready, from None, to ")
    else:
        assert all("MailServer mail/smtp: VerdictChanged: " in line for line in lines)


def test_the_object_of_a_record_of_kopf_is_shown_too(stream: io.StringIO) -> None:
    configure("info", LogFormat.JSON, stream)
    place = {"kind": "MailServer", "namespace": "mail", "name": "smtp"}
    logging.getLogger("kopf").error("trouble", extra={"k8s_ref": place})
    assert json.loads(stream.getvalue())["object"] == place


@pytest.mark.parametrize("name", ["kopf.objects", "aiohttp.access", "aioimaplib.aioimaplib"])
@pytest.mark.parametrize("level", ["debug", "info"])
def test_talkative_libraries_are_quiet_at_any_level(
    stream: io.StringIO, name: str, level: str
) -> None:
    configure(level, LogFormat.TEXT, stream)
    logging.getLogger(name).info("a password, perhaps")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("level", "shown"), [("info", False), ("debug", True)])
def test_tracebacks_of_kopf_are_for_debugging(stream: io.StringIO, level: str, shown: bool) -> None:
    configure(level, LogFormat.JSON, stream)
    logging.getLogger("kopf.reactor").error("failed", exc_info=RuntimeError("why"))
    assert ("exception" in json.loads(stream.getvalue())) is shown

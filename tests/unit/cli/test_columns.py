# SPDX-License-Identifier: Apache-2.0
"""A table at any width: names and verdicts are whole, and what gives way is the rest."""

import io
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from postroom.cli import columns, table

NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=63)
TEXTS = st.text(string.ascii_letters + ".@-", min_size=1, max_size=80) | st.just("\u4f8b.example")
VERDICTS = st.sampled_from(["True", "False", "Unknown"])
KINDS = st.sampled_from(["SendingDomain", "MailServer", "EmailAccount"])
NAMESPACES, SEVERAL = st.sampled_from(["mail", "shop"]), st.lists(NAMES, min_size=1, max_size=5)


@st.composite
def objects(draw: st.DrawFn) -> list[dict[str, Any]]:
    kind, found = draw(KINDS), []
    for name in draw(SEVERAL):
        ready = {"type": "Ready", "status": draw(VERDICTS), "reason": draw(TEXTS)}
        checks = [
            {"type": each, "status": draw(VERDICTS)}
            for each in ("TLSVerified", "SMTPAuthenticated", "SPFVerified", "DKIMVerified")
        ]
        text = draw(TEXTS)
        found.append(
            {
                "kind": kind,
                "metadata": {"namespace": draw(NAMESPACES), "name": name},
                "spec": {"domain": text, "host": text, "address": text},
                "status": {"conditions": [ready, *checks], "serverName": draw(NAMES)},
            }
        )
    return found


@given(objects(), st.integers(40, 200))
def test_names_and_verdicts_are_never_cut(found: list[dict[str, Any]], width: int) -> None:
    out = io.StringIO()
    table.show(Console(file=out, width=width), found, details=False)
    _, heading, *rows = out.getvalue().splitlines()
    several = len({each["metadata"]["namespace"] for each in found}) > 1
    place = heading.split().index("READY")
    for each, row in zip(found, rows, strict=True):
        metadata, words = each["metadata"], row.split()
        whole = [metadata["namespace"], metadata["name"]] if several else [metadata["name"]]
        assert words[: len(whole)] == whole
        assert words[place] == each["status"]["conditions"][0]["status"]
    longest = max(len(each["metadata"]["name"]) for each in found)
    if longest + (11 if several else 0) + 9 <= width:
        assert all(cell_len(line) <= width for line in (heading, *rows))


@given(objects())
def test_where_there_is_room_nothing_is_shortened_or_left_out(found: list[dict[str, Any]]) -> None:
    out = io.StringIO()
    table.show(Console(file=out, width=400), found, details=False)
    text = out.getvalue()
    assert "\u2026" not in text
    assert all(each["status"]["conditions"][0]["reason"] in text for each in found)


def test_the_longest_free_text_gives_way_first() -> None:
    cells = {
        "NAME": [Text("web")],
        "HOST": [Text("h" * 40)],
        "READY": [Text("True")],
        "SERVER": [Text("s" * 20)],
    }
    shown = columns.Columns(cells).widths(60)
    assert shown == {"NAME": 4, "HOST": 25, "READY": 5, "SERVER": 20}


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "\u2713\u2717?-"), ("ascii", "yesno?-"), ("latin-1", "yesno?-")],
)
def test_marks_where_the_output_has_them(encoding: str, shown: str) -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding))
    marks = [columns.mark(status, console) for status in ("True", "False", "Unknown", "")]
    assert "".join(each.plain for each in marks) == shown


def test_an_output_without_an_ellipsis_gets_what_it_can_show() -> None:
    stream = io.BytesIO()
    file = io.TextIOWrapper(stream, "ascii")
    row = {"NAME": "web", "READY": "True", "HOST": "h" * 60}
    cells = {name: [Text(text)] for name, text in row.items()}
    columns.Columns(cells).print(Console(file=file, width=40))
    file.flush()
    assert stream.getvalue().decode("ascii").splitlines()[1].endswith("hhh~")


def test_no_cell_begins_a_line() -> None:
    out = io.StringIO()
    kind, metadata = "SendingDomain", {"namespace": "mail", "name": "a"}
    spec = {"domain": "a\n::error::x"}
    table.show(Console(file=out, width=200), [{"kind": kind, "metadata": metadata, "spec": spec}])
    assert not any(line.startswith("::") for line in out.getvalue().splitlines())

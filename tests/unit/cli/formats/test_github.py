# SPDX-License-Identifier: Apache-2.0
"""Commands for GitHub's runner, read back by its own rules."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given

from postroom.cli.formats import github
from postroom.cli.formats.remarks import Remark
from postroom.cli.formats.results import CheckResult, path_of
from postroom.cli.text_places import Region, Spot
from postroom.log import without_commands
from unit.cli.formats import made


def read_back(line: str) -> tuple[str, dict[str, str], str]:
    """As the runner does it (actions/runner, ActionCommand.TryParseV2): it unescapes ``%25`` last,
    properties also of ``%3A`` and ``%2C``."""
    found = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert found is not None, line
    command, properties, message = found.groups()
    pairs = (each.split("=", 1) for each in properties.split(","))
    marks = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

    def unescaped(text: str, names: list[str]) -> str:
        for name in names:
            text = text.replace(name, marks[name])
        return text

    read = {name: unescaped(value, list(marks)) for name, value in pairs}
    return command, read, unescaped(message, ["%0D", "%0A", "%25"])


@given(made.ANY_REMARK)
def test_any_message_survives_and_nothing_begins_a_command_of_its_own(remark: Remark) -> None:
    line = github.command(remark)
    assert "\n" not in line and "\r" not in line
    _, properties, message = read_back(line)
    assert message == without_commands(remark.sentence)
    file = path_of(remark.file) if remark.file else ""
    assert properties.get("file", "") == without_commands(file)
    assert properties["title"].startswith(remark.code)


def test_an_annotation_says_where_and_what() -> None:
    assert read_back(github.command(made.BROKEN)) == (
        "error",
        {
            "file": "mail/domain.yaml",
            "line": "6",
            "col": "3",
            "endLine": "6",
            "endColumn": "20",
            "title": "SPF_MISSING: SendingDomain mail/example spec.spf",
        },
        "There is no TXT at example.com.\nFix: Create: add TXT example.com v=spf1 -all",
    )
    assert read_back(github.command(made.ADVICE))[0] == "notice"
    assert read_back(github.command(made.UNREAD))[1]["file"] == "bad, file:1.yaml"


def test_of_several_lines_no_columns_are_told() -> None:
    over = replace(made.BROKEN, region=Region(Spot(1, 2, 2), Spot(3, 4, 4)))
    _, properties, _ = read_back(github.command(over))
    assert {name for name in properties if "ol" in name} == set()
    assert (properties["line"], properties["endLine"]) == ("1", "3")


def test_there_is_a_line_for_each_remark() -> None:
    result = CheckResult([], [made.BROKEN, made.ADVICE], 1)
    assert github.commands(result).count("\n") == 2
    assert github.commands(CheckResult([], [], 0)) == ""

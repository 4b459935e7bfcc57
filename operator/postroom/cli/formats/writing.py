# SPDX-License-Identifier: Apache-2.0
"""From a result to the text of a format."""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum

from postroom.cli.formats import as_json, github, gitlab, junit, sarif
from postroom.cli.formats.results import CheckResult
from postroom.cli.yaml_output import yaml_of
from postroom.log import visible, without_commands


class Format(StrEnum):
    """The forms of a result."""

    TABLE = "table"
    YAML = "yaml"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"


def _indented(value: object) -> str:
    return without_commands(json.dumps(value, indent=2)) + "\n"


_WRITERS: Mapping[Format, Callable[[CheckResult], str]] = {
    Format.JSON: lambda result: _indented(as_json.report(result)),
    Format.YAML: lambda result: yaml_of(as_json.report(result)),
    Format.SARIF: lambda result: _indented(sarif.sarif(result)),
    Format.JUNIT: junit.junit,
    Format.GITHUB: github.commands,
    Format.GITLAB: lambda result: _indented(gitlab.code_quality(result)),
}


def text_of(result: CheckResult, output: str) -> str:
    """The text of a format that has one: a table is drawn for a terminal.

    What a format would write as it is can be seen all the same: many look at it in a terminal.
    """
    return visible(_WRITERS[Format(output)](result), kept="\n\t")

# SPDX-License-Identifier: Apache-2.0
"""Every format but the table has a text, and the ones that are JSON or YAML are."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postroom.cli.formats import as_json
from postroom.cli.formats.writing import Format, text_of
from postroom.cli.options import Output
from unit.cli.formats import made


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.TABLE])
def test_every_format_has_a_text_that_ends_with_its_last_line(form: Format) -> None:
    text = text_of(made.RESULT, form)
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_json_and_yaml_say_the_same() -> None:
    by_json = json.loads(text_of(made.RESULT, Format.JSON))
    by_yaml = yaml.load(text_of(made.RESULT, Format.YAML), Loader=yaml.CSafeLoader)
    assert by_json == by_yaml == as_json.report(made.RESULT)


def test_the_forms_of_all_verbs_are_among_them() -> None:
    """But for those that are about objects of a cluster, as kubectl has them."""
    of_a_cluster = {Output.NAME.value, Output.WIDE.value}
    assert {form.value for form in Output} - of_a_cluster <= {form.value for form in Format}


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.TABLE])
def test_what_is_quoted_steers_no_terminal(form: Format) -> None:
    odd = "a\x1b[2J\x9bb\u202ec\x7fd\u2066"
    remark = replace(made.BROKEN, message=odd, fix=odd, file=odd, subject=odd)
    ready = {**made.condition("Ready", "False"), "message": odd}
    result = replace(made.RESULT, remarks=[remark], objects=[made.raw("example", ready)])
    text = text_of(result, form)
    assert {mark for mark in text if not mark.isprintable()} <= {"\n", "\t"}
    if form is Format.JUNIT:
        ElementTree.fromstring(text)  # noqa: S314 - our own


#: What GitHub's runner takes for a command (actions/runner: ActionCommand.TryParseV2 and TryParse),
#: and Azure Pipelines' (`##[error]`, `##vso[task...]`).
#: Both read line by line.
COMMAND = re.compile(r"^\s*::(?P<verb>[^:\s]+)[^:\n]*.*::|##(vso)?\[", re.MULTILINE)
SHREDS = ("##[error]", "##vso[task.x]y", "::set-output name=a::b", "::", "#", "[", "\n", " ", "\\")
ODD = st.lists(st.sampled_from(SHREDS), max_size=6).map("".join)


@given(message=ODD, fix=ODD, file=ODD, subject=ODD)
def test_nothing_that_is_quoted_is_a_command_to_a_runner(
    message: str, fix: str, file: str, subject: str
) -> None:
    remark = replace(made.BROKEN, message=message, fix=fix, file=file, subject=subject)
    ready = {**made.condition("Ready", "False"), "message": message}
    result = replace(
        made.RESULT, remarks=[remark, made.UNREAD], objects=[made.raw("example", ready)]
    )
    for form in set(Format) - {Format.TABLE}:
        found = list(COMMAND.finditer(text_of(result, form)))
        ours = 2 if form is Format.GITHUB else 0
        assert [command["verb"] for command in found] == ["error"] * ours, form
    # And it is read back as it was.
    for read in (
        json.loads(text_of(result, Format.JSON)),
        yaml.load(text_of(result, Format.YAML), Loader=yaml.CSafeLoader),
    ):
        assert read == as_json.report(result)
    root = ElementTree.fromstring(text_of(result, Format.JUNIT))  # noqa: S314
    (failure,) = root.iter("failure")
    assert failure.attrib["message"] == message


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.TABLE])
def test_any_name_of_a_file_can_be_written(form: Format) -> None:
    remarks = [replace(made.BROKEN, file=os.fsdecode(b"a\xff\n::error::x.yaml"))]
    text = text_of(replace(made.RESULT, remarks=remarks), form)
    assert text.encode()
    assert not any(line.startswith("::error::") for line in text.splitlines())

# SPDX-License-Identifier: Apache-2.0
"""The files of presets: what they may say, and broken ones, which are refused by place."""

from __future__ import annotations

import re

import pytest

from postroom.api.data_files import InvalidData, validate
from postroom.api.mailserver import TLSMode
from postroom.api.presets import placeholders
from postroom.mail.presets import (
    preset,
    providers,
)
from postroom.mail.presets.model import Preset


@pytest.mark.parametrize("name", providers())
def test_ports_and_modes_go_together(name: str) -> None:
    chosen = preset(name)
    for row in (*chosen.smtp, *chosen.imap):
        if row.port in (465, 993):
            assert row.tls is TLSMode.IMPLICIT
        if row.port in (25, 143, 587):
            assert row.tls is TLSMode.START_TLS


def good() -> str:
    return """name: Example
title: "Example"
documentation: "https://example.com/help"
source: "https://example.com/servers"
checked: 2026-11-21
parameters:
  - {name: site, description: "Site.", pattern: "a|b", example: "a", default: "a", enum: ["a", "b"]}
smtp:
  - {host: "smtp.{site}.example", port: 465, tls: Implicit, when: {site: a}}
smtpUsername: {form: Address, sentence: "be the address"}
ways: [Password]
"""


def test_a_good_file_is_read() -> None:
    assert validate("x.yaml", good(), Preset).known_hosts() == ("smtp.{site}.example",)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("ways:", "weys: []\nways:", "weys"),
        ("port: 465", "port: 70000", "smtp.0.port"),
        ("tls: Implicit", "tls: None", "always uses TLS"),
        ("{site: a}", "{site: c}", "is not in the enum"),
        ("smtp.{site}", "smtp.{place}", "there is no parameter place"),
        ("ways: [Password]", "ways: [OAuth]", "oauth names"),
        ("form: Address", "form: Fixed", "value is of the form Fixed"),
        ("form: Address", "form: LocalPart", "domains are of"),
        ("form: Address", 'form: Address, pattern: "("', "no regular expression"),
        ('pattern: "a|b"', 'pattern: "a"', "do not accept 'b'"),
        ("ways: [Password]", "ways: [Password]\nimapWays: [OAuth]", "imapWays names"),
        ("2026-11-21", "soon", "checked"),
        ("https://example.com/servers", "word of mouth", "source"),
        ("ways: [Password]", "ways: [Password]\nimap: [{host: i, port: 993, tls: Implicit}]",
         "imapUsername must be given"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_by_place(old: str, new: str, place: str) -> None:
    assert old in good()
    with pytest.raises(InvalidData, match=re.escape(place)):
        validate("x.yaml", good().replace(old, new), Preset)


def test_no_host_is_known_by_two_names() -> None:
    seen: dict[str, str] = {}
    for name in providers():
        for template in preset(name).known_hosts():
            assert seen.setdefault(template, name) == name
            assert placeholders(template) <= {
                parameter.name for parameter in preset(name).parameters
            }

# SPDX-License-Identifier: Apache-2.0
"""Every code that can stand in a finding is explained: those of the catalogues, and those that the
source of the mail side writes, which is read here form by form so that none is overlooked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import postroom
from postroom.api.reasons import Reason
from postroom.cli.explain import entries
from postroom.dns.findings import catalogue as dns_catalogue
from postroom.mail.finding_meanings import catalogue as mail_catalogue
from postroom.mail.replies.causes import Cause

PACKAGE = Path(postroom.__file__).parent
#: What builds a finding, with its code as `code` or as the first argument.
BUILDERS = {"Finding", "MessageWarning", "_finding", "_failure"}


def sources() -> Iterator[Path]:
    for part in ("mail", "reconcile", "controller", "api"):
        yield from sorted((PACKAGE / part).rglob("*.py"))


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module names, also by ``A, B = "a", "b"``."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = value.elts if isinstance(value, ast.Tuple) else [value]
            for name, text in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
                    found[name.id] = str(text.value)
    return found


def built(tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions for the codes of all the findings that a module builds."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        # Also of a module that is imported whole.
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in BUILDERS:
            named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            yield from named or node.args[:1]


@cache
def codes() -> dict[str, Path]:
    """Every code that is written out, by where; fails at a form that this test does not know."""
    found = {}
    for path in sources():
        tree = ast.parse(path.read_text())
        known = constants(tree)
        for code in built(tree):
            match code:
                case ast.Constant(value=str(text)):
                    found[text] = path
                case ast.Name(id=name) if name in known:
                    found[known[name]] = path
                case ast.Name(id="code") | ast.Attribute(attr="name" | "code"):
                    pass  # a parameter, whose callers are seen; a member; another finding's
                case ast.Call(func=ast.Name(id="code_of") | ast.Attribute(attr="code_of")):
                    pass  # a reason
                case _:
                    pytest.fail(f"{path.name}: what code is {ast.unparse(code)}?")
    return found


def test_every_code_in_the_source_is_explained() -> None:
    missing = {code: path.name for code, path in codes().items() if code not in entries()}
    assert missing == {}


def test_the_source_is_really_read() -> None:
    assert {"CERTIFICATE_EXPIRING_SOON", "MAIL_LOOP", "DMARC_FAILED_AT_RECEIVER"} <= set(codes())


@pytest.mark.parametrize("names", [Reason, Cause])
def test_every_reason_and_cause_is_explained_by_both_names(
    names: type[Reason] | type[Cause],
) -> None:
    known = entries()
    assert [name.name for name in names if name.name not in known or name.value not in known] == []


def test_every_code_of_the_catalogues_is_explained() -> None:
    assert set(dns_catalogue()) | set(mail_catalogue()) <= set(entries())


def test_the_catalogue_of_mail_has_nothing_that_is_never_found() -> None:
    assert set(mail_catalogue()) <= set(codes())


def test_no_code_of_mail_is_explained_twice() -> None:
    others = {one.name for one in (*Reason, *Cause)} | set(dns_catalogue())
    assert set(mail_catalogue()) & others == set()

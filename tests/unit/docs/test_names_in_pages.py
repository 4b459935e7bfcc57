# SPDX-License-Identifier: Apache-2.0
"""What a sentence names is there: flags, fields of spec and status, codes, annotations and files.

Command lines are held to the programs by test_commands_in_pages.py.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main

from postroom.api.crd import definition
from postroom.api.names import Kind
from postroom.cli import explain, main, plugin
from unit.docs.reading import OF_NOW, ROOT, name_of, spans

#: Options of other programs that sentences name.
OF_OTHERS = {
    *("--force-conflicts", "--keep", "--registry", "--require-hashes", "--take-ownership"),
    *("--custom-resource-state-config-file", "--managed-record-types", "--field-selector"),
    *("--status-include-resources", "--reset-then-reuse-values", "--reuse-values"),
    *("--server-side", "--help"),
}
#: What stands in capital letters, and is no code: of systems, or to be filled in.
NO_CODES = {
    *("OUTPUT_DIR", "SITE_URL", "BASE_ROOTFS", "GITHUB_OUTPUT", "CLOCK_BOOTTIME", "YOUR_TOKEN"),
    *("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "KUBEBUILDER_ASSETS"),
    *("HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "TLS_AES_256_GCM_SHA384"),
}
_OPTION = re.compile(r"--[a-z][a-z-]+[a-z]")
_FIELD = re.compile(r"(spec|status)((?:\.[a-zA-Z]+(?:\[\])?)+)")
_CODE = re.compile(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+")
_FILE = re.compile(r"(?:manifests|charts|crds|image|schemas|tests)(?:/[\w-]+)+(?:\.\w+)*")


def options_of(command: Any, path: str = "") -> Iterator[str]:
    """Every option of a program and its verbs."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    if hasattr(command, "list_commands"):
        context = command.context_class(command, info_name=path)
        for verb in command.list_commands(context):
            yield from options_of(command.get_command(context, verb), verb)


def fields_of(schema: Mapping[str, Any]) -> Iterator[str]:
    """Every field at any depth, by its name."""
    inner = [*(schema.get("properties") or {}).items(), ("", schema.get("items"))]
    for name, under in (*inner, ("", schema.get("additionalProperties"))):
        if isinstance(under, Mapping):
            yield name
            yield from fields_of(under)


OPTIONS = {
    option for app in (main.app, plugin.app) for option in options_of(typer.main.get_command(app))
}
SCHEMAS = [
    definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for kind in Kind
]
FIELDS = {
    part: {name for schema in SCHEMAS for name in fields_of(schema[part])}
    for part in ("spec", "status")
}
CODES = set(explain.entries())


def unknown_names(text: str) -> list[str]:
    """Return what stands as code in sentences of a page, and is not there."""
    wrong = []
    for line, span in spans(text):
        option, field = _OPTION.fullmatch(span), _FIELD.fullmatch(span)
        if option and option[0] not in OPTIONS | OF_OTHERS:
            wrong.append(f"{line}: {span} is no flag")
        if field:
            parts = field[2].replace("[]", "").strip(".").split(".")
            if not FIELDS[field[1]].issuperset(parts):
                wrong.append(f"{line}: {span} is no field")
        if _CODE.fullmatch(span) and span not in CODES | NO_CODES and "POSTROOM_" not in span:
            wrong.append(f"{line}: {span} is no code")
        if _FILE.fullmatch(span) and not (ROOT / span).exists():
            wrong.append(f"{line}: {span} is not there")
    return wrong


def test_the_contract_names_every_field_of_a_finding() -> None:
    page = (ROOT / "docs" / "status.md").read_text("utf-8")
    (rows,) = re.findall(r"^\| A finding has .*\n\|.*\n((?:\|.*\n)+)", page, re.M)
    told = re.findall(r"`([\w.]+)`", "\n".join(row.split("|")[1] for row in rows.splitlines()))
    finding = SCHEMAS[0]["status"]["properties"]["findings"]["items"]["properties"]
    fix = [f"fix.{name}" for name in finding["fix"]["properties"]]
    assert sorted(told) == sorted([*finding.keys() - {"fix"}, *fix])
    for name in finding["fix"]["properties"]["remove"]["items"]["properties"]:
        assert f"`{name}`" in next(row for row in rows.splitlines() if "fix.remove" in row)


@pytest.mark.parametrize("page", OF_NOW, ids=name_of)
def test_every_name_in_a_page_is_there(page: Path) -> None:
    assert unknown_names(page.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`--watch-secrets`, `--namespace`, `--exit-code`, `--no-leader-election`", 0),
        ("`--namespaces`", 1),
        ("`spec.tls.mode`, `status.records[].hostLabel`", 0),
        ("`spec.tls.modes`, `status.record[].hostLabel`", 2),
        ("`SPF_MULTIPLE`, `SECRET_NOT_FOUND`, `POSTROOM_UI`", 0),
        ("`SPF_MULTIPLES`", 1),
        ("`manifests/install/ui`, `manifests/install/uis`", 1),
    ],
)
def test_a_name_that_is_not_there_is_found(text: str, wrong: int) -> None:
    assert len(unknown_names(text)) == wrong


def classes_in(path: str) -> set[str]:
    """The names of classes of a file of the package, without the underscore of private ones."""
    tree = ast.parse((ROOT / "operator/postroom" / path).read_text("utf-8"))
    return {node.name.lstrip("_") for node in tree.body if isinstance(node, ast.ClassDef)}


def test_a_word_of_several_meanings_is_in_the_files_that_are_named() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M)
    assert len(rows) > 20
    for name, meanings in rows:
        files = re.findall(r"`([\w/]+\.py)`", meanings)
        assert len(files) > 1, name
        assert [path for path in files if name not in classes_in(path)] == [], name


def test_what_imports_aioimaplib_is_the_module_that_the_decision_names() -> None:
    text = (ROOT / "docs/decisions/0005-imap-adapter.md").read_text("utf-8")
    named = re.findall(r"imported in one module, `([\w.]+)`", text)
    importing = re.compile(r"^\s*(?:from|import) aioimaplib\b", re.M)
    source = ROOT / "operator"
    found = [
        ".".join(path.relative_to(source).with_suffix("").parts)
        for path in source.rglob("*.py")
        if importing.search(path.read_text("utf-8"))
    ]
    assert found == named

# SPDX-License-Identifier: Apache-2.0
"""The chart as data: what is generated is fresh, no flag of the operator is forgotten, and nothing
but what stands in values.yaml may be set.

That it renders, and the same as the kustomizations, is shown by tests/lab/test_chart.py.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import typer.main
import yaml

from postroom import __version__
from postroom.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "postroom"
VALUES = yaml.load((CHART / "values.yaml").read_text(), Loader=yaml.CSafeLoader)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
#: What Kubernetes or the Prometheus Operator reads, and this chart does not know.
OPEN = {"any", "volume"}


@cache
def generator() -> ModuleType:
    location = importlib.util.spec_from_file_location("chart", ROOT / "charts" / "generate.py")
    assert location is not None
    assert location.loader is not None
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


def options() -> set[str]:
    """The names of the options of `postroom run`."""
    group: Any = typer.main.get_command(app)
    command = group.get_command(group.make_context("postroom", ["run"]), "run")
    return {option.name for option in command.params if option.name != "help"}


@cache
def made() -> dict[Path, str]:
    texts: dict[Path, str] = generator().made()
    return texts


def objects(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object, by its place."""
    if schema.get("type") == "object":
        yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from objects(part, f"{where}.{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{where}[]")


def test_what_is_generated_is_fresh() -> None:
    stale = [path.name for path, text in made().items() if path.read_text() != text]
    assert stale == [], "run `make crds`"


def test_no_copy_is_left_over() -> None:
    assert generator().left_over(made()) == []


def test_every_flag_of_the_operator_is_a_value() -> None:
    # Of the Pods of a StatefulSet each has a shard of its own.
    flags = {generator().value_name(name) for name in options() if name != "shard"}
    assert set(VALUES["settings"]) == flags
    assert VALUES["shards"] == 1
    assert len(flags) > 30


def test_the_version_is_that_of_the_package() -> None:
    chart = yaml.load((CHART / "Chart.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    (image,) = yaml.load(chart["annotations"]["artifacthub.io/images"], Loader=yaml.CSafeLoader)
    assert image["image"] == f"{VALUES['image']['repository']}:{__version__}"


def test_artifact_hub_is_told_of_every_kind_with_an_example() -> None:
    annotations = yaml.load((CHART / "Chart.yaml").read_text(), Loader=yaml.CSafeLoader)[
        "annotations"
    ]
    kinds = {
        kind["kind"]
        for kind in yaml.load(annotations["artifacthub.io/crds"], Loader=yaml.CSafeLoader)
    }
    examples = yaml.load(annotations["artifacthub.io/crdsExamples"], Loader=yaml.CSafeLoader)
    assert kinds == {"SendingDomain", "MailServer", "EmailAccount"}
    assert {example["kind"] for example in examples} == kinds


def test_every_object_of_the_schema_is_closed() -> None:
    definitions = {
        f"$defs.{name}": schema for name, schema in SCHEMA["$defs"].items() if name not in OPEN
    }
    found = [
        *objects(SCHEMA),
        *(each for name in definitions for each in objects(definitions[name], name)),
    ]
    assert len(found) > 20
    # What a chart that depends on this one shares with all.
    assert [name for name, each in found if each.get("additionalProperties") is not False] == [
        ".global"
    ]


def test_every_value_is_described() -> None:
    rows = [
        line.split(" | ")
        for line in (CHART / "README.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) > 90
    assert [row[0] for row in rows if len(row) < 3 or not row[2].strip(" |")] == []

# SPDX-License-Identifier: Apache-2.0
"""What `make docs` makes of code and manifests says all that there is to say.

Covers: each field of each kind has a section with an example that is valid; each flag, metric, verb
and role has its place. That no page is stale is held by `tests/unit/api/test_docs.py`.
"""

from typing import Any

import pytest
import yaml

from made import commands, conditions, fields, flags, metrics, roles
from made.page import notes
from postroom.api.conditions import ConditionType
from postroom.api.crd import definition
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.deliver_settings import OWN, SHARED
from postroom.settings import Settings, flag


def schema(kind: Kind) -> dict[str, Any]:
    crd = definition(kind)
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return found


@pytest.mark.parametrize("kind", Kind)
def test_every_field_has_a_place_and_every_field_of_a_spec_an_example(kind: Kind) -> None:
    text = fields.pages()[f"reference/{kind.value.lower()}.md"]
    sections = dict(part.split("`\n", 1) for part in text.split("### `")[1:])
    found = list(fields.fields(schema(kind)["spec"], "spec"))
    assert list(sections) == [path for path, _, _ in found]
    assert [path for path, section in sections.items() if "- Example: `" not in section] == []


@pytest.mark.parametrize("kind", Kind)
def test_every_field_of_a_status_has_the_example_that_was_captured_or_none(kind: Kind) -> None:
    text = fields.pages()[f"reference/{kind.value.lower()}.md"].split("## Status")[1]
    rows = {row.split("`")[1]: row.split(" | ") for row in text.splitlines() if "| `status" in row}
    # Its own, then what other kinds have in a field that they share.
    objects = [each for owner in (kind, *Kind) for each in fields.captured(owner)]
    found = list(fields.fields(schema(kind)["status"], "status"))
    assert list(rows) == [path for path, _, _ in found]
    for path, field, _ in found:
        *_, example = rows[path]
        assert len(rows[path]) == 4, path
        occurs = fields.status_example(path, objects) != ""
        assert "`''`" not in example and "`[]`" not in example, path
        assert bool(example.strip(" |")) == (occurs and not fields.has_fields(field)), path


def test_the_example_of_a_status_is_the_first_that_says_something_and_is_short() -> None:
    objects = [{"status": {"a": ""}}, {"status": {"a": "x" * 101}}, {"status": {"a": "y"}}]
    assert fields.status_example("status.a", objects) == "y"
    assert fields.status_example("status.a", objects[:1]) == ""
    assert fields.status_example("status.a", objects[:2]) == "x" * 100 + "…"
    assert fields.status_example("status.b", objects) == ""
    listed = [{"status": {"a": [{"b": []}, {"b": [False]}]}}]
    assert fields.status_example("status.a[].b", listed) == "[false]"


@pytest.mark.parametrize("kind", Kind)
def test_what_was_captured_has_only_fields_that_there_are(kind: Kind) -> None:
    known = {path for path, _, _ in fields.fields(schema(kind)["status"], "status")}
    captured = [resource["status"] for resource in fields.captured(kind)]
    assert {f"status.{name}" for status in captured for name in status} <= known
    assert any(status.get("findings") for status in captured)


@pytest.mark.parametrize("kind", Kind)
def test_the_examples_of_fields_are_valid_and_say_only_what_is_read(kind: Kind) -> None:
    known = {path for path, _, _ in fields.fields(schema(kind)["spec"], "spec")}
    for resource in fields.examples(kind):
        parse_spec(kind, resource["spec"])
        assert resource["kind"] == kind.value
        assert {f"spec.{name}" for name in resource["spec"]} <= known


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.a", {"b": [{"c": 1}, {"d": {"e": "x"}}]}),
        ("spec.a.b[].c", 1),
        ("spec.a.b[].d.*", "x"),
        ("spec.b", 2),
        ("spec.c", None),
        ("spec.a.b[].f", None),
    ],
)
def test_an_example_is_the_first_that_says_something(path: str, value: object) -> None:
    resources: list[dict[str, Any]] = [
        {"spec": {"a": {"b": [{"c": 1}, {"d": {"e": "x"}}]}}},
        {"spec": {"a": {"b": []}, "b": 2}},
    ]
    assert fields.example_of(path, resources) == value


def test_rules_bounds_defaults_and_choices_of_a_field_are_told() -> None:
    text = fields.pages()["reference/sendingdomain.md"]
    domain = text.split("### `spec.domain`")[1].split("###")[0]
    assert "- Required" in domain
    assert "- Bounds: at most 253 characters" in domain
    assert "- Rule: must be a domain name such as send.example.com" in domain
    assert "- Example: `send.example.com`" in domain
    policy = text.split("### `spec.dmarc.policy`")[1].split("###")[0]
    assert "- Type: string: `none`, `quarantine`, `reject`" in policy
    assert '- Default: `"none"`' in policy


def test_every_condition_and_every_flag_has_its_place() -> None:
    text = conditions.pages()["reference/conditions.md"]
    assert all(f"| `{kind.value}` |" in text for kind in ConditionType)
    text = flags.pages()["reference/flags.md"]
    for name in Settings.model_fields:
        keys = name in ("ownership_key", "earlier_ownership_keys")
        assert (f"## `POSTROOM_{name.upper()}`" if keys else f"## `{flag(name)}`") in text
    assert "- Default: `10m`" in text
    assert "- Default: `0.0.0.0:8080`" in text
    assert "- Default: `0/1`" in text
    assert "- One of: `debug`, `info`, `warning`, `error`" in text


def test_the_worker_has_its_flags_and_metrics_there() -> None:
    text = flags.pages()["reference/flags.md"].partition("## Of postroom deliver\n")[2]
    assert all(f"[`{flag(name)}`](#{flag(name)})" in text for name in SHARED)
    assert all(f"### `{flag(name)}`" in text for name in OWN)
    assert "- Default: `128Mi`" in text
    text = metrics.pages()["reference/metrics.md"].partition("## Of postroom deliver\n")[2]
    for name in ("delivered_total", "waiting", "lag_seconds", "spool_bytes"):
        assert f"| `postroom_deliver_{name}` |" in text


def test_every_verb_has_its_place_with_its_options_and_examples() -> None:
    text = commands.pages()["reference/postroom.md"]
    for verb in ("check", "run", "records", "crds", "explain", "auth login", "lab", "demo"):
        assert f"\n## postroom {verb}\n" in text
    assert "| `--output`, `-o` | `table` | Form of the result. One of `table`, `yaml`" in text
    assert "\n$ postroom explain 5.7.139\n" in text
    plugin = commands.pages()["reference/kubectl-postroom.md"]
    for verb in ("status", "verify", "records", "sync", "test", "backfill"):
        assert f"\n## kubectl postroom {verb}\n" in plugin


def test_each_note_is_of_a_flag_or_metric_that_there_is() -> None:
    rows = (*metrics.operator_metrics(), *metrics.worker_metrics())
    told = {row[0].strip("`").removesuffix("_total") for row in rows}
    assert set(notes("metrics")) <= told | set(metrics.HELP)
    assert set(notes("flags")) <= set(Settings.model_fields)


def test_counters_carry_their_ending_and_gauges_their_labels() -> None:
    text = metrics.pages()["reference/metrics.md"]
    assert "| `postroom_mail_sessions_total` | counter | `kind`, `stage`, `reason` |" in text
    assert "| `postroom_queue_depth` | gauge |  |" in text
    assert "| `postroom_finding` | `kind`, `namespace`, `name`, `code`, `severity` |" in text


def test_every_role_and_policy_has_its_place_and_who_has_it() -> None:
    text = roles.pages()["reference/roles.md"]
    for folder, manifest in roles.manifests():
        if manifest["kind"] in ("Role", "ClusterRole"):
            assert f"### {manifest['kind']} `{manifest['metadata']['name']}` of `{folder}`" in text
        if manifest["kind"] == "ValidatingAdmissionPolicy":
            assert f"### `{manifest['metadata']['name']}` of `{folder}`" in text
    assert "Bound to: ServiceAccount `postroom` of `postroom-system`" in text
    in_use = text.split("### `postroom-in-use`")[1].split("###")[0]
    assert "Warns, and lets it through" in in_use
    assert "Refuses" not in in_use


def test_examples_are_read_as_one_yaml_block_of_the_page() -> None:
    text = fields.pages()["reference/mailserver.md"]
    block = text.split("```yaml\n")[1].split("```")[0]
    assert list(yaml.load_all(block, Loader=yaml.CSafeLoader)) == fields.examples(Kind.MAIL_SERVER)

# SPDX-License-Identifier: Apache-2.0
"""Writes what the chart has of other files: see `made`.

values.yaml is the one place where a value is described; its schema and the table of the README
follow from it, and its settings from those of the operator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from postroom import __version__
from postroom.api import crd, fields
from postroom.setting_values import FORMS, Form, shown
from postroom.settings import KEY_FILE, Settings

HERE = Path(__file__).parent
ROOT, CHART = HERE.parent, HERE / "postroom"
INSTALL, INTEGRATIONS = ROOT / "manifests" / "install", ROOT / "manifests" / "integrations"
#: What the chart installs as it stands in manifests/, but for names and labels.
COPIES = {
    "policies/binding.yaml": INSTALL / "binding/base/policy.yaml",
    "policies/publishing.yaml": INSTALL / "publishing/base/policy.yaml",
    "policies/token-rotation.yaml": INSTALL / "token-rotation/base/policy.yaml",
    "in-use/policy.yaml": INSTALL / "in-use/policy.yaml",
    **{f"tenants/{path.name}": path for path in (INSTALL / "tenants").glob("[!k]*.yaml")},
    "prometheus/rules.yaml": INTEGRATIONS / "prometheus/rules.yaml",
    **{f"dashboards/{path.name}": path for path in INTEGRATIONS.glob("grafana/*.json")},
}
#: What a chart that depends on this one may hand down.
_FROM_PARENTS = {
    "global": {"type": "object", "description": "Values that charts share."},
    "enabled": {"type": "boolean", "description": "For the condition of a chart that depends."},
}
#: What the chart does besides setting the flag.
_BROUGHT = {
    "allow_bindings": "Brings its rights and its admission policy.",
    "allow_token_rotation": "Brings its rights and its admission policy.",
    "publish_dns_endpoints": "Brings its rights and its admission policy.",
    "watch_secrets": "Brings these rights.",
    "metrics_auth": "Brings these rights, TLS with the Secret of metrics.tlsSecret at port 8443, "
    "and a ClusterRole for whoever scrapes.",
    "health_address": 'In YAML off is quoted: "off".',
    "ui_auth": "Brings these rights, and a ClusterRole for whoever reads.",
    "namespaces": "Named ones get Roles instead of a ClusterRole.",
    "leader_election_namespace": "Brings the Role there.",
    "allow_ports": "The NetworkPolicy opens them.",
}
#: What the values have elsewhere: the keys have no flag, as they are secret, and each Pod has a
#: shard of its own.
_ELSEWHERE = {"ownership_key", "earlier_ownership_keys", "shard"}
_KEY_FILES = (
    "Files with the ownership key, and with earlier keys whose tokens are still accepted; mount "
    "them with extraVolumes. No Secret is made or read then."
)
_BLOCK = r"(?P<begin>^ *(?:#|<!--) begin: .*\n)(?:.*\n)*?(?P<end>^ *(?:#|<!--) end.*\n)"


def made() -> dict[Path, str]:
    """Return the text of every generated file of the chart."""
    values = with_block(CHART / "values.yaml", _settings())
    described = dict(_described(values))
    return {
        CHART / "values.yaml": values,
        CHART / "values.schema.json": json.dumps(schema(values), indent=2) + "\n",
        CHART / "README.md": with_block(CHART / "README.md", _table(values, described)),
        CHART / "Chart.yaml": _chart(),
        **{CHART / "files" / name: path.read_text() for name, path in COPIES.items()},
        **{CHART / "files" / "crds" / name: text for name, text in crd.render().items()},
    }


def left_over(texts: Mapping[Path, str]) -> list[Path]:
    """Return the copies whose original is gone."""
    files = {path for path in (CHART / "files").rglob("*") if path.is_file()}
    return sorted(files - texts.keys())


def with_block(path: Path, block: str) -> str:
    """Return the text of a file with its generated block replaced."""
    text, blocks = re.subn(
        _BLOCK, lambda found: found["begin"] + block + found["end"], path.read_text(), flags=re.M
    )
    if blocks != 1:
        raise ValueError(f"{path} must have one generated block")
    return text


def value_name(field: str) -> str:
    """Return the key under `settings`: the flag in camel case, a list in the plural."""
    first, *rest = (f"{field}s" if field == KEY_FILE else field).split("_")
    return first + "".join(word.capitalize() for word in rest)


def _settings() -> str:
    lines = []
    for field, info in Settings.model_fields.items():
        if field not in _ELSEWHERE:
            text = " ".join(filter(None, [_described_default(info), _BROUGHT.get(field)]))
            lines += _entry(value_name(field), text, *_typed(info))
    key_files = {"items": {"type": "string", "minLength": 1}}
    return "".join(lines + _entry(value_name(KEY_FILE), _KEY_FILES, [], key_files))


def _entry(key: str, text: str, default: object, typed: Mapping[str, Any]) -> list[str]:
    return [
        *(f"  # {line}\n" for line in _wrapped(text)),
        *([f"  # @schema {json.dumps(typed)}\n"] if typed else []),
        f"  {key}: {json.dumps(default)}\n",
    ]


def _wrapped(text: str, width: int = 104) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            yield line
            line = ""
        line += f" {word}" if line else word
    yield line


def _described_default(info: FieldInfo) -> str:
    text = str(info.description)
    default = info.default
    if default in (None, (), False) or "default:" in text:
        return text
    return f"{text} Default: {shown(default)}."


def _typed(info: FieldInfo) -> tuple[object, dict[str, Any]]:
    """Return the default of a setting in the chart, and what its schema says of it."""
    options = [each for each in _options(info.annotation) if each is not NoneType]
    (option,) = options
    bounds = {
        name: getattr(rule, attribute)
        for rule in info.metadata
        for attribute, name in (("ge", "minimum"), ("le", "maximum"), ("gt", "exclusiveMinimum"))
        if hasattr(rule, attribute)
    }
    form = next((rule.name for rule in info.metadata if isinstance(rule, Form)), "")
    if get_origin(option) is tuple and get_args(option)[-1] is Ellipsis:
        of_ports = get_args(option)[0] is int
        return [], {"items": {"$ref": "#/$defs/port"} if of_ports else _formed("string", form)}
    if form:
        return None, _formed(["string", "null"], form)
    if option is bool:
        return info.default, {} if info.default is not None else _nullable("boolean")
    if option in (int, float):
        return None, {**_nullable("integer" if option is int else "number"), **bounds}
    if get_origin(option) is Literal or (isinstance(option, type) and issubclass(option, Enum)):
        values = get_args(option) or [each.value for each in option]
        return None, {"enum": [*values, None]}
    if option is timedelta:
        return None, _formed(["string", "null"], "duration")
    return None, {**_nullable("string"), "minLength": 1}


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, UnionType):
        return tuple(part for each in get_args(annotation) for part in _options(each))
    # What Annotated adds was said where the model was read.
    return (
        _options(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else (annotation,)
    )


def _nullable(name: str) -> dict[str, Any]:
    return {"type": [name, "null"]}


def _described(text: str) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Yield each key of values.yaml by its path, with its description and its @schema."""
    lines = text.splitlines()

    def walk(
        node: yaml.MappingNode, above: str
    ) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
        for key, value in node.value:
            path, first = f"{above}{key.value}", key.start_mark.line
            start = first
            while start and lines[start - 1].lstrip().startswith("#"):
                start -= 1
            comments = [line.strip().removeprefix("#").strip() for line in lines[start:first]]
            comments = [line for line in comments if not line.startswith(("begin: ", "end"))]
            added = [line for line in comments if line.startswith("@schema ")]
            words = " ".join(line for line in comments if line not in added)
            typed = yaml.safe_load(added[0].removeprefix("@schema ")) if added else {}
            yield path, (words, typed)
            if isinstance(value, yaml.MappingNode) and "$ref" not in typed:
                yield from walk(value, f"{path}.")

    yield from walk(yaml.compose(text), "")


def schema(values: str) -> dict[str, Any]:
    """Return the JSON schema of values.yaml: nothing but what stands there."""
    described = dict(_described(values))
    whole = _schema_of(yaml.safe_load(values), "", described)
    whole["properties"] |= _FROM_PARENTS
    definitions = yaml.safe_load((HERE / "definitions.yaml").read_text())
    forms = {form.name: (form.pattern, form.longest) for form in FORMS}
    forms["duration"] = fields.DURATION_PATTERN, fields.DURATION_LENGTH
    definitions |= {
        name: {"pattern": pattern, "minLength": 1, "maxLength": longest}
        for name, (pattern, longest) in forms.items()
    }
    # Draft 7, as Helm 3 reads no later one.
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole, "$defs": definitions}


def _formed(types: object, form: str) -> dict[str, Any]:
    """A text of a form, which says nothing of what is no text."""
    return {"type": types, "allOf": [{"$ref": f"#/$defs/{form}"}]}


_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array"}


def _schema_of(
    default: Any, path: str, described: Mapping[str, tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    words, typed = described.get(path, ("", {}))
    if "$ref" in typed:
        return dict(typed)
    said = {"description": words} if words else {}
    if isinstance(default, dict):
        properties = {
            key: _schema_of(value, f"{path}.{key}".lstrip("."), described)
            for key, value in default.items()
        }
        # Templates look into these; `--set name=null` would take them away.
        needed = [
            key
            for key, value in default.items()
            if (isinstance(value, bool) and path != "settings")
            or (isinstance(value, dict) and "$ref" not in properties[key])
            or (isinstance(value, str) and properties[key].get("minLength"))
        ]
        closed = {"properties": properties, "required": needed, "additionalProperties": False}
        return {**said, "type": "object", **closed}
    inferred = {"type": _TYPES[type(default)]} if type(default) in _TYPES else {}
    if isinstance(default, list) and "items" not in typed:
        raise ValueError(f"{path}: say by @schema what the list holds")
    if not inferred and not typed:
        raise ValueError(f"{path}: say by @schema what it may be")
    return {**said, **({} if "enum" in typed else inferred), **typed}


def _table(values: str, described: Mapping[str, tuple[str, dict[str, Any]]]) -> str:
    """Return the table of the README."""
    rows = ["| Value | Default | Meaning |\n", "|---|---|---|\n"]
    defaults = yaml.safe_load(values)
    for path, (words, typed) in described.items():
        default = defaults
        for key in path.split("."):
            default = default[key]
        if isinstance(default, dict) and "$ref" not in typed:
            rows += [f"| **`{path}`** | | {words} |\n"] if words else []
        else:
            rows.append(
                f"| `{path}` | `{json.dumps(default)}` | {words} |\n".replace("|  |", "| |")
            )
    return "\n" + "".join(rows) + "\n"


def _chart() -> str:
    text = with_block(CHART / "Chart.yaml", _annotations())
    text = re.sub(r"(?m)^version: .*$", f"version: {__version__}", text)
    return re.sub(r"(?m)^appVersion: .*$", f'appVersion: "{__version__}"', text)


def _annotations() -> str:
    """Return what Artifact Hub shows: the definitions with an example each, and the image."""
    shown = [
        {
            "kind": kind["spec"]["names"]["kind"],
            "version": version["name"],
            "name": kind["metadata"]["name"],
            "displayName": kind["spec"]["names"]["kind"],
            "description": version["schema"]["openAPIV3Schema"]["description"],
        }
        for kind in crd.definitions()
        for version in kind["spec"]["versions"]
    ]
    samples = [
        document
        for path in sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    examples = [
        next(sample for sample in samples if sample["kind"] == entry["kind"]) for entry in shown
    ]
    repository = yaml.safe_load((CHART / "values.yaml").read_text())["image"]["repository"]
    image = [{"name": "operator", "image": f"{repository}:{__version__}"}]
    early = str(__version__.startswith("0.")).lower()
    annotations = {"crds": shown, "crdsExamples": examples, "images": image}
    return (
        "".join(
            f"  artifacthub.io/{name}: |\n"
            + "".join(f"    {line}\n" for line in _dumped(value).splitlines())
            for name, value in annotations.items()
        )
        + f'  artifacthub.io/prerelease: "{early}"\n'
    )


def _dumped(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=10_000)


if __name__ == "__main__":
    texts = made()
    for stale in left_over(texts):
        stale.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

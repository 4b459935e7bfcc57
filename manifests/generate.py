# SPDX-License-Identifier: Apache-2.0
"""Writes what manifests have of other files: the hosts of the presets of mail providers in the
admission policy of tenants, the alerts as a resource of the Prometheus Operator, and the scripts of
Argo CD as its ConfigMap."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from postroom.api.names import GROUP, Kind
from postroom.api.presets import placeholders
from postroom.mail.presets.load import preset, providers
from postroom.mail.presets.model import EndpointRow

POLICY = Path(__file__).parent / "install" / "tenants" / "mail-hosts.yaml"
PROMETHEUS = Path(__file__).parent / "integrations" / "prometheus"
RULE = PROMETHEUS / "prometheusrule.yaml"
_RULE_HEAD = """\
# Made by `make crds` from rules.yaml; edit that instead.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: postroom
  namespace: postroom-system
  labels: {app.kubernetes.io/part-of: postroom}
spec:
"""
ARGOCD = Path(__file__).parent / "integrations" / "argocd"
CONFIG_MAP = ARGOCD / "argocd-cm.yaml"
_CONFIG_MAP_HEAD = """\
# Made by `make crds` from resource_customizations/; edit that instead. A patch of Argo CD's
# ConfigMap: what else is in it stays.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels: {app.kubernetes.io/part-of: argocd}
data:
"""
_BLOCK = re.compile(
    r"(    # begin: .*?\n(?:    # .*\n)*?)(?:    - .*\n(?:      .*\n)*)*(    # end\n)"
)


def policy() -> str:
    """The policy as it must be for the presets of today."""
    made = "".join(
        f"    - name: {name}\n      expression: >-\n        {{\n{rows}\n        }}\n"
        for name, rows in _variables()
    )
    text, blocks = _BLOCK.subn(lambda found: found[1] + made + found[2], POLICY.read_text())
    if blocks != 1:
        raise ValueError(f"{POLICY} must have one generated block")
    return text


def prometheus_rule() -> str:
    """The alerts as a PrometheusRule."""
    rules = (PROMETHEUS / "rules.yaml").read_text()
    body = rules[rules.index("groups:") :]
    return _RULE_HEAD + "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())


def argocd_cm() -> str:
    """The scripts under the keys by which Argo CD knows them."""
    text = _CONFIG_MAP_HEAD
    for kind in Kind:
        place = ARGOCD / "resource_customizations" / GROUP / kind
        actions = _literal("discovery.lua", place / "actions" / "discovery.lua")
        actions += "definitions:\n" + "".join(
            f"  - name: {script.parent.name}\n" + _indented(_literal("action.lua", script), 4)
            for script in sorted((place / "actions").glob("*/action.lua"))
        )
        health = _literal(f"resource.customizations.health.{GROUP}_{kind}", place / "health.lua")
        text += _indented(health, 2)
        text += f"  resource.customizations.actions.{GROUP}_{kind}: |\n{_indented(actions, 4)}"
    return text


def _literal(key: str, script: Path) -> str:
    """A script as a block scalar of YAML."""
    return f"{key}: |\n" + _indented(script.read_text(), 2)


def _indented(text: str, by: int) -> str:
    return textwrap.indent(text, " " * by)


def _variables() -> Iterable[tuple[str, str]]:
    presets = {name: preset(name) for name in providers()}
    defaults = {
        name: {one.name: one.default for one in found.parameters if one.default is not None}
        for name, found in presets.items()
    }
    yield "parameterDefaults", _map({name: _strings(of) for name, of in defaults.items() if of})
    # The host of every endpoint, whichever is chosen.
    yield "smtpHosts", _map({name: _hosts(found.smtp) for name, found in presets.items()})
    yield "imapHosts", _map({name: _hosts(found.imap) for name, found in presets.items()})


def _hosts(rows: Sequence[EndpointRow]) -> str:
    """A CEL list of hosts, each followed by what the parameters must be."""
    texts = []
    for row in rows:
        if len(placeholders(row.host)) > 1 or row.host.count("{") > 1:
            raise ValueError(f"{row.host}: the policy fills in one parameter of a host")
        texts.append(" ".join([row.host, *(f"{name}={value}" for name, value in row.when.items())]))
    return "[" + ", ".join(f"'{text}'" for text in dict.fromkeys(texts)) + "]"


def _strings(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"'{name}': '{value}'" for name, value in values.items()) + "}"


def _map(entries: Mapping[str, str]) -> str:
    return ",\n".join(f"        '{name}': {value}" for name, value in sorted(entries.items()))


if __name__ == "__main__":
    POLICY.write_text(policy())
    RULE.write_text(prometheus_rule())
    CONFIG_MAP.write_text(argocd_cm())

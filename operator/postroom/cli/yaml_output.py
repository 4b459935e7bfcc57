# SPDX-License-Identifier: Apache-2.0
"""YAML on standard output, in which others' words are no command to a runner of CI."""

import sys
from typing import Any

import yaml

from postroom.log import without_commands


class _QuotingDumper(yaml.SafeDumper):
    """Writes in quotes, where it can be escaped, what may be a command to the runner of CI."""

    def choose_scalar_style(self) -> Any:
        text = getattr(self.event, "value", "")
        return '"' if "##" in text or "::" in text else super().choose_scalar_style()


def yaml_of(value: object) -> str:
    """Write a value, its fields in their order; nothing is folded, as that could begin a line."""
    return without_commands(
        yaml.dump(value, Dumper=_QuotingDumper, sort_keys=False, width=sys.maxsize)
    )

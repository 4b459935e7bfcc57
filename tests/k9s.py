# SPDX-License-Identifier: Apache-2.0
"""The shipped plugins of k9s, and the commands that k9s makes of them for an object."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from state_map import INTEGRATIONS

PLUGINS: Mapping[str, Any] = yaml.load(
    (INTEGRATIONS / "k9s" / "plugins.yaml").read_text(), Loader=yaml.CSafeLoader
)
#: k9s puts in what it knows, and leaves alone what it does not.
_VARIABLE = re.compile(r"\$!?([\w-]+)")


def command(plugin: str, variables: Mapping[str, str]) -> list[str]:
    """What k9s runs; the variables are those that it has for a row."""
    found = PLUGINS["plugins"][plugin]

    def put_in(argument: str) -> str:
        return _VARIABLE.sub(lambda match: variables.get(match[1].upper(), match[0]), argument)

    return [found["command"], *map(put_in, found["args"])]

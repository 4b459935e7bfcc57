# SPDX-License-Identifier: Apache-2.0
"""Where a finding is shown: at the field of the manifest that it names."""

from collections.abc import Mapping
from typing import Any

from postroom.api.field_paths import Path, is_there, path_of
from postroom.api.findings import Finding


def place_of(finding: Finding, raw: Mapping[str, Any]) -> Path:
    """Return the path of the field that a finding is about, as far as the manifest has it.

    One that names none (of a status that an earlier version wrote) is about the spec as a whole.
    """
    path = path_of(finding.field)
    while path and not is_there(raw, path):
        path = path[:-1]
    return path or (("spec",) if "spec" in raw else ())

# SPDX-License-Identifier: Apache-2.0
"""What mail providers ask to publish, as data: one file per provider, each row with its source.

`resolve` fills a preset in for one domain. The files are read on first use.
"""

from postroom.api.data_files import InvalidData
from postroom.api.presets import ParameterProblem
from postroom.dns.presets.identify import identify, title_of
from postroom.dns.presets.load import preset, providers
from postroom.dns.presets.resolve import resolve
from postroom.dns.presets.values import (
    PresetExchange,
    PresetKey,
    PresetOwnership,
    PresetReturnPath,
    PresetTracking,
    PresetValues,
)

__all__ = [
    "InvalidData",
    "ParameterProblem",
    "PresetExchange",
    "PresetKey",
    "PresetOwnership",
    "PresetReturnPath",
    "PresetTracking",
    "PresetValues",
    "identify",
    "preset",
    "providers",
    "resolve",
    "title_of",
]

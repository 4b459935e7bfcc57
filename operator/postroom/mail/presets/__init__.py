# SPDX-License-Identifier: Apache-2.0
"""Mail providers as data: one file per provider, each fact with its source and date.

`resolve` fills a preset in for one address, `identify` names the provider behind a host. The files
are read on first use.
"""

from postroom.api.presets import ParameterProblem
from postroom.mail.presets.identify import identify, nearly
from postroom.mail.presets.load import preset, providers
from postroom.mail.presets.model import LimitName, OAuthProvider, SignInWay
from postroom.mail.presets.resolve import MailPreset, PresetEndpoint, PresetLimit, resolve

__all__ = [
    "LimitName",
    "MailPreset",
    "OAuthProvider",
    "ParameterProblem",
    "PresetEndpoint",
    "PresetLimit",
    "SignInWay",
    "identify",
    "nearly",
    "preset",
    "providers",
    "resolve",
]

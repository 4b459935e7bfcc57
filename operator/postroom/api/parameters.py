# SPDX-License-Identifier: Apache-2.0
"""The parameters that users give to presets of providers, for DNS and for mail alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """What is wrong with one parameter; None stands for the preset as a whole.

    The sentence continues the parameter's name: "must look like eu-west-1".
    """

    parameter: str | None
    sentence: str

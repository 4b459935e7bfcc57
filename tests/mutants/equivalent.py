# SPDX-License-Identifier: Apache-2.0
"""Mutants that no test could tell from the original, each with the reason."""

from __future__ import annotations

#: Instead of a module.
EVERYWHERE = ""
#: (module, end of the operator's name, text of the changed line, why it is the same program)
EQUIVALENT: tuple[tuple[str, str, str, str], ...] = (
    (
        EVERYWHERE,
        "ReplaceTrueWithFalse",
        "@dataclass(",
        "frozen and slots keep us from mistakes and change no result: nothing sets a field.",
    ),
)

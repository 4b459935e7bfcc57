# SPDX-License-Identifier: Apache-2.0
"""What processes of pytest-xdist need not tell the one that started them.

They send six messages for each test. That it began and ended, and that setting up and clearing away
went well in no time, nobody is shown: without these four a test costs a millisecond less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

#: Seconds from which `--durations` tells of a phase.
_SHOWN = 0.005
Send = Callable[..., None]


def spare_reports(config: pytest.Config) -> None:
    """Have a process of pytest-xdist send only what is shown, where nobody asked for more."""
    told = config.option
    if told.verbose > 0 or told.xmlpath or told.durations_min is not None:
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = sparing(plugin.sendevent)


def sparing(send: Send) -> Send:
    """Send what `send` does but for what is not shown."""

    def spare(name: str, **message: Any) -> None:
        if name in ("logstart", "logfinish"):
            return
        if name == "testreport" and _says_nothing(message["data"]):
            return
        send(name, **message)

    return spare


def _says_nothing(report: dict[str, Any]) -> bool:
    # What was printed is kept, for `-rP`.
    return (
        report["when"] in ("setup", "teardown")
        and report["outcome"] == "passed"
        and report["duration"] < _SHOWN
        and not report["sections"]
    )

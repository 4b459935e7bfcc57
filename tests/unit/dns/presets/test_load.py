# SPDX-License-Identifier: Apache-2.0
"""Presets are read from their files on first use, once, and only those that there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postroom.dns.presets.load import preset, providers, targets

ROOT = Path(__file__).resolve().parents[4]


def test_importing_reads_no_data() -> None:
    code = (
        "import sys, postroom.dns.presets, postroom.dns.diagnosis.dns_hosts as h\n"
        "from postroom.dns.presets import load\n"
        "counts = [f.cache_info().currsize for f in (load.providers, load.preset, load.targets)]\n"
        "assert counts == [0, 0, 0], counts\n"
        "assert h.dns_hosts.cache_info().currsize == 0\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_only_what_there_is_can_be_loaded_and_each_once() -> None:
    names = providers()
    assert list(names) == sorted(names)
    assert preset(names[0]) is preset(names[0])
    assert preset(names[0]).name == names[0]
    assert targets() is targets()
    for wrong in ("Nobody", names[0].lower(), "../targets"):
        with pytest.raises(KeyError, match=wrong):
            preset(wrong)

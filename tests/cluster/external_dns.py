# SPDX-License-Identifier: Apache-2.0
"""external-dns' own flags, plan, TXT registry and RFC 2136 provider, built once and cached."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cluster.lab_process import LabProcess
from postroom.lab.dns import KEY_NAME, KEY_SECRET

SOURCES = Path(__file__).parent / "externaldns"
MODULE, TOOLCHAIN = "sigs.k8s.io/external-dns", "go1.27.3"
CRD = "config/crd/standard/dnsendpoints.externaldns.k8s.io.yaml"
Changes = dict[str, list[str]]


class Unavailable(Exception):
    """The Go toolchain cannot be had; the text is a sentence."""


def obtain_or_skip() -> Path:
    """Return the directory with the program and the CRD; without Go skip, or fail in CI."""
    try:
        return _obtain()
    except Unavailable as error:
        if os.environ.get("POSTROOM_REQUIRE_CLUSTER"):
            pytest.fail(f"POSTROOM_REQUIRE_CLUSTER is set, but: {error}", pytrace=False)
        pytest.skip(f"NO TEST WITH external-dns: {error}")


def _obtain() -> Path:
    digest = hashlib.sha256(TOOLCHAIN.encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser() / "externaldns"
    target = root / digest.hexdigest()[:24]
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(target)
    return target


def _build(target: Path) -> None:
    print("Building external-dns' plan: about a minute, once.", file=sys.__stderr__, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        _go("build", "-trimpath", "-ldflags=-s -w", f"-o={made / 'external-dns'}", ".")
        module = _go("list", "-m", "-f={{.Dir}}", MODULE).strip()
        shutil.copyfile(Path(module) / CRD, made / "crd.yaml")
        made.rename(target)


def _go(*args: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise Unavailable("external-dns' own plan needs Go to be built.")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": TOOLCHAIN}
    done = subprocess.run(
        [go, *args], cwd=SOURCES, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-5:])
        raise Unavailable(f"go {args[0]} failed: {tail}")
    return done.stdout


class ExternalDns:
    """external-dns for one zone of the lab, with its TXT registry unless told otherwise."""

    def __init__(self, program: Path, lab: LabProcess, zone: str) -> None:
        self._program = program / "external-dns"
        self._flags = [
            *("--source=crd", "--provider=rfc2136", "--policy=sync"),
            *(f"--rfc2136-host={lab.reach.address}", f"--rfc2136-port={lab.reach.dns_port}"),
            *(f"--rfc2136-zone={zone}", f"--domain-filter={zone}", "--rfc2136-axfr"),
            *(f"--rfc2136-tsig-keyname={KEY_NAME}", f"--rfc2136-tsig-secret={KEY_SECRET}"),
            "--rfc2136-tsig-secret-alg=hmac-sha256",
        ]

    def sync(
        self,
        endpoints: list[dict[str, Any]],
        owner: str = "postroom-test",
        types: tuple[str, ...] = ("TXT", "CNAME"),
    ) -> Changes:
        """Run once over DNSEndpoints; return ``TYPE name`` of each change, by what it is."""
        managed = [f"--managed-record-types={kind}" for kind in types]
        done = subprocess.run(
            [self._program, *self._flags, *managed, f"--txt-owner-id={owner}"],
            input=json.dumps({"items": endpoints}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {
            what: sorted(f"{each['recordType']} {each['dnsName']}" for each in changed)
            for what, changed in json.loads(done.stdout).items()
        }

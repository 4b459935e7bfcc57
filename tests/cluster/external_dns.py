# SPDX-License-Identifier: Apache-2.0
"""external-dns' own flags, plan, TXT registry and RFC 2136 provider, built once and cached."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from cluster import go_programs
from cluster.lab_process import LabProcess
from postroom.lab.dns import KEY_NAME, KEY_SECRET

SOURCES = Path(__file__).parent / "externaldns"
MODULE = "sigs.k8s.io/external-dns"
CRD = "config/crd/standard/dnsendpoints.externaldns.k8s.io.yaml"
Changes = dict[str, list[str]]


def obtain_or_skip() -> Path:
    """Return the directory with the program and the CRD; without Go skip, or fail in CI."""
    return go_programs.built_or_skip(SOURCES, _make)


def _make(made: Path) -> None:
    go_programs.build(SOURCES, made / "external-dns")
    module = go_programs.go(SOURCES, "list", "-m", "-f={{.Dir}}", MODULE).strip()
    shutil.copyfile(Path(module) / CRD, made / "crd.yaml")


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

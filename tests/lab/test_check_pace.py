# SPDX-License-Identifier: Apache-2.0
"""`postroom check` of many domains at one DNS host: our own pace makes it slower, never Unknown."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from lab.asking_lab import NS1, RESOLVER, running
from lab.scripted_dns import ScriptedServer, resolves, serves, zone
from postroom.cli.check import CheckInput, CheckRun
from postroom.cli.options import ExitCode, Output
from postroom.settings import load

DOMAINS = 80
ROUND_TRIP = 0.02
KEY = f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(range(32))).decode()}"
ZONE = zone(
    "crowd.test",
    f"@ NS ns\nns A {NS1}\n"
    + "".join(
        f'd{number} TXT "v=spf1 ip4:192.0.2.1 -all"\n_dmarc.d{number} TXT "v=DMARC1; p=reject"\n'
        + "".join(f"s{n}._domainkey.d{number} CNAME key\n" for n in range(4))
        for number in range(DOMAINS)
    )
    + f'key TXT "{KEY}"\n',
)


def manifest(number: int) -> dict[str, object]:
    return {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": {"name": f"d{number}"},
        "spec": {
            "domain": f"d{number}.crowd.test",
            "spf": {"ip4": ["192.0.2.1"]},
            "dmarc": {"policy": "reject"},
            "dkim": [{"selector": f"s{n}", "cname": "key.crowd.test"} for n in range(4)],
        },
    }


async def test_a_crowd_of_one_zone_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "crowd.yaml"
    file.write_text(yaml.safe_dump_all(manifest(number) for number in range(DOMAINS)))
    servers = [
        ScriptedServer(RESOLVER, resolves(ZONE), delay=ROUND_TRIP),
        ScriptedServer(NS1, serves(ZONE), delay=ROUND_TRIP),
    ]
    async with running(servers) as port:
        settings = load(
            {
                "dns_resolvers": [f"{RESOLVER}:{port}"],
                "dns_authoritative_port": str(port),
                "allow_cidrs": ["127.0.0.0/8"],
            },
            {},
        )
        run = CheckRun(CheckInput([str(file)], "default"), settings, Output.TABLE, quiet=False)
        code = await run.once(timedelta())
    said = capsys.readouterr()
    assert code == ExitCode.READY, said.out[-2000:]
    # Whoever waits is told how far it is, also without a terminal.
    lines = re.findall(r"^postroom check: looked at (\d+) of 80 \.\.\.$", said.err, re.MULTILINE)
    progress = [int(line) for line in lines]
    assert progress
    assert progress == sorted(progress)

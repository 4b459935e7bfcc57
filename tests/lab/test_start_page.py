# SPDX-License-Identifier: Apache-2.0
"""docs/start.md is true: its commands are typed in the lab, word for word.

What a reader does once on a machine (to install, to start the lab, to say where it is) the test has
done by other means; it is left out by name, and must stand in the page.
"""

from pathlib import Path

import pytest
import yaml

from cluster.guides import Reader, search_path
from cluster.lab_process import LabProcess
from loopback import own_address

START = Path(__file__).parents[2] / "docs" / "start.md"
#: What is not typed, and why.
LEFT_OUT = {
    "$ python3 -m venv .venv && . .venv/bin/activate\n$ pip install '.[lab]'\n": (
        "the checkout that is tested is installed"
    ),
    "$ postroom lab\n": "it serves until it is stopped: the fixture does",
    "$ export POSTROOM_DNS_RESOLVERS=127.0.0.1:2053 POSTROOM_DNS_AUTHORITATIVE_PORT=2053\n"
    "$ export POSTROOM_ALLOW_CIDRS=127.0.0.1/32 POSTROOM_ALLOW_PORTS=2587,2465,2993\n"
    "$ sed '/^---/,$d; /namespace:/d' ~/.local/state/postroom/lab/lab-ca.yaml > lab-ca.yaml\n": (
        "the lab of a test has an address of its own"
    ),
    "$ postroom check example.com --provider Fastmail\n": "it ends with 1, and is typed below",
}


@pytest.mark.slow
def test_the_first_ten_minutes_are_as_the_page_tells(tmp_path: Path) -> None:
    text = START.read_text("utf-8")
    for block in LEFT_OUT:
        assert f"```console\n{block}```\n" in text
        text = text.replace(f"```console\n{block}```\n", "")
    page = tmp_path / "start.md"
    page.write_text(
        text + "```console\n$ postroom check example.com --provider Fastmail\n$ echo $?\n1\n```\n"
    )
    with LabProcess(own_address(46), tmp_path / "lab") as lab:
        authority = next(yaml.load_all(lab.manifest.read_text("utf-8"), Loader=yaml.CSafeLoader))
        del authority["metadata"]["namespace"]
        (tmp_path / "lab-ca.yaml").write_text(yaml.safe_dump(authority))
        environment = {
            "PATH": search_path(),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "POSTROOM_DNS_RESOLVERS": f"{lab.reach.address}:{lab.reach.dns_port}",
            "POSTROOM_DNS_AUTHORITATIVE_PORT": str(lab.reach.dns_port),
            "POSTROOM_ALLOW_CIDRS": f"{lab.reach.address}/32",
            "POSTROOM_ALLOW_PORTS": "2587,2465,2993",
        }
        Reader(tmp_path, environment, lambda _: None).follow(page)

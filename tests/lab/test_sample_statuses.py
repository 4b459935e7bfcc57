# SPDX-License-Identifier: Apache-2.0
"""The statuses of the samples at the lab, from which the reference takes its examples of fields.

`make states` captures them anew.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopback import own_address
from made.fields import SAMPLES
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE, objects_of, world_of
from postroom.cli.demo import settings_for
from postroom.lab.lab import Lab
from state_map import ROOT, Raw, differences, without_accidents

PLACES = {"good": ROOT / "manifests/samples", "broken": ROOT / "manifests/samples/broken"}


async def looked_at(place: Path, state: Path) -> list[Raw]:
    """Each object of a directory with its status, without what differs from one run to the next."""
    address = own_address(1)
    async with Lab(state, address=address) as lab:
        (state / "lab-ca.yaml").write_text(lab.ca_manifest())
        world = world_of(
            manifests.load([place, state / "lab-ca.yaml"], "default"), settings_for(lab)
        )
        await world.check(AT_ONCE)
        await world.outbound.close()
        return [without_address(without_accidents(obj), address) for obj in objects_of(world)]


def without_address(value: Any, address: str) -> Any:
    """A value in which the lab has the address that it has by itself."""
    return yaml.load(
        yaml.safe_dump(value, sort_keys=False).replace(address, "127.0.0.1"),
        Loader=yaml.CSafeLoader,
    )


@pytest.mark.parametrize("name", PLACES)
async def test_the_samples_have_the_statuses_that_were_captured(name: str, tmp_path: Path) -> None:
    live = [
        {part: obj[part] for part in ("kind", "status")} | {"name": obj["metadata"]["name"]}
        for obj in await looked_at(PLACES[name], tmp_path)
    ]
    path = SAMPLES / f"{name}.yaml"
    if os.environ.get("POSTROOM_CAPTURE"):
        path.write_text(yaml.safe_dump_all(live, width=120))
    captured = list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))
    assert list(differences(live, captured)) == [], "`make states` captures anew"

# SPDX-License-Identifier: Apache-2.0
"""`postroom records --live` and `--missing` on the lab's DNS: what is there is merged, not lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from lab.oauth_lab import identity
from loopback import own_address
from postroom.cli import manifests
from postroom.cli.demo import settings_for
from postroom.cli.record_output import Layout, RecordFormat
from postroom.cli.records import RecordsRun
from postroom.dns import spf
from postroom.dns.publishing.terraform import TerraformProvider
from postroom.dns.texts.presentation import CannotPublish
from postroom.lab.lab import Lab
from unit.dns.publishing_readers import Fact, from_route53, from_zone_file

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
BROKEN = SAMPLES / "broken"
BIND = Layout(RecordFormat.BIND)
ROUTE53 = Layout(RecordFormat.TERRAFORM, TerraformProvider.ROUTE53)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, address=own_address(8)) as running:
        yield running


async def records(lab: Lab, path: Path, layout: Layout, *, missing: bool = False) -> int:
    found = manifests.load([path], "default")
    run = RecordsRun(found, settings_for(lab), layout, live=True, missing=missing)
    return await run.run()


def texts(found: set[Fact]) -> list[str]:
    return sorted(data.decode() for _, kind, data in found if kind == "TXT")


async def test_nothing_is_missing_in_the_samples(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await records(lab, SAMPLES / "domains.yaml", Layout(), missing=True) == 0
    assert capsys.readouterr().out == "Nothing is missing.\n"


async def test_an_spf_record_is_merged_with_what_is_there(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = BROKEN / "domain-spf-foreign.yaml"
    assert await records(lab, path, BIND, missing=True) == 1
    out = capsys.readouterr().out
    assert out.startswith("$ORIGIN broken.example.\n")
    (merged,) = [text for text in texts(from_zone_file(out)) if spf.is_spf(text)]
    assert "include:spf.old-provider.example.net" in merged
    assert "include:spf.provider.example.net" in merged


async def test_whole_sets_keep_what_others_need(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "spf-foreign.broken.example"
    other = 'site-verification=other; "team"'
    there = lab.zones.get(name, "TXT")
    lab.zones.replace(name, "TXT", [*there, other])
    assert await records(lab, BROKEN / "domain-spf-foreign.yaml", ROUTE53, missing=True) == 1
    found = texts({one for one in from_route53(capsys.readouterr().out) if one[0] == name})
    assert other in found
    assert len([one for one in found if spf.is_spf(one)]) == 1
    assert not set(there) & set(found)


async def test_a_whole_set_repeats_no_private_key(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    name, key = "spf-foreign.broken.example", identity(1).key_pem
    lab.zones.replace(name, "TXT", [*lab.zones.get(name, "TXT"), key])
    with pytest.raises(CannotPublish, match="private key"):
        await records(lab, BROKEN / "domain-spf-foreign.yaml", ROUTE53, missing=True)
    assert capsys.readouterr().out == ""


async def test_a_suspended_domain_is_looked_at_all_the_same(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = (tmp_path / "suspended.yaml",)
    document = yaml.load((BROKEN / "domain-spf-foreign.yaml").read_text(), Loader=yaml.CSafeLoader)
    document["spec"]["suspend"] = True
    path.write_text(yaml.safe_dump(document))
    assert await records(lab, path, Layout()) == 0
    assert "Zone broken.example" in capsys.readouterr().out


async def test_without_an_answer_nothing_is_printed(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(lab)
    dead = settings.model_copy(update={"dns_resolvers": ((own_address(9), 9),)})
    found = manifests.load([BROKEN / "domain-spf-foreign.yaml"], "default")
    with pytest.raises(CannotPublish, match="could not be asked for the TXT"):
        await RecordsRun(found, dead, BIND, live=True).run()
    assert capsys.readouterr().out == ""

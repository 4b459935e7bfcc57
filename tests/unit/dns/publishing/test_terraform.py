# SPDX-License-Identifier: Apache-2.0
"""Terraform denotes the records it is made of: read back by a parser that is not ours."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords
from postroom.dns.publishing.terraform import TerraformProvider, terraform
from postroom.dns.texts.presentation import CannotPublish
from unit.dns.published_zones import (
    ANY,
    CHECKED,
    NULL_MX,
    SPACE,
    SPF_WITH_MACRO,
    ZONE,
    record,
)
from unit.dns.publishing_readers import (
    Fact,
    facts,
    from_cloudflare,
    from_google,
    from_route53,
    resources,
)

READERS: dict[TerraformProvider, Callable[[str], set[Fact]]] = {
    TerraformProvider.CLOUDFLARE: from_cloudflare,
    TerraformProvider.ROUTE53: from_route53,
    TerraformProvider.GOOGLE: from_google,
}


@pytest.mark.parametrize("provider", list(TerraformProvider))
@settings(CHECKED, max_examples=25)
@given(ANY)
@example(SPF_WITH_MACRO)
@example(SPACE)
@example(NULL_MX)
def test_terraform(provider: TerraformProvider, part: ZoneRecords) -> None:
    text = terraform([part], provider)
    assert READERS[provider](text) == facts(part.records)
    names = [(kind, name) for kind, name, _ in resources(text)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) for _, name in names)


def test_values_that_are_no_record_data_are_refused() -> None:
    for kind, value in (
        (RecordType.MX, "mx.example.net"),
        (RecordType.MX, "ten mx.example.net"),
        (RecordType.TLSA, "3 1 ab"),
    ):
        with pytest.raises(CannotPublish, match="needs"):
            terraform([ZoneRecords(ZONE, (record(ZONE, kind, value),))], "cloudflare")  # type: ignore[arg-type]


def test_names_of_resources_survive_a_new_value() -> None:
    def names(value: str) -> list[str]:
        spf = PublishedRecord(ZONE, RecordType.TXT, value, purpose=Purpose.SPF)
        other = PublishedRecord(ZONE, RecordType.TXT, "x=y", purpose=Purpose.OWNERSHIP)
        part = ZoneRecords(ZONE, (spf, other))
        return [name for _, name, _ in resources(terraform([part], TerraformProvider.CLOUDFLARE))]

    assert names("v=spf1 -all") == names("v=spf1 a -all") == [
        "example_com_txt_spf",
        "example_com_txt_ownership",
    ]  # fmt: skip


def test_names_that_come_out_the_same_are_told_apart() -> None:
    records = [record(f"{label}.{ZONE}", RecordType.TXT, "x") for label in ("a.b", "a_b")]
    for provider in TerraformProvider:
        text = terraform([ZoneRecords(ZONE, tuple(records))], provider)
        assert len({name for _, name, _ in resources(text)}) == 2

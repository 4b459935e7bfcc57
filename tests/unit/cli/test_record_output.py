# SPDX-License-Identifier: Apache-2.0
"""How records to publish are printed: what is left out, what is refused, and what is said of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from postroom.api.sendingdomain import Purpose, RecordState
from postroom.cli import record_output
from postroom.cli.record_output import Layout, RecordFormat, Zones
from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords
from postroom.dns.publishing.terraform import TerraformProvider
from postroom.dns.texts.presentation import CannotPublish

MX = PublishedRecord("example.com", RecordType.MX, "10 mx.example.net", purpose=Purpose.MX)
SPF = PublishedRecord("example.com", RecordType.TXT, "v=spf1 -all", purpose=Purpose.SPF)
DMARC = PublishedRecord(
    "_dmarc.example.com", RecordType.TXT, "v=DMARC1; p=none", purpose=Purpose.DMARC
)
PROOF = PublishedRecord("example.com", RecordType.TXT, "proof=1", purpose=Purpose.OWNERSHIP)


def of(record: PublishedRecord, **changes: Any) -> PublishedRecord:
    values = {name: getattr(record, name) for name in record.__slots__}
    return PublishedRecord(**{**values, **changes})


@pytest.mark.parametrize(
    ("layout", "whole"),
    [
        (Layout(), False),
        (Layout(RecordFormat.BIND), False),
        (Layout(RecordFormat.DNSENDPOINT), True),
        (Layout(RecordFormat.OCTODNS), True),
        (Layout(RecordFormat.TERRAFORM), False),
        (Layout(RecordFormat.TERRAFORM, TerraformProvider.ROUTE53), True),
    ],
)
def test_which_formats_replace_all_of_a_name_and_type(layout: Layout, whole: bool) -> None:
    assert layout.whole_sets is whole


def test_only_spf_and_dmarc_are_to_be_merged_where_nobody_looked() -> None:
    warned = record_output.with_warnings((MX, SPF, DMARC, PROOF))
    assert [bool(record.comment) for record in warned] == [False, True, True, False]
    assert "merge the two" in warned[1].comment
    assert ["a parent's" in record.comment for record in warned] == [False, False, True, False]


@pytest.mark.parametrize(
    ("state", "missing"),
    [
        (None, True),
        (RecordState.MISSING, True),
        (RecordState.WRONG, True),
        (RecordState.CONFLICTING, True),
        (RecordState.VALID, False),
        (RecordState.PROPAGATING, False),
    ],
)
def test_what_is_missing(state: RecordState | None, missing: bool) -> None:
    record = of(MX, state=state)
    assert record_output.only_missing((record,)) == ((record,) if missing else ())
    assert record_output.only_missing((of(record, fails_elsewhere=True),)) == ()


@pytest.mark.parametrize(
    "ask",
    [
        record_output.only_missing,
        record_output.say_what_fails_elsewhere,
        record_output.refuse_undecided,
        lambda records: record_output.text_for(
            (ZoneRecords("example.com", tuple(records)),), Layout(RecordFormat.BIND)
        ),
    ],
)
def test_what_nobody_could_see_is_not_guessed_at(ask: Any) -> None:
    with pytest.raises(CannotPublish, match=r"could not be asked for the TXT at example\.com"):
        ask([MX, of(SPF, state=RecordState.UNKNOWN)])


def test_a_table_has_no_value_for_what_would_be_merged_with_what_nobody_could_see() -> None:
    unseen = RecordState.UNKNOWN
    records = (*(of(record, state=unseen) for record in (SPF, DMARC, PROOF, MX)), SPF)
    console = Console(file=io.StringIO(), width=200)
    part = ZoneRecords("example.com", records)
    record_output.show_table(console, part, relative=True)
    assert isinstance(console.file, io.StringIO)
    ends = [line.rpartition("  ")[2] for line in console.file.getvalue().splitlines()[2:]]
    hidden = "(not known yet: DNS could not be asked)"
    assert ends == [hidden, hidden, PROOF.value, MX.value, SPF.value]


def test_what_fails_elsewhere_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert not record_output.say_what_fails_elsewhere([MX])
    failing = of(MX, fails_elsewhere=True, comment="its host has no address")
    assert record_output.say_what_fails_elsewhere([MX, failing])
    said = capsys.readouterr().err
    assert said == (
        "postroom records: nothing is to be published for the MX at example.com, which fails all "
        "the same: its host has no address\n"
    )


def test_a_record_of_no_zone_becomes_a_sentence_and_none_at_all_a_mistake() -> None:
    other = of(MX, name="example.org")
    placed, remarks = record_output.zones_of((MX, other), ("example.com", "example.net"))
    assert placed == (ZoneRecords("example.com", (MX,)),)
    assert remarks == [
        "example.org is not in the zone example.com or example.net. Publish there, in its own "
        "zone: MX 10 mx.example.net."
    ]
    with pytest.raises(CannotPublish, match=r"into the zone example\.net: correct --zone"):
        record_output.zones_of((MX,), ("example.net",))
    assert record_output.zones_of((), ()) == ((), [])


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ([], ()),
        (["a.example.com", "example.com", "a.example.com"], ("example.com",)),
        (["b.example", "notb.example", "x.b.example"], ("b.example", "notb.example")),
    ],
)
def test_of_guessed_zones_the_outermost_are_kept(names: list[str], kept: tuple[str, ...]) -> None:
    assert record_output.outermost(names) == kept


def test_octodns_has_one_file_per_zone() -> None:
    zones = (ZoneRecords("example.com", (MX,)), ZoneRecords("example.org", (MX,)))
    with pytest.raises(CannotPublish, match=r"several \(example\.com, example\.org\)"):
        record_output.text_for(zones, Layout(RecordFormat.OCTODNS))


@pytest.mark.parametrize("format", [RecordFormat.OCTODNS, RecordFormat.DNSENDPOINT])
def test_what_must_be_merged_or_is_kept_stands_at_the_head(format: RecordFormat) -> None:
    (warned,) = record_output.with_warnings((SPF,))
    kept = of(PROOF, purpose=None)
    text = record_output.text_for((ZoneRecords("example.com", (warned, kept)),), Layout(format))
    first, second, *rest = text.splitlines()
    assert first.startswith("# example.com TXT: if there is one at this name already")
    assert second == '# there already, kept: example.com TXT "proof=1"'
    assert not any("kept:" in line or "at this name already" in line for line in rest)


def table(part: ZoneRecords, *, relative: bool) -> list[str]:
    stream = io.StringIO()
    record_output.show_table(Console(file=stream, width=200), part, relative=relative)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_names_are_relative_only_to_a_zone_that_is_known() -> None:
    part = ZoneRecords("example.com", (of(DMARC, required=True), MX))
    assert table(part, relative=True) == [
        "Zone example.com",
        "NAME    TYPE  PURPOSE  REQUIRED  VALUE",
        "_dmarc  TXT   DMARC    yes       v=DMARC1; p=none",
        "@       MX    MX       no        10 mx.example.net",
    ]
    guessed = table(part, relative=False)
    assert guessed[0] == "example.com"
    assert [line.split()[0] for line in guessed[2:]] == ["_dmarc.example.com", "example.com"]


def test_states_are_shown_where_somebody_looked() -> None:
    part = ZoneRecords("example.com", (of(MX, state=RecordState.MISSING), of(PROOF, purpose=None)))
    _, titles, first, second = table(part, relative=True)
    assert titles.split() == ["NAME", "TYPE", "PURPOSE", "REQUIRED", "STATE", "VALUE"]
    assert first.split()[:5] == ["@", "MX", "MX", "no", "Missing"]
    assert second.split() == ["@", "TXT", "-", "no", "-", "proof=1"]


def test_all_is_shown_and_what_only_others_know_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unknown = of(DMARC, type=RecordType.CNAME, value="")
    record_output.show((MX, unknown), Zones(("example.com",)), Layout(RecordFormat.BIND))
    printed = capsys.readouterr()
    assert "mx.example.net." in printed.out
    assert "_dmarc" not in printed.out
    assert "There must also be a CNAME at _dmarc.example.com" in printed.err

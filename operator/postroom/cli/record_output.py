# SPDX-License-Identifier: Apache-2.0
"""How records to publish are printed: a table for people, and the formats of DNS tools."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import typer
from rich.console import Console
from rich.text import Text

from postroom.api.sendingdomain import RecordState
from postroom.cli import terminal
from postroom.cli.domain_details import STATE_COLOURS
from postroom.cli.options import say
from postroom.dns.names import host_label, is_within
from postroom.dns.publishing.beside import is_merged, is_policy
from postroom.dns.publishing.dns_endpoint import dns_endpoints
from postroom.dns.publishing.octodns import octodns
from postroom.dns.publishing.rdata import rdata
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords, into_zones
from postroom.dns.publishing.terraform import TerraformProvider, terraform
from postroom.dns.publishing.zone_file import zone_file
from postroom.dns.texts.presentation import CannotPublish


class RecordFormat(StrEnum):
    """How records are printed."""

    TABLE = "table"
    BIND = "bind"
    TERRAFORM = "terraform"
    DNSENDPOINT = "dnsendpoint"
    OCTODNS = "octodns"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the user chose of a format. `nameservers` make a zone file whole."""

    format: RecordFormat = RecordFormat.TABLE
    terraform_provider: TerraformProvider = TerraformProvider.CLOUDFLARE
    nameservers: tuple[str, ...] = ()

    @property
    def whole_sets(self) -> bool:
        """Whether the format speaks of all records of a name and type, ours or not."""
        if self.format is RecordFormat.TERRAFORM:
            return self.terraform_provider is not TerraformProvider.CLOUDFLARE
        return self.format in (RecordFormat.DNSENDPOINT, RecordFormat.OCTODNS)


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones that records are put into: those that are known, and guesses for the others."""

    known: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


def show(records: Sequence[PublishedRecord], zones: Zones, layout: Layout) -> None:
    """Print records; what belongs into none of the zones is said on standard error.

    Raises `CannotPublish`.
    """
    known = [record for record in records if record.value]
    placed, remarks = zones_of(known, (*zones.known, *zones.guessed))
    if layout.format is RecordFormat.TABLE:
        for zone in placed:
            show_table(terminal.output(), zone, relative=zone.zone in zones.known)
    elif placed:
        typer.echo(text_for(placed, layout), nl=False)
    remarks += [
        f"There must also be a {record.type.value} at {record.name}, whose value only who runs the "
        "server or holds the address can know."
        for record in records
        if not record.value
    ]
    for sentence in remarks:
        say(f"postroom records: {sentence}", errors=True)


#: In the place of a value that would be merged with what nobody could see: the bare one could take
#: away what counts now.
_NOT_SEEN = "(not known yet: DNS could not be asked)"


def with_warnings(records: Sequence[PublishedRecord]) -> tuple[PublishedRecord, ...]:
    """Warn of records that nobody looked at: what would be lost where one is there already."""
    return tuple(
        replace(record, comment=_WARNINGS[is_policy(record)]) if is_merged(record) else record
        for record in records
    )


#: There may be one SPF record (RFC 7208 section 3.2), and one DMARC record (RFC 9989 section 4.10).
_MERGE_FIRST = (
    "if there is one at this name already, do not replace it nor add a second: merge the two, as "
    "--live does"
)
#: The one for policies comes second: nothing of a parent's counts beside a record of its own.
_WARNINGS = (
    _MERGE_FIRST,
    f"{_MERGE_FIRST}; if there is none, a parent's counts until then: --live keeps what it asks",
)


def only_missing(records: Sequence[PublishedRecord]) -> tuple[PublishedRecord, ...]:
    """Keep what DNS lacks or has wrong; raises `CannotPublish` where that cannot be told."""
    refuse_undecided(records)
    return tuple(record for record in records if not record.is_there)


def say_what_fails_elsewhere(records: Sequence[PublishedRecord]) -> bool:
    """Name on standard error what is published as it must be and fails all the same; return whether
    there is any. Raises `CannotPublish` where DNS gave no answer."""
    refuse_undecided(records)
    failing = [record for record in records if record.fails_elsewhere]
    for failed in failing:
        say(
            f"postroom records: nothing is to be published for the {failed.type.value} at "
            f"{failed.name}, which fails all the same: {failed.comment}",
            errors=True,
        )
    return bool(failing)


def say_nothing_is_missing(layout: Layout) -> None:
    """For people; a program gets nothing."""
    if layout.format is RecordFormat.TABLE:
        say("Nothing is missing.")


def zones_of(
    records: Sequence[PublishedRecord], zones: Sequence[str]
) -> tuple[tuple[ZoneRecords, ...], list[str]]:
    """Put records into zones; what belongs into none of them becomes a sentence each.

    Raises `CannotPublish` where no record is in any of them.
    """
    placed, elsewhere = into_zones(records, zones)
    known = " or ".join(zones)
    if elsewhere and not placed:
        raise CannotPublish(f"No record belongs into the zone {known}: correct --zone.")
    return placed, [
        f"{record.name} is not in the zone {known}. Publish there, in its own zone: "
        f"{record.type.value} {rdata(record.type, record.value)}"
        for record in elsewhere
    ]


def outermost(names: Sequence[str]) -> tuple[str, ...]:
    """Of names that may be zones, keep those that are in no other: guesses, one per tree."""
    return tuple(
        name
        for name in dict.fromkeys(names)
        if not any(other != name and is_within(name, other) for other in names)
    )


def text_for(zones: Sequence[ZoneRecords], layout: Layout) -> str:
    """Write records in a format for programs; raises `CannotPublish`.

    What was looked at and could not be seen is not guessed at.
    """
    records = [record for zone in zones for record in zone.records]
    refuse_undecided([record for record in records if is_merged(record)])
    match layout.format:
        case RecordFormat.BIND:
            return zone_file(zones, layout.nameservers)
        case RecordFormat.TERRAFORM:
            return terraform(zones, layout.terraform_provider)
        case RecordFormat.DNSENDPOINT:
            return _remarks(records) + dns_endpoints(zones)
        case _:
            if len(zones) > 1:
                names = ", ".join(zone.zone for zone in zones)
                raise CannotPublish(
                    f"octoDNS has one file per zone, and these are several ({names}): ask for one "
                    "domain at a time, or name the zone that holds all of them with --zone."
                )
            return _remarks(records) + octodns(zones[0])


def _remarks(records: Sequence[PublishedRecord]) -> str:
    """Write as comments at the head what these formats have no place for beside a record."""
    remarks = [
        f"{record.name} {record.type.value}: {record.comment}."
        for record in records
        if record.comment in _WARNINGS
    ]
    remarks += [
        f"there already, kept: {record.name} {record.type.value} {rdata(record.type, record.value)}"
        for record in records
        if record.purpose is None
    ]
    return "".join(f"# {remark}\n" for remark in remarks)


def refuse_undecided(records: Sequence[PublishedRecord]) -> None:
    """Raise `CannotPublish` if DNS was asked for a record and gave no answer."""
    for record in records:
        if record.state is RecordState.UNKNOWN:
            raise CannotPublish(
                f"DNS could not be asked for the {record.type.value} at {record.name}, so what to "
                "publish there is not known: try again."
            )


def show_table(console: Console, part: ZoneRecords, *, relative: bool) -> None:
    """Print a table for typing records in at a DNS host; the value comes last, whole.

    Names are `relative` to the zone, or complete where the zone is only guessed: a name relative
    to the wrong one is the commonest mistake of all. Of what was not looked at it is warned below
    the table, as the value could be copied without.
    """
    records, zone = part.records, part.zone if relative else None
    looked = any(record.state is not None for record in records)
    titles = ["NAME", "TYPE", "PURPOSE", "REQUIRED", *(["STATE"] if looked else [])]
    rows = []
    for record in records:
        purpose = record.purpose.value if record.purpose is not None else "-"
        state = record.state.value if record.state is not None else "-"
        required = "yes" if record.required else "no"
        cells = [host_label(record.name, zone), record.type.value, purpose, required]
        rows.append([*cells, state] if looked else cells)
    widths = [max(len(row[index]) for row in [titles, *rows]) for index in range(len(titles))]
    console.print(Text(f"Zone {zone}" if zone else part.zone, style="bold"))
    _line(console, [*titles, "VALUE"], widths, "dim")
    for record, row in zip(records, rows, strict=True):
        # As DNS hosts take it: without quotation marks or escapes, if it is printable.
        plain = all(" " <= char <= "~" for char in record.value)
        value = record.value if plain else rdata(record.type, record.value)
        if record.state is RecordState.UNKNOWN and is_merged(record):
            value = _NOT_SEEN
        colour = STATE_COLOURS[record.state] if record.state is not None else ""
        _line(console, [*row, value], widths, colour)
    for record in records:
        if record.comment in _WARNINGS:
            console.print(
                Text(f"{record.name} {record.type.value}: {record.comment}."), soft_wrap=True
            )


def _line(console: Console, cells: Sequence[str], widths: Sequence[int], colour: str) -> None:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    text = "  ".join([*padded, *cells[len(widths) :]])
    console.print(Text(text, style=colour), soft_wrap=True)

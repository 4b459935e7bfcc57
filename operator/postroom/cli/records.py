# SPDX-License-Identifier: Apache-2.0
"""``postroom records``: the records that must be published, in the form that a DNS tool takes."""

import asyncio
import os
from collections.abc import Sequence
from typing import Annotated

import typer

from postroom.cli import options, record_output
from postroom.cli.described import BadFlag, ProviderOption, SetOption, read
from postroom.cli.manifests import Manifests
from postroom.cli.options import say
from postroom.cli.record_looks import look, with_others, world_for
from postroom.cli.record_plans import Planned, complain_of_conflicts, plan_all
from postroom.dns.names import canonical
from postroom.dns.publishing.records import DEFAULT_TTL, delegations, distinct, from_plan
from postroom.dns.publishing.terraform import TerraformProvider
from postroom.dns.texts.presentation import CannotPublish
from postroom.settings import Settings, SettingsError, load

#: The bounds that Cloudflare sets; other DNS hosts take wider ones.
_TTL_LEAST, _TTL_MOST = 60, 86400


_Targets = Annotated[
    list[str],
    typer.Argument(
        help="A domain, or files and directories of SendingDomains; - for standard input."
    ),
]
_NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", help="Namespace of what names none; ownership tokens depend on it."
    ),
]
_OutputOption = Annotated[
    record_output.RecordFormat, typer.Option("--output", "-o", help="Form of the result.")
]
_TerraformProviderOption = Annotated[
    TerraformProvider, typer.Option(help="Whose resources -o terraform writes.")
]
_ZoneOption = Annotated[
    str | None,
    typer.Option(
        help="Zone that holds the records; default: with --live what DNS says, else "
        "the domain itself."
    ),
]
_TTLOption = Annotated[
    int, typer.Option(min=_TTL_LEAST, max=_TTL_MOST, help="TTL of the records, in seconds.")
]
_NameserverOption = Annotated[
    list[str] | None,
    typer.Option(help="Name server of the zone: -o bind writes a whole zone with SOA and NS."),
]
_LiveOption = Annotated[
    bool, typer.Option("--live", help="Ask DNS first, and merge with what is there.")
]
_MissingOption = Annotated[
    bool,
    typer.Option(
        "--missing", help="Only what DNS lacks or has wrong (asks DNS); exits 1 if there is any."
    ),
]
_AllowCIDROption = Annotated[
    list[str] | None, typer.Option(help="Private network in which name servers may be asked.")
]


def records(
    targets: _Targets,
    provider: ProviderOption = None,
    set_: SetOption = None,
    namespace: _NamespaceOption = "default",
    output: _OutputOption = record_output.RecordFormat.TABLE,
    terraform_provider: _TerraformProviderOption = TerraformProvider.CLOUDFLARE,
    zone: _ZoneOption = None,
    ttl: _TTLOption = DEFAULT_TTL,
    nameserver: _NameserverOption = None,
    live: _LiveOption = False,
    missing: _MissingOption = False,
    ignore: options.IgnoreOption = None,
    dns_resolver: options.DNSResolverOption = None,
    dns_authoritative_port: options.DNSAuthoritativePortOption = None,
    allow_cidr: _AllowCIDROption = None,
    ownership_key_file: options.OwnershipKeyFileOption = None,
) -> None:
    """Print the DNS records that sending domains need, without a cluster.

    Exits 0, 2: the input is bad or a record cannot be written in the form asked for, 3: not all of
    a folder could be read; with --missing 1: something is missing.
    """
    try:
        settings = load(
            {
                "dns_resolvers": dns_resolver,
                "dns_authoritative_port": dns_authoritative_port,
                "allow_cidrs": allow_cidr,
                "ownership_key_file": ownership_key_file,
            },
            os.environ,
        )
        found = read(targets, namespace, provider, set_ or [], ignore or [])
        nameservers = tuple(canonical(name) for name in nameserver or ())
        layout = record_output.Layout(output, terraform_provider, nameservers)
        run = RecordsRun(
            found, settings, layout, zone=zone and canonical(zone), ttl=ttl, live=live,
            missing=missing,
        )  # fmt: skip
        code = asyncio.run(run.run())
    except (SettingsError, CannotPublish, BadFlag) as error:
        raise options.fail("records", str(error)) from None
    raise typer.Exit(code)


class RecordsRun:
    """One invocation: works the records out, asks DNS where that is wanted, prints."""

    def __init__(
        self,
        found: Manifests,
        settings: Settings,
        layout: record_output.Layout,
        *,
        zone: str | None = None,
        ttl: int = DEFAULT_TTL,
        live: bool = False,
        missing: bool = False,
    ) -> None:
        self._found, self._settings, self._layout = found, settings, layout
        self._zones = record_output.Zones(known=(zone,)) if zone else None
        self._ttl, self._live, self._missing = ttl, live or missing, missing

    async def run(self) -> int:
        """Print and return the exit code; raises `CannotPublish`."""
        planned = plan_all(self._found, self._settings.ownership.keys)
        complain_of_conflicts(self._found, planned)
        for problem in self._found.complaints:
            say(str(problem), errors=True)
        if not planned and not self._found.complaints:
            say("postroom records: there is no SendingDomain in the input.", errors=True)
        read = self._found.exit_code(empty=not planned)
        if not planned or read == options.ExitCode.BAD_INPUT:
            return read
        if not self._settings.ownership_key and any(domain.derives_token for domain in planned):
            say(
                "postroom records: the ownership record is left out, because its token is made "
                "with the operator's key: give --ownership-key-file.",
                errors=True,
            )
        if self._live:
            return options.worst(read, await self._look(planned))
        made = distinct(
            record for domain in planned for record in from_plan(domain.plan, self._ttl)
        )
        guessed = record_output.Zones(
            guessed=record_output.outermost([domain.plan.domain for domain in planned])
        )
        record_output.show(record_output.with_warnings(made), self._zones or guessed, self._layout)
        return read

    async def _look(self, planned: Sequence[Planned]) -> int:
        """Look in DNS, print what is wanted, return the exit code; raises `CannotPublish`."""
        world = world_for(self._found, self._settings)
        servers = {name: to for domain in planned for name, to in delegations(domain.plan).items()}
        seen = await look(world, servers, self._ttl)
        made = seen.records
        for ending in seen.endings:
            say(f"postroom records: {ending}", errors=True)
        if self._missing:
            broken = record_output.say_what_fails_elsewhere(made)
            made = record_output.only_missing(made)
            if not made and broken:
                return options.ExitCode.NOT_READY
            if not made:
                record_output.say_nothing_is_missing(self._layout)
                return options.ExitCode.READY
        whole = await with_others(made, world.outbound.dns) if self._layout.whole_sets else made
        record_output.show(whole, self._zones or seen.zones, self._layout)
        return options.ExitCode.NOT_READY if self._missing else options.ExitCode.READY

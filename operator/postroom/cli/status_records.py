# SPDX-License-Identifier: Apache-2.0
"""The records that the statuses of SendingDomains in a cluster list, printed."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec, SendingDomainStatus
from postroom.cli import record_output
from postroom.dns.planning import complete
from postroom.dns.publishing.records import PublishedRecord, delegated, distinct, from_status
from postroom.dns.texts.presentation import CannotPublish

_TOLD = "records", "findings", "zone"


def show_status_records(
    objects: Sequence[Mapping[str, Any]], layout: record_output.Layout, *, missing: bool
) -> bool:
    """Print the records of SendingDomains as the API server holds them, with `missing` only what
    DNS lacks or has wrong; return whether there was any, or one that fails all the same. Raises
    `CannotPublish`."""
    records: list[PublishedRecord] = []
    known, guessed = [], []
    for domain in objects:
        status = _read(domain.get("status") or {})
        if not status.records:
            name = domain["metadata"]["name"]
            raise CannotPublish(f"SendingDomain {name} has no records in its status yet.")
        records += delegated(from_status(status.records, status.findings), _servers(domain["spec"]))
        if status.zone is not None:
            known.append(status.zone)
        else:
            guessed.append(str(domain["spec"]["domain"]))
    made = distinct(records)
    if missing:
        broken = record_output.say_what_fails_elsewhere(made)
        made = record_output.only_missing(made)
        if not made:
            if not broken:
                record_output.say_nothing_is_missing(layout)
            return broken
    record_output.show(
        made,
        record_output.Zones(tuple(dict.fromkeys(known)), record_output.outermost(guessed)),
        layout,
    )
    return True


def _read(raw: Mapping[str, Any]) -> SendingDomainStatus:
    """What of a status tells what to publish: all of it, as a part may be worse than nothing."""
    try:
        return SendingDomainStatus.model_validate(
            {name: raw[name] for name in _TOLD if name in raw}, by_name=False, by_alias=True
        )
    except ValidationError:
        raise CannotPublish(
            "The status lists records in a way that is newer than this postroom."
        ) from None


def _servers(raw: object) -> dict[str, list[str]]:
    """The name servers to which a spec hands its DKIM selectors, by the name that it hands over."""
    try:
        spec = parse_spec(Kind.SENDING_DOMAIN, raw)
        if not isinstance(spec, SendingDomainSpec):
            return {}
        whole = complete(spec)
    except InvalidSpec:
        # The status is that of an earlier spec.
        return {}
    return {f"_domainkey.{whole.domain}": sorted(whole.dkim_delegation)}

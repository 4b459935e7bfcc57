# SPDX-License-Identifier: Apache-2.0
"""From a spec to the records that must be published: pure, and the same in every view."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from postroom.api.resource import InvalidSpec, Problem
from postroom.api.sendingdomain import (
    SPF,
    DKIMKey,
    DMARCPolicy,
    Ownership,
    Purpose,
    SendingDomainSpec,
    SPFAll,
)
from postroom.dns import dkim, dmarc, ownership
from postroom.dns.answers import RecordType
from postroom.dns.spf import Network, Requirement, mechanism_for


@dataclass(frozen=True, slots=True)
class TextWanted:
    """A TXT record with this exact text."""

    text: str


@dataclass(frozen=True, slots=True)
class AliasWanted:
    """A CNAME to this target, behind which a DKIM key stands."""

    target: str


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """A DKIM key record with this key."""

    key: dkim.PublicKey


@dataclass(frozen=True, slots=True)
class PolicyWanted:
    """A DMARC record that is at least as strict and reports to these addresses."""

    policy: DMARCPolicy
    rua: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExchangeWanted:
    """An MX record."""

    preference: int
    host: str


Wanted = TextWanted | AliasWanted | KeyWanted | Requirement | PolicyWanted | ExchangeWanted


@dataclass(frozen=True, slots=True)
class Expected:
    """One record that must be published; `value` is what to publish where nothing is there yet."""

    id: str
    purpose: Purpose
    name: str
    type: RecordType
    value: str
    required: bool
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """A domain and the records that it must have."""

    domain: str
    records: tuple[Expected, ...]


def plan(
    spec: SendingDomainSpec, namespace: str, ownership_key: bytes, public_keys: Mapping[str, str]
) -> DomainPlan:
    """Work out the records of a spec.

    `public_keys` are the texts that publicKeyRef led to, by selector. Raises `InvalidSpec` for a
    key or network that cannot be read.
    """
    domain, records = spec.domain, list[Expected]()

    def add(id: str, purpose: Purpose, name: str, type: RecordType, value: str, w: Wanted) -> None:
        records.append(Expected(id, purpose, name, type, value, purpose in spec.required, w))

    name, value = _ownership(spec.ownership, domain, namespace, ownership_key)
    add("ownership", Purpose.OWNERSHIP, name, RecordType.TXT, value, TextWanted(value))
    for index, selector in enumerate(spec.dkim):
        wanted, value = _dkim(selector, index, public_keys)
        kind = RecordType.CNAME if isinstance(wanted, AliasWanted) else RecordType.TXT
        owner = f"{selector.selector}._domainkey.{domain}"
        add(f"dkim-{selector.selector}", Purpose.DKIM, owner, kind, value, wanted)
    if spec.spf is not None:
        requirement = _requirement(spec.spf)
        networks = [mechanism_for(one) for one in requirement.networks]
        includes = [f"include:{one}" for one in requirement.includes]
        value = " ".join(["v=spf1", *includes, *networks, requirement.all_term])
        add("spf", Purpose.SPF, domain, RecordType.TXT, value, requirement)
    if spec.dmarc is not None:
        policy = PolicyWanted(spec.dmarc.policy, tuple(spec.dmarc.rua))
        value = dmarc.record_for(policy.policy, policy.rua)
        add("dmarc", Purpose.DMARC, f"_dmarc.{domain}", RecordType.TXT, value, policy)
    for exchange in spec.mx:
        value = f"{exchange.preference} {exchange.host}"
        mx = ExchangeWanted(exchange.preference, exchange.host)
        add(f"mx-{exchange.host}", Purpose.MX, domain, RecordType.MX, value, mx)
    return DomainPlan(domain, tuple(records))


def _ownership(spec: Ownership, domain: str, namespace: str, key: bytes) -> tuple[str, str]:
    name, value = ownership.challenge(key, namespace, domain)
    if spec.value is not None:
        return spec.name or domain, spec.value
    return spec.name or name, value


def _dkim(
    selector: DKIMKey, index: int, public_keys: Mapping[str, str]
) -> tuple[AliasWanted | KeyWanted, str]:
    if selector.cname is not None:
        return AliasWanted(selector.cname), selector.cname
    text = selector.public_key or public_keys[selector.selector]
    key = dkim.read_expected(text)
    if isinstance(key, str):
        field = "publicKey" if selector.public_key else "publicKeyRef"
        raise InvalidSpec((Problem(("spec", "dkim", index, field), key),))
    return KeyWanted(key), dkim.record_for(key)


_ALL = {SPFAll.FAIL: "-all", SPFAll.SOFT_FAIL: "~all", SPFAll.NEUTRAL: "?all"}


def _requirement(spec: SPF) -> Requirement:
    networks: list[Network] = []
    for field, texts in (("ip4", spec.ip4), ("ip6", spec.ip6)):
        for index, text in enumerate(texts):
            try:
                made = ipaddress.ip_network(text, strict=False)
            except ValueError:
                problem = Problem(("spec", "spf", field, index), "must be an address or network")
                raise InvalidSpec((problem,)) from None
            networks.append(made)
    return Requirement(tuple(spec.includes), tuple(networks), _ALL[spec.all])

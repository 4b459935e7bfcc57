# SPDX-License-Identifier: Apache-2.0
"""Mistakes in DMARC: version, separators, addresses, policy, inheritance, agreement, aliases."""

from __future__ import annotations

from typing import Any

from closed_loop.loop import APEX, SUBDOMAIN, Case, Mistake, Stage, spec_of
from dnsworld.quirks import QUIRKS
from postroom.api.findings import Fix
from postroom.dns import planning

RUA = f"rua=mailto:dmarc@{APEX}"
GOOD = f"v=DMARC1; p=quarantine; {RUA}"


def typed(value: str) -> Mistake:
    """Another policy is typed."""
    return lambda stage: stage.retype("dmarc", value=value)


def beside(*values: str) -> Mistake:
    """More policies are added to the one that is there."""

    def mistake(stage: Stage) -> None:
        for value in values:
            stage.panel().add("_dmarc", "TXT", value)

    return mistake


def absent(stage: Stage) -> None:
    stage.unpublish("dmarc")


def alias_to(target: str, text: str | None = None) -> Mistake:
    """A CNAME is typed; who runs its target publishes a text there."""

    def mistake(stage: Stage) -> None:
        if text is not None:
            stage.world.publish(target, "TXT", text)
        stage.retype("dmarc", kind="CNAME", value=target)

    return mistake


def parent_has(text: str) -> Mistake:
    """The sending domain has no policy of its own, its parent has one."""

    def mistake(stage: Stage) -> None:
        stage.unpublish("dmarc")
        stage.zone.add(f"_dmarc.{APEX}", "TXT", text)

    return mistake


def beside_the_parents(value: str) -> Mistake:
    """Another policy is typed, and the parent has one."""

    def mistake(stage: Stage) -> None:
        stage.retype("dmarc", value=value)
        stage.zone.add(f"_dmarc.{APEX}", "TXT", _PARENT)

    return mistake


def reports_go_to(address: str, **published: str) -> Mistake:
    """The spec asks for reports to another organisation."""

    def mistake(stage: Stage) -> None:
        policy: dict[str, Any] = {"policy": "quarantine", "rua": [f"mailto:{address}"]}
        spec = spec_of(stage.plan.domain, stage.provider, dmarc=policy)
        stage.unpublish("dmarc")
        stage.plan = planning.plan(spec, "mail", b"key", {})
        stage.panel().add(stage.label("dmarc"), "TXT", stage.value("dmarc"))
        destination = address.partition("@")[2]
        stage.world.publish(destination, "MX", f"10 mx.{destination}")
        for text in published.values():
            name, _, value = text.partition(" ")
            stage.world.publish(name, "TXT", value)

    return mistake


def agrees(stage: Stage, fix: Fix) -> None:
    """Who receives the reports does what the finding says."""
    zone = stage.world.zone_at(fix.name)
    zone.remove(fix.name, "TXT")
    stage.world.publish(fix.name, fix.type, fix.value)


def masked_by_wildcard(stage: Stage) -> None:
    """A wildcard of the zone answers for the name, with an SPF record."""
    stage.unpublish("dmarc")
    stage.panel(QUIRKS["nice"]).add("*", "TXT", "v=spf1 -all")


def _damaged() -> list[Case]:
    """(name, code, what is typed)"""
    rows = [
        ("version in lowercase", "DMARC_VERSION", f"v=dmarc1; p=quarantine; {RUA}"),
        ("version without digit", "DMARC_VERSION", f"v=DMARC; p=quarantine; {RUA}"),
        ("l for 1", "DMARC_VERSION", f"v=DMARCl; p=quarantine; {RUA}"),
        ("version without v=", "DMARC_VERSION", f"DMARC1; p=quarantine; {RUA}"),
        ("no version", "DMARC_VERSION", f"p=quarantine; {RUA}"),
        ("version in second place", "DMARC_VERSION", f"p=quarantine; v=DMARC1; {RUA}"),
        ("version 2", "DMARC_VERSION", f"v=DMARC1.0; p=quarantine; {RUA}"),
        ("commas", "DMARC_SEPARATOR", f"v=DMARC1, p=quarantine, {RUA}"),
        ("spaces", "DMARC_SEPARATOR", f"v=DMARC1 p=quarantine {RUA}"),
        ("one comma", "DMARC_SEPARATOR", f"v=DMARC1; p=quarantine, {RUA}"),
        ("no mailto:", "DMARC_URI", f"v=DMARC1; p=quarantine; rua=dmarc@{APEX}"),
        ("mailto with =", "DMARC_URI", f"v=DMARC1; p=quarantine; rua=mailto=dmarc@{APEX}"),
        ("mailto with //", "DMARC_URI", f"v=DMARC1; p=quarantine; rua=mailto://dmarc@{APEX}"),
        ("a policy that is none", "DMARC_P_INVALID", f"v=DMARC1; p=block; {RUA}"),
        ("no policy", "DMARC_P_INVALID", f"v=DMARC1; {RUA}"),
        ("no policy and no reports", "DMARC_P_INVALID", "v=DMARC1; adkim=s"),
        ("an unknown sp=", "DMARC_SYNTAX", "v=DMARC1; p=quarantine; sp=block"),
        ("p= twice", "DMARC_SYNTAX", f"v=DMARC1; p=quarantine; p=none; {RUA}"),
        ("p= twice, the same", "DMARC_SYNTAX", f"v=DMARC1; p=reject; {RUA}; P=reject"),
        ("rua= twice", "DMARC_SYNTAX", f"{GOOD}; rua=mailto:more@{APEX}"),
        ("sp= twice", "DMARC_SYNTAX", f"{GOOD}; sp=reject; sp=none"),
        ("the version twice", "DMARC_SYNTAX", f"{GOOD}; v=DMARC1"),
        ("p=none", "DMARC_POLICY_WEAK", f"v=DMARC1; p=none; {RUA}"),
        ("test mode", "DMARC_POLICY_WEAK", f"v=DMARC1; p=quarantine; t=y; {RUA}"),
        ("no reports", "DMARC_RUA_MISSING", "v=DMARC1; p=quarantine"),
        ("reports elsewhere", "DMARC_RUA_MISSING", "v=DMARC1; p=reject; rua=mailto:d@a.net"),
    ]
    return [Case(name, "dmarc", "Wrong", code, typed(value)) for name, code, value in rows]


def _advised() -> list[Case]:
    """(name, code, what is typed)"""
    rows = [
        ("pct=100", "DMARC_REMOVED_TAGS", f"{GOOD}; pct=100"),
        ("ri=", "DMARC_REMOVED_TAGS", f"{GOOD}; ri=86400; rf=afrf"),
        ("pct=20", "DMARC_PCT_IGNORED", f"{GOOD}; pct=20"),
        ("test mode that is strict enough", "DMARC_TEST_MODE", f"v=DMARC1; p=reject; t=y; {RUA}"),
        ("weaker subdomains", "DMARC_SP_WEAKER", f"{GOOD}; sp=none"),
        ("a registry", "DMARC_PSD", f"{GOOD}; psd=y"),
        ("a tag that is ignored", "DMARC_IGNORED_TAG", f"{GOOD}; adkim=x"),
        ("an option that there is not", "DMARC_IGNORED_TAG", f"{GOOD}; fo=0:2"),
        ("reports to a stranger, too", "DMARC_OTHER_RUA_UNAUTHORISED", f"{GOOD},mailto:d@a.net"),
        ("a size", "DMARC_URI_SIZE", f"v=DMARC1; p=quarantine; rua=mailto:dmarc@{APEX}!10m"),
        ("strict alignment", "DMARC_ALIGN_SPF", f"{GOOD}; aspf=s"),
    ]
    return [
        Case(name, "dmarc", "Valid", code, typed(value), advice=True) for name, code, value in rows
    ]


_PARENT = f"v=DMARC1; p=reject; rua=mailto:dmarc@{SUBDOMAIN}"

CASES: tuple[Case, ...] = (
    *_damaged(),
    *_advised(),
    Case("nothing", "dmarc", "Missing", "DMARC_MISSING", absent),
    Case("two policies", "dmarc", "Conflicting", "DMARC_MULTIPLE", beside("v=DMARC1; p=none")),
    Case(
        "three policies",
        "dmarc",
        "Conflicting",
        "DMARC_MULTIPLE",
        beside("v=DMARC1; p=reject; rua=mailto:other@example.com", "v=DMARC1; p=none"),
    ),
    Case(
        "the parent's policy",
        "dmarc",
        "Valid",
        "DMARC_INHERITED",
        parent_has(_PARENT),
        domain=SUBDOMAIN,
        advice=True,
    ),
    Case(
        "a policy that is ignored below the parent's",
        "dmarc",
        "Valid",
        "DMARC_OWN_IGNORED",
        beside_the_parents("v=dmarc1; p=reject"),
        domain=SUBDOMAIN,
        advice=True,
    ),
    Case(
        "the parent's policy is weak",
        "dmarc",
        "Missing",
        "DMARC_MISSING",
        parent_has(f"{_PARENT}; sp=none"),
        domain=SUBDOMAIN,
    ),
    Case(
        "reports to a stranger",
        "dmarc",
        "Wrong",
        "DMARC_EXTERNAL_RUA_UNAUTHORISED",
        reports_go_to("in@reports.net"),
        outsider=agrees,
    ),
    Case(
        "reports to a stranger who agreed for another",
        "dmarc",
        "Wrong",
        "DMARC_EXTERNAL_RUA_UNAUTHORISED",
        reports_go_to("in@reports.net", other="a.net._report._dmarc.reports.net v=DMARC1"),
        outsider=agrees,
    ),
    Case(
        "a wildcard agreement that another record hides",
        "dmarc",
        "Wrong",
        "DMARC_EXTERNAL_RUA_UNAUTHORISED",
        reports_go_to(
            "in@reports.net",
            wildcard="*._report._dmarc.reports.net v=DMARC1",
            hidden=f"{APEX}._report._dmarc.reports.net something",
        ),
        outsider=agrees,
    ),
    Case("an SPF record", "dmarc", "Missing", "DMARC_SPF_AT_DMARC", typed("v=spf1 -all")),
    Case(
        "a CNAME to an SPF record",
        "dmarc",
        "Missing",
        "DMARC_SPF_AT_DMARC",
        alias_to("_spf.mailprovider.net"),
        also=("DMARC_ON_CNAME",),
    ),
    Case(
        "a wildcard with an SPF record",
        "dmarc",
        "Missing",
        "WILDCARD_MASKS",
        masked_by_wildcard,
        also=("DMARC_SPF_AT_DMARC",),
    ),
    Case(
        "a CNAME to something else",
        "dmarc",
        "Missing",
        "DMARC_ON_CNAME",
        alias_to("dmarc.vendor.net", "nothing to see"),
    ),
    Case(
        "a CNAME to a weak policy",
        "dmarc",
        "Wrong",
        "DMARC_POLICY_WEAK",
        alias_to("dmarc.vendor.net", f"v=DMARC1; p=none; {RUA}"),
    ),
    Case(
        "a CNAME to who sets the policy",
        "dmarc",
        "Valid",
        "DMARC_DELEGATED",
        alias_to("dmarc.vendor.net", GOOD),
        advice=True,
    ),
)

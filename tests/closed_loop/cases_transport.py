# SPDX-License-Identifier: Apache-2.0
"""Mistakes around the transport: TLS-RPT, BIMI, DANE, and reverse DNS of sending addresses."""

from __future__ import annotations

from typing import Any

from closed_loop.loop import APEX, SUBDOMAIN, Case, Mistake, Outsider, Stage
from dnsworld.quirks import NICE, QUIRKS, Quirks
from postroom.api.findings import Fix

Spec = tuple[tuple[str, Any], ...]

REPORTS = "mailto:tls@example.com"
OTHER_REPORTS = "mailto:a@example.net,https://reports.example.net/tls"
LOGO, MARK = "https://example.com/logo.svg", "https://example.com/mark.pem"
TLS_RPT: Spec = (("tlsRPT", {"rua": [REPORTS]}),)
BIMI: Spec = (("bimi", {"logo": LOGO, "certificate": MARK}),)
ADDRESS = "192.0.2.25"
REVERSE: Spec = (("sendingIPs", [ADDRESS]),)
PTR, HOST = "25.2.0.192.in-addr.arpa", "mx1.mailprovider.net"
DANE: Spec = (("mx", [{"host": HOST}]), ("dane", {}))
TLSA, ASSOCIATION = f"_25._tcp.{HOST}", f"3 1 1 {'ab' * 32}"


def _typed(id: str, value: str, quirks: Quirks = NICE) -> Mistake:
    def mistake(stage: Stage) -> None:
        stage.retype(id, value=value, quirks=quirks)

    return mistake


def _gone(id: str) -> Mistake:
    return lambda stage: stage.unpublish(id)


def _second(id: str, value: str) -> Mistake:
    def mistake(stage: Stage) -> None:
        stage.panel().add(stage.label(id), "TXT", value)

    return mistake


def _in_full(id: str) -> Mistake:
    def mistake(stage: Stage) -> None:
        stage.retype(id, name=stage.record(id).name, quirks=QUIRKS["appends-zone"])

    return mistake


def _reports() -> list[Case]:
    id, version = "tls-rpt", "v=TLSRPTv1; rua="
    rows = [
        ("nothing published", "Missing", "TLS_RPT_MISSING", _gone(id)),
        ("zone added", "Missing", "NAME_ZONE_DOUBLED", _in_full(id)),
        ("no mailto", "Wrong", "TLS_RPT_SYNTAX", _typed(id, f"{version}tls@example.com")),
        ("lower case", "Wrong", "TLS_RPT_SYNTAX", _typed(id, f"v=tlsrptv1; rua={REPORTS}")),
        ("blanks", "Wrong", "TLS_RPT_SYNTAX", _typed(id, f"v=TLSRPTv1; rua = {REPORTS}")),
        ("last comma", "Wrong", "TLS_RPT_SYNTAX", _typed(id, f"{version}{REPORTS},")),
        (
            "other address",
            "Wrong",
            "TLS_RPT_RUA_MISSING",
            _typed(id, f"{version}mailto:a@example.net"),
        ),
        (
            "second record",
            "Conflicting",
            "TLS_RPT_MULTIPLE",
            _second(id, f"{version}mailto:a@example.net"),
        ),
        ("backslash", "Wrong", "VALUE_ESCAPED", _typed(id, rf"v=TLSRPTv1\; rua={OTHER_REPORTS}")),
        ("caption", "Wrong", "VALUE_INCLUDES_NAME", _typed(id, f"TXT {version}{OTHER_REPORTS}")),
        ("others' blanks", "Wrong", "TLS_RPT_SYNTAX", _typed(id, f"{version}{OTHER_REPORTS} x")),
        ("commas", "Wrong", "TLS_RPT_SYNTAX", _typed(id, f"v=TLSRPTv1, rua={OTHER_REPORTS}")),
    ]
    return [
        Case(f"{code}: {name}", id, state, code, mistake, spec=TLS_RPT)
        for name, state, code, mistake in rows
    ]


def _weak_policy(stage: Stage) -> None:
    stage.zone.replace(f"_dmarc.{APEX}", "TXT", "v=DMARC1; p=none")


def _strict_policy(stage: Stage, fix: Fix) -> None:
    stage.zone.replace(f"_dmarc.{APEX}", "TXT", "v=DMARC1; p=reject")


def _logo_above(stage: Stage) -> None:
    stage.unpublish("bimi")
    stage.zone.add(f"default._bimi.{APEX}", "TXT", stage.value("bimi"))


def _indicators() -> list[Case]:
    id = "bimi"
    rows: list[tuple[str, str, str, Mistake]] = [
        ("nothing published", "Missing", "BIMI_MISSING", _gone(id)),
        ("zone added", "Missing", "NAME_ZONE_DOUBLED", _in_full(id)),
        ("no version", "Wrong", "BIMI_SYNTAX", _typed(id, f"BIMI1; l={LOGO}; a={MARK}")),
        ("declined", "Wrong", "BIMI_DECLINED", _typed(id, "v=BIMI1; l=; a=;")),
        ("other logo", "Wrong", "BIMI_LOGO_OTHER", _typed(id, f"v=BIMI1; l={MARK}; a={MARK}")),
        ("no certificate", "Wrong", "BIMI_CERTIFICATE_OTHER", _typed(id, f"v=BIMI1; l={LOGO}")),
        ("two", "Conflicting", "BIMI_MULTIPLE", _second(id, f"v=BIMI1; l={LOGO}")),
        ("two brands", "Conflicting", "BIMI_MULTIPLE", _second(id, "v=BIMI1; l=; avp=brand")),
        ("lower case", "Wrong", "BIMI_SYNTAX", _typed(id, f"v=bimi1; l={LOGO}; avp=brand")),
        ("caption", "Wrong", "VALUE_INCLUDES_NAME", _typed(id, f"TXT v=BIMI1; l={MARK}; avp=x")),
    ]
    weak = Case(
        "BIMI_DMARC_WEAK: policy none",
        id,
        "Wrong",
        "BIMI_DMARC_WEAK",
        _weak_policy,
        spec=(*BIMI, ("dmarc", None)),
        before=lambda stage: stage.zone.replace(f"_dmarc.{APEX}", "TXT", "v=DMARC1; p=reject"),
        outsider=_strict_policy,
    )
    inherited = Case(
        "BIMI_INHERITED: the organisation's",
        id,
        "Valid",
        "BIMI_INHERITED",
        _logo_above,
        domain=SUBDOMAIN,
        spec=BIMI,
        before=lambda stage: stage.zone.add(f"_dmarc.{APEX}", "TXT", "v=DMARC1; p=reject"),
        advice=True,
    )
    return [
        weak,
        inherited,
        *(
            Case(f"{code}: {name}", id, state, code, mistake, spec=BIMI)
            for name, state, code, mistake in rows
        ),
    ]


def _published(name: str, kind: str, *values: str) -> Mistake:
    """Somebody else puts values in the place of those at a name of his."""

    def change(stage: Stage) -> None:
        stage.world.zone_at(name).replace(name, kind, *values)

    return change


def _by_others(*changes: Mistake) -> Outsider:
    def outsider(stage: Stage, fix: Fix) -> None:
        for change in changes:
            change(stage)

    return outsider


def _reverse() -> list[Case]:
    rows = [
        ("no name", "Missing", "REVERSE_MISSING", _published(PTR, "PTR")),
        (
            "no address",
            "Wrong",
            "REVERSE_NAME_UNRESOLVABLE",
            _published(PTR, "PTR", "gone.mailprovider.net"),
        ),
        (
            "other address",
            "Wrong",
            "REVERSE_NOT_CONFIRMED",
            _published(PTR, "PTR", "click.mailprovider.net"),
        ),
    ]
    mended = _by_others(_published(PTR, "PTR", HOST))
    return [
        Case(
            f"{code}: {name}",
            f"reverse-{ADDRESS}",
            state,
            code,
            mistake,
            spec=REVERSE,
            outsider=mended,
        )
        for name, state, code, mistake in rows
    ]


def _signed(stage: Stage) -> None:
    stage.world.publish(TLSA, "TLSA", ASSOCIATION)
    stage.world.sign("mailprovider.net")
    stage.world.sign(APEX)


def _unsigned(apex: str) -> Mistake:
    return lambda stage: _check(stage.world.remove_ds(apex))


def _check(done: bool) -> None:
    assert done


def _associations() -> list[Case]:
    unusable = f"1 1 1 {'ab' * 32}"
    rows: list[tuple[str, str, str, Mistake, Mistake]] = [
        (
            "none",
            "Missing",
            "DANE_MISSING",
            _published(TLSA, "TLSA"),
            _published(TLSA, "TLSA", ASSOCIATION),
        ),
        (
            "usage 1",
            "Wrong",
            "DANE_UNUSABLE",
            _published(TLSA, "TLSA", unusable),
            _published(TLSA, "TLSA", ASSOCIATION),
        ),
        (
            "host not signed",
            "Wrong",
            "DANE_NOT_SIGNED",
            _unsigned("mailprovider.net"),
            lambda stage: stage.world.sign("mailprovider.net"),
        ),
        (
            "domain not signed",
            "Wrong",
            "DANE_MX_NOT_SIGNED",
            _unsigned(APEX),
            lambda stage: stage.world.sign(APEX),
        ),
    ]
    return [
        Case(
            f"{code}: {name}",
            f"dane-{HOST}",
            state,
            code,
            mistake,
            spec=DANE,
            before=_signed,
            outsider=_by_others(mend),
        )
        for name, state, code, mistake, mend in rows
    ]


CASES: tuple[Case, ...] = (*_reports(), *_indicators(), *_reverse(), *_associations())

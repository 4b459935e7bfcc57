# SPDX-License-Identifier: Apache-2.0
"""Mistakes in MX records and at the return path."""

from __future__ import annotations

from dataclasses import replace

from closed_loop.loop import APEX, DOMAIN, SUBDOMAIN, Case, Mistake, Stage
from dnsworld.quirks import QUIRKS, Quirks
from postroom.api.findings import Fix

FIRST, SECOND = "mx-mx1.mailprovider.net", "mx-mx2.mailprovider.net"
BOUNCE = f"bounce.{APEX}"
_OWN_HOST = f"mx.{APEX}"
_BY_MX = (
    (
        "returnPath",
        {
            "name": "bounce",
            "mx": [{"host": "mx1.mailprovider.net", "preference": 10}],
            "spf": {"includes": ["_spf.mailprovider.net"]},
        },
    ),
)
_FEEDBACK = "feedback-smtp.eu-west-1.amazonses.com"
_FEEDBACK_ID = f"return-path-mx-{_FEEDBACK}"
_BY_SES = (("returnPath", {"name": "bounce", "mx": [{"host": _FEEDBACK, "preference": 10}]}),)
RETURN_MX = "return-path-mx-mx1.mailprovider.net"
_ADDRESSES = tuple(f"5 203.0.113.{number}" for number in range(30))
_NO_MX = (("mx", None),)
_OWN_MX = (("mx", [{"host": _OWN_HOST, "preference": 10}]),)


def _typed(id: str, value: str, quirks: Quirks = QUIRKS["nice"]) -> Mistake:
    """Type the record anew, with this value."""
    return lambda stage: stage.retype(id, value=value, quirks=quirks)


def _only(*values: str) -> Mistake:
    """Leave these MX records and no others."""
    return lambda stage: stage.zone.replace(APEX, "MX", *values)


def _beside(*values: str) -> Mistake:
    """Add MX records to those that are right."""

    def add(stage: Stage) -> None:
        for value in values:
            stage.zone.add(APEX, "MX", value)

    return add


def _without(name: str) -> Mistake:
    """Take all MX records of a name away."""

    def remove(stage: Stage) -> None:
        assert stage.zone.remove(name, "MX")

    return remove


def _alone(*records: tuple[str, str]) -> Mistake:
    """Put these records (type, value) in the place of the return path's CNAME."""

    def put(stage: Stage) -> None:
        stage.zone.remove(BOUNCE, "CNAME")
        for kind, value in records:
            stage.zone.add(BOUNCE, kind, value)

    return put


def _others_exist(stage: Stage) -> None:
    """The exchanges of others that the mistakes name have addresses."""
    for host in (*_ELSEWHERE, *(one.partition(" ")[2] for one in _GOOGLE)):
        stage.world.publish(host, "A", "192.0.2.77")


def _feedback_exists(stage: Stage) -> None:
    _others_exist(stage)
    stage.world.publish(_FEEDBACK, "A", "192.0.2.78")


def _alias_to_wanted(stage: Stage) -> None:
    stage.zone.add(f"mail.{APEX}", "CNAME", "mx1.mailprovider.net")
    stage.retype(FIRST, value=f"10 mail.{APEX}.")


def _host_without_address(stage: Stage) -> None:
    stage.world.zone_at("mx1.mailprovider.net").remove("mx1.mailprovider.net", "A")


def _host_is_back(stage: Stage, fix: Fix) -> None:
    stage.world.publish("mx1.mailprovider.net", "A", "192.0.2.25")


def _host_is_alias(stage: Stage) -> None:
    zone = stage.world.zone_at("mx1.mailprovider.net")
    zone.remove("mx1.mailprovider.net", "A")
    zone.add("mx1.mailprovider.net", "CNAME", "mx2.mailprovider.net")


def _own_host_gone(stage: Stage) -> None:
    stage.zone.remove(_OWN_HOST, "A")


def _own_host_back(stage: Stage, fix: Fix) -> None:
    stage.zone.add(_OWN_HOST, "A", "192.0.2.99")


def _without_own_address(stage: Stage) -> None:
    stage.zone.remove(APEX, "A")
    stage.zone.remove(APEX, "MX")


def _bounces_refused(stage: Stage) -> None:
    stage.world.zone_at("bounces.mailprovider.net").replace("bounces.mailprovider.net", "MX", "0 .")


def _bounces_taken(stage: Stage, fix: Fix) -> None:
    stage.world.zone_at("bounces.mailprovider.net").replace(
        "bounces.mailprovider.net", "MX", "10 mx1.mailprovider.net"
    )


def _alias_left(stage: Stage) -> None:
    for kind in ("MX", "TXT"):
        stage.zone.remove(BOUNCE, kind)
    stage.zone.add(BOUNCE, "CNAME", "bounces.otherprovider.net")
    stage.world.publish("bounces.otherprovider.net", "A", "192.0.2.66")


_ELSEWHERE = ("mail.elsewhere.net", "feedback.elsewhere.net", "mx.zoho.com", "mx9.mailprovider.net")
_GOOGLE = ("1 smtp.google.com", "5 alt1.aspmx.l.google.com")
_DOUBLED = QUIRKS["appends-zone-to-targets"]
_JOINED = replace(QUIRKS["joins-preference"], appends_zone_to_targets=True)


def _wrong(name: str, code: str, mistake: Mistake, id: str = FIRST) -> Case:
    return Case(f"{code}: {name}", id, "Wrong", code, mistake, before=_others_exist)


def _passed_over(name: str, value: str) -> Case:
    code = "MX_OTHER_UNRESOLVABLE"
    return Case(f"{code}: {name}", FIRST, "Valid", code, _beside(value), advice=True)


def _conflict(name: str, mistake: Mistake, state: str) -> Case:
    return Case(f"RP_CONFLICT: {name}", "return-path", state, "RP_CONFLICT", mistake)


CASES: tuple[Case, ...] = (
    _wrong("an address", "MX_IP", _typed(FIRST, "10 192.0.2.25.")),
    _wrong("an IPv6 address", "MX_IP", _typed(SECOND, "20 2001:db8::25."), SECOND),
    _wrong("an address, the zone added", "MX_IP", _typed(FIRST, "10 192.0.2.25", _DOUBLED)),
    _wrong("an address in brackets", "MX_IP", _typed(FIRST, "10 [192.0.2.25].")),
    _wrong(
        "two fields in one",
        "MX_PRIORITY_IN_HOST",
        _typed(FIRST, "10 mx1.mailprovider.net.", QUIRKS["joins-preference"]),
    ),
    _wrong(
        "two fields in one, the second host",
        "MX_PRIORITY_IN_HOST",
        _typed(SECOND, "20 mx2.mailprovider.net.", QUIRKS["joins-preference"]),
        SECOND,
    ),
    _wrong(
        "two fields in one, the zone added",
        "MX_PRIORITY_IN_HOST",
        _typed(FIRST, "10 mx1.mailprovider.net", _JOINED),
    ),
    _wrong("no last dot", "MX_TARGET_DOUBLED", _typed(FIRST, "10 mx1.mailprovider.net", _DOUBLED)),
    _wrong(
        "no last dot, the second host",
        "MX_TARGET_DOUBLED",
        _typed(SECOND, "20 mx2.mailprovider.net", _DOUBLED),
        SECOND,
    ),
    _wrong("an alias of the host", "MX_CNAME_TO_WANTED", _alias_to_wanted),
    _wrong("another preference", "MX_PREFERENCE", _typed(FIRST, "50 mx1.mailprovider.net.")),
    _wrong(
        "preferences swapped", "MX_PREFERENCE", _typed(SECOND, "5 mx2.mailprovider.net."), SECOND
    ),
    _wrong("one is missing", "MX_MISMATCH", lambda stage: stage.unpublish(SECOND), SECOND),
    _wrong("another host", "MX_MISMATCH", _only("10 mail.elsewhere.net")),
    _wrong("a host of the provider, not mine", "MX_MISMATCH", _only("10 mx9.mailprovider.net")),
    _wrong("all at a provider of old", "MX_OTHER_PROVIDER", _only(*_GOOGLE)),
    _wrong("one at a provider of old", "MX_OTHER_PROVIDER", _only("0 mx.zoho.com"), SECOND),
    Case(
        "MX_MISSING: no MX, but an address",
        FIRST,
        "Missing",
        "MX_MISSING",
        _without(APEX),
    ),
    Case("MX_MISSING: nothing at all", FIRST, "Missing", "MX_MISSING", _without_own_address),
    Case("MX_NULL: accepts no mail", FIRST, "Conflicting", "MX_NULL", _only("0 .")),
    Case(
        "MX_NULL_MIXED: beside the right ones",
        FIRST,
        "Conflicting",
        "MX_NULL_MIXED",
        _beside("0 ."),
    ),
    Case(
        "MX_NULL_MIXED: beside another",
        SECOND,
        "Conflicting",
        "MX_NULL_MIXED",
        _only("0 .", "10 mx1.mailprovider.net"),
    ),
    Case("MX_NULL: at the From domain", DOMAIN, None, "MX_NULL", _only("0 ."), spec=_NO_MX),
    Case(
        "MX_NULL_MIXED: at the From domain",
        DOMAIN,
        None,
        "MX_NULL_MIXED",
        _only("0 .", "10 mail.elsewhere.net"),
        spec=_NO_MX,
    ),
    Case(
        "MX_NULL: at the return path",
        RETURN_MX,
        "Conflicting",
        "MX_NULL",
        lambda stage: stage.zone.replace(BOUNCE, "MX", "0 ."),
        spec=_BY_MX,
    ),
    Case(
        "MX_NULL: where bounces lead",
        "return-path",
        "Valid",
        "MX_NULL",
        _bounces_refused,
        outsider=_bounces_taken,
    ),
    Case(
        "MX_UNRESOLVABLE: the provider's host",
        FIRST,
        "Wrong",
        "MX_UNRESOLVABLE",
        _host_without_address,
        outsider=_host_is_back,
    ),
    Case("MX_CNAME: the required host", FIRST, "Valid", "MX_CNAME", _host_is_alias, advice=True),
    _wrong("another provider, preferred", "MX_TAKES_MAIL", _beside(*_GOOGLE)),
    _wrong("another provider, equal", "MX_TAKES_MAIL", _beside("10 mx.zoho.com")),
    _wrong("unknown, preferred", "MX_TAKES_MAIL", _beside("1 mail.elsewhere.net")),
    _wrong("many addresses beside", "MX_IP", _beside(*_ADDRESSES)),
    _wrong("addresses alone", "MX_IP", _only(*_ADDRESSES, "20 mx2.mailprovider.net")),
    _wrong(
        "preferred, one missing",
        "MX_MISMATCH",
        _only("1 mail.elsewhere.net", "20 mx2.mailprovider.net"),
    ),
    _wrong(
        "quoted", "MX_NOT_A_HOST", _only('10 "mx1.mailprovider.net"', "20 mx2.mailprovider.net")
    ),
    _wrong(
        "a port", "MX_NOT_A_HOST", _only("10 mx1.mailprovider.net:25", "20 mx2.mailprovider.net")
    ),
    _wrong("commas", "MX_NOT_A_HOST", _only("10 mx1,mailprovider,net", "20 mx2.mailprovider.net")),
    _wrong("hyphens", "MX_NOT_A_HOST", _only("10 mx1-mailprovider-net", "20 mx2.mailprovider.net")),
    Case(
        "MX_OLD_PROVIDER: in reserve",
        FIRST,
        "Valid",
        "MX_OLD_PROVIDER",
        _beside("99 mx.zoho.com"),
        before=_others_exist,
    ),
    Case(
        "MX_OLD_PROVIDER: unknown, equal",
        FIRST,
        "Valid",
        "MX_OLD_PROVIDER",
        _beside("10 mail.elsewhere.net"),
        before=_others_exist,
        advice=True,
    ),
    _wrong("an address beside", "MX_IP", _beside("10 192.0.2.25")),
    _wrong("localhost beside", "MX_LOCALHOST", _beside("5 localhost")),
    _wrong("localhost, the zone added", "MX_LOCALHOST", _beside(f"50 localhost.{APEX}")),
    _wrong("a URL beside", "MX_NOT_A_HOST", _beside("10 https://mx1.mailprovider.net/")),
    _wrong("a single word beside", "MX_NOT_A_HOST", _beside("10 mail")),
    _wrong("a typo beside", "MX_TYPO", _beside("10 mx1.mailprovidr.net")),
    _passed_over("a host that is gone", "99 gone.elsewhere.net"),
    _passed_over("a host that is gone, preferred", "1 gone.elsewhere.net"),
    _passed_over("a host of the zone without address", f"30 old.{APEX}"),
    _wrong(
        "the zone added, beside", "MX_TARGET_DOUBLED", _beside(f"10 mx1.mailprovider.net.{APEX}")
    ),
    _wrong("several beside", "MX_LOCALHOST", _beside("5 localhost", "10 mail", "10 192.0.2.25")),
    _wrong("localhost instead", "MX_LOCALHOST", _only("10 localhost", "20 mx2.mailprovider.net")),
    _wrong("gone instead", "MX_MISMATCH", _only("10 gone.elsewhere.net")),
    Case(
        "MX_NOT_ALONE: at the return path of SES",
        _FEEDBACK_ID,
        "Wrong",
        "MX_NOT_ALONE",
        lambda stage: stage.zone.add(BOUNCE, "MX", "20 mail.elsewhere.net"),
        spec=_BY_SES,
        before=_feedback_exists,
    ),
    Case(
        "MX_MISMATCH: another at the return path of SES",
        _FEEDBACK_ID,
        "Wrong",
        "MX_MISMATCH",
        lambda stage: stage.zone.replace(BOUNCE, "MX", "20 mail.elsewhere.net"),
        spec=_BY_SES,
        before=_feedback_exists,
    ),
    _conflict("an address", _alone(("A", "192.0.2.66")), "Conflicting"),
    _conflict("addresses", _alone(("A", "192.0.2.66"), ("AAAA", "2001:db8::66")), "Conflicting"),
    _conflict("an MX of old", _alone(("MX", "10 feedback.elsewhere.net")), "Missing"),
    _conflict(
        "MX and SPF of old",
        _alone(("MX", "10 feedback.elsewhere.net"), ("TXT", "v=spf1 -all")),
        "Missing",
    ),
    _conflict(
        "an address and SPF", _alone(("A", "192.0.2.66"), ("TXT", "v=spf1 a -all")), "Conflicting"
    ),
    Case(
        "RP_CONFLICT: an alias of old",
        RETURN_MX,
        "Conflicting",
        "RP_CONFLICT",
        _alias_left,
        spec=_BY_MX,
    ),
    Case(
        "MX_MISMATCH: at the return path",
        RETURN_MX,
        "Wrong",
        "MX_MISMATCH",
        lambda stage: stage.zone.replace(BOUNCE, "MX", "10 feedback.elsewhere.net"),
        before=_others_exist,
        spec=_BY_MX,
    ),
    Case(
        "MX_MISSING: at the return path",
        RETURN_MX,
        "Missing",
        "MX_MISSING",
        _without(BOUNCE),
        spec=_BY_MX,
    ),
    Case(
        "MX_TARGET_DOUBLED: at the return path",
        RETURN_MX,
        "Wrong",
        "MX_TARGET_DOUBLED",
        _typed(RETURN_MX, "10 mx1.mailprovider.net", _DOUBLED),
        spec=_BY_MX,
    ),
    Case(
        "MX_IP: of a subdomain",
        FIRST,
        "Wrong",
        "MX_IP",
        _typed(FIRST, "10 192.0.2.25."),
        domain=SUBDOMAIN,
    ),
    Case(
        "MX_TARGET_DOUBLED: of a subdomain",
        FIRST,
        "Wrong",
        "MX_TARGET_DOUBLED",
        _typed(FIRST, "10 mx1.mailprovider.net", _DOUBLED),
        domain=SUBDOMAIN,
    ),
    Case(
        "MX_NULL: of a subdomain",
        FIRST,
        "Conflicting",
        "MX_NULL",
        lambda stage: stage.zone.replace(SUBDOMAIN, "MX", "0 ."),
        domain=SUBDOMAIN,
    ),
)

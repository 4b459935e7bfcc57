# SPDX-License-Identifier: Apache-2.0
"""Mistakes in types and aliases: another type, another target, or an alias in the way."""

from __future__ import annotations

from itertools import pairwise

from closed_loop.loop import (
    APEX,
    OTHER_KEY,
    OWN_KEY,
    SUBDOMAIN,
    TRACKING,
    Case,
    Mistake,
    Stage,
)
from dnsworld.quirks import NICE, QUIRKS, Quirks
from postroom.api.findings import Fix

ALIASES = ("dkim-k1", "return-path", "tracking")
TEXTS = ("ownership", "dkim-s1", "dmarc")
ONE_KEY = (("dkim", [{"selector": "s1", "publicKey": OWN_KEY}]),)
OTHER_RECORD = f"v=DKIM1; k=rsa; p={OTHER_KEY}"
CLOUDFLARE = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")
_KEYS_SERVER = "ns1.otherhost.net"
OURS, THEIRS = "s1.domainkey.u111.wl001.sendgrid.net", "s1.domainkey.u999.wl002.sendgrid.net"


def typed(id: str, value: str, kind: str = "CNAME", quirks: Quirks = NICE) -> Mistake:
    """The record is typed with another value, as another type or into a panel with quirks."""

    def mistake(stage: Stage) -> None:
        stage.retype(id, kind=kind, value=value, quirks=quirks)

    return mistake


def with_quirks(id: str, quirks: Quirks, kind: str | None = None) -> Mistake:
    """The record is typed well into a panel with quirks."""

    def mistake(stage: Stage) -> None:
        stage.retype(id, kind=kind, quirks=quirks)

    return mistake


def beside(id: str, *records: tuple[str, str, str], keep: bool = False) -> Mistake:
    """The record is taken away, unless it is kept, and others are there: (name, type, value)."""

    def mistake(stage: Stage) -> None:
        if not keep:
            stage.unpublish(id)
        panel = stage.panel(QUIRKS["alias-beside"])
        for name, kind, value in records:
            panel.add(name, kind, value)

    return mistake


def _in_its_place(id: str, kinds: str) -> Mistake:
    """Records of these types are where the CNAME belongs, texts as many as fixes had no room
    for once."""

    def mistake(stage: Stage) -> None:
        stage.unpublish(id)
        values = {
            "A": ["203.0.113.9", "203.0.113.10"],
            "AAAA": ["2001:db8::1"],
            "MX": ["10 mx1.mailprovider.net"],
            "TXT": [f"site-verification={number}" for number in range(20)],
        }
        for kind in kinds.split():
            for value in values[kind]:
                stage.zone.add(stage.record(id).name, kind, value)

    return mistake


def _case(name: str, id: str, state: str, code: str, mistake: Mistake, domain: str = APEX) -> Case:
    return Case(f"{code}: {name} ({id}, {domain})", id, state, code, mistake, domain=domain)


def _types() -> list[Case]:
    text, alias = "TYPE_TXT_FOR_CNAME", "TYPE_CNAME_FOR_TXT"

    def as_text(id: str) -> Mistake:
        return lambda stage: stage.retype(id, kind="TXT")

    def as_alias(id: str) -> Mistake:
        return lambda stage: stage.retype(id, kind="CNAME")

    return [
        *(
            _case(
                "target typed as text",
                id,
                "Conflicting" if id == "dkim-k1" else "Missing",
                text,
                as_text(id),
            )
            for id in ALIASES
        ),
        _case(
            "key of another", "dkim-k1", "Conflicting", text, typed("dkim-k1", OTHER_RECORD, "TXT")
        ),
        _case(
            "another text",
            "tracking",
            "Missing",
            text,
            typed("tracking", "site-verification=1", "TXT"),
        ),
        *(
            _case(f"{kinds} in its place", id, state, code, _in_its_place(id, kinds))
            for id, kinds, state, code in (
                ("tracking", "MX", "Missing", "CNAME_MISSING"),
                ("tracking", "TXT A MX", "Conflicting", text),
                ("tracking", "A AAAA MX", "Conflicting", "TYPE_ADDRESS_FOR_CNAME"),
                ("dkim-k1", "A", "Missing", "DKIM_MISSING"),
                ("dkim-k1", "A AAAA TXT MX", "Conflicting", text),
            )
        ),
        Case(
            "TYPE_CNAME_FOR_OTHER: a delegation typed as alias",
            "dkim-delegation",
            "Missing",
            "TYPE_CNAME_FOR_OTHER",
            typed("dkim-delegation", _KEYS_SERVER),
            spec=(("dkim", []), ("dkimDelegation", [_KEYS_SERVER])),
            before=lambda stage: stage.world.register(f"_domainkey.{APEX}", [_KEYS_SERVER]),
        ),
        _case("value typed as alias", "ownership", "Missing", alias, as_alias("ownership")),
        _case("alias to nothing", "dkim-s1", "Missing", alias, typed("dkim-s1", "s1.nowhere.net")),
        _case("alias to nothing", "dmarc", "Missing", alias, typed("dmarc", "d.nowhere.net")),
        _case(
            "address",
            "tracking",
            "Conflicting",
            "TYPE_ADDRESS_FOR_CNAME",
            typed("tracking", "203.0.113.9", "A"),
        ),
        *(
            _case(
                "type 99", "spf", "Missing", "TYPE_SPF99", with_quirks("spf", NICE, "SPF"), domain
            )
            for domain in (APEX, SUBDOMAIN)
        ),
    ]


def _at_cloudflare(mistake: Mistake) -> Mistake:
    """Let the zone be served by Cloudflare."""

    def made(stage: Stage) -> None:
        old = stage.zone
        stage.zone = stage.world.register(APEX, CLOUDFLARE)
        for name, kind, data in old.records():
            if kind != "NS":
                stage.zone.add(name, kind, data)
        stage.world.resolver.flush()
        mistake(stage)

    return made


def _proxied() -> list[Case]:
    found = []
    for id in ALIASES:
        state = "Missing" if id == "dkim-k1" else "Conflicting"
        mistake = _at_cloudflare(with_quirks(id, QUIRKS["proxies"]))
        found.append(_case("proxied", id, state, "CNAME_PROXIED", mistake))
    return found


def _flattened() -> list[Case]:
    return [
        Case(
            f"CNAME_FLATTENED: works for now ({id})",
            id,
            "Valid",
            "CNAME_FLATTENED",
            with_quirks(id, QUIRKS["flattens"]),
            advice=True,
        )
        for id in ("dkim-k1", "tracking")
    ]


def _provider_removed(stage: Stage) -> None:
    assert stage.world.zone_at(stage.provider.domain).remove(stage.value("dkim-k1"), "TXT")


def _provider_returns(stage: Stage, fix: Fix) -> None:
    stage.world.publish(stage.value("dkim-k1"), "TXT", stage.provider.key_record("k1"))


def _to_published(id: str, target: str, kind: str, value: str) -> Mistake:
    """The alias leads to something that exists, but is not what is wanted."""

    def mistake(stage: Stage) -> None:
        stage.world.publish(target, kind, value)
        stage.retype(id, value=target)

    return mistake


def _targets() -> list[Case]:
    doubled = QUIRKS["appends-zone-to-targets"]
    wrong, dangling, loop = "CNAME_TARGET_WRONG", "CNAME_DANGLING", "CNAME_LOOP"
    other = "CNAME_TARGET_OTHER_PROVIDER"
    return [
        *(
            _case(
                "zone appended",
                id,
                "Wrong",
                "CNAME_TARGET_DOUBLED",
                with_quirks(id, doubled),
                domain,
            )
            for id in ALIASES
            for domain in (APEX, SUBDOMAIN)
        ),
        _case("other key", "dkim-k1", "Wrong", wrong, typed("dkim-k1", "k2.dkim.mailprovider.net")),
        _case("a website", "tracking", "Wrong", wrong, typed("tracking", f"www.{APEX}")),
        *(_case("a URL", id, "Wrong", wrong, _as_url(id)) for id in ALIASES),
        _case("quoted", "tracking", "Wrong", wrong, typed("tracking", '"click.mailprovider.net"')),
        *(_case("misspelt", id, "Wrong", dangling, _misspelt(id)) for id in ALIASES),
        Case(
            "CNAME_DANGLING: removed by the provider",
            "dkim-k1",
            "Wrong",
            dangling,
            _provider_removed,
            outsider=_provider_returns,
        ),
        *(_case("to itself", id, "Wrong", loop, _loop(id, 1)) for id in ALIASES),
        *(_case("in a circle of two", id, "Wrong", loop, _loop(id, 2)) for id in ALIASES),
        _case("in a circle of three", "tracking", "Wrong", loop, _loop("tracking", 3)),
        _case(
            "a former provider",
            "dkim-k1",
            "Wrong",
            other,
            _to_published("dkim-k1", OURS, "TXT", OTHER_RECORD),
        ),
        _case(
            "a former provider",
            "return-path",
            "Wrong",
            other,
            _to_published("return-path", "u1.wl1.sendgrid.net", "A", "192.0.2.3"),
        ),
        _case("a former provider's alias", "dkim-s1", "Wrong", other, _key_of_a_former_provider),
        Case(
            "CNAME_TARGET_OTHER_ACCOUNT: another account of the provider",
            "dkim-s1",
            "Wrong",
            "CNAME_TARGET_OTHER_ACCOUNT",
            _to_published("dkim-s1", THEIRS, "TXT", OTHER_RECORD),
            spec=(("dkim", [{"selector": "s1", "cname": OURS}]),),
            before=lambda stage: _publish(stage, OURS, "TXT", f"p={OWN_KEY}"),
        ),
        Case(
            "IDN_ULABEL: target typed with its letters",
            "tracking",
            "Wrong",
            "IDN_ULABEL",
            typed("tracking", "klick.b\u00fccher.net"),
            spec=(("tracking", {"name": "click", "cname": "klick.xn--bcher-kva.net"}),),
        ),
    ]


def _publish(stage: Stage, name: str, kind: str, value: str) -> None:
    stage.world.publish(name, kind, value)


def _key_of_a_former_provider(stage: Stage) -> None:
    stage.world.publish(OURS, "TXT", OTHER_RECORD)
    stage.retype("dkim-s1", kind="CNAME", value=OURS)


def _as_url(id: str) -> Mistake:
    return lambda stage: stage.retype(id, value=f"https://{stage.value(id)}")


def _misspelt(id: str) -> Mistake:
    return lambda stage: stage.retype(
        id, value=stage.value(id).replace("mailprovider", "mailprovidr")
    )


def _loop(id: str, length: int) -> Mistake:
    def mistake(stage: Stage) -> None:
        first = stage.record(id).name
        names = [first, *(f"turn{number}.{APEX}" for number in range(1, length)), first]
        stage.unpublish(id)
        panel = stage.panel()
        for name, target in pairwise(names):
            panel.add(name, "CNAME", target)

    return mistake


def _website(stage: Stage) -> None:
    """The whole subdomain is made an alias of a website."""
    for record in stage.plan.records:
        if record.name == stage.plan.domain:
            stage.unpublish(record.id)
    stage.panel().add("mail", "CNAME", f"www.{APEX}")


def _wild_keys() -> list[Case]:
    """Without another key below _domainkey the wildcard answers there; with one it does not."""
    one_alias = (("dkim", [{"selector": "k1", "cname": "k1.dkim.mailprovider.net"}]),)
    rows = [
        ("dkim-s1", "Missing", ONE_KEY, ("*", "TXT", "parked")),
        ("dkim-s1", "Wrong", ONE_KEY, ("*", "TXT", OTHER_RECORD)),
        ("dkim-s1", "Missing", ONE_KEY, ("*", "CNAME", f"www.{APEX}")),
        ("dkim-k1", "Conflicting", one_alias, ("*", "TXT", "parked")),
        ("dkim-k1", "Wrong", one_alias, ("*", "CNAME", f"www.{APEX}")),
    ]
    masked = [
        Case(
            f"WILDCARD_MASKS: {record[1]} {record[2][:6]} ({id})",
            id,
            state,
            "WILDCARD_MASKS",
            beside(id, record),
            spec=spec,
        )
        for id, state, spec, record in rows
    ]
    missing = [
        Case(
            f"DKIM_MISSING: beside a wildcard ({id}, {value[:6]})",
            id,
            "Missing",
            "DKIM_MISSING",
            beside(id, ("*", "TXT", value)),
        )
        for id in ("dkim-s1", "dkim-k1")
        for value in ("parked", OTHER_RECORD)
    ]
    return [*masked, *missing]


def _above() -> list[Case]:
    mx = "mx-mx1.mailprovider.net"
    wildcard, above = "WILDCARD_MASKS", "ENT_CNAME_PARENT"
    return [
        *(
            _case("alias of a website", id, state, "CNAME_AT_APEX", _website, SUBDOMAIN)
            for id, state in (("spf", "Missing"), (mx, "Conflicting"))
        ),
        _case(
            "beside a key",
            "dkim-s1",
            "Wrong",
            "CNAME_COEXISTS",
            beside(
                "dkim-s1",
                ("s1._domainkey", "TXT", OTHER_RECORD),
                ("s1._domainkey", "CNAME", "k2.dkim.mailprovider.net"),
            ),
        ),
        _case(
            "beside a text",
            "dkim-k1",
            "Wrong",
            "CNAME_COEXISTS",
            beside(
                "dkim-k1",
                ("k1._domainkey", "TXT", OTHER_RECORD),
                ("k1._domainkey", "CNAME", "k2.dkim.mailprovider.net"),
            ),
        ),
        *(
            _case(
                f"beside {text[:9]}",
                "spf",
                state,
                "CNAME_COEXISTS",
                beside("spf", ("mail", "TXT", text), ("mail", "CNAME", f"www.{APEX}")),
                SUBDOMAIN,
            )
            for state, text in (("Wrong", '"v=spf1 ip4:203.0.113.7 -all"'), ("Missing", "a text"))
        ),
        *(
            _case(f"of text {text[:9]}", id, state, wildcard, beside(id, ("*", "TXT", text)))
            for id, state, text in (
                ("ownership", "Missing", "parked"),
                ("dmarc", "Missing", "v=spf1 -all"),
                ("dmarc", "Wrong", "v=DMARC1; p=none"),
            )
        ),
        _case(
            "of addresses",
            "tracking",
            "Conflicting",
            wildcard,
            beside("tracking", ("*", "A", "203.0.113.80")),
        ),
        _case(
            "of addresses",
            "return-path",
            "Conflicting",
            wildcard,
            beside("return-path", ("*", "A", "203.0.113.80")),
        ),
        *(
            _case("of aliases", id, state, wildcard, beside(id, ("*", "CNAME", f"www.{APEX}")))
            for id, state in (("dmarc", "Missing"), ("tracking", "Wrong"))
        ),
        *(
            Case(
                f"ENT_CNAME_PARENT: {kind} at _domainkey",
                "dkim-s1",
                "Missing",
                above,
                beside("dkim-s1", ("_domainkey", kind, f"_domainkey.{target}")),
                spec=ONE_KEY,
            )
            for kind, target in (("CNAME", "mailprovider.net"), ("DNAME", "mailprovider.net"))
        ),
        *(
            Case(
                f"ENT_CNAME_PARENT: a DNAME at {owner} ({id})",
                id,
                "Missing",
                above,
                beside(id, (owner, "DNAME", "elsewhere.mailprovider.net")),
                domain=SUBDOMAIN,
                spec=(*ONE_KEY, ("returnPath", None), ("tracking", None)),
            )
            for id in ("dkim-s1", "dmarc", "ownership")
            for owner in ("mail", "@")
        ),
    ]


def _long_chain(last: str, length: int) -> Mistake:
    """The provider forwards its target through many names."""

    def mistake(stage: Stage) -> None:
        zone = stage.world.zone_at(last)
        records = [(kind, zone.values(last, kind)) for kind in ("TXT", "A")]
        end = f"end.{stage.provider.domain}"
        for kind, values in records:
            zone.remove(last, kind)
            for value in values:
                zone.add(end, kind, value)
        names = [last, *(f"turn{one}.{stage.provider.domain}" for one in range(length - 1)), end]
        for name, target in pairwise(names):
            zone.add(name, "CNAME", target)

    return mistake


def _chains() -> list[Case]:
    return [
        Case(
            f"CNAME_CHAIN_LONG: at the provider ({id})",
            id,
            "Valid",
            "CNAME_CHAIN_LONG",
            _long_chain(target, 7),
            advice=True,
        )
        for id, target in (("dkim-k1", "k1.dkim.mailprovider.net"), ("tracking", TRACKING))
    ]


CASES: tuple[Case, ...] = (
    *_chains(),
    *_types(),
    *_proxied(),
    *_flattened(),
    *_targets(),
    *_above(),
    *_wild_keys(),
)

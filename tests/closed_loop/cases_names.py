# SPDX-License-Identifier: Apache-2.0
"""Mistakes in names: the record is typed well, but ends up somewhere else."""

from __future__ import annotations

from dataclasses import replace

from closed_loop.loop import APEX, OTHER_KEY, OWN_KEY, SUBDOMAIN, Case, Mistake, Stage
from dnsworld.quirks import NICE, QUIRKS, Quirks

MX = "mx-mx1.mailprovider.net"
EVERY_KIND = ("ownership", "dkim-k1", "dkim-s1", "spf", "dmarc", MX, "return-path", "tracking")
ONE_KEY = (("dkim", [{"selector": "s1", "publicKey": OWN_KEY}]),)


def typed_as(id: str, name: str, quirks: Quirks = NICE) -> Mistake:
    """The record is typed under another name."""

    def mistake(stage: Stage) -> None:
        stage.retype(id, name=name, quirks=quirks)

    return mistake


def typed_in_full(id: str, quirks: Quirks) -> Mistake:
    """The record is typed with its full name."""

    def mistake(stage: Stage) -> None:
        stage.retype(id, name=stage.record(id).name, quirks=quirks)

    return mistake


def _missing(name: str, id: str, code: str, mistake: Mistake, domain: str = APEX) -> Case:
    # The other mail exchange is there.
    state = "Wrong" if id == MX and mistake not in _NOTHING_LEFT else "Missing"
    return Case(f"{code}: {name} ({id}, {domain})", id, state, code, mistake, domain=domain)


def _doubled() -> list[Case]:
    found = []
    for quirk in ("appends-zone", "appends-zone-always"):
        for domain in (APEX, SUBDOMAIN):
            found += [
                _missing(quirk, id, "NAME_ZONE_DOUBLED", typed_in_full(id, QUIRKS[quirk]), domain)
                for id in EVERY_KIND
            ]
    return found


def _elsewhere() -> list[Case]:
    """(code, record, what is typed as name, domain)"""
    rows = [
        *(("NAME_WRONG_ZONE_LEVEL", id, label, SUBDOMAIN) for id, label in _LEVELS),
        *(("NAME_AT_APEX", id, "@", APEX) for id in ("ownership", "dkim-s1", "dmarc")),
        *(("NAME_AT_APEX", id, "mail", SUBDOMAIN) for id in ("ownership", "dkim-s1", "dmarc")),
        ("NAME_AT_APEX", "dkim-s1", "@", SUBDOMAIN),
        *(("NAME_AT_WWW", id, f"{label}.www", APEX) for id, label in _LABELS),
        *(("NAME_AT_WWW", id, "www", APEX) for id in (MX, "ownership", "dmarc", "dkim-s1")),
        *(("NAME_AT_WWW", id, "www.mail", SUBDOMAIN) for id in (MX, "dmarc", "dkim-s1")),
        *(("MX_WRONG_NAME", MX, label, APEX) for label in ("mail", "mx")),
        *(("MX_WRONG_NAME", MX, label, SUBDOMAIN) for label in ("mail.mail", "mx.mail")),
        ("NAME_WRONG_ZONE_LEVEL", MX, "@", SUBDOMAIN),
        *(("NAME_AT_WILDCARD", id, "*", APEX) for id in (MX, "dkim-s1")),
        *(("NAME_AT_WILDCARD", id, "*.mail", SUBDOMAIN) for id in (MX, "dkim-s1")),
        *(("NAME_AT_WILDCARD", id, "*", SUBDOMAIN) for id in (MX, "ownership", "dkim-s1")),
        ("NAME_LABELS_SWAPPED", "dkim-s1", "s1", APEX),
        ("NAME_LABELS_SWAPPED", "dkim-k1", "k1", APEX),
        ("NAME_LABELS_SWAPPED", "dkim-s1", "_domainkey.s1", APEX),
        ("NAME_LABELS_SWAPPED", "dkim-k1", "_domainkey.k1", APEX),
        ("NAME_LABELS_SWAPPED", "dkim-s1", "s1_domainkey", APEX),
        ("NAME_LABELS_SWAPPED", "dmarc", "mail._dmarc", SUBDOMAIN),
        ("NAME_LABELS_SWAPPED", "dkim-s1", "s1.mail._domainkey", SUBDOMAIN),
        ("NAME_URL_OR_SPACE", "dkim-s1", "https://s1._domainkey", APEX),
        ("NAME_URL_OR_SPACE", "dmarc", "https://_dmarc.example.com", APEX),
        ("NAME_URL_OR_SPACE", "tracking", "https://click.example.com", APEX),
        *(("NAME_TYPO", "dmarc", label, APEX) for label in ("_dmrac", "_damrc", "_demarc")),
        ("NAME_TYPO", "dkim-s1", "s1._domainkeys", APEX),
        ("NAME_TYPO", "dkim-s1", "s1._domiankey", APEX),
        ("NAME_TYPO", "dkim-k1", "k1._domainkeys", APEX),
        ("NAME_TYPO", "dkim-s1", "sl._domainkey", APEX),
        ("NAME_TYPO", "return-path", "bounces", APEX),
        ("NAME_TYPO", "tracking", "clicks", APEX),
        ("NAME_UNDERSCORE_LOST", "dmarc", "-dmarc", APEX),
        ("NAME_UNDERSCORE_LOST", "dmarc", "-dmarc.mail", SUBDOMAIN),
        ("NAME_AT_WWW", "dmarc", "www._dmarc", APEX),
        ("NAME_TYPO", "dkim-s1", "_s1._domainkey", APEX),
        ("NAME_LABELS_SWAPPED", "dkim-s1", "s1-_domainkey", APEX),
        ("NAME_LABELS_SWAPPED", "dkim-k1", "_domainkey", APEX),
        ("NAME_UNDERSCORE_LOST", "dkim-s1", "s1.domainkey", APEX),
        ("NAME_LABELS_SWAPPED", "dmarc", "_dmarc._dmarc", APEX),
        ("NAME_ZONE_DOUBLED", "dmarc", "_dmarc.example", APEX),
        ("NAME_ZONE_DOUBLED", "dmarc", "_dmarc.mail.example", SUBDOMAIN),
        ("NAME_ZONE_DOUBLED", "spf", "example", APEX),
        ("NAME_TYPO", "dmarc", "_mdarc", APEX),
        ("NAME_TYPO", "dkim-s1", "s1._domanikey", APEX),
        ("NAME_UNDERSCORE_LOST", "dkim-s1", "s1-domainkey", APEX),
        ("NAME_UNDERSCORE_LOST", "dkim-s1", "s1.domainkey", SUBDOMAIN),
        ("NAME_LABELS_SWAPPED", "dkim-k1", "_domainkey.k1", SUBDOMAIN),
        ("OWNERSHIP_MISSING", "ownership", "*._postroom-challenge", APEX),
        ("DKIM_MISSING", "dkim-s1", "*.s1._domainkey", APEX),
        ("DMARC_MISSING", "dmarc", "*._dmarc", APEX),
    ]
    return [
        _missing(f"typed as {label}", id, code, typed_as(id, label), domain)
        for code, id, label, domain in rows
    ]


_LABELS = (
    ("ownership", "_postroom-challenge"),
    ("dkim-s1", "s1._domainkey"),
    ("dkim-k1", "k1._domainkey"),
    ("dmarc", "_dmarc"),
    ("return-path", "bounce"),
    ("tracking", "click"),
)
_LEVELS = tuple((id, label) for id, label in _LABELS if id != "dmarc")


def _by_quirk() -> list[Case]:
    at, stripped = QUIRKS["literal-at"], QUIRKS["strips-underscores"]
    return [
        *(
            _missing("literal @", id, "NAME_LITERAL_AT", typed_as(id, "@", at))
            for id in ("spf", MX)
        ),
        *(
            _missing("no underscore", id, "NAME_UNDERSCORE_LOST", typed_as(id, label, stripped))
            for id, label in _LABELS
            if "_" in label
        ),
        _missing(
            "no underscore",
            "dmarc",
            "NAME_UNDERSCORE_LOST",
            typed_as("dmarc", "_dmarc.mail", stripped),
            SUBDOMAIN,
        ),
    ]


def _weaker_policy_at_the_wrong_name(stage: Stage) -> None:
    stage.retype("dmarc", name="_dmrac", value="v=DMARC1; p=none; fo=1")


def _policy_with_more_at_the_wrong_name(stage: Stage) -> None:
    value = f"v=spf1 ip4:198.51.100.7 include:{stage.provider.spf} -all"
    stage.retype("spf", name=APEX, value=value, quirks=QUIRKS["appends-zone"])


def _quoted_at_the_wrong_name(id: str, name: str) -> Mistake:
    def mistake(stage: Stage) -> None:
        stage.retype(id, name=name, quirks=QUIRKS["adds-quotes"])

    return mistake


def _with_a_space(id: str) -> Mistake:
    """The name is pasted in full with a space behind it, which the DNS host keeps."""

    def mistake(stage: Stage) -> None:
        stage.unpublish(id)
        record = stage.record(id)
        name = rf"{record.name}\032.{APEX}"
        stage.zone.add(name, record.type.value, record.value)

    return mistake


def _commas_at_the_wrong_name(stage: Stage) -> None:
    value = stage.value("dmarc").replace(";", ",")
    stage.retype("dmarc", name="_dmarc.example.com", value=value, quirks=QUIRKS["appends-zone"])


def _doubled_at_the_wrong_name(stage: Stage) -> None:
    quirks = replace(QUIRKS["appends-zone"], appends_zone_to_targets=True)
    stage.retype("tracking", name="click.example.com", quirks=quirks)


def _keys_exchanged(stage: Stage) -> None:
    for id, other in (("dkim-s1", "s2"), ("dkim-s2", "s1")):
        stage.unpublish(id)
        stage.panel().add(f"{other}._domainkey", "TXT", stage.value(id))


def _kind_cases() -> list[Case]:
    two = [
        {"selector": "s1", "publicKey": OWN_KEY},
        {"selector": "s2", "publicKey": OTHER_KEY},
    ]
    return [
        *(_missing("a space", id, "NAME_URL_OR_SPACE", _with_a_space(id)) for id, _ in _LABELS),
        _missing("a weaker policy", "dmarc", "NAME_TYPO", _weaker_policy_at_the_wrong_name),
        _missing(
            "a policy with more", "spf", "NAME_ZONE_DOUBLED", _policy_with_more_at_the_wrong_name
        ),
        *(
            _missing(f"quoted at {name}", id, code, _quoted_at_the_wrong_name(id, name))
            for id, name, code in _TWICE
        ),
        _missing("commas", "dmarc", "NAME_ZONE_DOUBLED", _commas_at_the_wrong_name),
        _missing("doubled target", "tracking", "NAME_ZONE_DOUBLED", _doubled_at_the_wrong_name),
        Case(
            "NAME_OTHER_SELECTOR: under a selector of its own",
            "dkim-s1",
            "Missing",
            "NAME_OTHER_SELECTOR",
            typed_as("dkim-s1", "s9._domainkey"),
            spec=ONE_KEY,
        ),
        Case(
            "NAME_OTHER_SELECTOR: two keys exchanged",
            "dkim-s1",
            "Wrong",
            "NAME_OTHER_SELECTOR",
            _keys_exchanged,
            spec=(("dkim", two),),
        ),
    ]


#: (record, where it stands with quotes kept, code)
_TWICE = (
    ("dkim-s1", "s1.domainkey", "NAME_UNDERSCORE_LOST"),
    ("dkim-s1", "s1", "NAME_LABELS_SWAPPED"),
    ("dmarc", "dmarc", "NAME_UNDERSCORE_LOST"),
    ("dmarc", "_dmrac", "NAME_TYPO"),
    ("dkim-s1", "s1.domainkey.example.com.example.com", "NAME_UNDERSCORE_LOST"),
    ("dkim-s1", "s1.example.com.example.com", "NAME_LABELS_SWAPPED"),
    ("dmarc", "dmarc.example.com.example.com", "NAME_UNDERSCORE_LOST"),
    ("ownership", "postroom-challenge", "NAME_UNDERSCORE_LOST"),
)


def _all_gone(stage: Stage) -> None:
    for record in stage.plan.records:
        stage.unpublish(record.id)


def _subdomain_is_a_zone(stage: Stage) -> None:
    """The records are added to the zone above, which refers to other servers."""
    below = stage.world.register(SUBDOMAIN, ["ns1.otherhost.net", "ns2.otherhost.net"])
    stage.panel(zone=below)


def _keys_are_a_zone(stage: Stage) -> None:
    """The records are there, but the names below _domainkey belong to other servers."""
    below = stage.world.register(f"_domainkey.{APEX}", ["ns1.otherhost.net"])
    for name in ("ns1.otherhost.net",):
        stage.zone.add(f"_domainkey.{APEX}", "NS", name)
    stage.panel(zone=below)


_AWAY = ("ns1.otherhost.net", "ns2.otherhost.net")


def _handed_away(id: str, name: str, zones: tuple[str, ...] = ()) -> Mistake:
    """NS records stand at a name on the way to a record; its servers have these zones."""

    def mistake(stage: Stage) -> None:
        for record in stage.plan.records:
            if record.id == id or record.name.endswith(f".{name}"):
                stage.unpublish(record.id)
        for server in _AWAY:
            stage.zone.add(name, "NS", server)
        for zone in zones:
            below = stage.world.register(zone, list(_AWAY))
            if zone == name and stage.record(id).type.value != "CNAME":
                stage.panel(zone=below)

    return mistake


def _delegations() -> list[Case]:
    """(record, the name that is delegated)"""
    code = "SUBDOMAIN_DELEGATED"
    rows = [
        ("dkim-s1", f"s1._domainkey.{APEX}"),
        ("dkim-k1", f"k1._domainkey.{APEX}"),
        ("dkim-s1", f"_domainkey.{APEX}"),
        ("dmarc", f"_dmarc.{APEX}"),
        ("return-path", f"bounce.{APEX}"),
        ("tracking", f"click.{APEX}"),
        ("ownership", f"_postroom-challenge.{APEX}"),
    ]
    served = [
        Case(f"{code}: {name}, served ({id})", id, "Missing", code, _handed_away(id, name, (name,)))
        for id, name in rows
    ]
    lost = [
        Case(f"{code}: {name}, {how} ({id})", id, "Unknown", code, _handed_away(id, name, zones))
        for id, name in rows
        if name != f"_domainkey.{APEX}"
        for how, zones in (("no servers", ()), ("lame servers", ("elsewhere.net",)))
    ]
    return [*served, *lost]


def _moved_to_another_host(stage: Stage) -> None:
    """The domain moved; the user still adds records where it was, so that nobody sees them."""
    servers = ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]
    zone = stage.world.register(APEX, servers)
    zone.primary = "ns01.domaincontrol.com"
    zone.add(APEX, "A", "192.0.2.99")
    stage.zone = zone
    stage.world.resolver.flush()


def _zone_cases() -> list[Case]:
    code = "SUBDOMAIN_DELEGATED"
    return [
        *(
            _missing("a zone of its own", id, code, _subdomain_is_a_zone, SUBDOMAIN)
            for id in EVERY_KIND
        ),
        _missing("delegated _domainkey", "dkim-s1", code, _keys_are_a_zone),
        _missing("delegated _domainkey", "dkim-k1", code, _keys_are_a_zone),
        *(_missing("moved", id, "WRONG_DNS_HOST", _moved_to_another_host) for id in EVERY_KIND),
        *(_missing("nothing published", id, code, _all_gone) for id, code in _PLAIN),
    ]


_NOTHING_LEFT: tuple[Mistake, ...] = (_all_gone, _subdomain_is_a_zone, _moved_to_another_host)
#: Where nothing was published, nothing else may be suspected.
_PLAIN = (
    ("ownership", "OWNERSHIP_MISSING"),
    ("dkim-k1", "DKIM_MISSING"),
    ("dkim-s1", "DKIM_MISSING"),
    ("spf", "SPF_MISSING"),
    ("dmarc", "DMARC_MISSING"),
    (MX, "MX_MISSING"),
    ("return-path", "CNAME_MISSING"),
)

CASES: tuple[Case, ...] = (
    *_doubled(),
    *_elsewhere(),
    *_by_quirk(),
    *_kind_cases(),
    *_zone_cases(),
    *_delegations(),
)

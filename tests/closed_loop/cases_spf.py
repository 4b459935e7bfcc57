# SPDX-License-Identifier: Apache-2.0
"""Mistakes in SPF: several records, slips, what is not authorised, limits, wrong names."""

from __future__ import annotations

from closed_loop.loop import Case, Mistake, Stage
from postroom.api.findings import Fix

OURS = "include:_spf.mailprovider.net"
_RETURN_PATH = {
    "name": "bounce",
    "mx": [{"host": "mx1.mailprovider.net"}],
    "spf": {"includes": ["_spf.mailprovider.net"]},
}
_FROM_BOUNCE = (("spf", None), ("returnPath", _RETURN_PATH))
_WITH_NETWORK = (("spf", {"includes": ["_spf.mailprovider.net"], "ip4": ["198.51.100.7"]}),)


def typed(value: str) -> Mistake:
    """Another policy is typed."""
    return lambda stage: stage.retype("spf", value=value)


def beside(*values: str) -> Mistake:
    """More policies are added to the one that is there."""

    def mistake(stage: Stage) -> None:
        for value in values:
            stage.panel().add("@", "TXT", value)

    return mistake


def after(published: dict[str, str], mistake: Mistake) -> Mistake:
    """Others publish policies, then the mistake is made."""

    def both(stage: Stage) -> None:
        for name, text in published.items():
            stage.world.publish(name, "TXT", text)
        mistake(stage)

    return both


def others(count: int) -> dict[str, str]:
    """Policies of so many other senders, without lookups of their own."""
    return {f"_spf.sender{n}.net": f"v=spf1 ip4:203.0.113.{n} -all" for n in range(count)}


def including(count: int) -> str:
    """The includes of these."""
    return " ".join(f"include:{name}" for name in others(count))


def leaves_out_some(stage: Stage, fix: Fix) -> None:
    """The user sends less through the domain itself, as he is advised."""
    stage.zone.remove(stage.plan.domain, "TXT")
    for record in stage.plan.records:
        if record.name == stage.plan.domain and record.type.value == "TXT":
            stage.zone.add(record.name, "TXT", record.value)


def _syntax() -> list[Case]:
    """(name, code, what is typed)"""
    rows = [
        ("ipv4", "SPF_SYNTAX", f"v=spf1 ipv4:198.51.100.7 {OURS} ~all"),
        ("commas", "SPF_SYNTAX", f"v=spf1 a, {OURS}, ~all"),
        ("a space behind the colon", "SPF_SYNTAX", "v=spf1 include: _spf.mailprovider.net ~all"),
        ("an equals sign", "SPF_SYNTAX", "v=spf1 include=_spf.mailprovider.net ~all"),
        ("a semicolon behind the version", "SPF_SYNTAX", f"v=spf1; {OURS} ~all"),
        ("no v=", "SPF_SYNTAX", f"spf1 {OURS} ~all"),
        ("a colon in the version", "SPF_SYNTAX", f"v:spf1 {OURS} ~all"),
        ("no digit in the version", "SPF_SYNTAX", f"v=spf {OURS} ~all"),
        ("no colon", "SPF_SYNTAX", "v=spf1 include _spf.mailprovider.net ~all"),
        ("no network", "SPF_SYNTAX", f"v=spf1 ip4:198.51.100.300 {OURS} ~all"),
        ("a prefix that is too long", "SPF_SYNTAX", f"v=spf1 ip4:198.51.100.0/33 {OURS} ~all"),
        ("an address without ip4", "SPF_SYNTAX", f"v=spf1 198.51.100.7 {OURS} ~all"),
        ("IPv6 as ip4", "SPF_SYNTAX", f"v=spf1 ip4:2001:db8::/32 {OURS} ~all"),
        ("IPv6 in brackets", "SPF_SYNTAX", f"v=spf1 ip6:[2001:db8::1] {OURS} ~all"),
        ("a netmask", "SPF_SYNTAX", f"v=spf1 ip4:198.51.100.0/255.255.255.0 {OURS} ~all"),
        ("a range", "SPF_SYNTAX", f"v=spf1 ip4:198.51.100.0-198.51.100.9 {OURS} ~all"),
        ("a port", "SPF_SYNTAX", f"v=spf1 ip4:198.51.100.7:25 {OURS} ~all"),
        ("leading zeros", "SPF_SYNTAX", f"v=spf1 ip4:198.051.100.007 {OURS} ~all"),
        ("an address as mx", "SPF_SYNTAX", f"v=spf1 mx:198.51.100.7 {OURS} ~all"),
        ("a host as ip4", "SPF_SYNTAX", f"v=spf1 ip4:www.example.com {OURS} ~all"),
        ("a word as ip4", "SPF_SYNTAX", f"v=spf1 ip4:host {OURS} ~all"),
        ("a misspelt include", "SPF_SYNTAX", "v=spf1 inclue:_spf.mailprovider.net -all"),
        (
            "one include too many letters",
            "SPF_SYNTAX",
            "v=spf1 includes:_spf.mailprovider.net -all",
        ),
        ("a semicolon for the colon", "SPF_SYNTAX", "v=spf1 include;_spf.mailprovider.net -all"),
        ("a URL", "SPF_SYNTAX", "v=spf1 include:https://_spf.mailprovider.net/ -all"),
        ("one slash for two", "SPF_SYNTAX", f"v=spf1 a/24/64 {OURS} ~all"),
        ("a slash at the end", "SPF_SYNTAX", f"v=spf1 a:www.example.com/ {OURS} ~all"),
        ("a space before the prefix", "SPF_SYNTAX", f"v=spf1 ip4:198.51.100.0 /24 {OURS} ~all"),
        ("a dot behind all", "SPF_SYNTAX", f"v=spf1 {OURS} -all."),
        ("the qualifier behind all", "SPF_SYNTAX", f"v=spf1 {OURS} all-"),
        ("two qualifiers", "SPF_SYNTAX", f"v=spf1 {OURS} ~-all"),
        ("a gap", "VALUE_PLACEHOLDER", f"v=spf1 include:<your provider> {OURS} ~all"),
        ("two redirects", "SPF_SYNTAX", f"v=spf1 {OURS} redirect=a.example redirect=b.example"),
        ("all without its space", "SPF_JOINED_TERMS", f"v=spf1 {OURS}~all"),
        ("includes joined", "SPF_JOINED_TERMS", f"v=spf1 {OURS}{OURS} ~all"),
        ("networks joined", "SPF_JOINED_TERMS", f"v=spf1 ip4:198.51.100.7ip4:1.2.3.4 {OURS} ~all"),
        ("the version joined", "SPF_JOINED_TERMS", f"v=spf1{OURS} ~all"),
        ("percent signs for spaces", "SPF_SYNTAX", f"v=spf1%20mx%20{OURS}%20-all"),
        ("plus signs for spaces", "SPF_SYNTAX", f"v=spf1+a+mx+{OURS}+-all"),
        ("the version behind a caption", "VALUE_INCLUDES_NAME", f"spf=v=spf1 mx {OURS} -all"),
        ("a version with a dot", "SPF_SYNTAX", f"v=spf1.0 mx {OURS} -all"),
        ("a prefix length on all", "SPF_SYNTAX", f"v=spf1 mx {OURS} -all/32"),
        ("a port behind an include", "SPF_SYNTAX", f"v=spf1 mx {OURS}:25 -all"),
        ("a dash that is none", "SPF_NON_ASCII", f"v=spf1 {OURS} \u2013all"),
        ("an umlaut", "SPF_NON_ASCII", f"v=spf1 include:m\u00fcnchen.de {OURS} ~all"),
    ]
    return [Case(name, "spf", "Wrong", code, typed(value)) for name, code, value in rows]


def _not_authorised() -> list[Case]:
    rows = [
        ("another's policy", "SPF_MISSING_INCLUDE", "v=spf1 a a:www.example.com -all"),
        ("hosts only", "SPF_MISSING_INCLUDE", "v=spf1 ip4:203.0.113.9 ?all"),
        ("nobody may send", "SPF_MISSING_INCLUDE", "v=spf1 -all"),
        ("no mechanism at all", "SPF_MISSING_INCLUDE", "v=spf1"),
        ("behind all", "SPF_INCLUDE_AFTER_ALL", f"v=spf1 a -all {OURS}"),
        ("behind two alls", "SPF_INCLUDE_AFTER_ALL", f"v=spf1 ~all {OURS} -all"),
        ("refused", "SPF_SHADOWED", f"v=spf1 -{OURS} ~all"),
        ("left open", "SPF_SHADOWED", f"v=spf1 ?{OURS} ~all"),
        ("refused before", "SPF_SHADOWED", f"v=spf1 -ip4:192.0.2.0/24 {OURS} ~all"),
        ("doubted before", "SPF_SHADOWED", f"v=spf1 ~a:mx1.mailprovider.net {OURS} -all"),
        (
            "an ignored redirect",
            "SPF_MISSING_INCLUDE",
            "v=spf1 a -all redirect=_spf.mailprovider.net",
        ),
        ("+all", "SPF_PLUS_ALL", f"v=spf1 {OURS} +all"),
        ("all", "SPF_PLUS_ALL", "v=spf1 all"),
        ("all of IPv4", "SPF_PLUS_ALL", f"v=spf1 {OURS} ip4:0.0.0.0/0 -all"),
        ("two halves", "SPF_PLUS_ALL", "v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 ~all"),
        ("a/0", "SPF_PLUS_ALL", f"v=spf1 a/0 {OURS} -all"),
        ("what is always there", "SPF_PLUS_ALL", f"v=spf1 {OURS} exists:www.example.com -all"),
    ]
    return [Case(name, "spf", "Wrong", code, typed(value)) for name, code, value in rows]


def _chains() -> list[Case]:
    """(name, code, what others publish, what is typed)"""
    gone = " ".join(f"a:gone{n}.example.com" for n in range(3))
    rows: list[tuple[str, str, dict[str, str], str]] = [
        ("a dead include", "SPF_DEAD_INCLUDE", {}, f"v=spf1 include:gone.net {OURS} ~all"),
        ("a dead include behind", "SPF_DEAD_INCLUDE", {}, f"v=spf1 {OURS} include:gone.net ~all"),
        ("a dead redirect", "SPF_DEAD_INCLUDE", {}, f"v=spf1 {OURS} redirect=gone.net"),
        ("a dead include by macro", "SPF_DEAD_INCLUDE", {}, f"v=spf1 {OURS} include:%{{d}}.x ~all"),
        ("a dead redirect by macro", "SPF_DEAD_INCLUDE", {}, f"v=spf1 {OURS} redirect=_no.%{{o2}}"),
        (
            "a dead include for any message",
            "SPF_DEAD_INCLUDE",
            {},
            f"v=spf1 include:%{{i}}._spf.nowhere.invalid {OURS} ~all",
        ),
        (
            "a dead include of others",
            "SPF_DEAD_INCLUDE",
            {"_spf.half.net": "v=spf1 ip4:203.0.113.0/28 include:gone.half.net -all"},
            f"v=spf1 include:_spf.half.net {OURS} ~all",
        ),
        (
            "an include of a broken record",
            "SPF_DEAD_INCLUDE",
            {"_spf.broken.net": "v=spf1 ip5:1 -all"},
            f"v=spf1 include:_spf.broken.net {OURS} ~all",
        ),
        ("itself", "SPF_LOOP", {}, f"v=spf1 include:example.com {OURS} ~all"),
        (
            "a circle of two",
            "SPF_LOOP",
            {"_spf.loop.net": "v=spf1 include:example.com -all"},
            f"v=spf1 include:_spf.loop.net {OURS} ~all",
        ),
        (
            "a circle of others",
            "SPF_LOOP",
            {
                "a.loop.net": "v=spf1 include:b.loop.net -all",
                "b.loop.net": "v=spf1 include:a.loop.net -all",
            },
            f"v=spf1 include:a.loop.net {OURS} ~all",
        ),
        (
            "names without address by macro",
            "SPF_VOID",
            {},
            f"v=spf1 a:gone1.%{{d}} exists:gone2.%{{D}} mx:gone3.%{{o}} {OURS} ~all",
        ),
        ("names without address", "SPF_VOID", {}, f"v=spf1 {gone} {OURS} ~all"),
        (
            "dead includes",
            "SPF_DEAD_INCLUDE",
            {},
            f"v=spf1 {gone.replace('a:', 'include:')} {OURS}",
        ),
        (
            "the same include time and again",
            "SPF_TOO_MANY",
            others(2),
            f"v=spf1 {' '.join([including(2)] * 6)} {OURS} -all",
        ),
    ]
    return [
        Case(name, "spf", "Wrong", code, after(there, typed(value)))
        for name, code, there, value in rows
    ]


def _advised() -> list[Case]:
    """(name, code, what others publish, what is typed)"""
    long = " ".join(f"ip4:203.0.113.{n}" for n in range(30))
    rows: list[tuple[str, str, dict[str, str], str]] = [
        (
            "a dead include of others behind",
            "SPF_DEAD_IN_CHAIN",
            {"_spf.half.net": "v=spf1 ip4:203.0.113.0/28 include:gone.half.net -all"},
            f"v=spf1 {OURS} include:_spf.half.net ~all",
        ),
        (
            "a circle of others behind",
            "SPF_DEAD_IN_CHAIN",
            {
                "a.loop.net": "v=spf1 ip4:203.0.113.0/28 include:b.loop.net -all",
                "b.loop.net": "v=spf1 include:a.loop.net -all",
            },
            f"v=spf1 {OURS} include:a.loop.net ~all",
        ),
        ("?all", "SPF_NEUTRAL_ALL", {}, f"v=spf1 {OURS} ?all"),
        ("no end", "SPF_NO_ALL", {}, f"v=spf1 {OURS}"),
        ("something behind all", "SPF_AFTER_ALL", {}, f"v=spf1 {OURS} ~all ip4:203.0.113.9"),
        ("redirect beside all", "SPF_REDIRECT_IGNORED", {}, f"v=spf1 {OURS} ~all redirect=a.net"),
        ("another include=", "SPF_MECHANISM_IGNORED", {}, f"v=spf1 {OURS} include=a.net ~all"),
        ("ptr", "SPF_PTR", {}, f"v=spf1 {OURS} ptr ~all"),
        ("a wide network", "SPF_WIDE_RANGE", {}, f"v=spf1 {OURS} ip4:203.0.0.0/8 ~all"),
        ("an include twice", "SPF_DUPLICATE_TERM", {}, f"v=spf1 {OURS} {OURS} ~all"),
        ("a useless a", "SPF_UNUSED_HOST", {}, f"v=spf1 {OURS} a:none.example.com ~all"),
        ("a long record", "SPF_TOO_LONG", {}, f"v=spf1 {OURS} {long} ~all"),
        (
            "ten lookups more than allowed, behind",
            "SPF_BUDGET_WORST_CASE",
            others(12),
            f"v=spf1 {OURS} {including(12)} -all",
        ),
    ]
    return [
        Case(name, "spf", "Valid", code, after(there, typed(value)), advice=True)
        for name, code, there, value in rows
    ]


def misplaced(label: str) -> Mistake:
    """The policy is typed under this label."""
    return lambda stage: stage.retype("spf", name=label)


def at_from_domain(stage: Stage) -> None:
    """The policy stands at the domain of the From header; the envelope sender is another."""
    stage.unpublish("return-path-spf")
    stage.panel().add("@", "TXT", stage.value("return-path-spf"))


def of_the_old_type(stage: Stage) -> None:
    stage.retype("spf", kind="SPF")


CASES: tuple[Case, ...] = (
    *_syntax(),
    *_not_authorised(),
    *_chains(),
    *_advised(),
    Case("two policies", "spf", "Conflicting", "SPF_MULTIPLE", beside("v=spf1 mx -all")),
    Case(
        "three policies",
        "spf",
        "Conflicting",
        "SPF_MULTIPLE",
        after(others(2), beside("v=spf1 mx -all", f"v=spf1 {including(2)} ?all")),
    ),
    Case(
        "too many lookups before ours",
        "spf",
        "Wrong",
        "SPF_TOO_MANY",
        after(others(12), typed(f"v=spf1 {including(12)} {OURS} -all")),
        outsider=leaves_out_some,
    ),
    Case(
        "no room for ours",
        "spf",
        "Wrong",
        "SPF_TOO_MANY",
        after(others(10), typed(f"v=spf1 {including(10)} -all")),
        outsider=leaves_out_some,
    ),
    Case(
        "a network behind all",
        "spf",
        "Wrong",
        "SPF_INCLUDE_AFTER_ALL",
        typed(f"v=spf1 {OURS} -all ip4:198.51.100.7"),
        spec=_WITH_NETWORK,
    ),
    Case(
        "a network that is refused",
        "spf",
        "Wrong",
        "SPF_SHADOWED",
        typed(f"v=spf1 {OURS} -ip4:198.51.100.0/24 ip4:198.51.100.7 ~all"),
        spec=_WITH_NETWORK,
    ),
    Case(
        "a network that is missing",
        "spf",
        "Wrong",
        "SPF_MISSING_INCLUDE",
        typed(f"v=spf1 {OURS} ip4:198.51.100.8 ~all"),
        spec=_WITH_NETWORK,
    ),
    Case("under spf", "spf", "Missing", "SPF_WRONG_NAME", misplaced("spf")),
    Case("under www", "spf", "Missing", "SPF_WRONG_NAME", misplaced("www")),
    Case("as a wildcard", "spf", "Missing", "SPF_WRONG_NAME", misplaced("*")),
    Case("under _spf", "spf", "Missing", "SPF_WRONG_NAME", misplaced("_spf")),
    Case("under the return path", "spf", "Missing", "SPF_WRONG_NAME", misplaced("mail")),
    Case(
        "at the From domain",
        "return-path-spf",
        "Missing",
        "SPF_WRONG_NAME",
        at_from_domain,
        spec=_FROM_BOUNCE,
    ),
    Case("as type SPF", "spf", "Missing", "TYPE_SPF99", of_the_old_type),
    Case("nothing at all", "spf", "Missing", "SPF_MISSING", lambda stage: stage.unpublish("spf")),
)

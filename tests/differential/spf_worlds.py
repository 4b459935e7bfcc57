# SPDX-License-Identifier: Apache-2.0
"""Random worlds of SPF records, hosts and exchangers, as dictionaries: for comparing evaluators."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.spf.macro import reverse_name

Key = tuple[str, RecordType]

#: So few addresses and names that random terms do match.
NAMES = tuple(f"{one}.example.net" for one in "abcdefgh")
IPV4 = ("192.0.2.1", "192.0.2.130", "198.51.100.7", "203.0.113.9")
IPV6 = ("2001:db8::1", "2001:db8:0:1::7", "2001:db8:f::9")
SENDERS = ("user@{}", "first-last+tag@{}", "o'brien=x@{}")
HELOS = ("mx.example.org", "a.example.net", "client")


@dataclass(frozen=True, slots=True)
class World:
    """Records by name and type; a value of None is a lookup that fails."""

    records: dict[Key, tuple[str, ...] | None]

    def answer(self, name: str, kind: RecordType) -> Answer:
        """Answer as a resolver does."""
        question = Question(name, kind)
        values = self.records.get((name, kind), ())
        if values is None:
            return Answer(question, Outcome.TIMEOUT)
        return Answer(question, Outcome.FOUND if values else Outcome.NX_DOMAIN, values)


class Maker:
    """Makes worlds from a seed, the same ones every time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._others = NAMES

    def world(self) -> World:
        records: dict[Key, tuple[str, ...] | None] = {}
        for name in NAMES:
            records |= self._host(name)
            text = self._texts(name)
            if text:
                records[name, RecordType.TXT] = text
        for ip in (*IPV4, *IPV6):
            self._pointers(records, ip)
        for name in self._some(NAMES, 2):
            records[f"exp.{name}", RecordType.TXT] = (self._explanation(),)
        if self._chance(0.06):
            records[self._random.choice(sorted(records))] = None
        return World(records)

    def _host(self, name: str) -> dict[Key, tuple[str, ...] | None]:
        made: dict[Key, tuple[str, ...] | None] = {}
        if self._chance(0.8):
            made[name, RecordType.A] = tuple(self._some(IPV4, 2))
        if self._chance(0.6):
            made[name, RecordType.AAAA] = tuple(self._some(IPV6, 2))
        if self._chance(0.6):
            count = 11 if self._chance(0.03) else 3
            hosts = [self._random.choice(NAMES) for _ in range(self._random.randint(1, count))]
            hosts = hosts if count == 3 else [f"m{n}.example.net" for n in range(11)]
            made[name, RecordType.MX] = tuple(f"{n} {one}" for n, one in enumerate(hosts))
        for ip in self._some(IPV4, 2):
            made[f"{ip}.{name}", RecordType.A] = ("127.0.0.2",)
        return made

    def _pointers(self, records: dict[Key, tuple[str, ...] | None], ip: str) -> None:
        if self._chance(0.7):
            name = reverse_name(ipaddress.ip_address(ip))
            records[name, RecordType.PTR] = (self._random.choice(NAMES),)

    def _texts(self, owner: str) -> tuple[str, ...]:
        self._others = tuple(one for one in NAMES if one != owner)
        kind = self._random.random()
        if kind < 0.04:
            return ()
        if kind < 0.06:
            return ("no policy",)
        if kind < 0.08:
            return (self.record(), self.record())
        if kind < 0.15:
            return ("other text", self.record())
        return (self.record(),)

    def record(self) -> str:
        count = self._random.choice((1, 2, 2, 3, 3, 4, 5, 8, 12))
        terms = [self._term() for _ in range(count)]
        if self._chance(0.5):
            terms.append(self._random.choice(("-all", "~all", "?all", "all")))
        for name, share in (("redirect", 0.15), ("exp", 0.25)):
            if self._chance(share):
                prefix = "exp." if name == "exp" else ""
                modifier = f"{name}={prefix}{self._random.choice(NAMES)}"
                terms.insert(self._random.randint(0, len(terms)), modifier)
        version = self._random.choice(("v=spf1", "v=spf1", "v=spf1", "V=SPF1"))
        spaces = "  " if self._chance(0.05) else " "
        return spaces.join([version, *terms]) + (" " if self._chance(0.05) else "")

    def _term(self) -> str:
        if self._chance(0.03):
            return self._random.choice(_ODD)
        qualifier = self._random.choice(("", "", "", "+", "-", "~", "?"))
        name = self._random.choice(NAMES)
        if self._chance(0.1):
            name = self._random.choice(_TARGETS).format(name=name)
        kind = self._random.random()
        if kind < 0.3:
            return qualifier + self._network()
        if kind < 0.55:
            return f"{qualifier}include:{self._other(name)}"
        if kind < 0.62:
            return f"{qualifier}exists:{name}"
        if kind < 0.68:
            return f"{qualifier}ptr" + self._random.choice(("", f":{name}"))
        if kind < 0.71:
            # A name that no other term has: pyspf lets no modifier appear twice.
            tag = f"tag.1_2-{self._random.getrandbits(40)}"
            return tag + self._random.choice(("=", "=%{d}/%%.", "=man:dog/cat"))
        mechanism = self._random.choice(("a", "a", "mx", "A", "Mx"))
        domain = self._random.choice(("", f":{name}", f":{name}.", f":{name.upper()}"))
        return qualifier + mechanism + domain + self._random.choice(_LENGTHS)

    def _other(self, name: str) -> str:
        """Never the owner itself: pyspf takes that for an error of syntax."""
        return name if "%{" in name and "%{d" not in name else self._random.choice(self._others)

    def _network(self) -> str:
        if self._chance(0.65):
            return f"ip4:{self._random.choice(IPV4)}{self._random.choice(('', '/24', '/25', '/0'))}"
        return f"ip6:{self._random.choice(IPV6)}{self._random.choice(('', '/64', '/48', '/0'))}"

    def _explanation(self) -> str:
        return self._random.choice(
            (
                "See %{d}",
                "%{i} is not %{o}, %{s} %{l} %{h} %{v} %%%_%-",
                "%{S} %{l1r-} %{d2} %{ir} %{c}",
                "bad %{x}",
                "100%",
                "plain text",
            )
        )

    def _some(self, items: tuple[str, ...], most: int) -> list[str]:
        return self._random.sample(items, self._random.randint(1, most))

    def _chance(self, share: float) -> bool:
        return self._random.random() < share


_LENGTHS = ("", "", "", "", "/24", "/0", "//64", "/25//48", "//0", "/32//128")
_TARGETS = (
    "%{{i}}.{name}",
    "%{{d}}",
    "%{{o}}",
    "%{{d3}}",
    "%{{l1r-}}.{name}",
    "%{{h}}",
    "%{{ir}}.%{{v}}.{name}",
    "%{{S}}.{name}",
    "%{{p}}.{name}",
    "gone.{name}",
    "a..{name}",
    "x%%y.{name}",
)
_ODD = (
    "include:",
    "include",
    "a:",
    "a/33",
    "mx//129",
    "mx/024",
    "ip4:192.0.2.1/33",
    "ip4:192.0.2",
    "ip4:192.0.2.01",
    "ip6:2001:db8::/129",
    "ip6:192.0.2.1",
    "ip4:192.0.2.1//64",
    "exists",
    "exists:a.example.net/24",
    "all:x",
    "all.",
    "ptr/24",
    "moo",
    "redirect:a.example.net",
    "a:museum",
    "a:a.123",
    "a:a.-net",
    "include:%{x}.example.net",
    "include:%(d).example.net",
    "exists:%{c}.example.net",
    "x=%",
    "=x",
    "1x=y",
    "exp=",
    "redirect=",
    "redirect=a.example.net",
    "exp=exp.a.example.net",
    "a:\xe4.example.net",
    "a\tmx",
    "!a",
    "default=pass",
)

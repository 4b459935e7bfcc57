# SPDX-License-Identifier: Apache-2.0
"""DNS UPDATE: prerequisites and changes as RFC 2136 has them, all of an update or nothing."""

from __future__ import annotations

from collections.abc import Callable

import dns.message
import pytest
from dns import rcode
from dns.update import UpdateMessage

from postroom.lab.dns_update import apply
from postroom.lab.zone_data import ZoneData

APEX, SERVER = "example.com", "ns.lab.example.org"


def zones() -> ZoneData:
    made = ZoneData([APEX], SERVER, "127.0.0.2")
    made.add("a.example.com", "TXT", "one")
    made.add("alias.example.com", "CNAME", "a.example.net")
    return made


def updated(fill: Callable[[UpdateMessage], object], zone: str = APEX) -> tuple[str, ZoneData]:
    data, update = zones(), UpdateMessage(zone)
    fill(update)
    # As it comes over the network, with names that end in the root.
    received = dns.message.from_wire(update.to_wire())
    assert isinstance(received, UpdateMessage)
    return rcode.to_text(apply(received, data)), data


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (lambda update: update.present("a"), "NOERROR"),
        (lambda update: update.present("b"), "NXDOMAIN"),
        (lambda update: update.present("a", "TXT"), "NOERROR"),
        (lambda update: update.present("a", "MX"), "NXRRSET"),
        (lambda update: update.present("a", "TXT", "one"), "NOERROR"),
        (lambda update: update.present("a", "TXT", "two"), "NXRRSET"),
        (lambda update: update.absent("b"), "NOERROR"),
        (lambda update: update.absent("a"), "YXDOMAIN"),
        (lambda update: update.absent("a", "MX"), "NOERROR"),
        (lambda update: update.absent("a", "TXT"), "YXRRSET"),
        (lambda update: update.add("x.example.net.", 60, "A", "192.0.2.1"), "NOTZONE"),
        (lambda update: update.delete("a", "ANY"), "NOERROR"),
        (lambda update: update.delete("a", "AXFR"), "FORMERR"),
    ],
)
def test_what_is_asked_first_decides(asked: Callable[[UpdateMessage], object], answer: str) -> None:
    def fill(update: UpdateMessage) -> None:
        update.add("new", 60, "A", "192.0.2.7")
        asked(update)

    told, data = updated(fill)
    assert told == answer
    assert data.get("new.example.com", "A") == (["192.0.2.7"] if answer == "NOERROR" else [])


def test_a_zone_that_is_not_here_is_not_changed() -> None:
    told, _ = updated(lambda update: update.add("a", 60, "A", "192.0.2.1"), "sub.example.com")
    assert told == "NOTAUTH"


@pytest.mark.parametrize(
    ("change", "name", "kind", "left"),
    [
        (lambda update: update.add("a", 60, "TXT", "two"), "a", "TXT", ["one", "two"]),
        (lambda update: update.delete("a", "TXT", "one"), "a", "TXT", []),
        (lambda update: update.delete("a", "TXT", "two"), "a", "TXT", ["one"]),
        (lambda update: update.delete("a"), "a", "TXT", []),
        (lambda update: update.replace("a", 60, "TXT", "two"), "a", "TXT", ["two"]),
        # An alias stands alone, and another takes its place (section 3.4.2.2).
        (lambda update: update.add("alias", 60, "A", "192.0.2.1"), "alias", "A", []),
        (lambda update: update.add("a", 60, "CNAME", "b.example.net."), "a", "CNAME", []),
        (
            lambda update: update.add("alias", 60, "CNAME", "b.example.net."),
            "alias",
            "CNAME",
            ["b.example.net"],
        ),
        # A zone keeps its SOA and a name server (section 3.4.2.3 and 3.4.2.4).
        (lambda update: update.delete("@"), "", "NS", [SERVER]),
        (lambda update: update.delete("@", "NS", f"{SERVER}."), "", "NS", [SERVER]),
        (lambda update: update.delete("@", "NS"), "", "NS", [SERVER]),
    ],
)
def test_what_a_change_leaves(
    change: Callable[[UpdateMessage], object], name: str, kind: str, left: list[str]
) -> None:
    told, data = updated(change)
    assert told == "NOERROR"
    assert data.get(f"{name}.{APEX}".lstrip("."), kind) == left
    assert data.get(APEX, "SOA")


def test_a_name_server_goes_where_another_stays() -> None:
    def fill(update: UpdateMessage) -> None:
        update.add("@", 60, "NS", "ns.example.net.")
        update.delete("@", "NS", f"{SERVER}.")

    _, data = updated(fill)
    assert data.get(APEX, "NS") == ["ns.example.net"]


def test_a_ttl_comes_with_the_record() -> None:
    _, data = updated(lambda update: update.add("b", 300, "TXT", "x"))
    assert data.ttl("b.example.com", "TXT") == 300

# SPDX-License-Identifier: Apache-2.0
"""A report of many objects: in order, each with a link of its own, and who waits for whom."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.report.shape import SCHEMA, EmailReport, Turn
from unit.report.samples import broken, condition, report_of, stored
from unit.report.test_untrusted import ANYTHING

WAITS = condition("Ready", "False", "MailServerNotReady", "MailServer relay is not ready.")
NOT_READY = {"code": "MAIL_SERVER_NOT_READY", "severity": "Error", "message": WAITS["message"]}


def account(name: str, **more: Any) -> dict[str, Any]:
    spec = {"address": f"{name}@a.example", "serverRef": {"name": "relay"}}
    return stored("EmailAccount", name, WAITS, spec=spec, **{"findings": [NOT_READY], **more})


def test_your_turn_comes_first_then_by_namespace_kind_and_name() -> None:
    made = report_of(
        stored(name="z"), stored(name="b", namespace="a"), broken("y"), account("desk"), broken("x")
    )
    assert [each.anchor for each in made.objects] == [
        "sendingdomain/mail/x",
        "sendingdomain/mail/y",
        "emailaccount/mail/desk",
        "sendingdomain/a/b",
        "sendingdomain/mail/z",
    ]
    assert made.counts.total == 5
    assert made.counts.turns == {Turn.YOURS: 2, Turn.BEHIND: 1, Turn.NOBODY: 2}
    assert made.namespaces == ["a", "mail"]


def test_who_waits_is_told_on_both_sides() -> None:
    relay = stored("MailServer", "relay", condition("Ready", "False", "ConnectionRefused", "No."))
    server, *accounts = report_of(relay, account("b"), account("a")).objects
    assert [each.name for each in server.holds_up] == ["a", "b"]
    assert [each.behind[0].anchor for each in accounts] == ["mailserver/mail/relay"] * 2
    (told,) = report_of(account("a", findings=[])).objects
    assert [each.name for each in told.behind] == ["relay"]
    # Where the report does not have it, it is named all the same.
    (alone,) = report_of(account("a")).objects
    assert [(each.name, each.anchor) for each in alone.behind] == [("relay", "")]


def test_a_server_of_another_namespace_is_named_there() -> None:
    (found,) = report_of(account("a", serverName="relay", serverNamespace="shared")).objects
    assert [(each.namespace, each.name) for each in found.behind] == [("shared", "relay")]


def test_titles_are_what_people_call_it() -> None:
    made = report_of(
        stored(spec={"domain": "a.example"}),
        stored("MailServer", "s", spec={"provider": "SES"}),
        stored("MailServer", "t", spec={"provider": "SES"}, endpoint="smtp.example.net:587"),
        stored("EmailAccount", "d", spec={"address": "desk@a.example"}),
        stored("EmailAccount", "e", spec={}),
    )
    titles = {each.name: each.title for each in made.objects}
    assert titles == {
        "a": "a.example",
        "s": "SES",
        "t": "smtp.example.net:587",
        "d": "desk@a.example",
        "e": "e",
    }


def test_only_our_kinds_are_seen_and_the_last_of_two_counts() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "x"}, "data": {"password": "aHVudGVyMg=="}}
    made = report_of(secret, {"kind": "MailServer"}, {}, broken("a"), stored(name="a"))
    assert [(each.name, each.turn) for each in made.objects] == [("a", Turn.NOBODY)]
    assert "aHVudGVyMg" not in made.model_dump_json()


@given(st.lists(st.tuples(st.text(max_size=12), st.text(min_size=1, max_size=12)), max_size=8))
def test_every_object_has_a_fragment_of_its_own(places: list[tuple[str, str]]) -> None:
    made = report_of(*(stored(name=name, namespace=namespace) for namespace, name in places))
    anchors = [each.anchor for each in made.objects]
    assert len(set(anchors)) == len(anchors)
    assert all(anchor.isascii() and " " not in anchor for anchor in anchors)


@settings(max_examples=60)
@given(st.lists(ANYTHING, max_size=3), ANYTHING, ANYTHING)
def test_no_status_keeps_the_others_from_being_told(
    conditions: list[Any], status: Any, spec: Any
) -> None:
    odd = {**stored(name="odd"), "spec": spec, "status": status}
    other = stored(name="other")
    other["status"]["conditions"] = conditions
    made = report_of(odd, other, broken("known"))
    assert {each.name for each in made.objects} == {"odd", "other", "known"}


def test_the_data_comes_back_as_it_went_out() -> None:
    made = report_of(broken(), account("a"), stored(name="z"))
    told = json.loads(made.model_dump_json(by_alias=True))
    assert told["schema"] == SCHEMA
    assert told["objects"][0]["problems"][0]["publish"]["zoneFile"] == ""
    assert EmailReport.model_validate(told) == made

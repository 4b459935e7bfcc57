# SPDX-License-Identifier: Apache-2.0
"""A page of a list: what is asked for is on it, all else is a link away, and nothing is markup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.report import listing, page, reading
from postroom.report.query import Query, query_of
from postroom.report.shape import ReportSource, Turn
from unit.report.samples import FINDING, FIX, NOW, broken, condition, report_of, stored
from unit.report.test_page import ATTACKS, ATTRIBUTES, HOSTILE, TAGS, Seen, filled

WAITS = condition("Ready", "False", "MailServerNotReady", "MailServer relay is not ready.")
FORM_TAGS = {"form", "label", "input", "select", "option"}
FORM_ATTRIBUTES = {"method", "value", "maxlength", "selected"}


class Listing:
    """Objects as the operator lists them."""

    def __init__(self, *raws: Mapping[str, Any]) -> None:
        keys = [Key.of(Kind(raw["kind"]), raw) for raw in raws]
        self.raws = {
            (key.kind.value, key.namespace, key.name): raw
            for key, raw in zip(keys, raws, strict=True)
        }
        self.listed = [listing.listed(*key, raw) for key, raw in zip(keys, raws, strict=True)]

    def html(self, **asked: Any) -> str:
        return listing.html(self.listed, Query(**asked), self.raws.get, NOW)


def account(name: str, server: str = "relay") -> dict[str, Any]:
    spec = {"address": f"{name}@a.example", "serverRef": {"name": server}}
    return stored("EmailAccount", name, WAITS, spec=spec)


def shown(text: str) -> list[str]:
    """The objects of a page, in its order."""
    found = re.findall(r'<(?:article class="object"|tr) id="[a-z]+/([^"]*)"', text)
    return [str(anchor) for anchor in found]


def many() -> Listing:
    """250 domains to mend, 40 servers that work and an account that is switched off."""
    return Listing(
        *(broken(f"d{number:03}", namespace=f"n{number % 5}") for number in range(250)),
        *(stored("MailServer", f"s{number:02}", spec={"host": "h"}) for number in range(40)),
        stored("EmailAccount", "off", condition("Suspended", "True", "Suspended")),
    )


def test_what_is_known_of_an_object_is_what_a_report_says_of_it() -> None:
    raws = [broken(), account("desk"), stored("MailServer", "relay", spec={"host": "h.example"})]
    told = report_of(*raws, source=ReportSource.OPERATOR).objects
    known = sorted(Listing(*raws).listed, key=lambda each: each.rank)
    assert [(each.title, each.turn, each[:3]) for each in known] == [
        (each.title, each.turn, (each.kind, each.namespace, each.name)) for each in told
    ]
    causes = ["SPF_MISSING_INCLUDE", "MailServerNotReady", "Succeeded"]
    assert [each.cause for each in known] == causes


def test_pages_together_have_each_object_once_and_in_order() -> None:
    there = many()
    pages = [shown(there.html(page=number)) for number in (1, 2, 3)]
    assert [len(names) for names in pages] == [100, 100, 91]
    everything = [name for names in pages for name in names]
    assert everything == [
        each.anchor.partition("/")[2] for each in report_of(*there.raws.values()).objects
    ]
    # The last page stands for all beyond it, as what was there may be gone.
    assert shown(there.html(page=9)) == pages[2]
    assert "101 to 200 of 291" in there.html(page=2)


def test_the_link_of_an_object_leads_to_it_from_and_to_every_page() -> None:
    """Also where its name is the beginning of many others."""
    there = Listing(*(broken(f"d{number}") for number in range(250)))
    for number in (1, 2, 3):
        text = there.html(page=number)
        links = re.findall(r'class="anchor" href="([^"]+)"', text)
        names = shown(text)
        assert len(links) == len(names)
        for link, name in list(zip(links, names, strict=True))[::33]:
            asked = query_of(parse_qsl(urlsplit(link).query))
            assert asked.object == urlsplit(link).fragment == f"sendingdomain/{name}"
            again = there.html(**asked._asdict())
            assert name in shown(again)
            # What else is a link from there knows nothing of the object.
            assert "object=" not in "".join(re.findall(r'href="(\?page[^"]*)"', again))


def test_of_an_object_that_is_not_there_the_page_is_the_one_that_is_asked_for() -> None:
    there = many()
    for odd in ("sendingdomain/mail/gone", "x", "//", "sendingdomain/n0/d000/x"):
        assert shown(there.html(object=odd)) == shown(there.html())
        assert shown(there.html(object=odd, page=2)) == shown(there.html(page=2))


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"state": "NotReady"}, 250),
        ({"state": "Yours"}, 250),
        ({"state": "Resting"}, 1),
        ({"state": "Behind"}, 0),
        ({"kind": "MailServer"}, 40),
        ({"kind": "MailServer", "state": "NotReady"}, 0),
        ({"namespace": "n3"}, 50),
        ({"namespace": "n"}, 0),
        ({"q": "D00"}, 10),
        ({"q": "n3/d00"}, 2),
        ({"q": "spf_missing d00"}, 10),
        ({"q": "d001.example"}, 1),
        ({"q": "mailserver s00"}, 1),
        ({"q": "d001 s00"}, 0),
    ],
)
def test_filters_leave_what_fits(asked: dict[str, str], count: int) -> None:
    text = many().html(**asked)
    assert len(shown(text)) == min(count, listing.PAGE)
    objects = f"{count} object{'' if count == 1 else 's'}"
    said = f"1 to {listing.PAGE} of {count}" if count > listing.PAGE else objects
    assert (said if count else "Nothing is there that fits.") in text
    assert '<a href="?">Show all</a>' in text


def test_the_summary_counts_what_fits_whatever_its_state_and_leads_there() -> None:
    text = many().html(state="Nobody", q="example")
    assert "<h1>250 of 250 need you</h1>" in text
    assert shown(text) == []
    text = many().html(state="Nobody")
    assert "<h1>250 of 291 need you</h1>" in text
    summary = re.findall(
        r'<li><a class="\w+" href="([^"]*)"([^>]*)><span class="number">(\d+)', text
    )
    assert summary == [
        ("?state=Yours", "", "250"),
        ("?state=Nobody", ' aria-current="true"', "40"),
        ("?state=Resting", "", "1"),
    ]


def test_causes_are_told_of_all_pages_where_their_section_begins() -> None:
    there = many()
    told = '<a href="?q=SPF_MISSING_INCLUDE&amp;state=Yours"><code>SPF_MISSING_INCLUDE</code></a>'
    assert f'{told} <span class="number">250</span>' in there.html()
    assert told not in there.html(page=2)
    assert 'id="yours">Your turn <span class="number">250</span>' in there.html(page=2)


def test_of_one_title_in_a_list_of_a_cause_each_is_told_with_its_place() -> None:
    refused = condition("Ready", "False", "ConnectionRefused", "No.")
    same = [stored("MailServer", "relay", refused) for _ in range(page._SEVERAL)]
    for number, raw in enumerate(same):
        raw["metadata"]["namespace"] = f"n{number}"
        raw["spec"] = {"host": "mail.example.com"}
    same[0]["spec"] = {"host": "other.example.com"}
    there = Listing(*same).html()
    for text in (page.render(report_of(*same)), there):
        (told,) = re.findall(r"<dd>(.*?)</dd>", text.split('class="causes"')[1], re.DOTALL)[:1]
        shown = re.sub(r"<[^>]*>|\s+and \d+ more", "", told).split(", ")
        assert "other.example.com" in shown
        assert "mail.example.com (n1/relay)" in shown
        assert len(set(shown)) == len(shown)


def test_the_form_shows_what_was_asked_for() -> None:
    text = many().html(q='a"b', state="Yours", kind="MailServer", namespace="gone")
    assert 'name="q" value="a&#34;b"' in text
    for value in ("Yours", "MailServer", "gone"):
        assert f'<option value="{value}" selected>' in text
    assert '<option value="n3">n3</option>' in text
    assert page.policy(form=True).endswith("form-action 'self'")
    assert page.policy().endswith("form-action 'none'")


def test_of_one_namespace_there_is_nothing_to_choose_and_of_very_many_one_is_typed() -> None:
    assert 'name="namespace"' not in Listing(broken(), account("a")).html()
    crowd = Listing(*(stored(name="a", namespace=f"n{number}") for number in range(201)))
    assert '<input name="namespace" value="n7" maxlength="256">' in crowd.html(namespace="n7")


def test_who_waits_is_told_across_pages_with_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 1)
    refused = condition("Ready", "False", "ConnectionRefused", "No.")
    there = Listing(account("desk"), stored("MailServer", "relay", refused), account("lost", "x"))
    server, first, second = (there.html(page=number) for number in (1, 2, 3))
    assert "1 waits for this" in server
    link = '<a href="?object=emailaccount%2Fmail%2Fdesk#emailaccount/mail/desk">address desk</a>'
    assert link in server
    assert (
        '<a href="?object=mailserver%2Fmail%2Frelay#mailserver/mail/relay">mail server relay</a>'
        in first
    )
    # There is no such server to lead to.
    assert "waits for mail server x" in second
    leads_to = urlsplit("?object=emailaccount%2Fmail%2Fdesk#emailaccount/mail/desk")
    asked = query_of(parse_qsl(leads_to.query))
    assert f'id="{leads_to.fragment}"' in there.html(**asked._asdict())


def test_what_is_gone_meanwhile_is_not_shown() -> None:
    there = Listing(broken("a"), broken("b"))
    there.raws.pop(("SendingDomain", "mail", "a"))
    assert shown(there.html()) == ["mail/b"]


def test_what_changed_meanwhile_stands_where_the_list_has_it() -> None:
    there = Listing(broken("a"), broken("b"), stored(name="c"))
    there.raws["SendingDomain", "mail", "a"] = stored(name="a")
    assert shown(there.html()) == ["mail/a", "mail/b", "mail/c"]
    assert there.html().count("<h2") == 2


def test_an_empty_list_says_so() -> None:
    assert "There is no SendingDomain, MailServer or EmailAccount" in Listing().html()


def test_a_page_of_heavy_objects_is_bounded() -> None:
    huge = {**FINDING, "fix": {**FIX, "value": "v" * 8_000}}
    text = Listing(*(broken(f"h{number}", findings=[huge] * 16) for number in range(100))).html()
    assert len(text) < 16_000_000
    assert re.search(r"\d+ more are not shown", text)


def test_the_order_of_pages_is_told_with_links_to_those_near() -> None:
    there = Listing(*(stored(name=f"d{number:04}") for number in range(1_250)))
    text = there.html(page=6, q="d")
    links = re.findall(r'href="([^"]*)" aria-label="Page (\d+)"', text)
    assert [number for _, number in links] == ["1", "3", "4", "5", "6", "7", "8", "9", "13"]
    assert links[0][0] == "?q=d"
    assert links[1][0] == "?q=d&amp;page=3"


@settings(max_examples=80, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=9), HOSTILE, st.sampled_from(ATTACKS))
def test_no_text_of_a_list_or_a_query_becomes_markup(
    texts: list[str], asked: str, namespace: str
) -> None:
    waiting = account("w", texts[0])
    waiting["status"]["resolvedRefs"] = [{"kind": "MailServer", "name": texts[0]}]
    there = Listing(
        filled(texts), waiting, stored(name=texts[-1] or "x", namespace=texts[0] or "n"), broken()
    )
    for query in (Query(), query_of([("q", asked), ("namespace", namespace)])):
        seen = Seen(listing.html(there.listed, query, there.raws.get, NOW))
        assert set(seen.tags) <= TAGS | FORM_TAGS
        assert seen.attributes <= ATTRIBUTES | FORM_ATTRIBUTES
        assert (seen.tags["script"], seen.tags["style"], seen.tags["form"]) == (1, 1, 1)
        assert all(link == "data:," or link[:1] in ("#", "?") for link in seen.links)


def test_anchors_are_those_of_the_whole_report() -> None:
    there = many()
    whole = {each.anchor for each in report_of(*there.raws.values()).objects}
    assert whole == {reading.anchor_of(place) for place in there.raws}
    assert {turn for each in there.listed if (turn := each.turn)} == {
        Turn.YOURS,
        Turn.NOBODY,
        Turn.RESTING,
    }

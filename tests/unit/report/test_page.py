# SPDX-License-Identifier: Apache-2.0
"""The page: no text of any field ever becomes markup, and nothing is lost of a value.

What a browser makes of it is in tests/lab/test_report_page.py.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.report import page
from postroom.report.shape import EmailReport, Turn
from unit.report.samples import FINDING, FIX, RECORD, SINCE, broken, condition, report_of, stored
from unit.report.test_untrusted import ANYTHING

ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<!--",
    "-->",
    "]]>",
    "&lt;b&gt; &amp;",
    "{{ 7 * 7 }}{% raw %}",
    "</title><base href=//evil.example>",
    "</code></dd></article></main>",
    "<a href='javascript:alert(1)'>x</a>",
    "data:text/html,<script>",
)
HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(ATTACKS),
    st.lists(st.sampled_from(ATTACKS) | st.text(max_size=5), max_size=4).map("".join),
)
#: What the template is made of; anything else would have come from a status.
TAGS = {
    *("html", "head", "meta", "title", "link", "style", "script", "body"),
    *("header", "nav", "main", "section", "article", "footer", "h1", "h2", "h3", "h4"),
    *("a", "p", "ul", "ol", "li", "dl", "div", "dt", "dd", "span", "code", "b", "br", "del"),
    *("details", "summary", "button", "time", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "rel", "href", "class", "id", "tabindex"),
    *("aria-label", "aria-labelledby", "aria-current", "role", "scope"),
    *("type", "hidden", "datetime", "open"),
}


class Seen(HTMLParser):
    """What there is in a page: tags, attributes, links, and the texts to paste."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.values: list[str] = []
        self._in_value = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if ("class", "value") in attrs:
            self._in_value = True
            self.values.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_value = self._in_value and tag != "code"

    def handle_data(self, data: str) -> None:
        if self._in_value:
            self.values[-1] += data


def filled(texts: list[str]) -> dict[str, Any]:
    """A domain in which every text is one of `texts`, in turn."""
    supply = iter(texts * 64)

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill(inner) for inner in value]
        return next(supply) if isinstance(value, str) else value

    paste = {**FINDING, "fix": {"action": "External", "instruction": "a\nb"}}
    raw = broken(findings=[FINDING, {**FINDING, "because": ["A", "B"]}, paste], dnsHost="x")
    kept = fill(raw)
    kept["kind"] = "SendingDomain"
    for number, finding in enumerate(kept["status"]["findings"]):
        finding["severity"] = "Error"
        finding["fix"]["action"] = "External" if number == 2 else "Replace"
        finding["fix"]["value"] = finding["fix"].get("value") or "x"
    kept["metadata"]["name"] = kept["metadata"]["name"] or "x"
    kept["status"]["conditions"][0].update(type="Ready", status="False")
    kept["status"]["records"][0]["state"] = "Wrong"
    return dict(kept)


@settings(max_examples=80, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=9))
def test_no_text_of_any_field_becomes_markup(texts: list[str]) -> None:
    waiting = stored("EmailAccount", "w", condition("Ready", "False", "MailServerNotReady", "No."))
    waiting["status"]["resolvedRefs"] = [{"kind": "MailServer", "name": texts[0]}]
    made = report_of(filled(texts), waiting, stored(name=texts[-1] or "x", namespace=texts[0]))
    seen = Seen(page.render(made))
    assert set(seen.tags) <= TAGS
    assert (seen.tags["script"], seen.tags["style"], seen.tags["link"]) == (1, 1, 1)
    assert seen.attributes <= ATTRIBUTES
    assert len(set(seen.ids)) == len(seen.ids)
    for link in seen.links:
        assert link == "data:," or link.startswith("#")
        assert not link[1:] or link == "data:," or link[1:] in seen.ids


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value within another one, outermost first."""
    if path:
        yield path
    entries = dict(enumerate(value)) if isinstance(value, list) else value
    for key, inner in entries.items() if isinstance(entries, dict) else ():
        yield from places(inner, (*path, key))


def well_known() -> list[dict[str, Any]]:
    """An object of each kind, with all that a report reads of one."""
    waits = condition("Ready", "False", "MailServerNotReady", "MailServer relay is not ready.")
    refs = [{"kind": "MailServer", "name": "relay", "namespace": "mail"}]
    paste = {**FINDING, "fix": {"action": "External", "instruction": "a\nb"}, "because": ["A"]}
    domain = broken(findings=[FINDING, paste], dnsHost="x", zone="z", lastCheckTime=SINCE)
    domain["spec"] |= {"interval": "1h", "propagationDeadline": "72h"}
    domain["metadata"]["generation"] = domain["status"]["observedGeneration"] = 1
    server = stored("MailServer", "relay", condition("Ready", "False", "ConnectionRefused", "No."))
    spec = {"address": "a@a.example", "serverRef": {"name": "relay"}, "sync": {"interval": "5m"}}
    names: dict[str, Any] = {"serverName": "relay", "serverNamespace": "mail", "resolvedRefs": refs}
    account = stored("EmailAccount", "a", waits, spec=spec, **names)
    return [domain, {**server, "spec": {"host": "h", "interval": "5m"}}, account]


PLACES = [
    (number, place) for number, raw in enumerate(well_known()) for place in places(raw)
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING | HOSTILE), min_size=1, max_size=4))
def test_whatever_stands_anywhere_the_page_is_whole(odd: list[tuple[Any, Any]]) -> None:
    objects = copy.deepcopy(well_known())
    for (number, place), value in odd:
        inner: Any = objects[number]
        try:
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # what is around it was replaced before
    made = report_of(*objects, broken("known"))
    assert "known" in {each.name for each in made.objects}
    text = page.render(made)
    seen = Seen(text)
    text.encode("utf-8")
    assert set(seen.tags) <= TAGS
    assert seen.attributes <= ATTRIBUTES
    assert (seen.tags["script"], seen.tags["style"], seen.tags["link"]) == (1, 1, 1)
    assert all(link == "data:," or link.startswith("#") for link in seen.links)
    EmailReport.model_validate_json(made.model_dump_json(by_alias=True))


@settings(max_examples=60, deadline=None)
@given(HOSTILE.filter(lambda text: text and all(c.isprintable() or c in "\n\t" for c in text)))
def test_a_value_is_pasted_as_it_is(value: str) -> None:
    raw = broken(findings=[{**FINDING, "fix": {**FIX, "value": value}}], records=[])
    seen = Seen(page.render(report_of(raw)))
    # The name, the value, and the command that shows it.
    assert seen.values == ["@", value, FINDING["ask"]]


def test_style_and_script_are_those_that_the_policy_allows() -> None:
    text = page.render(report_of(broken()))
    told = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert told
    assert told[1].replace("&#39;", "'") == page.policy()
    assert "frame-ancestors 'none'" in page.policy(header=True)
    assert "unsafe" not in page.policy(header=True)
    assert page.policy().startswith("default-src 'none'; style-src 'sha256-")
    assert "http://" not in text
    assert "https://" not in text
    assert 'style="' not in text


RESTING = stored("MailServer", "off", condition("Suspended", "True", "Suspended", "It is."))


@pytest.mark.parametrize(
    ("objects", "line"),
    [
        ([], "Nothing to report on"),
        ([stored()], "Everything works"),
        ([stored(), RESTING], "Everything that is not switched off works"),
        ([RESTING], "Everything is switched off"),
        ([broken(), RESTING], "1 of 2 needs you"),
        ([broken(), stored(name="b")], "1 of 2 needs you"),
        ([broken(), broken("b")], "2 of 2 need you"),
        (
            [stored("MailServer", "m", condition("Ready", "False", "TemporaryFailure", "No."))],
            "Nothing for you to do; 1 of 1 is waiting",
        ),
    ],
)
def test_the_first_line_is_the_summary(objects: list[dict[str, Any]], line: str) -> None:
    made = report_of(*objects)
    assert page.headline(made) == line
    assert f"<h1>{line}</h1>" in page.render(made)


def test_a_thousand_objects_have_a_summary_by_cause_and_a_link_each() -> None:
    many = [broken(f"d{number}", namespace=f"n{number % 7}") for number in range(700)]
    well = [stored(name=f"w{number}", namespace=f"n{number % 7}") for number in range(300)]
    made = report_of(*many, *well)
    text = page.render(made)
    assert text.index("700 of 1000 need you") < text.index('id="yours"') < text.index("<article")
    assert '<code>SPF_MISSING_INCLUDE</code> <span class="number">700</span>' in text
    seen = Seen(text)
    assert {each.anchor for each in made.objects} <= set(seen.ids)
    assert seen.tags["article"] == 700
    in_order = [f"n{number}" for number in range(7)]
    assert re.findall(r"Namespace (n\d)</h3>", text) == in_order * 2


def test_of_more_than_fit_the_page_says_how_many_it_leaves_out() -> None:
    made = report_of(*(stored(name=f"w{number}") for number in range(2_003)))
    text = page.render(made)
    assert "3 more are not shown" in text
    assert made.counts.turns == {Turn.NOBODY: 2_003}


def test_nobody_is_left_out_for_what_is_heavy_in_another_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page, "_HEAVIEST", 400_000)
    huge = {**FIX, "value": "v" * 8_000}
    heavy = [broken(f"h{number}", findings=[{**FINDING, "fix": huge}] * 3) for number in range(100)]
    for raw in heavy:
        raw["metadata"]["namespace"] = "a"
    light = [broken(f"l{number}") for number in range(20)]
    for raw in light:
        raw["metadata"]["namespace"] = "z"
    well = [stored(name=f"w{number}", namespace="a") for number in range(20)]
    made = report_of(*heavy, *light, *well)
    text = page.render(made)
    assert len(text) < 2_000_000
    assert "120 of 140 need you" in text
    ids = Seen(text).ids
    assert {f"sendingdomain/z/l{number}" for number in range(20)} <= set(ids)
    assert 0 < sum(each.startswith("sendingdomain/a/h") for each in ids) < 50
    assert re.search(r"\d+ more are not shown", text)


def test_what_is_left_out_is_named_and_not_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_MOST", 2)
    refused = condition("Ready", "False", "ConnectionRefused", "No.")
    servers = [stored("MailServer", f"s{number}", refused) for number in range(3)]
    waits = condition("Ready", "False", "MailServerNotReady", "No.")
    accounts = [
        stored("EmailAccount", f"a{number}", waits, spec={"serverRef": {"name": f"s{number}"}})
        for number in range(3)
    ]
    text = page.render(report_of(*servers, *accounts))
    seen = Seen(text)
    assert {link[1:] for link in seen.links if link.startswith("#")} <= set(seen.ids)
    assert text.count("1 more is not shown") == 2


def test_huge_texts_are_bounded() -> None:
    huge = "<" * 3_000_000
    raw = broken(findings=[{**FINDING, "message": huge, "fix": {**FIX, "value": huge}}] * 500)
    raw["status"]["records"] = [{**RECORD, "value": huge, "observed": [huge] * 99}] * 500
    assert len(page.render(report_of(raw))) < 8_000_000
    hidden = "\u200b" * 9_000  # each is told by its number
    raw = broken(findings=[{**FINDING, "message": hidden, "fix": {**FIX, "value": hidden}}] * 500)
    assert len(page.render(report_of(raw))) < 8_000_000
    assert len(raw["status"]["findings"]) == 500


def test_links_to_other_namespaces_are_escaped_too() -> None:
    places = [page.PagePlace('"><script>', "ui/mail", here=True)]
    seen = Seen(page.render(report_of(), places))
    assert seen.tags["script"] == 1
    assert "ui/mail" in seen.links


@pytest.mark.parametrize("reason", ["ConsumerUnavailable", ""])
def test_incoming_mail_is_told_of_whether_it_arrives_or_not(reason: str) -> None:
    state = condition("InboundDelivering", "False" if reason else "True", reason or "Delivering")
    inbound = {"waiting": 3, "deliveredAt": SINCE, "rejected": 1, "cursors": [{"mailbox": "<b>"}]}
    ready = condition("Ready", "True", "Succeeded")
    text = page.render(report_of(stored("EmailAccount", "a", ready, state, inbound=inbound)))
    assert "Incoming mail: 3 waiting for the application, last one handed over" in text
    assert "1 passed by (refused for two days)" in text

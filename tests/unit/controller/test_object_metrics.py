# SPDX-License-Identifier: Apache-2.0
"""The series that alerts are made of: from objects as they are stored, bounded per namespace."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from prometheus_client.parser import text_string_to_metric_families as parsed

from postroom.api.names import Key, Kind
from postroom.controller.cache import Cache
from postroom.controller.object_metrics import CONDITION, METRICS, ObjectMetrics, samples_of
from scrapes import told_of
from unit.controller.samples import stored as manifest

LEFT_OUT = "postroom_series_left_out"
PLACE = 'kind="EmailAccount",namespace="mail",name="a"'
CHANGED = "postroom_credential_changed_timestamp_seconds"
END = "postroom_certificate_not_after_timestamp_seconds"
STATUS: dict[str, Any] = {
    "conditions": [
        {"type": "Ready", "status": "Unknown", "reason": "Progressing"},
        {"type": "SMTPAvailable", "status": "True", "reason": "ProbeSucceeded"},
        {"type": "Odd", "status": "Perhaps", "reason": "Odd"},
    ],
    "lastCheckTime": "2026-01-01T00:00:02Z",
    "lastReadyTime": "2026-01-01T00:00:01Z",
    "lastReadyGeneration": 3,
    "serverName": "relay",
    "sendPlan": {"daily": 500, "dailyFrom": "MailServer", "hourly": 50, "hourlyFrom": "Window"},
    "imapTls": {"notAfter": "2027-01-02T00:00:00Z", "chainNotAfter": "2027-01-01T00:00:00Z"},
    "credentials": [
        {"use": "Password", "secret": "b", "changedAt": "2026-01-01T00:00:04Z"},
        {"use": "Password", "secret": "a", "changedAt": "2026-01-01T00:00:03Z"},
        {
            "use": "RefreshToken",
            "secret": "a",
            "changedAt": "2026-01-01T00:00:05Z",
            "endsAt": "2027-01-01T00:00:00Z",
        },
    ],
    "lastSync": "2026-01-01T00:00:00Z",
    "mailbox": {"name": "INBOX", "messages": 9, "unseen": 4},
    "roundTrip": {
        "result": {
            "outcome": "DeliveredToSpam",
            "time": "2026-01-01T00:00:00Z",
            "recipient": "someone@example.com",
            "latencySeconds": 7,
        }
    },
    "findings": [
        {"code": "DKIM_MISSING", "severity": "Error", "subject": "one"},
        {"code": "DKIM_MISSING", "severity": "Error", "subject": "two"},
        {"code": "DMARC_WEAK", "severity": "Warning"},
    ],
}
#: How often one object with that status is in each metric.
TIMES = {metric: 1 for metric in METRICS if metric != "postroom_verification"} | {
    CONDITION: 2,
    CHANGED: 2,
    "postroom_send_plan_messages": 2,
    "postroom_finding": 2,
}


def key(name: str = "a", namespace: str = "mail") -> Key:
    return Key(Kind.EMAIL_ACCOUNT, namespace, name)


def stored(status: Any) -> dict[str, Any]:
    spec = {"sendLimits": {"daily": 600}, "inbound": {"deliver": {"service": {}}}}
    return {"metadata": {"generation": 3}, "spec": spec, "status": status}


def lines_of(objects: dict[Key, dict[str, Any]], **bound: int) -> list[str]:
    """What Prometheus gets, without comments."""
    text = asyncio.run(text_of(told_of(objects, **bound)))
    return [line for line in text.splitlines() if not line.startswith("#")]


async def text_of(told: ObjectMetrics) -> str:
    return b"".join(await told.pieces()).decode()


def test_what_an_object_tells() -> None:
    plan = f"postroom_send_plan_messages{{{PLACE}"
    assert lines_of({key(): stored(STATUS)}) == [
        # Only the reason of Ready is a label, and a status that is none has no series.
        f'postroom_condition{{{PLACE},type="Ready",reason="Progressing"}} -1.0',
        f'postroom_condition{{{PLACE},type="SMTPAvailable",reason=""}} 1.0',
        f"postroom_been_ready{{{PLACE}}} 1.0",
        f"postroom_last_check_timestamp_seconds{{{PLACE}}} 1767225602.0",
        f"postroom_last_ready_timestamp_seconds{{{PLACE}}} 1767225601.0",
        # The first of the chain to end.
        f'{END}{{{PLACE},protocol="imap"}} 1798761600.0',
        # The oldest of each kind, of no Secret's name.
        f'{CHANGED}{{{PLACE},credential="Password"}} 1767225603.0',
        f'{CHANGED}{{{PLACE},credential="RefreshToken"}} 1767225605.0',
        f"postroom_refresh_token_not_after_timestamp_seconds{{{PLACE}}} 1798761600.0",
        f"postroom_last_sync_timestamp_seconds{{{PLACE}}} 1767225600.0",
        f"postroom_mailbox_unseen{{{PLACE}}} 4.0",
        f"postroom_inbound_declared{{{PLACE}}} 1.0",
        f"postroom_inbound_rejected{{{PLACE}}} 0.0",
        f'postroom_round_trip{{{PLACE},outcome="DeliveredToSpam"}} 1.0',
        f"postroom_round_trip_timestamp_seconds{{{PLACE}}} 1767225600.0",
        f"postroom_round_trip_latency_seconds{{{PLACE}}} 7.0",
        f'{plan},period="day",source="MailServer",server_namespace="mail",server="relay"}} 500.0',
        f'{plan},period="hour",source="Window",server_namespace="mail",server="relay"}} 50.0',
        f'postroom_send_limit_messages{{{PLACE},period="day"}} 600.0',
        # A code that is found twice is one series.
        f'postroom_finding{{{PLACE},code="DKIM_MISSING",severity="Error"}} 1.0',
        f'postroom_finding{{{PLACE},code="DMARC_WEAK",severity="Warning"}} 1.0',
    ]


def test_what_is_deleted_and_held_tells_nothing_from_then_on() -> None:
    """Nobody looks at it any more, so that its alerts would never end."""
    cache = Cache()
    told = ObjectMetrics(cache.get)
    cache.observers.append(told.changed)
    place = Key(Kind.EMAIL_ACCOUNT, "mail", "held")
    raw = manifest(place, status={"lastCheckTime": "2026-01-01T00:00:02Z"})
    cache.put(place.kind, raw)
    assert 'name="held"' in asyncio.run(text_of(told))
    leaving = {"deletionTimestamp": "2026-01-01T00:00:03Z", "resourceVersion": "9"}
    cache.put(place.kind, {**raw, "metadata": {**raw["metadata"], **leaving}})
    assert 'name="held"' not in asyncio.run(text_of(told))


def test_a_server_tells_its_certificate_and_its_limits() -> None:
    status = {"tls": {"notAfter": "2027-01-01T00:00:00Z"}}
    raw = {"spec": {"limits": {"daily": 900, "hourly": 90}}, "status": status}
    assert list(samples_of(Key(Kind.MAIL_SERVER, "mail", "relay"), raw)) == [
        (END, ("smtp",), 1798761600.0),
        ("postroom_send_limit_messages", ("day",), 900),
        ("postroom_send_limit_messages", ("hour",), 90),
    ]


def test_a_spec_that_was_never_ready_is_told_from_one_that_was() -> None:
    domain = Key(Kind.SENDING_DOMAIN, "mail", "example")
    status = {"verification": "Degraded", "lastReadyGeneration": 2}
    assert list(samples_of(domain, stored(status)))[:2] == [
        ("postroom_been_ready", (), 0.0),
        ("postroom_verification", ("Degraded",), 1.0),
    ]


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"tls": None, "findings": None, "mailbox": 3, "lastSync": None, "roundTrip": []},
        {"credentials": [{}, 3, {"use": "Password"}, {"use": "Password", "changedAt": "soon"}]},
        {"credentials": {"use": "Password"}},
        {"tls": {"notAfter": "soon"}, "findings": [3, {}, {"severity": "Error"}]},
        {"lastCheckTime": "2026-01-01T00:00:00", "sendPlan": {"daily": "many"}},
        {"conditions": [{"type": "Ready"}, 3], "roundTrip": {"result": {"latencySeconds": "7"}}},
    ],
)
def test_what_is_not_told_has_no_series(status: Any) -> None:
    assert lines_of({key(): {"spec": None, "status": status}}) == []


@given(st.text(), st.text())
def test_whatever_stands_in_a_status_the_text_can_be_read(code: str, severity: str) -> None:
    finding = {"code": code, "severity": severity}
    text = asyncio.run(text_of(told_of({key(): stored({"findings": [finding]})})))
    family = {found.name: found.samples for found in parsed(text)}["postroom_finding"]
    told = [(sample.labels["code"], sample.labels["severity"]) for sample in family]
    assert told == ([(code, severity)] if code else [])


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), unique=True),
    st.integers(1, 6),
)
def test_no_namespace_exceeds_its_bound_and_what_is_left_out_is_told(
    places: list[tuple[str, int]], most: int
) -> None:
    objects = {key(f"n{number}", space): stored(STATUS) for space, number in places}
    lines = lines_of(objects, most=most)
    for metric, each in TIMES.items():
        for space in "ab":
            wanted = each * sum(namespace == space for namespace, _ in places)
            shown = sum(
                line.startswith(f"{metric}{{") and f'namespace="{space}"' in line for line in lines
            )
            # Whether something is Ready is told of all.
            assert shown == (wanted if metric == CONDITION else min(wanted, most))
            bound = f'postroom_series_left_out{{metric="{metric}",namespace="{space}"}}'
            left = [line for line in lines if line.startswith(bound)]
            assert left == ([f"{bound} {float(wanted - most)}"] if wanted > shown else [])


def in_one_go(cache: Cache, most: int) -> str:
    """All series, written without anything that is kept; sorted by namespace, kind and name."""
    objects = sorted(cache.objects(), key=lambda each: (each[0].namespace, each[0]))
    texts = dict.fromkeys(METRICS, "")
    shown = Counter[tuple[str, str]]()
    for place, raw in objects:
        for metric, labels, value in samples_of(place, raw):
            shown[metric, place.namespace] += 1
            named = [*zip(("kind", "namespace", "name"), place, strict=True)]
            named += zip(METRICS[metric][1], labels, strict=True)
            if metric == CONDITION or shown[metric, place.namespace] <= most:
                told = ",".join(f'{name}="{text}"' for name, text in named)
                texts[metric] += f"{metric}{{{told}}} {float(value)}\n"
    left_out = [
        f'{LEFT_OUT}{{metric="{metric}",namespace="{namespace}"}} {float(beyond)}\n'
        for metric in METRICS
        for namespace in sorted({place.namespace for place, _ in objects})
        if metric != CONDITION and (beyond := shown[metric, namespace] - most) > 0
    ]
    return "".join(texts.values()) + "".join(left_out)


class Histories(RuleBasedStateMachine):
    """Whatever happens to the objects between scrapes, each is what one made anew would be."""

    places = st.builds(key, st.sampled_from("abcdefg"), st.sampled_from(["x", "y"]))
    moments = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", None])
    codes = st.lists(st.sampled_from(["DKIM_MISSING", "NO_OWNER", "SPF_MISSING"]), unique=True)

    def __init__(self) -> None:
        super().__init__()
        self.cache, self.most, self.version = Cache(), 3, 0
        self.told = ObjectMetrics(self.cache.get, most=self.most)
        self.cache.observers.append(self.told.changed)

    @rule(place=places, moment=moments, codes=codes, older=st.integers(0, 1))
    def seen(self, place: Key, moment: str | None, codes: list[str], older: int) -> None:
        self.cache.put(place.kind, self._object(place, moment, codes, self.version - older))

    @rule(place=places, moment=moments, codes=codes)
    def written(self, place: Key, moment: str | None, codes: list[str]) -> None:
        self.cache.begin_write(place)
        self.cache.end_write(place, self._object(place, moment, codes, self.version))

    @rule(place=places)
    def deleted(self, place: Key) -> None:
        self.cache.drop(place)

    @rule()
    def scrape(self) -> None:
        lines = asyncio.run(text_of(self.told)).splitlines(keepends=True)
        shown = "".join(line for line in lines if not line.startswith("#"))
        assert shown == in_one_go(self.cache, self.most)

    def teardown(self) -> None:
        self.scrape()

    def _object(
        self, place: Key, moment: str | None, codes: list[str], version: int
    ) -> dict[str, Any]:
        self.version += 1
        status = {
            "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded"}],
            "lastCheckTime": moment,
            "findings": [{"code": code, "severity": "Info"} for code in codes],
        }
        return manifest(place, version=version, status=status)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=25)


async def test_others_run_while_many_objects_are_told_and_may_change_what_there_is() -> None:
    objects = {key(f"n{number}"): stored(STATUS) for number in range(1000)}
    told = told_of(objects)
    telling, turns = asyncio.ensure_future(text_of(told)), 0
    while not telling.done():
        gone = key(f"n{turns}")
        del objects[gone]
        told.changed(gone)
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 100
    # The series of what is gone end, also while they are told.
    assert telling.result().count('type="Ready"') == len(objects) == 1000 - turns


async def test_two_scrapes_at_a_time_get_the_same() -> None:
    told = told_of({key(f"n{number}"): stored(STATUS) for number in range(100)})
    first, second = await asyncio.gather(text_of(told), text_of(told))
    assert first.count('type="Ready"') == 100
    assert first == second


async def test_what_did_not_change_is_not_told_anew() -> None:
    objects = {key(f"n{number}"): stored(STATUS) for number in range(9)}
    asked: list[str] = []

    def get(place: Key) -> dict[str, Any] | None:
        asked.append(place.name)
        return objects.get(place)

    told = ObjectMetrics(get)
    for place in objects:
        told.changed(place)
    before = await text_of(told)
    asked.clear()
    assert (await text_of(told), asked) == (before, [])
    objects[key("n3")] = stored({})
    told.changed(key("n3"))
    after = await text_of(told)
    assert set(asked) == {"n3"}
    assert before != after == await text_of(told_of(objects))


def test_half_a_surrogate_in_one_status_is_no_end_of_all() -> None:
    finding = {"code": "X\ud800", "severity": "Info"}
    (line,) = lines_of({key(): stored({"findings": [finding]})})[-1:]
    assert line == f'postroom_finding{{{PLACE},code="X?",severity="Info"}} 1.0'

# SPDX-License-Identifier: Apache-2.0
"""What the stored objects tell Prometheus: the series that alerts are made of.

They are made when Prometheus asks, of those objects alone that changed since it asked before, with
a pause after each few in which everything else goes on; the series of an object end when it is
deleted.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from postroom.api.names import Key
from postroom.controller.children import is_ending
from postroom.controller.kept_lines import KeptLines
from postroom.controller.raw_objects import Raw, conditions_of, metadata_of, status_of

#: The value of ``postroom_condition`` per status; a status that is none of these has no series.
_CONDITION_VALUES = {"True": 1.0, "False": 0.0, "Unknown": -1.0}
CONDITION, FINDING = "postroom_condition", "postroom_finding"
_CERTIFICATE_END = "postroom_certificate_not_after_timestamp_seconds"
_CREDENTIAL_CHANGED = "postroom_credential_changed_timestamp_seconds"
_REFRESH_TOKEN_END = "postroom_refresh_token_not_after_timestamp_seconds"  # noqa: S105

#: Series of one metric that one namespace has at most; conditions are few per object and never
#: left out, as whether something is Ready is told for all.
MOST_OF_A_NAMESPACE = 5_000
#: Objects between two pauses: a millisecond or two.
_SLICE = 8


class Sample(NamedTuple):
    """One value of an object; `labels` are those besides kind, namespace and name."""

    metric: str
    labels: tuple[str, ...]
    value: float


#: Text and further labels of each metric.
METRICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    CONDITION: ("Conditions in status: 1 True, 0 False, -1 Unknown.", ("type", "reason")),
    "postroom_been_ready": ("1 where the spec of now has been Ready, else 0.", ()),
    "postroom_last_check_timestamp_seconds": (
        "A recent check; refreshed with other changes, else every 15 minutes or every interval.",
        (),
    ),
    "postroom_last_ready_timestamp_seconds": (
        "A recent check that found the object Ready; refreshed with that of the last check.",
        (),
    ),
    "postroom_verification": ("1 for the verdict on a domain.", ("verification",)),
    _CERTIFICATE_END: (
        "When the first certificate of the chain that the server showed ends.",
        ("protocol",),
    ),
    _CREDENTIAL_CHANGED: (
        "When the password or refresh token that changed longest ago did, as far as Secrets tell.",
        ("credential",),
    ),
    _REFRESH_TOKEN_END: ("When the first refresh token ends unless it is replaced.", ()),
    "postroom_last_sync_timestamp_seconds": (
        "A recent look at the mailbox; refreshed with other changes.",
        (),
    ),
    "postroom_mailbox_unseen": ("Messages of the mailbox that are not seen.", ()),
    "postroom_inbound_declared": (
        "1 where the spec hands incoming mail to an application.",
        (),
    ),
    "postroom_inbound_rejected": (
        "Messages that were passed by because the application refused them, as status has it.",
        (),
    ),
    "postroom_round_trip": (
        "1 for the outcome of the last message that the account sent as itself.",
        ("outcome",),
    ),
    "postroom_round_trip_timestamp_seconds": ("When that message was sent.", ()),
    "postroom_round_trip_latency_seconds": ("From the server's yes to its arrival.", ()),
    "postroom_send_plan_messages": (
        "Most messages that status.sendPlan allows in a day or an hour, and what set that.",
        ("period", "source", "server_namespace", "server"),
    ),
    "postroom_send_limit_messages": (
        "The same as spec says it: sendLimits of an account, limits of a MailServer.",
        ("period",),
    ),
    FINDING: ("1 for each code that is found.", ("code", "severity")),
}
_LEFT_OUT = "postroom_series_left_out"
HELP = {metric: text for metric, (text, _) in METRICS.items()} | {
    _LEFT_OUT: "Series of a metric that a namespace has beyond its bound."
}


def samples_of(key: Key, raw: Raw) -> Iterator[Sample]:
    """What an object tells, as far as it has the shape of one; one that is deleted, and that only
    somebody's finalizer holds, tells nothing: nobody looks at it any more."""
    if is_ending(raw):
        return
    status = status_of(raw)
    yield from _conditions(raw)
    if (ready_generation := status.get("lastReadyGeneration")) is not None:
        current = ready_generation == metadata_of(raw).get("generation")
        yield Sample("postroom_been_ready", (), float(current))
    for field, metric in (
        ("lastCheckTime", "postroom_last_check_timestamp_seconds"),
        ("lastReadyTime", "postroom_last_ready_timestamp_seconds"),
        ("lastSync", "postroom_last_sync_timestamp_seconds"),
    ):
        if (moment := _seconds(status.get(field))) is not None:
            yield Sample(metric, (), moment)
    if verification := status.get("verification"):
        yield Sample("postroom_verification", (str(verification),), 1.0)
    for protocol, field in (("smtp", "tls"), ("imap", "imapTls")):
        facts = _mapping(status.get(field))
        ends = [_seconds(facts.get(name)) for name in ("notAfter", "chainNotAfter")]
        if known := [end for end in ends if end is not None]:
            yield Sample(_CERTIFICATE_END, (protocol,), min(known))
    yield from _credentials(status.get("credentials"))
    unseen = _mapping(status.get("mailbox")).get("unseen")
    if isinstance(unseen, int):
        yield Sample("postroom_mailbox_unseen", (), unseen)
    yield from _inbound(raw)
    yield from _round_trip(status)
    yield from _sending(key, raw)
    for code, severity in sorted(_found(status.get("findings"))):
        yield Sample(FINDING, (code, severity), 1.0)


def _credentials(ages: object) -> Iterator[Sample]:
    """How old what an object signs in with is: of each kind the oldest, and the first end."""
    known = [age for age in ages if isinstance(age, Mapping)] if isinstance(ages, list) else []
    for use in sorted({str(age.get("use") or "") for age in known}):
        changed = [_seconds(age.get("changedAt")) for age in known if str(age.get("use")) == use]
        if moments := [moment for moment in changed if moment is not None]:
            yield Sample(_CREDENTIAL_CHANGED, (use,), min(moments))
    ends = [_seconds(age.get("endsAt")) for age in known]
    if moments := [moment for moment in ends if moment is not None]:
        yield Sample(_REFRESH_TOKEN_END, (), min(moments))


def _conditions(raw: Raw) -> Iterator[Sample]:
    for condition in conditions_of(raw):
        value = _CONDITION_VALUES.get(str(condition.get("status")))
        if value is not None:
            kind = str(condition.get("type"))
            # Of the others the type tells the reason; each further one would be a series more.
            reason = str(condition.get("reason") or "") if kind == "Ready" else ""
            yield Sample(CONDITION, (kind, reason), value)


def _inbound(raw: Raw) -> Iterator[Sample]:
    """Whether incoming mail is to be handed over; how far it is, its worker tells."""
    if isinstance(_mapping(_mapping(raw.get("spec")).get("inbound")).get("deliver"), Mapping):
        yield Sample("postroom_inbound_declared", (), 1.0)
        rejected = _mapping(status_of(raw).get("inbound")).get("rejected")
        yield Sample(
            "postroom_inbound_rejected", (), rejected if isinstance(rejected, int) else 0.0
        )


def _round_trip(status: Mapping[str, Any]) -> Iterator[Sample]:
    """How the last message went that the account sent as itself; never by address."""
    result = _mapping(_mapping(status.get("roundTrip")).get("result"))
    if outcome := result.get("outcome"):
        yield Sample("postroom_round_trip", (str(outcome),), 1.0)
    if (sent := _seconds(result.get("time"))) is not None:
        yield Sample("postroom_round_trip_timestamp_seconds", (), sent)
    latency = result.get("latencySeconds")
    if isinstance(latency, int):
        yield Sample("postroom_round_trip_latency_seconds", (), latency)


def _sending(key: Key, raw: Raw) -> Iterator[Sample]:
    """What is planned, and what the spec limits."""
    status, spec = status_of(raw), _mapping(raw.get("spec"))
    plan = _mapping(status.get("sendPlan"))
    limits = _mapping(spec.get("sendLimits") or spec.get("limits"))
    name = str(status.get("serverName") or "")
    server = (str(status.get("serverNamespace") or key.namespace) if name else "", name)
    for period, field in (("day", "daily"), ("hour", "hourly")):
        if isinstance(planned := plan.get(field), int):
            labels = (period, str(plan.get(f"{field}From") or ""), *server)
            yield Sample("postroom_send_plan_messages", labels, planned)
        if isinstance(limit := limits.get(field), int):
            yield Sample("postroom_send_limit_messages", (period,), limit)


def _found(findings: object) -> set[tuple[str, str]]:
    """Codes with their severities, each once."""
    entries = findings if isinstance(findings, list) else []
    return {
        (str(finding["code"]), str(finding.get("severity") or ""))
        for finding in entries
        if isinstance(finding, Mapping) and finding.get("code")
    }


def _seconds(text: object) -> float | None:
    """The time of a metav1.Time; `datetime.strptime` would take most of the time of a scrape."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class ObjectMetrics:
    """Writes what the stored objects tell in the Prometheus text format.

    A namespace has so many series of each metric at most, so that no tenant fills a Prometheus that
    all share; how many were left out is a series, too.
    """

    def __init__(self, get: Callable[[Key], Raw | None], most: int = MOST_OF_A_NAMESPACE) -> None:
        self._get, self._most = get, most
        self._lines = KeptLines(len(METRICS))
        #: Those that are others than what is kept of them.
        self._stale: set[Key] = set()

    def changed(self, key: Key) -> None:
        """Note that an object is there, is another than before, or is gone."""
        if self._get(key) is None:
            self._stale.discard(key)
            self._lines.drop(key)
        else:
            self._stale.add(key)

    async def pieces(self) -> list[bytes]:
        """Return all series, in pieces; other tasks run meanwhile, and may change objects."""
        for number, key in enumerate(tuple(self._stale)):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            # What was stale is gone meanwhile, or another scrape was faster.
            if key in self._stale and (raw := self._get(key)) is not None:
                self._stale.discard(key)
                self._lines.put(key, _parts(key, raw))
        told, left_out = [], _head(_LEFT_OUT)
        for metric, name in enumerate(METRICS):
            most = None if name == CONDITION else self._most
            texts, beyond = self._lines.of_metric(metric, most)
            told += [_head(name), *texts]
            for namespace, count in beyond:
                labels = _labels(("metric", "namespace"), (name, namespace))
                left_out += f"{_LEFT_OUT}{{{labels}}} {float(count)}\n".encode(errors="replace")
        return [*told, left_out]


def _head(metric: str) -> bytes:
    return f"# HELP {metric} {HELP[metric]}\n# TYPE {metric} gauge\n".encode()


def _parts(key: Key, raw: Raw) -> list[bytes]:
    """The lines of an object by metric."""
    place, lines = _labels(("kind", "namespace", "name"), key), dict.fromkeys(METRICS, "")
    for metric, labels, value in samples_of(key, raw):
        more = f",{_labels(METRICS[metric][1], labels)}" if labels else ""
        lines[metric] += f"{metric}{{{place}{more}}} {float(value)!r}\n"
    return [text.encode(errors="replace") for text in lines.values()]


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join(
        [f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)]
    )


def _escaped(value: str) -> str:
    """A label's value; what is in status may be somebody's edit."""
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

# SPDX-License-Identifier: Apache-2.0
"""What pages say in numbers of the program is what the program does.

Each sentence is made from the constant that it tells of: who changes one is told of the other.
Defaults of flags are held elsewhere (test_defaults_in_pages.py).
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain

import pytest
import yaml

from postroom.api.findings import REMOVED_VALUE_LIMIT
from postroom.api.inbound_delivery import LARGEST
from postroom.api.mailserver import SERVER_TEXT_LIMIT, MailServerSpec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.api.status import USERS_LIMIT
from postroom.cli.check import PATIENT
from postroom.concurrency import threads
from postroom.controller import (
    events,
    installations,
    intake,
    lease,
    request_limit,
    scraping,
    secret_guard,
    status_page,
)
from postroom.controller.inbound import services
from postroom.delivery.answers import REFUSED_FOR
from postroom.dns.answers import RECORDS_LIMIT, TXT_LIMIT
from postroom.dns.asking.limiter import (
    NAMESERVER_LIMITS,
    OVERALL_LIMITS,
    RESOLVER_LIMITS,
    QueryLimits,
)
from postroom.dns.asking.retrying import Timing
from postroom.dns.diagnosis.diagnose import NEAR_LIMIT, PROBE_ROUNDS, PROBES_LIMIT
from postroom.dns.finding_codes import Code
from postroom.dns.presets import load as dns_presets
from postroom.dns.texts.quoting import QUOTE_LIMIT
from postroom.mail.connect.guard import DEFAULT_PORTS
from postroom.mail.identities import reading
from postroom.mail.imap import history, scan
from postroom.mail.limits import hosts, limiter, peers
from postroom.mail.oauth import tokens
from postroom.mail.presets.load import providers
from postroom.mail.replies.catalogue import rows
from postroom.mail.round_trip.verdict import DEADLINE
from postroom.reconcile.account import identity_sources
from postroom.reconcile.domain import publishing
from postroom.reconcile.engine import Policy
from postroom.reconcile.signing_in import probing, retrying
from postroom.reconcile.status import schedule
from postroom.reconcile.tenancy import budgets
from unit.docs.reading import OF_NOW, ROOT, name_of

_WORDS = [
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
]
_TIMING = Timing()
_IN_SIX_HOURS = timedelta(hours=6) / budgets.HORIZON


def word(number: float) -> str:
    """A small number as a sentence has it."""
    return _WORDS[int(number)]


def minutes(time: timedelta) -> str:
    return word(time / timedelta(minutes=1))


def told() -> Iterator[tuple[str, str]]:
    """Yield a page and a sentence that must stand in it."""
    for page, sentence in chain(_of_dns(), _of_mail(), _of_the_operator(), _of_several_operators()):
        yield f"docs/{page}.md", sentence


def _shared(what: str, limits: QueryLimits) -> str:
    each = limits.in_flight
    return f"| {what} | {limits.rate:,.0f} a second, {2 * each} open | its turn, {each} open |"


def _of_dns() -> Iterator[tuple[str, str]]:
    asked = NAMESERVER_LIMITS
    yield "limits", f"**A name server is asked at most {asked.rate:.0f} times a second**"
    yield "faq", f"At most {asked.rate:.0f} questions a second go to one name server"
    yield "check", f"Each name server gets at most {asked.rate:.0f} questions a second"
    yield "limits", f"and {asked.in_flight} questions of a namespace ({2 * asked.in_flight} of all)"
    yield "limits", f"a DNS server ({asked.rate:.0f} a second)"
    for name, limits in (("one name server", asked), ("the resolvers", RESOLVER_LIMITS)):
        yield "tenants", _shared(f"questions to {name}", limits)
    yield "tenants", _shared("all questions of DNS", OVERALL_LIMITS)
    yield "limits", f"the resolver ({RESOLVER_LIMITS.rate:,.0f})"
    yield (
        "limits",
        f"({_TIMING.question:.0f} seconds for a question, {_TIMING.look:.0f} for a look)",
    )
    waits = f"at most {word(_TIMING.queue / 60)} minutes"
    yield "limits", f"{waits}, in which a name server is sent {_TIMING.queue * asked.rate:,.0f}"
    yield "limits", f"`postroom check` waits up to {word(PATIENT.queue / 60)} minutes"
    yield "limits", f"by two turns, {2000 / asked.rate:.0f} ms"
    yield "limits", f"{RECORDS_LIMIT} records are read**, and {TXT_LIMIT // 1024} KiB of values"
    yield "limits", f"the {NEAR_LIMIT} likeliest where four or more are missing"
    judges = "decisions/0009-judges-and-causes"
    yield judges, f"all together {PROBES_LIMIT} for one record at most"
    yield judges, f"in {word(PROBE_ROUNDS)} rounds"
    yield "threat-model", f"at most {SERVER_TEXT_LIMIT} characters"
    yield "threat-model", f"values of DNS are cut at {QUOTE_LIMIT}"
    yield "threat-model", f"that a fix takes away at {REMOVED_VALUE_LIMIT},"


def _of_mail() -> Iterator[tuple[str, str]]:
    login, namespace, recipient = budgets.LOGIN, budgets.NAMESPACE, budgets.RECIPIENT
    in_six = [round(rate.count * _IN_SIX_HOURS) for rate in (namespace, login, recipient)]
    yield "limits", "than {} accounts in a namespace, {} over one login or {} that".format(*in_six)
    few = f"({recipient.resumed} to a recipient, {login.resumed} over a login, {namespace.resumed}"
    yield "limits", f"each namespace then gets fewer {few} in all)"
    for who, rate in (
        ("an account: its name, and its address", budgets.ACCOUNT),
        ("a recipient, from one namespace", recipient),
        ("a login (username and host), and a Secret, in one namespace", login),
        ("a namespace", namespace),
        ("a recipient, from all namespaces", budgets.RECIPIENT_OF_ALL),
        ("a login, in all namespaces", budgets.LOGIN_OF_ALL),
    ):
        span = rate.span / timedelta(minutes=1)
        yield "messages", f"| {who} | {rate.count} | {span:.0f} minutes |"
    few = f"{recipient.resumed} message to a recipient, {login.resumed} over a login"
    yield "messages", f"only {few} and {namespace.resumed} of a namespace"
    yield "messages", f"{in_six[0]} accounts of a namespace have a round trip every six hours"
    yield "limits", f"over one login ({budgets.LOGIN_OF_ALL.count})"
    yield "limits", f"to one recipient ({budgets.RECIPIENT_OF_ALL.count}) in ten minutes"
    yield "limits", f"goes out at most every {minutes(budgets.SPACING)} minutes**"
    yield "limits", f"is looked for during {minutes(DEADLINE)} minutes"
    yield "limits", f"In one look {scan.MESSAGES_LIMIT} messages of a mailbox are read"
    yield "limits", f"the newest {history.MESSAGES_LIMIT:,} messages of one mailbox"
    yield "limits", f"({LARGEST // 2**20} MiB is the largest message".lstrip("(")
    yield "limits", f"for {REFUSED_FOR / timedelta(hours=1):.0f} hours at least where it refuses it"
    yield "limits", f"{word(hosts.REFUSALS).capitalize()} refusals within ten minutes at one host"
    yield "limits", f"{word(peers.REFUSALS_OF_ADDRESS)} at one address do"
    yield "limits", f"goes there for {hosts.QUIET:.0f} seconds"
    yield "limits", f"of another namespace for at most {hosts.LONGEST_WAIT:.0f}"
    yield "limits", f"new passwords at {hosts.REFUSING_HOSTS} hosts"
    yield "security", f"that it did not for at most {hosts.LONGEST_WAIT:.0f} seconds"
    yield "tenants", f"apart | {limiter.SLOTS}, and {limiter.SLOW_SLOTS} |"
    together = hosts.HOST_LIMIT * hosts.HOST_TOGETHER
    yield "tenants", f"connections to one host | {word(together)} | {word(hosts.HOST_LIMIT)}"
    yield "limits", f"Over all hosts {limiter.SLOTS} probes begin at a time"
    slow = f"{limiter.SLOW_SLOTS} may take longer than {word(limiter.PATIENCE)} seconds"
    yield "limits", slow
    apart = {timedelta(minutes=30): "half an hour", timedelta(hours=1): "an hour"}
    times = ("once", "twice")[retrying.ATTEMPTS - 1]
    yield "limits", f"password is sent {times}**, {apart[retrying.ATTEMPTS_APART]} apart"
    more = {2: "once more"}[retrying.ATTEMPTS]
    again = f"sent {more} {apart[retrying.ATTEMPTS_APART]} later, and then not"
    yield from ((page, again) for page in ("reasons", "findings/mail", "guides/first-server"))
    locked = retrying.LOCKED_APART / timedelta(hours=1)
    daily = {timedelta(days=1): "once a day"}[retrying.DISABLED_APART]
    yield (
        "limits",
        f"(that of a locked account every {word(locked)} hours, that of a disabled one {daily}, as",
    )
    again = f"and {probing.CONFIRM_AFTER.seconds} seconds apart for servers"
    yield from (("verification", again), ("status", again))
    ahead, part = tokens._AHEAD / 60, round(1 / tokens._AHEAD_PART)
    fifth = {5: "fifth"}[part // 2]
    renewed = f"{word(ahead)} to {word(2 * ahead)} minutes before its end, or in the last {fifth}"
    yield "oauth", renewed
    ports = ", ".join(str(port) for port in sorted(DEFAULT_PORTS))
    yield "install", f"mail servers that objects name | {ports}, and those of `--allow-port` |"
    open_ones = f"hourly; every {identity_sources.WHILE_OPEN.seconds // 60} minutes while one is"
    yield "identities", open_ones
    yield "identities", f"Of either list {reading._KEPT_LIMIT} addresses are read"


def _of_the_operator() -> Iterator[tuple[str, str]]:
    benchmark = (ROOT / "tests/bench/README.md").read_text("utf-8")
    (grows,) = re.findall(r"S3 (\d+) KB, S4", benchmark)
    for page in ("limits", "high-availability"):
        yield page, f"grows by some {grows} KB per object"
    for page in ("binding", "publishing"):
        yield page, f"and again after {minutes(secret_guard._HOLDS)} minutes; where that is"
    yield "publishing", f"It is looked at again every {minutes(publishing._AGAIN)} minutes"
    at_once, every = word(request_limit.BURST), word(request_limit.EVERY)
    yield "limits", f"has it looked at {at_once} times at once, and then once in {every} seconds**"
    yield "status", f"at most {USERS_LIMIT} of its namespace"
    asks, most = _resources()
    yield (
        "evaluating",
        f"{asks['cpu']} of CPU and {asks['memory']} of memory, at most {most['memory']}",
    )
    late = 1 + schedule._JITTER
    noticed = [
        spec.model_fields["interval"].default * late + confirmed
        for spec, confirmed in (
            (MailServerSpec, probing.CONFIRM_AFTER),
            (SendingDomainSpec, Policy().regression_confirmation),
        )
    ]
    server, record = (f"{time / timedelta(minutes=1):.0f}" for time in noticed)
    quick = f"A broken server within some {server} minutes, a broken record within some {record},"
    yield "faq", quick
    yield "verification", f"give or take {word(100 * schedule._JITTER)} percent"
    yield "sendingdomain", f"every `interval`, give or take {100 * schedule._JITTER:.0f} %"
    two, ten = (word(seconds) for seconds in sorted({*intake._GATHERING.values()}))
    yield "status", f"gathered: {two} seconds for servers and accounts, {ten} for domains"
    yield "status", f"at most every {schedule.HEARTBEAT.seconds // 60} minutes or every interval"
    yield "report", f"one page that is at most {word(status_page._LINGER)} seconds old"
    yield "install", f"asked about {word(scraping._RATE)} times a second at most"
    yield "incoming-mail", f"is noticed within some {services._PERIOD:.0f} seconds"
    many = services._PERIOD * services._A_SECOND
    looked = f"{word(services._A_SECOND)} of them are looked at each second"
    yield "incoming-mail", f"more than {many:.0f} Services, {looked}"


def _of_several_operators() -> Iterator[tuple[str, str]]:
    page, held = "high-availability", f"{lease.LEASE_DURATION:.0f} seconds"
    yield page, f"is followed after {held}"
    yield page, f"once it has not renewed for {word(lease.RENEW_DEADLINE)} seconds, and ends"
    yield page, f"has heard the API server in the last {held}"
    yield page, f"or has not been renewed for {held}"
    away = f"{word(installations.GIVEN_UP_AFTER / 60)} minutes"
    yield page, f"the other waits for {away} after it has renewed its Lease last"
    yield "runbooks/PostroomOtherInstallation", f"and {away} after it has ended in any case"
    yield page, f"whoever works looks again every {installations.LOOK_PERIOD:.0f} seconds"
    assert timedelta(minutes=1).total_seconds() == installations._HOLDS
    yield page, "without which it counts no longer than a minute"
    at_a_time, of_one = word(threads._AT_A_TIME), word(threads._OF_ONE)
    yield "tenants", f"signatures and trust bundles | {at_a_time} | {of_one} |"
    assert events._OBJECT_RATE == 1 / 60
    a_second, at_once = word(events._GLOBAL_RATE), word(events._OBJECT_BURST)
    yield "tenants", f"{a_second} a second; {at_once} for each object, then one a minute"


def _resources() -> tuple[dict[str, str], dict[str, str]]:
    """What the operator's container asks for, and what it may take at most."""
    text = (ROOT / "manifests/install/base/deployment.yaml").read_text("utf-8")
    deployment = yaml.load(text, Loader=yaml.CSafeLoader)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container["resources"]["requests"], container["resources"]["limits"]


@pytest.mark.parametrize(("page", "sentence"), [*told()])
def test_a_number_that_a_page_says_is_that_of_the_program(page: str, sentence: str) -> None:
    assert sentence in " ".join((ROOT / page).read_text("utf-8").split())


def test_these_pages_are_read_by_other_tests_too() -> None:
    assert {page for page, _ in told()} <= {name_of(page) for page in OF_NOW}


def _said(page: str, claim: str) -> int:
    """The number in a sentence that stands once in a page."""
    (said,) = re.findall(claim, " ".join((ROOT / page).read_text("utf-8").split()))
    return int(said)


@pytest.mark.parametrize(
    ("counted", "page", "claim"),
    [
        (len(providers()), "README.md", r"more than (\d+) \[mail providers\]"),
        (len(rows()), "README.md", r"more than (\d+) replies"),
        (len(Code), "CHANGELOG.md", r"Diagnosis: more than (\d+) codes"),
    ],
)
def test_what_is_more_than_a_number_is_not_much_more(counted: int, page: str, claim: str) -> None:
    said = _said(page, claim)
    assert said < counted <= 1.25 * said


def test_the_changelog_counts_the_presets_of_domains() -> None:
    assert _said("CHANGELOG.md", r"presets for (\d+) providers") == len(dns_presets.providers())


@pytest.mark.parametrize(
    ("page", "claim", "file"),
    [
        ("0013-lease-election", r"(\d+) lines and their tests", "controller/lease.py"),
        ("0015-keyed-queue", r"\*\*Price\.\*\* (\d+) lines\.", "controller/queue.py"),
        ("0017-zensical", r"`docs/build_site\.py`, which is (\d+) lines", "docs/build_site.py"),
    ],
)
def test_a_file_is_about_as_long_as_a_decision_says(page: str, claim: str, file: str) -> None:
    place = ROOT / file if file.startswith("docs/") else ROOT / "operator/postroom" / file
    said = _said(f"docs/decisions/{page}.md", claim)
    assert len(place.read_text("utf-8").splitlines()) == pytest.approx(said, rel=0.1)


def test_about_as_many_pages_are_built_as_the_decision_says() -> None:
    navigation = (ROOT / "zensical.toml").read_text("utf-8")
    pages = set(re.findall(r'"([\w./-]+\.md)"', navigation))
    said = _said("docs/decisions/0017-zensical.md", r"(\d+) pages are built")
    assert len(pages) == pytest.approx(said, rel=0.1)

# SPDX-License-Identifier: Apache-2.0
"""Several namespaces claim a domain: the token decides, else the earlier verified keeps it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.dns import ownership
from postroom.dns.answers import Outcome
from postroom.dns.ownership import OwnershipRules, speaks_for
from postroom.reconcile.tenancy.claims import Claim, is_lost
from postroom.reconcile.world import ConfigMapContent, LookupUnavailable
from unit.dns.domains import RSA
from unit.reconcile.tenants import KEY, Tenants, said, verdict

OWNED, READY, STALLED = (
    ConditionType.OWNERSHIP_VERIFIED,
    ConditionType.READY,
    ConditionType.STALLED,
)
DOMAIN = "mail.example"
SPF = {"ip4": ["192.0.2.1"]}
GOOD, CLAIMED = ("True", "Succeeded"), ("False", "DomainClaimed")


def tenants_of(*domains: str) -> Tenants:
    """A world in which the SPF records of these domains are as required."""
    return Tenants(
        records={(domain, "TXT"): ["v=spf1 ip4:192.0.2.1 -all", "given=1"] for domain in domains}
    )


def claim(tenants: Tenants, namespace: str, domain: str = DOMAIN, **spec: Any) -> Key:
    """Claim a domain by what anyone can read in DNS."""
    return tenants.add(namespace, **{"domain": domain, "spf": SPF, "require": ["SPF"], **spec})


# -- the rule by itself ---------------------------------------------------------------------------

EARLY, LATE = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"


@pytest.mark.parametrize(
    ("mine", "other", "lost"),
    [
        # neither proven nor verified: nobody keeps anyone from anything
        ({}, {}, False),
        ({"verified_at": LATE}, {}, False),
        # the earlier verified keeps it
        ({}, {"verified_at": LATE}, True),
        ({"verified_at": LATE}, {"verified_at": EARLY}, True),
        ({"verified_at": EARLY}, {"verified_at": LATE}, False),
        # ties: the older object, then namespace and name
        ({"verified_at": LATE, "created": EARLY}, {"verified_at": LATE, "created": LATE}, False),
        ({"verified_at": LATE, "created": LATE}, {"verified_at": LATE, "created": EARLY}, True),
        ({"verified_at": LATE}, {"verified_at": LATE}, False),
        ({"verified_at": LATE}, {"verified_at": LATE, "namespace": "0"}, True),
        # the token decides, verified or not
        ({"verified_at": EARLY}, {"proven": True}, True),
        ({"proven": True}, {"verified_at": EARLY}, False),
        ({"proven": True}, {"proven": True}, False),
        # nearby domains contend, others do not, nor do those of one namespace
        ({}, {"verified_at": EARLY, "domain": "a.mail.example"}, True),
        ({"verified_at": LATE}, {"verified_at": EARLY, "domain": "a.mail.example"}, True),
        # a proof of what lies below settles that, and leaves the name above to whoever has it
        ({"verified_at": EARLY}, {"proven": True, "domain": "a.mail.example"}, False),
        ({"verified_at": LATE}, {"proven": True, "domain": "a.b.mail.example"}, False),
        (
            {"verified_at": EARLY, "suspended": True},
            {"proven": True, "domain": "a.mail.example"},
            False,
        ),
        ({}, {"proven": True, "domain": "a.mail.example"}, False),
        ({}, {"proven": True, "verified_at": EARLY, "domain": "a.mail.example"}, False),
        ({"domain": "a.mail.example", "verified_at": EARLY}, {"proven": True}, True),
        ({"domain": "a.mail.example", "proven": True}, {"verified_at": EARLY}, False),
        # who does not keep its verification up gives way to whoever verifies, and to nobody else
        ({}, {"verified_at": EARLY, "suspended": True}, False),
        ({}, {"verified_at": EARLY, "lapsed": True}, False),
        ({"verified_at": LATE}, {"verified_at": EARLY, "suspended": True}, False),
        ({"verified_at": LATE}, {"verified_at": EARLY, "lapsed": True}, False),
        ({"verified_at": EARLY, "suspended": True}, {"verified_at": LATE}, True),
        ({"verified_at": EARLY, "lapsed": True}, {"verified_at": LATE}, True),
        ({"verified_at": EARLY, "lapsed": True}, {}, False),
        ({"verified_at": EARLY, "lapsed": True}, {"verified_at": LATE, "suspended": True}, False),
        ({"verified_at": LATE, "lapsed": True}, {"verified_at": EARLY, "suspended": True}, True),
        ({"domain": "a.mail.example"}, {"verified_at": EARLY, "suspended": True}, False),
        # a proof is kept while suspended or failing
        ({"verified_at": LATE}, {"proven": True, "lapsed": True}, True),
        ({"proven": True, "suspended": True}, {"verified_at": EARLY}, False),
        ({}, {"verified_at": EARLY, "domain": "example.org"}, False),
        ({}, {"verified_at": EARLY, "domain": "gmail.example"}, False),
        ({"domain": "a.b.mail.example"}, {"verified_at": EARLY}, True),
        ({"domain": "a.mail.example"}, {"proven": True, "domain": "b.mail.example"}, False),
        ({}, {"verified_at": EARLY, "namespace": "a", "name": "e"}, False),
        # nobody holds all names below a public suffix by what anyone can read
        ({"domain": "x.co.uk"}, {"verified_at": EARLY, "domain": "co.uk"}, False),
        ({"domain": "a.b.github.io"}, {"verified_at": EARLY, "domain": "github.io"}, False),
        ({"domain": "github.io"}, {"verified_at": EARLY, "domain": "github.io"}, True),
        ({"domain": "x.github.io"}, {"proven": True, "domain": "github.io"}, True),
        ({"domain": "github.io"}, {"verified_at": EARLY, "domain": "x.github.io"}, True),
        ({"domain": "a.x.github.io"}, {"verified_at": EARLY, "domain": "x.github.io"}, True),
    ],
)
def test_who_gives_way(mine: dict[str, Any], other: dict[str, Any], lost: bool) -> None:
    first = Claim(**{"namespace": "a", "name": "d", "domain": DOMAIN, **mine})
    second = Claim(**{"namespace": "b", "name": "d", "domain": DOMAIN, **other})
    assert is_lost(first, [second]) is lost


@pytest.mark.parametrize(
    ("name", "domain", "speaks"),
    [
        ("mail.example", "mail.example", True),
        ("_postroom-challenge.mail.example", "mail.example", True),
        ("_a._b.mail.example", "mail.example", True),
        ("customer.mail.example", "mail.example", False),
        ("_x.customer.mail.example", "mail.example", False),
        ("example", "mail.example", False),
        ("_xmail.example", "mail.example", False),
        ("elsewhere.org", "mail.example", False),
    ],
)
def test_a_host_below_a_domain_does_not_speak_for_it(name: str, domain: str, speaks: bool) -> None:
    assert speaks_for(name, domain) is speaks


# -- through the reconcilers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(DOMAIN, DOMAIN), (DOMAIN, f"a.b.{DOMAIN}"), (f"a.{DOMAIN}", DOMAIN)],
    ids=["equal", "below", "above"],
)
@pytest.mark.parametrize("require", [["SPF"], ["Ownership", "SPF"]])
def test_without_a_token_the_earlier_verified_keeps_it(
    ours: str, theirs: str, require: list[str]
) -> None:
    tenants = tenants_of(ours, theirs)
    given: dict[str, Any] = {"ownership": {"value": "given=1"}, "require": require}
    first = claim(tenants, "first", ours, **given)
    second = claim(tenants, "second", theirs, **given)
    assert verdict(tenants.look(second), READY) == GOOD
    status = tenants.look(first)
    assert verdict(status, READY) == verdict(status, OWNED) == CLAIMED
    assert verdict(status, STALLED) == ("True", "DomainClaimed")
    assert (status.verification, status.verified_at) == ("Failed", None)
    assert verdict(tenants.look(second), READY) == GOOD
    # It tells nothing of who has it.
    assert "second" not in said(status)
    if ours != theirs:
        assert theirs not in said(status).replace(ours, "")
    # The fix works: the token decides, and the other one gives way.
    told = next(finding for finding in status.findings if finding.code == "DOMAIN_CLAIMED")
    assert told.fix is not None
    tenants.zone.apply(told.fix)
    assert verdict(tenants.look(first), READY) == GOOD
    assert verdict(tenants.look(first), READY) == GOOD, "a proof that is needed stays looked for"
    # A token of a subdomain says nothing about the domain above: that one keeps its own name.
    kept = theirs != ours and ours.endswith(f".{theirs}")
    assert tenants.book.unsettled_by("first", ours) == ([] if kept else [second])
    assert verdict(tenants.look(second), READY) == (GOOD if kept else CLAIMED)
    tenants.restart()
    assert verdict(tenants.look(second), READY) == (GOOD if kept else CLAIMED)
    assert verdict(tenants.look(first), READY) == GOOD


@pytest.mark.parametrize("given", ["given=1", "theirs"])
def test_what_anyone_can_read_proves_nothing(given: str) -> None:
    tenants = tenants_of(DOMAIN)
    owner = claim(tenants, "owner", require=["Ownership", "SPF"])
    name, token = ownership.challenge(KEY, "owner", DOMAIN)
    tenants.publish(name, token)
    thief_spec = {"value": token, "name": name} if given == "theirs" else {"value": given}
    thief = claim(tenants, "thief", ownership=thief_spec, require=["Ownership", "SPF"])
    status = tenants.look(thief)
    if given == "theirs":
        assert verdict(status, READY) == ("False", "InvalidSpec")
    assert verdict(tenants.look(owner), READY) == GOOD
    assert verdict(tenants.look(thief), READY) in (CLAIMED, ("False", "InvalidSpec"))
    assert verdict(tenants.look(owner), READY) == GOOD


def test_both_may_have_it_where_the_owner_of_the_zone_says_so() -> None:
    tenants = tenants_of(DOMAIN, f"a.{DOMAIN}")
    keys = [claim(tenants, "one"), claim(tenants, "two", f"a.{DOMAIN}")]
    tenants.prove("one", DOMAIN)
    tenants.prove("two", f"a.{DOMAIN}")
    for key in (*keys, *keys):
        tenants.look(key)
    assert [verdict(tenants.status(key), READY) for key in keys] == [GOOD, GOOD]


def test_the_winner_s_end_hands_over_and_nothing_of_before_counts() -> None:
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    tenants.look(first)
    assert verdict(tenants.look(second), READY) == CLAIMED
    tenants.delete(first)
    assert tenants.book.unsettled_by("first", DOMAIN) == [second]
    # What fails then has no grace period: it was never verified.
    records = tenants.zone.records.pop((DOMAIN, "TXT"))
    assert tenants.look(second).verification == "Pending"
    tenants.zone.records[DOMAIN, "TXT"] = records
    assert tenants.look(second).verification == "Verified"


def test_a_holder_that_fails_for_good_loses_it() -> None:
    tenants = tenants_of(DOMAIN)
    first = claim(tenants, "first", gracePeriod="1h")
    second = claim(tenants, "second")
    tenants.look(first)
    records = tenants.zone.records.pop((DOMAIN, "TXT"))
    assert tenants.look(first).verification == "Degraded"
    assert verdict(tenants.look(second), READY) == CLAIMED
    assert tenants.look(first, timedelta(hours=2)).verification == "Failed"
    tenants.zone.records[DOMAIN, "TXT"] = records
    assert verdict(tenants.look(second), READY) == GOOD
    assert verdict(tenants.look(first), READY) == CLAIMED


def suspend(tenants: Tenants, key: Key, suspended: bool = True) -> None:
    """Set or take away spec.suspend."""
    tenants.put(key, {**tenants.objects[key]["spec"], "suspend": suspended})


@pytest.mark.parametrize("resumed_at_once", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_who_is_suspended_keeps_nobody_from_a_domain(
    restarted: bool, resumed_at_once: bool
) -> None:
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    users = account(tenants, "first"), account(tenants, "second")
    tenants.look(first)
    assert verdict(tenants.look(second), READY) == CLAIMED
    suspend(tenants, first)
    if restarted:
        tenants.restart()
    tenants.look(first)
    assert tenants.book.unsettled_by("first", DOMAIN) == [second]
    assert verdict(tenants.look(second), READY) == GOOD
    assert tenants.book.refuses(first)
    assert sender(tenants, users[0]) != "DomainVerified"
    assert sender(tenants, users[1]) == "DomainVerified"
    assert tenants.book.unsettled_by("second", DOMAIN) == [first]
    if not resumed_at_once:
        status = tenants.look(first)
        assert verdict(status, READY) == verdict(status, OWNED) == CLAIMED
        assert verdict(status, ConditionType.SUSPENDED) == ("True", "SuspendedBySpec")
        assert (status.verification, status.verified_at) == ("Failed", None)
        (told,) = [finding for finding in status.findings if finding.code == "DOMAIN_CLAIMED"]
        assert told.fix is not None
        assert told.fix.value == ownership.challenge(KEY, "first", DOMAIN)[1]
        assert not tenants.book.is_unsettled(first)
        # Resumed it is the newcomer, and its proof still counts.
        suspend(tenants, first, False)
        assert verdict(tenants.look(first), READY) == CLAIMED
        assert verdict(tenants.look(second), READY) == GOOD
        tenants.prove("first", DOMAIN)
        assert verdict(tenants.look(first), READY) == GOOD
        assert verdict(tenants.look(second), READY) == CLAIMED


@pytest.mark.parametrize("proven", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_a_finalizer_keeps_keeps_nobody_from_a_domain(restarted: bool, proven: bool) -> None:
    """Nobody looks at it any more, so that its verification would never end."""
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    users = account(tenants, "first"), account(tenants, "second")
    if proven:
        tenants.prove("first", DOMAIN)
    tenants.look(first)
    assert verdict(tenants.look(second), READY) == CLAIMED
    tenants.leave(first)
    if restarted:
        tenants.restart()
    assert tenants.book.unsettled_by("first", DOMAIN) == [second]
    assert sender(tenants, users[0]) == "DomainVerified", "until somebody has it"
    assert verdict(tenants.look(second), READY) == GOOD
    assert sender(tenants, users[0]) != "DomainVerified"
    assert sender(tenants, users[1]) == "DomainVerified"


def test_a_suspended_domain_that_nobody_else_verified_is_as_it_was() -> None:
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    tenants.look(first)
    suspend(tenants, first)
    tenants.look(first)
    records = tenants.zone.records.pop((DOMAIN, "TXT"))
    assert verdict(tenants.look(second), READY) != GOOD
    assert not tenants.book.refuses(first)
    suspend(tenants, first, False)
    tenants.zone.records[DOMAIN, "TXT"] = records
    assert verdict(tenants.look(first), READY) == GOOD
    assert verdict(tenants.look(second), READY) == CLAIMED


@pytest.mark.parametrize(
    ("grace", "failing", "kept"),
    [
        ("0s", timedelta(minutes=5), False),
        ("0s", timedelta(days=400), False),
        ("1h", timedelta(minutes=5), True),
        ("72h", timedelta(hours=71), True),
        ("720h", timedelta(hours=71), True),
        ("720h", timedelta(hours=73), False),
        ("1h", timedelta(hours=2), False),
    ],
)
def test_no_grace_of_one_s_own_keeps_others_out_for_ever(
    grace: str, failing: timedelta, kept: bool
) -> None:
    tenants = tenants_of(DOMAIN)
    # The second requires what goes on being there: it could be verified all the time.
    first = claim(tenants, "first", gracePeriod=grace)
    second = claim(
        tenants, "second", ownership={"value": "given=1"}, require=["Ownership"], spf=None
    )
    tenants.look(first)
    assert verdict(tenants.look(second), READY) == CLAIMED
    tenants.zone.records[DOMAIN, "TXT"] = ["given=1"]
    assert tenants.look(first).verification == "Degraded"
    tenants.look(first, failing)
    assert verdict(tenants.look(second, timedelta()), READY) == (CLAIMED if kept else GOOD)
    if not kept:
        assert verdict(tenants.look(first, timedelta()), READY) == CLAIMED
        tenants.zone.records[DOMAIN, "TXT"].append("v=spf1 ip4:192.0.2.1 -all")
        tenants.restart()
        assert verdict(tenants.look(first, timedelta()), READY) == CLAIMED
        assert verdict(tenants.look(second, timedelta()), READY) == GOOD


def test_a_failing_domain_whose_token_is_published_is_kept() -> None:
    tenants = tenants_of(DOMAIN)
    first = claim(tenants, "first", require=["Ownership", "SPF"], gracePeriod="0s")
    second = claim(tenants, "second", require=["DMARC"], dmarc={"policy": "none"})
    tenants.prove("first", DOMAIN)
    tenants.zone.records[f"_dmarc.{DOMAIN}", "TXT"] = ["v=DMARC1; p=none"]
    tenants.look(first)
    del tenants.zone.records[DOMAIN, "TXT"]
    assert tenants.look(first).verification == "Degraded"
    assert verdict(tenants.look(second), READY) == CLAIMED


def test_an_edit_to_what_cannot_be_looked_at_keeps_nobody_out() -> None:
    """A spec that asks for a token where there is no key is Unknown for ever."""
    tenants = tenants_of(DOMAIN)
    tenants.rules = OwnershipRules()
    tenants.restart()
    first, second = claim(tenants, "first"), claim(tenants, "second")
    tenants.look(first)
    tenants.put(first, {"domain": DOMAIN, "spf": SPF, "require": ["Ownership", "SPF"]})
    assert tenants.look(first).verification == "Unknown"
    assert verdict(tenants.look(second), READY) == GOOD
    assert verdict(tenants.look(first), READY) == CLAIMED


def test_a_timeout_takes_no_proof_away() -> None:
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    tenants.look(first)
    tenants.prove("second", DOMAIN)
    tenants.look(second)
    assert verdict(tenants.look(first), READY) == CLAIMED
    tenants.zone.failing[f"_postroom-challenge.{DOMAIN}"] = Outcome.TIMEOUT
    assert verdict(tenants.look(second), READY) == GOOD
    assert verdict(tenants.look(first), READY) == CLAIMED


def test_a_needless_token_is_not_asked_for() -> None:
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    given = {"ownership": {"value": "given=1"}}
    claim(tenants, "second", **given)
    tenants.look(first)
    assert "ownership-token" in {record.id for record in tenants.look(second).records}
    tenants.prove("second", DOMAIN)
    assert verdict(tenants.look(second), READY) == GOOD
    tenants.delete(first)
    tenants.unpublish(*ownership.challenge(KEY, "second", DOMAIN))
    status = tenants.look(second)
    assert verdict(status, READY) == GOOD
    assert "ownership-token" not in {record.id for record in status.records}
    assert status.findings == []


def test_without_a_key_the_earlier_verified_keeps_it_and_the_other_is_told_why() -> None:
    tenants = tenants_of(DOMAIN)
    tenants.rules = OwnershipRules()
    tenants.restart()
    first, second = claim(tenants, "first"), claim(tenants, "second")
    tenants.look(first)
    status = tenants.look(second)
    assert verdict(status, READY) == CLAIMED
    told = next(finding for finding in status.findings if finding.code == "DOMAIN_CLAIMED")
    assert told.fix is None
    assert "administrator sets POSTROOM_OWNERSHIP_KEY" in told.message


def test_a_key_that_cannot_be_read_does_not_hide_the_claim() -> None:
    tenants = tenants_of(DOMAIN)
    first = claim(tenants, "first")
    tenants.look(first)
    dkim = [{"selector": "s1", "publicKeyRef": {"name": "none", "key": "k"}}]
    second = claim(tenants, "second", dkim=dkim)
    status = tenants.look(second)
    assert verdict(status, READY) == CLAIMED
    assert (status.verification, status.verified_at) == ("Failed", None)
    assert ownership.challenge(KEY, "second", DOMAIN)[1] in said(status)
    assert "administrator" not in said(status)


def test_a_key_that_the_api_does_not_hand_out_keeps_nothing_from_who_proved_it() -> None:
    tenants = tenants_of(DOMAIN)
    reference = {"name": "k", "key": "pub", "kind": "ConfigMap"}
    tenants.config_maps["first", "k"] = {"pub": RSA}
    first = claim(tenants, "first", dkim=[{"selector": "s1", "publicKeyRef": reference}])
    tenants.publish(f"s1._domainkey.{DOMAIN}", f"v=DKIM1; p={RSA}")
    assert verdict(tenants.look(first), READY) == GOOD
    second = claim(tenants, "second")
    tenants.prove("second", DOMAIN)
    assert verdict(tenants.look(second), READY) == GOOD

    async def away(namespace: str, name: str) -> ConfigMapContent | None:
        raise LookupUnavailable(f"ConfigMap {name} could not be read.")

    tenants.config_map = away  # type: ignore[method-assign]
    status = tenants.look(first)
    assert verdict(status, READY) == CLAIMED
    assert (status.verification, status.verified_at) == ("Failed", None)


def account(tenants: Tenants, namespace: str, name: str = "me") -> Key:
    """An account, and a server that asks for no password and is well."""
    server = tenants.put(Key(Kind.MAIL_SERVER, namespace, "smtp"), {"host": "smtp.example.net"})
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Succeeded",
        "message": "x",
        "lastTransitionTime": "2026-11-01T00:00:00Z",
        "observedGeneration": 1,
    }
    tenants.objects[server]["status"] = {"observedGeneration": 1, "conditions": [ready]}
    spec = {"address": f"{name}@{DOMAIN}", "serverRef": {"name": "smtp"}}
    return tenants.put(Key(Kind.EMAIL_ACCOUNT, namespace, name), spec)


def sender(tenants: Tenants, key: Key) -> str:
    status = cast("EmailAccountStatus", tenants.evaluate(key, timedelta()))
    return status.effective_sender.reason if status.effective_sender else ""


@pytest.mark.parametrize(
    ("names", "given_way"),
    [(("me", "you"), "SendingDomainNotReady"), (("me", "me"), "AddressConflict")],
    ids=["addresses of their own", "the same address"],
)
def test_accounts_give_way_before_their_domain_s_status_does(
    names: tuple[str, str], given_way: str
) -> None:
    tenants = tenants_of(DOMAIN)
    first, second = claim(tenants, "first"), claim(tenants, "second")
    accounts = [account(tenants, "first", names[0]), account(tenants, "second", names[1])]
    tenants.look(first)
    assert sender(tenants, accounts[0]) == "DomainVerified"
    tenants.prove("second", DOMAIN)
    tenants.look(second)
    # The first domain's own status still says Ready.
    assert verdict(tenants.status(first), READY) == GOOD
    told = [sender(tenants, one) for one in accounts]
    assert told == [given_way, "DomainVerified"]


def test_of_two_domains_in_one_namespace_the_older_keeps_it() -> None:
    tenants = tenants_of(DOMAIN)
    first = claim(tenants, "team")
    second = tenants.add("team", "again", domain=DOMAIN, spf=SPF, require=["SPF"])
    assert verdict(tenants.look(first), READY) == GOOD
    refused = tenants.look(second)
    assert verdict(refused, READY) == ("False", "DuplicateDomain")
    assert "SendingDomain d already stands for" in said(refused)
    assert verdict(refused, ConditionType.STALLED) == ("True", "DuplicateDomain")
    tenants.delete(first)
    assert verdict(tenants.look(second), READY) == GOOD


# -- random histories -----------------------------------------------------------------------------

NAMESPACES = ("ns-a", "ns-b", "ns-c")
DOMAINS = (DOMAIN, f"x.{DOMAIN}")
#: Every namespace may claim each of these domains, so that most histories have a contest.
_CLAIMS = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(DOMAINS))
_FORMS = st.sampled_from(["token", "given", "spf", "endless"])
_WHAT = st.sampled_from(
    ["look"] * 6
    + ["prove"] * 2
    + ["apply", "delete", "unprove", "break", "restart", "settle", "suspend", "resume", "wait"]
    + ["leave"]
)
_EVENTS = st.tuples(_WHAT, _CLAIMS, _FORMS)
_Event = tuple[str, tuple[str, str], str]
_SPECS: dict[str, dict[str, Any]] = {
    "token": {"require": ["Ownership", "SPF"]},
    "given": {"require": ["Ownership", "SPF"], "ownership": {"value": "given=1"}},
    "spf": {"require": ["SPF"]},
    "endless": {"require": ["SPF"], "gracePeriod": "0s"},
}


class History:
    """Plays events and knows which tokens the looks have seen."""

    def __init__(self) -> None:
        self.tenants = tenants_of(*DOMAINS)
        self.played = 0

    def key(self, namespace: str, domain: str) -> Key:
        return Key(Kind.SENDING_DOMAIN, namespace, domain.partition(".")[0])

    def play(self, event: _Event) -> None:
        what, (namespace, domain), form = event
        key, tenants = self.key(namespace, domain), self.tenants
        self.played += 1
        if what != "apply" and key not in tenants.objects and tenants.objects:
            # It happens to another one: most events shall matter.
            key = sorted(tenants.objects)[self.played % len(tenants.objects)]
            namespace, domain = key.namespace, tenants.objects[key]["spec"]["domain"]
        if what == "apply":
            tenants.put(key, {"domain": domain, "spf": SPF, **_SPECS[form]})
        elif what == "delete":
            tenants.delete(key)
        elif what in ("suspend", "resume") and key in tenants.objects:
            suspend(tenants, key, what == "suspend")
        elif what == "wait" and key in tenants.objects:
            self.look(key, timedelta(hours=80))
        elif what == "leave" and key in tenants.objects:
            tenants.leave(key)
        elif what == "look" and key in tenants.objects:
            self.look(key)
        elif what == "prove":
            tenants.prove(namespace, domain)
            if key in tenants.objects:
                self.look(key)
        elif what == "unprove":
            tenants.zone.records.pop((f"_postroom-challenge.{domain}", "TXT"), None)
        elif what == "break":
            there = tenants.zone.records.get((domain, "TXT"))
            good = ["v=spf1 ip4:192.0.2.1 -all", "given=1"]
            tenants.zone.records[domain, "TXT"] = [] if there else good
        elif what == "restart":
            tenants.restart()
        elif what == "settle":
            self.settle()

    def look(self, key: Key, wait: timedelta = timedelta(minutes=5)) -> None:
        if key not in self.tenants.leaving:
            self.tenants.look(key, wait)

    def settle(self) -> None:
        """Look at what the claims treat otherwise than its status, as the intake does."""
        for _ in range(20):
            open_ones = [key for key in sorted(self.tenants.objects) if self.unsettled(key)]
            if not open_ones:
                return
            self.tenants.look(open_ones[0])
        raise AssertionError("the claims do not settle")

    def unsettled(self, key: Key) -> bool:
        return key not in self.tenants.leaving and self.tenants.book.is_unsettled(key)

    def published(self, status: SendingDomainStatus, key: Key, domain: str) -> bool:
        """Whether the domain's last look saw its own namespace's token."""
        name, token = ownership.challenge(KEY, key.namespace, domain)
        return any((record.name, token) == (name, *record.observed) for record in status.records)

    def having(self, *, by_status: bool) -> list[tuple[Key, str, bool]]:
        """Who has which domain now, and whether by proof."""
        found = []
        for key, raw in self.tenants.objects.items():
            status = self.tenants.status(key)
            ready = verdict(status, READY)
            has = ready is not None and ready[0] == ConditionStatus.TRUE.value
            leaving = key in self.tenants.leaving
            if has and ((by_status and not leaving) or not self.tenants.book.refuses(key)):
                domain = raw["spec"]["domain"]
                proven = not leaving and self.published(status, key, domain)
                found.append((key, domain, proven))
        return found

    def check(self, *, by_status: bool) -> None:
        for one, other in itertools.combinations(self.having(by_status=by_status), 2):
            (first, mine, proven), (second, theirs, also_proven) = one, other
            overlap = f".{mine}".endswith(f".{theirs}") or f".{theirs}".endswith(f".{mine}")
            if not overlap or first.namespace == second.namespace:
                continue
            # Whoever has a name below another's may have it by its own proof alone.
            assert proven or mine == theirs or len(mine) < len(theirs), (first, second)
            assert also_proven or mine == theirs or len(theirs) < len(mine), (first, second)
            assert (proven and also_proven) or mine != theirs, (first, second)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_CLAIMS, _FORMS), min_size=2, max_size=4),
    st.lists(_EVENTS, min_size=4, max_size=20),
)
def test_two_namespaces_never_have_one_domain_unless_both_are_proven(
    claims: list[tuple[tuple[str, str], str]], events: list[_Event]
) -> None:
    """Whatever happens in whatever order, with looks in between or not.

    For any two namespaces with equal domains, or one below the other: at no time may the accounts
    of both count as verified, and once what the claims concern was looked at again both statuses
    never say Ready, unless each one's own token was seen, or that of the domain below. Who is
    proven, and whose records are right, is Ready. A restart changes nothing, and nobody is told of
    anybody.
    """
    history = History()
    for whose, form in claims:
        history.play(("apply", whose, form))
        history.play(("look", whose, form))
    for event in events:
        history.play(event)
        history.check(by_status=False)
    history.settle()
    history.check(by_status=True)
    tenants = history.tenants
    lost = {key: tenants.book.refuses(key) for key in tenants.objects}
    tenants.restart()
    assert {key: tenants.book.refuses(key) for key in tenants.objects} == lost
    for key, raw in tenants.objects.items():
        status, domain = tenants.status(key), raw["spec"]["domain"]
        others = {one for one in NAMESPACES if one != key.namespace}
        assert not any(other in said(status) for other in others)
        if (name := ownership.challenge(KEY, key.namespace, domain))[1] in tenants.zone.records.get(
            (name[0], "TXT"), []
        ) and tenants.zone.records[domain, "TXT"]:
            if raw["spec"].get("suspend"):
                suspend(tenants, key, False)
            tenants.look(key)
            assert verdict(tenants.look(key), READY) == GOOD, "the token decides"

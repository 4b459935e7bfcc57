# SPDX-License-Identifier: Apache-2.0
"""What the annotations of a namespace allow, on the real API server.

Covers: domains, hosts and recipients that are named and not named, in every field that names one;
other ways to write the same name; missing and empty annotations; updates, patches and the status
subresource; a revoked tenant that suspends and ends what it has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.tenants import ASK, ASK_FOR, DOMAINS, HOSTS, RECIPIENTS, Tenant, policies, tenant
from postroom.lab.controlplane import ControlPlane

DOMAIN, SERVER, ACCOUNT = "SendingDomain", "MailServer", "EmailAccount"
MAY_NOT_USE, MAY_NOT_DIAL = "may not use the domain", "dialled: its annotation"
MAY_NOT_SEND = "may not have messages sent to"
FOREIGN = {"domain": "foreign.example.org"}
REF = {"name": "x"}


@pytest.fixture(scope="module")
def held(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """The control plane with the policies of tenants."""
    with policies(installed, tmp_path_factory.mktemp("tenants")):
        yield installed


@pytest.fixture(scope="module")
def sender(held: ControlPlane) -> Iterator[Tenant]:
    """May claim example.com and whatever is below example.net."""
    with tenant(held, domains="example.com, *.example.net,xn--mller-kva.example") as made:
        made.waits_for_refusal(DOMAIN, FOREIGN, MAY_NOT_USE)
        yield made


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (DOMAIN, {"domain": "example.com"}),
        (DOMAIN, {"domain": "a.b.example.net"}),
        (DOMAIN, {"domain": "xn--mller-kva.example"}),
        (ACCOUNT, {"address": "a@example.com"}),
        (ACCOUNT, {"address": "A.b+c@mail.example.net", "fallbackSender": "n@example.com"}),
        (ACCOUNT, {"address": "a@example.com", "identities": [{"address": "b@x.example.net"}]}),
        (SERVER, {"host": "smtp.example.org"}),
    ],
)
def test_domains_that_are_named_are_allowed(
    sender: Tenant, kind: str, spec: dict[str, Any]
) -> None:
    assert "created" in sender.tries(kind, spec)


def oauth(**more: Any) -> dict[str, Any]:
    return {
        "provider": "Microsoft",
        "clientID": "x",
        "refreshTokenRef": {"name": "x", "key": "y"},
        **more,
    }


def opening(*mailboxes: dict[str, list[str]]) -> dict[str, Any]:
    """A server whose application opens mailboxes."""
    app = {"flow": "ClientCredentials", "tenant": "contoso.onmicrosoft.com"}
    grant = {**oauth(**app, subject="a@example.com"), "clientSecretRef": {"name": "x", "key": "z"}}
    del grant["refreshTokenRef"]
    return {"host": "smtp.example.org", "oauth": grant, "mailboxes": list(mailboxes)}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (DOMAIN, {"domain": "example.net"}),  # the pattern is for what is below
        (DOMAIN, {"domain": "send.example.com"}),  # and the name for itself
        (DOMAIN, {"domain": "evil-example.com"}),
        (DOMAIN, {"domain": "evilexample.net"}),
        (DOMAIN, {"domain": "example.com.evil.org"}),
        (DOMAIN, {"domain": "x.example.net.evil.org"}),
        (DOMAIN, {"domain": "xn--xample-2of.com"}),  # a Cyrillic letter
        (DOMAIN, {"domain": "xn--mller-kva.example.org"}),
        (DOMAIN, {"domain": "mller.example"}),
        (ACCOUNT, {"address": "example.com@foreign.example.org"}),
        (ACCOUNT, {"address": "a@example.com", "fallbackSender": "a@foreign.example.org"}),
        (
            ACCOUNT,
            {
                "address": "a@example.com",
                "identities": [{"address": "b@example.com"}, {"address": "a@foreign.example.org"}],
            },
        ),
        (ACCOUNT, {"address": "a@example.com", "oauth": oauth(subject="ceo@foreign.example.org")}),
        (SERVER, {"host": "smtp.example.org", "oauth": oauth(subject="a@foreign.example.org")}),
        (SERVER, opening({"domains": ["foreign.example.org"]})),
        (SERVER, opening({"addresses": ["ceo@foreign.example.org"]})),
        (
            SERVER,
            opening(
                {"domains": ["example.com"]},
                {"addresses": ["a@example.com"], "domains": ["foreign.example.org"]},
            ),
        ),
    ],
)
def test_others_are_refused_wherever_they_stand(
    sender: Tenant, kind: str, spec: dict[str, Any]
) -> None:
    said = sender.tries(kind, spec)
    assert MAY_NOT_USE in said
    assert sender.namespace in said
    assert DOMAINS in said


@pytest.mark.parametrize(
    "name",
    [
        "EXAMPLE.com",
        "example.com.",
        "müller.example",
        "Müller.example",
        "mu\u0308ller.example",
        "xn--MLLER-kva.example",
        "еxample.com",
        "ｅxample.com",
        "example。com",
        "foreign.example.org\u0000.example.net",
        "foreign.example.org/.example.net",
        "*.example.net",
        ".example.net",
        "FOREIGN.example.org",
        "foreign.example.org.",
        "",
    ],
)
def test_no_other_spelling_of_a_name_gets_in(sender: Tenant, name: str) -> None:
    # The schema refuses them before the policy: whichever does, nothing is stored.
    assert "created" not in sender.tries(DOMAIN, {"domain": name})
    assert "created" not in sender.tries(ACCOUNT, {"address": f"a@{name}"})


def test_an_object_cannot_grow_out_of_what_is_allowed(sender: Tenant) -> None:
    sender.makes(ACCOUNT, {"address": "a@example.com"}, name="grows")
    bad = {"spec": {"fallbackSender": "a@foreign.example.org"}}
    for patch in (
        ("--type=merge", "-p", json.dumps(bad)),
        (
            "--type=json",
            "-p",
            json.dumps(
                [{"op": "add", "path": "/spec/fallbackSender", "value": "a@foreign.example.org"}]
            ),
        ),
    ):
        assert MAY_NOT_USE in sender.run("patch", "emailaccount", "grows", *patch)
    for verb in (("apply", "--server-side"), ("apply",), ("replace",), ("replace", "--force")):
        spec = {"address": "a@example.com", **bad["spec"]}
        assert MAY_NOT_USE in sender.tries(ACCOUNT, spec, name="grows", verb=verb)
    sender.makes(ACCOUNT, {"address": "a@example.com"}, name="grows")
    sender.run(
        *("patch", "emailaccount", "grows", "--subresource=status", "--type=merge"),
        *("-p", json.dumps({**bad, "metadata": {"annotations": {ASK: "1", ASK_FOR: "a@b.org"}}})),
    )
    kept = json.loads(sender.run("get", "emailaccount", "grows", "-o", "json"))
    assert kept["spec"].get("fallbackSender") is None
    assert ASK not in kept["metadata"].get("annotations", {})


def test_a_revoked_tenant_may_suspend_and_end_what_it_has_and_no_more(held: ControlPlane) -> None:
    with tenant(held, domains="example.com") as made:
        made.waits_for_refusal(DOMAIN, FOREIGN, MAY_NOT_USE)
        made.makes(DOMAIN, {"domain": "example.com"}, name="kept")
        held.kubectl("annotate", "--overwrite", "namespace", made.namespace, f"{DOMAINS}=")
        made.waits_for_refusal(DOMAIN, {"domain": "example.com"}, MAY_NOT_USE)
        edit = ("patch", "sendingdomain", "kept", "--type=merge", "-p")
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"interval":"2h"}}')
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"suspend":true,"interval":"2h"}}')
        assert "patched" in made.run(*edit, '{"metadata":{"labels":{"a":"b"}}}')
        assert "patched" in made.run(*edit, '{"metadata":{"finalizers":["example.com/hold"]}}')
        assert "patched" in made.run(*edit, '{"spec":{"suspend":true}}')
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"suspend":false}}')
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"suspend":null}}')
        made.run("delete", "sendingdomain", "kept", "--wait=false")
        assert "patched" in made.run(*edit, '{"metadata":{"finalizers":null}}')
        assert "NotFound" in made.run("get", "sendingdomain", "kept")


def test_a_revoked_tenant_may_disconnect_an_account_and_not_connect_it(held: ControlPlane) -> None:
    account = {"address": "a@example.com"}
    with tenant(held, domains="example.com") as made:
        made.waits_for_refusal(DOMAIN, FOREIGN, MAY_NOT_USE)
        made.makes("EmailAccount", account, name="kept")
        held.kubectl("annotate", "--overwrite", "namespace", made.namespace, f"{DOMAINS}=")
        made.waits_for_refusal("EmailAccount", account, MAY_NOT_USE)
        edit = ("patch", "emailaccount", "kept", "--type=merge", "-p")
        changed = '{"spec":{"connection":"Disconnected","displayName":"A"}}'
        assert MAY_NOT_USE in made.run(*edit, changed)
        assert "patched" in made.run(*edit, '{"spec":{"connection":"Disconnected"}}')
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"connection":"Connected"}}')
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"connection":null,"suspend":true}}')
        assert "patched" in made.run(*edit, '{"spec":{"suspend":true}}')
        assert MAY_NOT_USE in made.run(*edit, '{"spec":{"suspend":false}}')


@pytest.fixture(scope="module")
def dialler(held: ControlPlane) -> Iterator[Tenant]:
    """May have some hosts dialled."""
    hosts = (
        "smtp.example.com,*.mail.example.net, smtp.office365.com,mail.gmx.net, proton.mail.svc,"
        "email-smtp.eu-west-1.amazonaws.com, smtppro.zoho.eu, smtp.gmail.com, login.example.com"
    )
    with tenant(held, mail_hosts=hosts) as made:
        made.waits_for_refusal(SERVER, {"host": "foreign.example.org"}, MAY_NOT_DIAL)
        yield made


def account(**more: Any) -> dict[str, Any]:
    return {"address": "a@example.com", "credentialsRef": REF, **more}


GENERIC = oauth(provider="Generic", scopes=["mail"])


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (SERVER, {"host": "smtp.example.com"}),
        (SERVER, {"host": "a.b.mail.example.net"}),
        (SERVER, {"provider": "Microsoft365"}),
        (SERVER, {"provider": "AmazonSES", "parameters": {"region": "eu-west-1"}}),
        (SERVER, {"provider": "GMX"}),
        (SERVER, {"provider": "ProtonBridge", "parameters": {"host": "proton.mail.svc"}}),
        (
            SERVER,
            {"provider": "Zoho", "parameters": {"plan": "Organization", "dataCenter": "eu"}},
        ),
        (SERVER, {"provider": "Gmail", "host": "smtp.example.com"}),
        (ACCOUNT, account(imap={"host": "imap.mail.example.net"})),
        (ACCOUNT, account(provider="Gmail")),
        (ACCOUNT, account(provider="Yahoo", serverRef=REF)),
        (ACCOUNT, account(provider="Yahoo", serverRef=REF, imap={"host": "x.mail.example.net"})),
        (SERVER, {"provider": "Microsoft365", "oauth": oauth(subject="a@example.com")}),
        (DOMAIN, FOREIGN),
    ],
)
def test_hosts_that_are_named_are_allowed(dialler: Tenant, kind: str, spec: dict[str, Any]) -> None:
    assert "created" in dialler.tries(kind, spec)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (SERVER, {"host": "mail.example.net"}),
        (SERVER, {"host": "smtp"}),
        (SERVER, {"host": "evilmail.example.net"}),
        (SERVER, {"host": "smtp.example.com.evil.org"}),
        (SERVER, {"provider": "Gmail", "host": "smtp.evil.org"}),
        (SERVER, {"provider": "Microsoft365", "parameters": {"cloud": "China"}}),
        (SERVER, {"provider": "AmazonSES", "parameters": {"region": "us-east-1"}}),
        (SERVER, {"provider": "AmazonSES"}),
        (SERVER, {"provider": "GMX", "parameters": {"site": "com"}}),
        (SERVER, {"provider": "ProtonBridge", "parameters": {"host": "smtp.evil.org"}}),
        (
            SERVER,
            {"provider": "ProtonBridge", "parameters": {"host": "evil.org/.mail.example.com"}},
        ),
        (SERVER, {"provider": "Zoho", "parameters": {"dataCenter": "eu"}}),
        (ACCOUNT, account(imap={"host": "imap.evil.org"})),
        (ACCOUNT, account(provider="Gmail", imap={})),
        (ACCOUNT, account(provider="Gmail", serverRef=REF, imap={"mailbox": "INBOX"})),
        (ACCOUNT, account(provider="Yahoo")),
        (
            ACCOUNT,
            {
                "address": "a@example.com",
                "oauth": GENERIC | {"tokenURL": "https://smtp.example.com.evil.org/t"},
            },
        ),
        (
            SERVER,
            {
                "host": "smtp.example.com",
                "oauth": GENERIC | {"tokenURL": "https://evil.org:443/t", "subject": "a@b.org"},
            },
        ),
    ],
)
def test_other_hosts_are_refused_wherever_they_come_from(
    dialler: Tenant, kind: str, spec: dict[str, Any]
) -> None:
    said = dialler.tries(kind, spec)
    assert MAY_NOT_DIAL in said
    assert HOSTS in said


def test_a_token_endpoint_that_is_named_is_allowed(dialler: Tenant) -> None:
    endpoint = GENERIC | {"tokenURL": "https://login.example.com:8443/t"}
    assert "created" in dialler.tries(ACCOUNT, {"address": "a@example.com", "oauth": endpoint})


@pytest.mark.parametrize(
    "host", ["SMTP.evil.org", "smtp.evil.org.", "192.0.2.1", "smtp.evil.org:25", "ｓmtp.evil.org"]
)
def test_no_other_spelling_of_a_host_gets_in(dialler: Tenant, host: str) -> None:
    assert "created" not in dialler.tries(SERVER, {"host": host})
    assert "created" not in dialler.tries(ACCOUNT, account(imap={"host": host}))


def test_a_server_cannot_be_led_elsewhere(dialler: Tenant) -> None:
    dialler.makes(SERVER, {"host": "smtp.example.com", "provider": "GMX"}, name="led")
    for bad in (
        '{"spec":{"host":"smtp.evil.org"}}',
        '{"spec":{"host":null,"provider":"Yahoo"}}',
        '{"spec":{"host":null,"parameters":{"site":"com"}}}',
    ):
        said = dialler.run("patch", "mailserver", "led", "--type=merge", "-p", bad)
        assert MAY_NOT_DIAL in said
    good = '{"spec":{"host":null}}'
    assert "patched" in dialler.run("patch", "mailserver", "led", "--type=merge", "-p", good)


@pytest.fixture(scope="module")
def tester(held: ControlPlane) -> Iterator[Tenant]:
    """May have messages sent to some."""
    recipients = "ops@example.com, @lab.example.com, @*.test.example.com"
    with tenant(held, test_recipients=recipients) as made:
        sends = {"address": "a@foreign.example.org", "roundTrip": {"enabled": True}}
        made.waits_for_refusal(ACCOUNT, sends, MAY_NOT_SEND)
        yield made


ROUND, REFERRED = {"enabled": True}, {"enabled": True, "receiverRef": REF}
FORWARDED = {"technicalAddress": "in-1@lab.example.com"}


@pytest.mark.parametrize(
    ("spec", "annotations"),
    [
        ({"address": "a@foreign.example.org"}, {}),
        ({"address": "a@foreign.example.org", "roundTrip": {"enabled": False}}, {}),
        ({"address": "ops@example.com", "roundTrip": ROUND}, {}),
        ({"address": "OPS@example.com", "roundTrip": ROUND}, {}),
        ({"address": "x@lab.example.com", "forwarding": FORWARDED}, {}),
        ({"address": "x@a.test.example.com"}, {ASK: "1"}),
        ({"address": "a@foreign.example.org"}, {ASK: "1", ASK_FOR: "ops@example.com"}),
        ({"address": "a@foreign.example.org"}, {ASK: "1", ASK_FOR: "any@lab.example.com"}),
    ],
)
def test_recipients_that_are_named_are_allowed(
    tester: Tenant, spec: dict[str, Any], annotations: dict[str, str]
) -> None:
    assert "created" in tester.tries(ACCOUNT, spec, annotations=annotations)


@pytest.mark.parametrize(
    ("spec", "annotations"),
    [
        ({"address": "x@example.com", "roundTrip": ROUND}, {}),
        ({"address": "x@test.example.com", "roundTrip": ROUND}, {}),
        ({"address": "ops@example.com", "roundTrip": REFERRED}, {}),
        ({"address": "x@foreign.example.org", "forwarding": FORWARDED}, {}),
        ({"address": "x@foreign.example.org"}, {ASK: "1"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "x@foreign.example.org"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "X@FOREIGN.example.org"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "x@lab.example.com."}),
        ({"address": "ops@example.com"}, {ASK_FOR: "@lab.example.com@foreign.example.org"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "lab.example.com"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "x@lab.example.com, y@foreign.example.org"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "x@xlab.example.com"}),
        ({"address": "ops@example.com"}, {ASK_FOR: "x@\u212alab.example.com"}),
        ({"address": "ops@example.com"}, {ASK_FOR: ""}),
    ],
)
def test_nobody_else_is_written_to(
    tester: Tenant, spec: dict[str, Any], annotations: dict[str, str]
) -> None:
    said = tester.tries(ACCOUNT, spec, annotations=annotations)
    assert MAY_NOT_SEND in said
    assert RECIPIENTS in said


def test_a_test_cannot_be_asked_for_later_either(tester: Tenant) -> None:
    tester.makes(ACCOUNT, {"address": "a@foreign.example.org"}, name="later")
    annotate = ("annotate", "--overwrite", "emailaccount", "later")
    assert MAY_NOT_SEND in tester.run(*annotate, f"{ASK}=1")
    assert "annotated" in tester.run(*annotate, f"{ASK}=1", f"{ASK_FOR}=ops@example.com")
    assert "annotated" in tester.run(*annotate, f"{ASK}=2")
    assert MAY_NOT_SEND in tester.run(*annotate, f"{ASK_FOR}=a@foreign.example.org")
    # What was asked for then goes to the account itself.
    assert MAY_NOT_SEND in tester.run(*annotate, f"{ASK_FOR}-")
    assert "annotated" in tester.run(*annotate, f"{ASK}-", f"{ASK_FOR}-")
    assert "annotated" in tester.run(*annotate, "postroom.dev/requested-at=now")


@pytest.mark.parametrize(
    ("domains", "recipients", "allowed"),
    [
        ("lab.example.com", "@lab.example.com", True),
        ("lab.example.com,*.x.example.net", "@lab.example.com, @*.example.net", True),
        ("lab.example.com", "*", True),
        ("lab.example.com,example.net", "@lab.example.com,a@example.net", False),
        ("*.example.net,lab.example.com", "@example.net,@lab.example.com", False),
        ("*", "@example.net,@lab.example.com,@*.example.net", False),
    ],
)
def test_a_round_trip_to_another_account_stays_among_the_namespace_s_domains(
    held: ControlPlane, domains: str, recipients: str, allowed: bool
) -> None:
    with tenant(held, domains=domains, test_recipients=recipients) as made:
        sends = {"address": "ops@lab.example.com", "roundTrip": REFERRED}
        if allowed:
            assert "created" in made.tries(ACCOUNT, sends)
        else:
            made.waits_for_refusal(ACCOUNT, sends, MAY_NOT_SEND)


ANYTHING: list[tuple[str, dict[str, Any]]] = [
    (DOMAIN, FOREIGN),
    (SERVER, {"host": "smtp.evil.org"}),
    (ACCOUNT, {"address": "a@foreign.example.org", "roundTrip": ROUND}),
]


def test_without_annotations_nothing_is_restricted(held: ControlPlane, namespace: str) -> None:
    made = Tenant(held, namespace)
    for kind, spec in ANYTHING:
        assert "created" in made.tries(kind, spec)


@pytest.mark.parametrize("empty", ["", " ", " \n"])
def test_an_empty_annotation_allows_nothing(held: ControlPlane, empty: str) -> None:
    with tenant(held, domains=empty, mail_hosts=empty, test_recipients=empty) as made:
        for kind, spec in ANYTHING:
            made.waits_for_refusal(kind, spec, "denied request")

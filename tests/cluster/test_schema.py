# SPDX-License-Identifier: Apache-2.0
"""The schemas on the real API server.

Covers: acceptance without structural complaints, defaults as users see them, ``kubectl explain``
and ``kubectl get``, the install manifests, and a table of bad objects, each with the words that the
user must read, which ``postroom check`` refuses as well.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from cluster.api_client import await_definitions, refusal
from cluster.conftest import new_namespace
from cluster.objects import path_of
from postroom.api.names import API_VERSION, Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.status import DEFAULT_STATUS
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT
from unit.api.test_sendingdomain_records import HANDED_OUT, STANDARD

GOOD: dict[Kind, dict[str, Any]] = {
    Kind.SENDING_DOMAIN: {"domain": "send.example.com"},
    Kind.MAIL_SERVER: {"host": "smtp.example.com"},
    Kind.EMAIL_ACCOUNT: {"address": "support@example.com"},
}
FULL: dict[Kind, dict[str, Any]] = {
    Kind.SENDING_DOMAIN: {
        "domain": "send.example.com",
        "ownership": {"name": "_challenge.send.example.com", "value": "token=1"},
        "spf": {
            "includes": ["mailgun.org"],
            "ip4": ["192.0.2.1", "192.0.2.7/24"],
            "ip6": ["2001:db8::/32", "64:ff9b::192.0.2.1"],
            "all": "Fail",
        },
        "dkim": [
            {"selector": "k1", "cname": "k1.domainkey.mailgun.org"},
            {"selector": "s1.mail", "publicKey": "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\nAQEA"},
            {"selector": "s2", "publicKeyRef": {"name": "dkim", "key": "public.pem"}},
        ],
        "dmarc": {"policy": "reject", "rua": ["mailto:dmarc@example.com"]},
        "mx": [{"host": "mxa.mailgun.org"}],
        "require": ["Ownership", "DKIM"],
        "interval": "1h30m",
        "propagationDeadline": "0s",
        "suspend": True,
    },
    Kind.MAIL_SERVER: {
        "host": "smtp.example.com",
        "port": 465,
        "tls": {"mode": "Implicit", "caBundleRef": {"name": "ca"}, "serverName": "x.example.com"},
        "credentialsRef": {"name": "smtp", "usernameKey": "user", "passwordKey": "pass"},
        "default": True,
        "limits": {"daily": 2000, "hourly": 200, "connections": 2},
    },
    Kind.EMAIL_ACCOUNT: {
        "address": "o'support+x@send.example.com",
        "serverRef": {"name": "smtp"},
        "credentialsRef": {"name": "mailbox"},
        "imap": {
            "host": "imap.example.com",
            "port": 143,
            "tls": {"mode": "StartTLS", "caBundleRef": {"kind": "Secret", "name": "c"}},
        },
        "displayName": "Support, Größe & Co. (Müller: [1]; x=y?)",
        "identities": [
            {"address": "o'support+x@send.example.com", "type": "Primary", "displayName": "S"},
            {"address": "b@send.example.com", "type": "Alias", "senderProfile": "billing"},
            {"address": "c@send.example.com", "enabled": False},
        ],
        "identityVerification": {"method": "Envelope"},
        "forwarding": {"technicalAddress": "in-1@mx.example.net", "source": "Microsoft365"},
        "roundTrip": {"enabled": True, "interval": "24h", "receiverRef": {"name": "peer"}},
        "fallbackSender": "noreply@münchen.example",
        "connection": "Disconnected",
        "consumer": {"name": "support-bot"},
        "sync": {"interval": "10m", "backfillDays": 60},
        "sendLimits": {
            "daily": 50,
            "hourly": 20,
            "window": {
                "timeZone": "America/Argentina/Buenos_Aires",
                "days": ["Mon", "Fri"],
                "start": "09:00",
                "end": "24:00",
            },
            "rampUp": {"startDaily": 5, "dailyIncrease": 5},
        },
    },
}
#: Servers and accounts of known providers, with tokens.
PROVIDED: dict[Kind, dict[str, Any]] = {
    Kind.SENDING_DOMAIN: GOOD[Kind.SENDING_DOMAIN],
    Kind.MAIL_SERVER: {
        "provider": "Mailgun",
        "parameters": {"region": "EU"},
        "port": 587,
        "oauth": {
            "provider": "Generic",
            "flow": "ClientCredentials",
            "clientID": "id",
            "clientSecretRef": {"name": "client", "key": "secret"},
            "tokenURL": "https://login.example.com/token",
            "caBundleRef": {"name": "ca"},
            "subject": "relay@example.com",
            "scopes": ["mail"],
        },
    },
    Kind.EMAIL_ACCOUNT: {
        "address": "support@example.com",
        "provider": "Microsoft365",
        "oauth": {
            "provider": "Microsoft",
            "flow": "ClientCredentials",
            "clientID": "id",
            "tenant": "contoso.onmicrosoft.com",
            "cloud": "Public",
            "certificateRef": {"name": "certificate"},
        },
        "imap": {},
    },
}
KEY = {"selector": "k1", "cname": "k1.example.net"}
IMAP = {"host": "imap.example.com"}
OAUTH = {
    "provider": "Google",
    "clientID": "id",
    "refreshTokenRef": {"name": "oauth", "key": "refreshToken"},
    "subject": "support@example.com",
}


def window(**change: Any) -> dict[str, Any]:
    """An account with a window that is good but for this."""
    return {"sendLimits": {"window": {"timeZone": "Europe/Berlin", **change}}}


SD, MS, EA = Kind.SENDING_DOMAIN, Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT
NO_DOMAIN = "must be a domain name such as send.example.com: lowercase, without trailing dot"
NO_INTERVAL = "must be a duration from 1m to 24h, such as 5m or 1h30m"
NO_DEADLINE = "must be a duration from 1m to 720h, such as 15m or 72h; or 0s to wait for ever"
NO_HOST = "must be a DNS name such as smtp.example.com, not an IP address (TLS verifies names)"
NO_ZONE = "must be a time zone of the IANA database such as Europe/Berlin or UTC"
NO_ASCII = "1 to 64 ASCII characters before the @ (no SMTPUTF8)"
NO_EMAIL = "must be an email address such as support@example.com"
NO_NAMES = (
    "a\nb",
    "=?utf-8?b?DQpCY2M6IGVAZS5leGFtcGxl?=",
    "x =?UTF-8?Q?y?= z",
    'Say "hello"',
    "a\\b",
    "Support <a",
    "a@example.com",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
)
NO_PROOF = "must be the value that a provider handed out: printable ASCII, and no record that"
NO_PLACE = "must be the domain itself or a name below it: no other proves control of it"
NO_IPV4 = "must be an IPv4 address or network such as 192.0.2.0/24"
NO_IPV6 = "must be an IPv6 address or network such as 2001:db8::/32"
NO_REPORT = "must be a mailto: address such as mailto:dmarc@example.com"
#: Every field that takes an address, with an address in its place.
ADDRESSES: list[tuple[Kind, Callable[[str], dict[str, Any]]]] = [
    (EA, lambda address: {"address": address}),
    (EA, lambda address: {"replyTo": address}),
    (EA, lambda address: {"fallbackSender": address}),
    (EA, lambda address: {"identities": [{"address": address}]}),
    (EA, lambda address: {"forwarding": {"technicalAddress": address}}),
    (EA, lambda address: {"oauth": {**OAUTH, "subject": address}}),
    (MS, lambda address: {"oauth": {**OAUTH, "subject": address}}),
    (MS, lambda address: {"oauth": PROVIDED[EA]["oauth"], "mailboxes": [{"addresses": [address]}]}),
]
ONE_SOURCE = (
    "spec.dkim[0]: Invalid value: must have exactly one of cname, publicKey and publicKeyRef"
)
#: (kind, change of the good spec, words of the answer)
BAD: list[tuple[Kind, dict[str, Any], str]] = [
    *((kind, build("bücher@example.com"), NO_ASCII) for kind, build in ADDRESSES),
    (SD, {"domian": "x"}, 'unknown field "spec.domian"'),
    (SD, {"domain": None}, "spec.domain: Required value"),
    *((SD, {"ownership": {"value": value}}, NO_PROOF) for value in STANDARD),
    (SD, {"ownership": {"name": "example.com"}}, NO_PLACE),
    (SD, {"ownership": {"name": "_x.evil.example", "value": "x=1"}}, NO_PLACE),
    (SD, {"ownership": {"name": "xsend.example.com"}}, NO_PLACE),
    (SD, {"domain": 7}, 'must be of type string: "integer"'),
    (
        SD,
        {"domain": "Send.example.com"},
        f'spec.domain: Invalid value: "Send.example.com": {NO_DOMAIN}',
    ),
    (SD, {"domain": "send.example.com."}, NO_DOMAIN),
    (SD, {"domain": "send.example.com\n"}, NO_DOMAIN),
    (SD, {"domain": "example"}, NO_DOMAIN),
    (SD, {"domain": "192.0.2.1"}, NO_DOMAIN),
    (SD, {"domain": "münchen.example"}, "non-ASCII labels as xn--"),
    (SD, {"domain": "a." * 130 + "com"}, "may not be more than 253"),
    (SD, {"ownership": {"value": "tök"}}, NO_PROOF),
    (SD, {"interval": "5 minutes"}, f'spec.interval: Invalid value: "5 minutes": {NO_INTERVAL}'),
    (SD, {"interval": ""}, NO_INTERVAL),
    (SD, {"interval": "10s"}, NO_INTERVAL),
    (SD, {"interval": "25h"}, NO_INTERVAL),
    (SD, {"interval": "५m"}, NO_INTERVAL),
    (SD, {"interval": "99999999999h"}, NO_INTERVAL),
    (SD, {"interval": 300}, 'must be of type string: "integer"'),
    (SD, {"propagationDeadline": "1s"}, NO_DEADLINE),
    (SD, {"spf": {}}, "spec.spf: Invalid value: must name at least one of includes, ip4 or ip6"),
    (SD, {"spf": {"includes": ["x.y"], "all": "Pass"}}, 'supported values: "Fail", "SoftFail"'),
    (SD, {"spf": {"includes": ["include:x.y"]}}, "must be a DNS name such as"),
    (
        SD,
        {"spf": {"ip4": ["999.0.2.1"]}},
        f'spec.spf.ip4[0]: Invalid value: "999.0.2.1": {NO_IPV4}',
    ),
    (SD, {"spf": {"ip4": ["192.0.2.0/024"]}}, NO_IPV4),
    (SD, {"spf": {"ip4": ["::1"]}}, NO_IPV4),
    (SD, {"spf": {"ip6": ["::ffff:192.0.2.1"]}}, NO_IPV6),
    (SD, {"spf": {"ip6": ["::ffff:0.0.0.1/64"]}}, NO_IPV6),
    (SD, {"spf": {"ip6": ["192.0.2.1"]}}, NO_IPV6),
    (
        SD,
        {"spf": {"includes": ["x.y"] * 11}},
        "spec.spf.includes: Too many: 11: must have at most 10",
    ),
    (SD, {"dkim": [{"selector": "k1"}]}, ONE_SOURCE),
    (SD, {"dkim": [{**KEY, "publicKey": "A" * 60}]}, ONE_SOURCE),
    (SD, {"dkim": [{**KEY, "selector": "K1"}]}, "must be a DKIM selector such as s1"),
    (
        SD,
        {"dkim": [{"selector": "k1", "publicKey": "v=DKIM1; p=" + "A" * 40}]},
        "without tags such as",
    ),
    (SD, {"dkim": [KEY, KEY]}, 'spec.dkim[1]: Duplicate value: {"selector":"k1"}'),
    (
        SD,
        {"dkim": [{"selector": f"k{n}", "cname": "k.example"} for n in range(11)]},
        "spec.dkim: Too many: 11: must have at most 10",
    ),
    (SD, {"dmarc": {"policy": "strict"}}, 'supported values: "none", "quarantine", "reject"'),
    (SD, {"dmarc": {"rua": ["dmarc@example.com"]}}, NO_REPORT),
    (SD, {"dmarc": {"rua": ["mailto:a@b.com; p=none"]}}, NO_REPORT),
    (SD, {"mx": [{"host": "192.0.2.1"}]}, NO_DOMAIN),
    (SD, {"mx": [{"host": "mx.example.com", "preference": -1}]}, "greater than or equal to 0"),
    (
        SD,
        {"require": ["MX"]},
        "spec.require: Invalid value: must name only what the spec declares: add",
    ),
    (SD, {"require": ["Ownership", "Ownership"]}, "spec.require[1]: Duplicate value"),
    (SD, {"require": []}, "spec.require in body should have at least 1 items"),
    (SD, {"suspend": "yes"}, 'must be of type boolean: "string"'),
    (MS, {"host": None}, "spec.host: Invalid value: must be set, unless provider is"),
    (MS, {"provider": "Nobody"}, 'supported values: "AOL", "Aliyun"'),
    (MS, {"parameters": {"region": "US"}}, "spec.parameters: Invalid value: must come with"),
    (MS, {"provider": "Mailgun", "parameters": {"Region": "US"}}, "must have names such as region"),
    (
        MS,
        {"oauth": OAUTH, "credentialsRef": {"name": "x"}},
        "spec.oauth: Forbidden: may not be set beside credentialsRef: one of them signs in",
    ),
    (
        MS,
        {"credentialsRef": {"name": "x", "usernameKey": "password"}},
        "spec.credentialsRef.passwordKey: Invalid value: must be another key than that of the user",
    ),
    (
        MS,
        {"credentialsRef": {"name": "x", "passwordKey": "a b"}},
        "must be a key of the object's data",
    ),
    (MS, {"oauth": OAUTH, "tls": {"mode": "None"}}, "tokens are only sent over TLS"),
    (
        MS,
        {"oauth": {key: value for key, value in OAUTH.items() if key != "subject"}},
        "spec.oauth.subject: Invalid value: must be set: a MailServer has no address of its own",
    ),
    (MS, {"oauth": {**OAUTH, "rotation": "Always"}}, 'Unsupported value: "Always"'),
    (MS, {"oauth": {**OAUTH, "caBundleRef": {"name": "ca"}}}, "unless provider is Generic"),
    (MS, {"oauth": {**OAUTH, "tenant": "x"}}, "must be Microsoft where tenant, cloud or"),
    (MS, {"host": "192.0.2.1"}, f'spec.host: Invalid value: "192.0.2.1": {NO_HOST}'),
    (MS, {"host": "2001:db8::1"}, NO_HOST),
    (MS, {"host": "smtp.example.com:587"}, "lowercase, without port or trailing dot"),
    (MS, {"port": 0}, "should be greater than or equal to 1"),
    (MS, {"port": "587"}, 'must be of type integer: "string"'),
    (MS, {"port": 70000}, "should be less than or equal to 65535"),
    (MS, {"tls": {"mode": "starttls"}}, 'supported values: "StartTLS", "Implicit", "None"'),
    (MS, {"tls": {"insecureSkipVerify": True}}, 'unknown field "spec.tls.insecureSkipVerify"'),
    (
        MS,
        {"credentialsRef": {"name": "x"}, "tls": {"mode": "None"}},
        "spec.credentialsRef: Forbidden: may not be set when tls.mode is None: credentials are only"
        " sent over TLS",
    ),
    (MS, {"credentialsRef": {"name": "x", "namespace": "y"}}, "credentialsRef.namespace"),
    (MS, {"credentialsRef": {"name": "My Secret"}}, "must be the name of an object: lowercase"),
    (MS, {"tls": {"caBundleRef": {"kind": "Pod", "name": "x"}}}, 'supported values: "ConfigMap"'),
    (
        MS,
        {"tls": {"caBundleRef": {"name": "x", "key": "a/b"}}},
        "must be a key of the object's data",
    ),
    (EA, {"address": None}, "spec.address: Required value"),
    (EA, {"address": "support"}, f'spec.address: Invalid value: "support": {NO_EMAIL}'),
    (EA, {"address": "a@b@example.com"}, NO_EMAIL),
    (EA, {"address": "A <a@example.com>"}, NO_EMAIL),
    (EA, {"address": f"{'a' * 65}@example.com"}, "1 to 64 ASCII characters before the @"),
    (EA, {"imap": IMAP}, "spec.credentialsRef: Invalid value: must be set where imap is, unless"),
    (
        EA,
        {"imap": {}, "credentialsRef": {"name": "x"}},
        "spec.imap.host: Invalid value: must be set where imap is, unless provider is",
    ),
    (
        EA,
        {"provider": "Gmail"},
        "spec.credentialsRef: Invalid value: must be set where provider is and neither",
    ),
    (
        EA,
        {"oauth": OAUTH, "credentialsRef": {"name": "x"}},
        "spec.oauth: Forbidden: may not be set beside credentialsRef",
    ),
    (EA, {"parameters": {"region": "US"}}, "spec.parameters: Invalid value: must come with"),
    (EA, {"imap": {**IMAP, "mailbox": "a\nb"}}, "must be the name of a mailbox, without control"),
    (EA, {"serverRef": {}}, "spec.serverRef.name: Required value"),
    (EA, {"fallbackSender": "nobody"}, NO_EMAIL),
    (EA, {"fallbackSender": "a@MÜNCHEN.example"}, NO_EMAIL),
    (EA, {"fallbackSender": "bücher@example.com"}, NO_EMAIL),
    (EA, {"sync": {"backfillDays": 61}}, "should be less than or equal to 60"),
    (EA, {"roundTrip": {"interval": "1h"}}, "must be a duration from 6h to 168h"),
    (
        EA,
        {"forwarding": {}},
        "spec.forwarding.technicalAddress: Invalid value: must be set, unless",
    ),
    (
        EA,
        {"forwarding": {"technicalAddress": "in@example.net", "receiverRef": {"name": "x"}}},
        "spec.forwarding.receiverRef: Forbidden: may not be set beside technicalAddress",
    ),
    (EA, {"forwarding": {"receiverRef": {}}}, "spec.forwarding.receiverRef.name: Required value"),
    (EA, {"forwarding": {"technicalAddress": "in-1"}}, NO_EMAIL),
    *((EA, {"displayName": name}, "must be a name as people read it") for name in NO_NAMES),
    (
        EA,
        {"identities": [{"address": "b@example.com", "displayName": "a<b>"}]},
        "must be a name as",
    ),
    (EA, {"fallbackSender": "=?utf-8?q?a?=@example.com"}, "and no =?"),
    (EA, {"imap": {**IMAP, "mailbox": "a\u2028b"}}, "must be the name of a mailbox, without"),
    (
        EA,
        {"identities": [{"address": "b@example.com", "type": "Primary"}]},
        "spec.identities: Invalid value: must have type Primary only for the account's own",
    ),
    (
        EA,
        {"identities": [{"address": "support@example.com", "enabled": False}]},
        "spec.identities: Invalid value: may not have enabled false for the account",
    ),
    (EA, {"connection": "Off"}, 'supported values: "Connected", "Disconnected"'),
    (
        EA,
        {"identities": [{"address": "b@example.com"}, {"address": "b@example.com"}]},
        "Duplicate value",
    ),
    (EA, {"imap": {**IMAP, "tls": {"mode": "None"}}}, 'supported values: "StartTLS", "Implicit"'),
    (
        MS,
        {"limits": {"daily": 0}},
        "spec.limits.daily in body should be greater than or equal to 1",
    ),
    (MS, {"limits": {"weekly": 9}}, 'unknown field "spec.limits.weekly"'),
    (EA, {"sendLimits": {"daily": "50"}}, 'must be of type integer: "string"'),
    (EA, {"sendLimits": {"window": {}}}, "spec.sendLimits.window.timeZone: Required value"),
    (EA, window(timeZone="Berlin time"), NO_ZONE),
    (EA, window(timeZone="Local"), f'timeZone: Invalid value: "Local": {NO_ZONE}'),
    (EA, window(days=[]), "spec.sendLimits.window.days in body should have at least 1 items"),
    (EA, window(days=["Mon", "Mon"]), "spec.sendLimits.window.days[1]: Duplicate value"),
    (EA, window(days=["Monday"]), 'supported values: "Mon", "Tue"'),
    (EA, window(start="9:00"), 'must be a time of day from "00:00" to "23:59", such as "09:00"'),
    (EA, window(end="24:30"), 'must be a time of day up to "24:00", such as "17:00"'),
    (
        EA,
        window(start="22:00", end="06:00"),
        "spec.sendLimits.window.end: Invalid value: must be later than start: a window does not go "
        "over midnight",
    ),
    (EA, window(start="09:00", end="09:00"), "must be later than start"),
    (EA, {"sendLimits": {"rampUp": {"startDaily": 5}}}, "rampUp.dailyIncrease: Required value"),
    (EA, {"sync": {"interval": "0s"}}, f'spec.sync.interval: Invalid value: "0s": {NO_INTERVAL}'),
]


@pytest.fixture(scope="module", autouse=True)
def definitions(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
    await_definitions(plane)


@pytest.fixture(scope="module")
def refusing(plane: ControlPlane) -> Iterator[str]:
    """A namespace of all tests in which nothing is stored."""
    with new_namespace(plane) as name:
        yield name


def manifest(kind: Kind, spec: Mapping[str, Any], name: str = "one") -> str:
    return json.dumps(
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


def changed(kind: Kind, change: Mapping[str, Any]) -> dict[str, Any]:
    spec = {**copy.deepcopy(GOOD[kind]), **change}
    return {key: value for key, value in spec.items() if value is not None}


def test_whoever_applies_the_definitions_again_changes_nothing(plane: ControlPlane) -> None:
    again = ("apply", "--server-side", "--field-manager=another-team", "--dry-run=server")
    # A conflict would come of whatever the API server keeps in another form than it is given.
    plane.kubectl(*again, "-k", str(ROOT / "crds"))


def test_definitions_are_structural(plane: ControlPlane) -> None:
    listed = plane.kubectl("get", "crd", "-l", "app.kubernetes.io/part-of=postroom", "-o", "yaml")
    found = yaml.load(listed.stdout, Loader=yaml.CSafeLoader)["items"]
    assert len(found) == len(Kind)
    for one in found:
        types = {
            condition["type"]: condition["status"] for condition in one["status"]["conditions"]
        }
        assert types == {"NamesAccepted": "True", "Established": "True"}


def said_against(
    plane: ControlPlane, namespace: str, kind: Kind, spec: Mapping[str, Any], *, dry: bool = False
) -> str:
    """What the API server says against an object that is created."""
    made = json.loads(manifest(kind, spec))
    return refusal(plane, "POST", path_of(namespace, kind), made, dry=dry)


def test_values_that_were_handed_out_are_taken(plane: ControlPlane, refusing: str) -> None:
    for value in HANDED_OUT:
        spec = {**GOOD[SD], "ownership": {"value": value}}
        assert parse_spec(SD, spec)
        assert said_against(plane, refusing, SD, spec, dry=True) == ""


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("specs", [GOOD, FULL, PROVIDED])
def test_good_objects_survive_whole(
    plane: ControlPlane, namespace: str, kind: Kind, specs: dict[Kind, dict[str, Any]]
) -> None:
    created = plane.kubectl(
        *("create", "--validate=strict", "-n", namespace, "-o", "json", "-f", "-"),
        input=manifest(kind, specs[kind]),
    )
    stored = json.loads(created.stdout)
    assert parse_spec(kind, stored["spec"]) == parse_spec(kind, specs[kind])
    assert stored["status"].items() >= {"observedGeneration": -1}.items()
    assert stored["status"]["conditions"] == DEFAULT_STATUS["conditions"]


@pytest.mark.parametrize(("kind", "change", "words"), BAD)
def test_bad_objects_are_refused_with_a_clear_word(
    plane: ControlPlane, refusing: str, kind: Kind, change: dict[str, Any], words: str
) -> None:
    said = said_against(plane, refusing, kind, changed(kind, change))
    assert words in said
    assert "should match" not in said
    assert "evaluating rule" not in said


def test_kubectl_shows_each_of_these_words(plane: ControlPlane, refusing: str) -> None:
    bad = [manifest(kind, changed(kind, change)) for kind, change, _ in BAD]
    answer = plane.kubectl(
        *("create", "--validate=strict", "-n", refusing, "-f", "-"),
        input="\n---\n".join(bad),
        check=False,
    )
    assert answer.returncode != 0
    assert answer.stdout == ""
    assert [words for _, _, words in BAD if words not in answer.stderr] == []
    assert "should match" not in answer.stderr
    assert "evaluating rule" not in answer.stderr


@pytest.mark.parametrize("zone", ["Europe/Berln", "europe/berlin", "CEST", "Europe"])
def test_a_time_zone_that_the_api_server_does_not_know_is_refused(
    plane: ControlPlane, refusing: str, zone: str
) -> None:
    said = said_against(plane, refusing, EA, changed(EA, window(timeZone=zone)))
    assert "spec.sendLimits.window.timeZone: Invalid value" in said
    assert NO_ZONE in said
    with pytest.raises(InvalidSpec, match=NO_ZONE):
        parse_spec(EA, changed(EA, window(timeZone=zone)))


@pytest.mark.parametrize(("kind", "change", "words"), BAD)
def test_check_refuses_what_the_api_server_refuses(
    kind: Kind, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(kind, changed(kind, change))
    sentence = words.rpartition(": ")[2]
    if sentence.startswith(("must be a", NO_ASCII)):
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "change"),
    [(SD, {"domain": "other.example.com"}), (EA, {"address": "other@example.com"})],
)
def test_identity_is_immutable(
    plane: ControlPlane, namespace: str, kind: Kind, change: dict[str, Any]
) -> None:
    plane.kubectl("create", "-n", namespace, "-f", "-", input=manifest(kind, GOOD[kind]))
    answer = plane.kubectl(
        "apply",
        "-n",
        namespace,
        "-f",
        "-",
        input=manifest(kind, changed(kind, change)),
        check=False,
    )
    assert "may not be changed: create a new" in answer.stderr


DEFAULTS: list[tuple[Kind, dict[str, Any]]] = [
    (
        SD,
        {
            "ownership": {},
            "interval": "1h",
            "propagationDeadline": "72h",
            "gracePeriod": "72h",
            "suspend": False,
        },
    ),
    (
        MS,
        {
            "tls": {},
            "default": False,
            "allowedNamespaces": {"from": "Same"},
            "interval": "5m",
            "progressDeadline": "15m",
            "suspend": False,
        },
    ),
    (
        EA,
        {
            "default": False,
            "sync": {"interval": "5m", "backfillDays": 7},
            "roundTrip": {"enabled": False, "interval": "6h"},
            "connection": "Connected",
            "domainPolicy": "IfDeclared",
            "identityVerification": {"method": "Provider"},
            "progressDeadline": "15m",
            "suspend": False,
        },
    ),
]


@pytest.mark.parametrize(("kind", "defaults"), DEFAULTS)
def test_defaults_are_visible(
    plane: ControlPlane, namespace: str, kind: Kind, defaults: dict[str, Any]
) -> None:
    created = plane.kubectl(
        *("create", "-n", namespace, "-o", "json", "-f", "-"), input=manifest(kind, GOOD[kind])
    )
    assert json.loads(created.stdout)["spec"] == {**GOOD[kind], **defaults}


def test_nested_defaults_apply(plane: ControlPlane, namespace: str) -> None:
    spec = changed(MS, {"tls": {"caBundleRef": {"name": "ca"}}})
    created = plane.kubectl(
        *("create", "-n", namespace, "-o", "json", "-f", "-"), input=manifest(MS, spec)
    )
    expected = {
        "caBundleRef": {"kind": "ConfigMap", "name": "ca", "key": "ca.crt"},
    }
    assert json.loads(created.stdout)["spec"]["tls"] == expected


@pytest.mark.parametrize(
    ("short_name", "header"),
    [
        ("sdom", "NAME DOMAIN READY REASON VERIFICATION VERIFIED DKIM SPF DMARC AGE"),
        ("msrv", "NAME ENDPOINT READY REASON SMTP TLS ACCOUNTS DEFAULT AGE"),
        ("eacct", "NAME ADDRESS SERVER READY REASON UNSEEN DEFAULT AGE"),
    ],
)
def test_the_columns_of_get(
    plane: ControlPlane, namespace: str, short_name: str, header: str
) -> None:
    for kind in Kind:
        plane.kubectl("create", "-n", namespace, "-f", "-", input=manifest(kind, GOOD[kind]))
    shown = plane.kubectl("get", short_name, "-n", namespace).stdout.splitlines()
    assert shown[0].split() == header.split()
    assert "Unknown" in shown[1]


def test_objects_are_found_by_what_they_are_about(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("create", "-n", namespace, "-f", "-", input=manifest(SD, GOOD[SD]))
    command = ("get", "sdom", "-n", namespace, "-o", "name", "--field-selector")
    assert plane.kubectl(*command, "spec.domain=send.example.com").stdout.strip().endswith("/one")
    assert plane.kubectl(*command, "spec.domain=other.example.com").stdout == ""


@pytest.mark.parametrize("install", ["cluster", "namespaced", "tenants"])
def test_the_install_manifests_are_accepted(plane: ControlPlane, install: str) -> None:
    directory = str(ROOT / "manifests" / "install" / install)
    rendered = list(
        yaml.load_all(plane.kubectl("kustomize", directory).stdout, Loader=yaml.CSafeLoader)
    )
    needed = {one["metadata"].get("namespace") for one in rendered} - {None}
    for name in needed:
        plane.kubectl("create", "namespace", name, check=False)
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", directory)
    answered = plane.kubectl(*command, "-o", "name").stdout.split()
    assert len(answered) == len(rendered)


def test_explain_reads_well(plane: ControlPlane) -> None:
    shown = plane.kubectl("explain", "sendingdomain.spec.dkim.cname").stdout
    assert "Target of the CNAME that the provider asks for." in shown


def test_unseen_objects_wait(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("create", "-n", namespace, "-f", "-", input=manifest(SD, GOOD[SD]))
    command = ("wait", "--for=condition=Ready", "sdom/one", "-n", namespace, "--timeout=1s")
    assert plane.kubectl(*command, check=False).returncode != 0
    shown = plane.kubectl("get", "postroom", "-n", namespace).stdout
    assert "Pending" in shown


def test_a_field_without_a_value_is_refused_by_server_side_apply(installed: ControlPlane) -> None:
    """So `postroom check` refuses it, too (tests/unit/cli/test_manifests.py)."""
    spec: dict[str, Any] = {
        "address": "a@example.com",
        "credentialsRef": {"name": "a"},
        "imap": None,
    }
    account = {"apiVersion": API_VERSION, "kind": "EmailAccount", "metadata": {"name": "a"}}
    text = json.dumps({**account, "spec": spec})
    trial = ("apply", "--server-side", "--dry-run=server", "-n", "default", "-f", "-")
    refused = installed.kubectl(*trial, input=text, check=False)
    assert "spec.imap in body must be of type object" in refused.stderr
    spec["imap"] = {"host": "imap.example.com"}
    installed.kubectl(*trial, input=json.dumps({**account, "spec": spec}))

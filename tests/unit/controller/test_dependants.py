# SPDX-License-Identifier: Apache-2.0
"""The reverse maps, and what an object declares to stand on before its first run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.controller.dependants import Dependants, declared
from unit.controller.samples import ACCOUNT, DOMAIN, SERVER, stored


def test_dependants_are_found_in_their_namespace_only() -> None:
    maps = Dependants()
    maps.update(ACCOUNT, frozenset({"Secret/login"}))
    assert maps.of("mail", ["Secret/login"]) == [ACCOUNT]
    assert maps.of("other", ["Secret/login"]) == []


def test_an_update_replaces_what_was_noted() -> None:
    maps = Dependants()
    maps.update(ACCOUNT, frozenset({"Secret/old"}))
    maps.update(ACCOUNT, frozenset({"Secret/new"}))
    assert maps.of("mail", ["Secret/old"]) == []
    assert maps.of("mail", ["Secret/new"]) == [ACCOUNT]


def test_an_extension_keeps_what_was_noted() -> None:
    maps = Dependants()
    maps.update(ACCOUNT, frozenset({"Secret/old"}))
    maps.extend(ACCOUNT, frozenset({"Secret/new"}))
    assert maps.of("mail", ["Secret/old"]) == maps.of("mail", ["Secret/new"]) == [ACCOUNT]


def test_each_dependant_comes_once() -> None:
    maps = Dependants()
    maps.update(ACCOUNT, frozenset({"Secret/a", "Secret/b"}))
    assert maps.of("mail", ["Secret/a", "Secret/b"]) == [ACCOUNT]


keys = st.builds(
    Key, st.sampled_from(Kind), st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"])
)
references = st.frozensets(st.sampled_from(["Secret/a", "Secret/b", "MailServer/c"]))


@given(st.lists(st.tuples(keys, references), max_size=30))
def test_the_maps_always_mirror_the_last_updates(updates: list[tuple[Key, frozenset[str]]]) -> None:
    maps, last = Dependants(), dict[Key, frozenset[str]]()
    for key, noted in updates:
        maps.update(key, noted)
        last[key] = noted
    for namespace in ("a", "b"):
        for reference in ("Secret/a", "Secret/b", "MailServer/c"):
            expected = {one for one, noted in last.items() if reference in noted}
            found = maps.of(namespace, [reference])
            assert found == sorted(one for one in expected if one.namespace == namespace)
    for key in last:
        maps.forget(key)
    assert not maps._dependants


def test_an_account_without_server_stands_on_the_default_server() -> None:
    assert "MailServer/default=true" in declared(Kind.EMAIL_ACCOUNT, stored(ACCOUNT))


def test_an_account_stands_on_all_that_it_names() -> None:
    spec = {
        "address": "support@example.com",
        "serverRef": {"name": "smtp"},
        "credentialsRef": {"name": "login"},
        "imap": {
            "host": "imap.example.com",
            "credentialsRef": {"name": "imap-login"},
            "tls": {"caBundleRef": {"name": "ca"}},
        },
    }
    assert declared(Kind.EMAIL_ACCOUNT, stored(ACCOUNT, spec=spec)) == {
        "MailServer/smtp",
        "SendingDomain/domain=example.com",
        "SendingDomain/unusable:domain=example.com",
        "EmailAccount/address=support@example.com",
        "Secret/login",
        "Secret/imap-login",
        "ConfigMap/ca",
        # Who uses it.
        "EmailAccount/receiver=support",
        "EmailAccount/forwarding=support",
        "EmailAccount/fallback=support@example.com",
    }


def test_what_is_named_in_another_namespace_is_waited_for_there() -> None:
    status = {"resolvedRefs": [{"kind": "MailServer", "name": "smtp", "namespace": "platform"}]}
    spec = {
        "address": "support@example.com",
        "serverRef": {"name": "relay", "namespace": "platform"},
    }
    maps = Dependants()
    maps.update(ACCOUNT, declared(Kind.EMAIL_ACCOUNT, stored(ACCOUNT, spec=spec, status=status)))
    for name in ("relay", "smtp"):
        assert maps.of("platform", [f"MailServer/{name}"]) == [ACCOUNT]
        assert maps.of(ACCOUNT.namespace, [f"MailServer/{name}"]) == []
    maps.forget(ACCOUNT)
    assert not maps._dependants


def test_a_server_stands_on_its_secrets() -> None:
    spec = {
        "host": "smtp.example.com",
        "credentialsRef": {"name": "login"},
        "tls": {"caBundleRef": {"kind": "Secret", "name": "ca"}},
    }
    found = declared(Kind.MAIL_SERVER, stored(SERVER, spec=spec))
    used_by = {f"EmailAccount/server={name}" for name in ("smtp", "mail/smtp")}
    assert found == {"Secret/login", "Secret/ca"} | used_by


def test_a_domain_stands_on_the_secrets_of_its_keys() -> None:
    spec = {
        "domain": "example.com",
        "dkim": [{"selector": "s1", "publicKeyRef": {"name": "key", "key": "public"}}],
    }
    assert declared(Kind.SENDING_DOMAIN, stored(DOMAIN, spec=spec)) == {
        "Secret/key",
        "SendingDomain/domain=example.com",
        "EmailAccount/bulk=example.com",
        "EmailAccount/sends=example.com",
    }


def test_what_an_earlier_run_noted_in_status_counts_too() -> None:
    status = {"resolvedRefs": [{"kind": "MailServer", "name": "smtp"}, {"kind": "Secret"}, 5]}
    assert "MailServer/smtp" in declared(Kind.EMAIL_ACCOUNT, stored(ACCOUNT, status=status))


def test_an_invalid_object_declares_nothing() -> None:
    raw = {"metadata": {}, "spec": "nonsense", "status": []}
    assert declared(Kind.EMAIL_ACCOUNT, raw) == frozenset()

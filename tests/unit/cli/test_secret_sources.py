# SPDX-License-Identifier: Apache-2.0
"""Secrets whose content is elsewhere are not sent to anybody, and it is said that they were not.

Covers: what encryption and renderers leave in a Secret's place; passwords that only resemble it;
kinds whose controllers make Secrets; what reconcilers make of it (Unknown, and no dial at all).
"""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import ConditionStatus, ConditionType, find
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE, CheckInput, CheckRun, world_of
from postroom.cli.options import ExitCode, Output
from postroom.cli.secret_sources import secrets_made_by, sources, why_elsewhere
from postroom.settings import load

ELSEWHERE = [
    "${SMTP_PASSWORD}",
    "$(SMTP_PASSWORD)",
    "{{ .Values.password }}",
    "{{password}}",
    "<% password %>",
    "%{password}",
    "<your password>",
    "<path:kv/data/smtp#password>",
    "<PASSWORD>",
    "ENC[AES256_GCM,data:abc,iv:def,tag:ghi,type:str]",
    "vault:secret/data/smtp#password",
    "ref+vault://secret/smtp#/password",
    "op://mail/smtp/password",
    "CHANGEME",
    "changeme!",
    "change-me",
    "Change_Me",
    "REPLACE_ME",
    "replace-with-your-password",
    "FILL_ME_IN",
    "INSERT-IT-HERE".replace("-HERE", ""),
    "TODO",
    "todo: the real one",
    "FIXME",
    "your-password",
    "YOUR_SMTP_PASSWORD",
    "your password here",
    "your_api_key_here",
    "xxxxxxxx",
    "********",
    "...",
    "REDACTED",
    "[redacted]",
    "placeholder",
]
PASSWORDS = [
    "hunter2",
    "correct horse battery staple",
    "changemetoo99",
    "Change1t!",
    "my-todo-list",
    "yours-truly",
    "your",
    "password",
    "xX9",
    "a{{b",
    "$ecret",
    "${",
    "p<q>r",
    "ENC",
    "vaulted",
    "replaceable",
    "insert coin",
    "settings",
    "SG.abcdefghijklmnopqrstuv",
    "abcd efgh ijkl mnop",
]


def secret(**values: str) -> dict[str, object]:
    return {"kind": "Secret", "stringData": values}


@pytest.mark.parametrize("value", ELSEWHERE)
def test_what_stands_in_for_a_credential_is_known(value: str) -> None:
    encoded = base64.b64encode(value.encode()).decode()
    assert why_elsewhere(secret(username="me", password=value))
    assert why_elsewhere(secret(username=f" {value}\n", password="x"))
    assert why_elsewhere({"kind": "Secret", "data": {"password": encoded}})


@pytest.mark.parametrize("value", PASSWORDS)
def test_passwords_are_passwords(value: str) -> None:
    assert why_elsewhere(secret(username="me@example.com", password=value)) is None


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=12, max_size=40))
def test_letters_and_digits_are_nearly_always_a_password(value: str) -> None:
    folded = value.lower()
    known = ("change", "replace", "fill", "insert", "enter", "set", "todo", "tbd", "fixme", "your")
    if not folded.startswith(known) and set(folded) != {"x"}:
        assert why_elsewhere(secret(password=value)) is None


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_value_is_repeated(first: str, second: str) -> None:
    told = why_elsewhere(secret(a=f"canary{first}", b="${canary}", c=f"<canary{second}>"))
    assert "canary" not in str(told)


def test_sops_is_known_by_its_block() -> None:
    raw = {**secret(password="anything"), "sops": {"mac": "x"}}
    assert why_elsewhere(raw) == "is encrypted by SOPS"


MAKERS = [
    ("bitnami.com/v1alpha1", "SealedSecret", {}, ["made"]),
    (
        "bitnami.com/v1alpha1",
        "SealedSecret",
        {"template": {"metadata": {"name": "other"}}},
        ["other"],
    ),
    ("external-secrets.io/v1", "ExternalSecret", {"target": {"name": "other"}}, ["other"]),
    ("external-secrets.io/v1beta1", "ExternalSecret", {}, ["made"]),
    ("secrets.hashicorp.com/v1beta1", "VaultStaticSecret", {"destination": {"name": "a"}}, ["a"]),
    (
        "isindir.github.com/v1alpha3",
        "SopsSecret",
        {"secretTemplates": [{"name": "a"}, {"name": "b"}]},
        ["a", "b"],
    ),
    ("onepassword.com/v1", "OnePasswordItem", {}, ["made"]),
    ("v1", "ConfigMap", {}, []),
    ("example.com/v1", "SealedSecret", {}, []),
    ("external-secrets.io/v1", "ExternalSecret", {"target": "text"}, ["made"]),
    ("isindir.github.com/v1alpha3", "SopsSecret", {"secretTemplates": "text"}, []),
]


@pytest.mark.parametrize(("version", "kind", "spec", "names"), MAKERS)
def test_kinds_whose_controllers_make_secrets(
    version: str, kind: str, spec: dict[str, object], names: list[str]
) -> None:
    raw = {"apiVersion": version, "kind": kind, "metadata": {"name": "made"}, "spec": spec}
    assert list(secrets_made_by(raw)) == names


SERVER = {
    "apiVersion": "postroom.dev/v1alpha1",
    "kind": "MailServer",
    "metadata": {"name": "smtp"},
    "spec": {"host": "smtp.invalid", "credentialsRef": {"name": "smtp"}},
}
SEALED = {
    "apiVersion": "bitnami.com/v1alpha1",
    "kind": "SealedSecret",
    "metadata": {"name": "smtp"},
    "spec": {"encryptedData": {"password": "AgBy"}},
}


def plain(password: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "smtp"},
        "stringData": {"username": "me", "password": password},
    }


@pytest.mark.parametrize("source", [SEALED, plain("CHANGEME"), {**plain("x"), "sops": {}}])
async def test_what_is_elsewhere_is_unknown_and_nobody_is_dialled(
    tmp_path: Path, source: dict[str, object]
) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([SERVER, source]))
    found = manifests.load([tmp_path], "default")
    assert found.complaints == []
    sessions: list[str] = []
    world = world_of(found, load({}, {}), lambda kind, seconds, report: sessions.append(kind))
    await world.check(AT_ONCE)
    ((_, status),) = world.statuses()
    await world.outbound.close()
    ready = find(status.conditions, ConditionType.READY)
    assert ready is not None
    assert ready.status is ConditionStatus.UNKNOWN
    assert "credentials come from elsewhere and are not tried" in ready.message
    assert sessions == []


OTHER_PLACE = {**plain("x"), "metadata": {"name": "smtp", "namespace": "far"}}
OTHER_NAME = {**plain("x"), "metadata": {"name": "other"}}


@pytest.mark.parametrize(
    ("beside", "code"),
    [
        ([], ExitCode.COULD_NOT_LOOK),
        ([OTHER_PLACE], ExitCode.COULD_NOT_LOOK),
        ([OTHER_NAME], ExitCode.NOT_READY),
        ([{**SEALED, "metadata": {"name": "other"}}], ExitCode.NOT_READY),
    ],
)
async def test_a_secret_is_missed_only_where_others_are_brought_along(
    tmp_path: Path, beside: list[dict[str, object]], code: int
) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([SERVER, *beside]))
    run = CheckRun(CheckInput([str(tmp_path)], "default"), load({}, {}), Output.JSON, quiet=True)
    assert await run.once(timedelta()) == code


@pytest.mark.parametrize("value", [None, 12345, True, 1.5, ["a"], {"a": "b"}])
async def test_what_is_no_string_is_no_password(tmp_path: Path, value: object) -> None:
    secret = {**plain("x"), "stringData": {"username": "me", "password": value}}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([SERVER, secret]))
    found = manifests.load([tmp_path], "default")
    (complaint,) = found.complaints
    assert "stringData.password: must be a string: put it in quotes" in str(complaint)
    sessions: list[str] = []
    world = world_of(found, load({}, {}), lambda kind, seconds, report: sessions.append(kind))
    await world.check(AT_ONCE)
    await world.outbound.close()
    assert sessions == []


@pytest.mark.parametrize("section", ["data", "stringData"])
def test_a_secret_whose_values_are_no_mapping(tmp_path: Path, section: str) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({**plain("x"), section: ["a"]}))
    (complaint,) = manifests.load([tmp_path], "default").complaints
    assert f"{section}: must be a mapping of keys to values" in str(complaint)


@pytest.mark.parametrize(
    ("unknown_is_ok", "code"), [(False, ExitCode.COULD_NOT_LOOK), (True, ExitCode.READY)]
)
async def test_the_exit_code_says_that_it_was_not_looked_at(
    tmp_path: Path, unknown_is_ok: bool, code: int
) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([SERVER, SEALED]))
    run = CheckRun(
        CheckInput([str(tmp_path)], "default"),
        load({}, {}),
        Output.JSON,
        quiet=True,
        unknown_is_ok=unknown_is_ok,
    )
    assert await run.once(timedelta()) == code


def test_every_source_says_where_the_names_are() -> None:
    for (group, kind), source in sources().items():
        assert (source.group, source.kind) == (group, kind)
        assert "." in group and kind[:1].isupper()
        assert source.names and source.source

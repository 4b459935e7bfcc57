# SPDX-License-Identifier: Apache-2.0
"""What `kubectl postroom` makes of the API server's answers: objects, or one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.cli.cluster import Cluster, PluginError
from postroom.controller.client import ApiError


class Answers:
    """An API server that knows one account, or refuses everything."""

    namespace, server = "default", "https://cluster.example"

    def __init__(self, refusal: ApiError | None = None) -> None:
        self.refusal = refusal
        self.asked: list[tuple[str, str | None]] = []

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        self.asked.append((key.name, key.namespace))
        if self.refusal is not None:
            raise self.refusal
        known = (key.kind, key.name) == (Kind.EMAIL_ACCOUNT, "support")
        return {"metadata": {"name": key.name, "namespace": key.namespace}} if known else None

    async def list_whole(self, kind: Kind, namespace: str | None) -> list[Mapping[str, Any]]:
        self.asked.append((kind.plural, namespace))
        if self.refusal is not None:
            raise self.refusal
        return [{"kind": kind.value}]

    async def annotate(self, key: Key, annotations: Mapping[str, str | None]) -> None:
        if self.refusal is None:
            raise AssertionError("nothing is annotated")
        raise self.refusal


async def test_a_name_without_a_namespace_is_one_of_the_kubeconfigs() -> None:
    api = Answers()
    (found,) = await Cluster(api).select([(Kind.EMAIL_ACCOUNT, "support")], None)
    assert (found["kind"], found["metadata"]["namespace"]) == ("EmailAccount", "default")


@pytest.mark.parametrize("namespace", [None, "mail"])
async def test_without_names_all_kinds_are_meant(namespace: str | None) -> None:
    api = Answers()
    found = await Cluster(api).select([], namespace)
    assert [raw["kind"] for raw in found] == list(Kind)
    assert api.asked == [(kind.plural, namespace) for kind in Kind]


async def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(PluginError, match="MailServer smtp does not exist in namespace mail"):
        await Cluster(Answers()).select([(Kind.MAIL_SERVER, "smtp")], "mail")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (0, "the cluster at https://cluster.example does not answer (it cannot be reached)"),
        (401, "the cluster at https://cluster.example does not know you"),
        (403, "you may not list sendingdomains everywhere: ask for that right."),
        (404, "kubectl apply --server-side -k crds"),
        (500, "the API server answers 500."),
    ],
)
async def test_a_refusal_is_one_sentence_without_the_servers(status: int, sentence: str) -> None:
    api = Answers(ApiError("GET x", status, "it cannot be reached" if not status else "canary"))
    with pytest.raises(PluginError) as raised:
        await Cluster(api).select([], None)
    assert sentence in str(raised.value)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, "you may not patch emailaccounts in namespace mail: ask for that right."),
        # Not that the kinds are unknown: it was deleted since it was read.
        (404, "EmailAccount support does not exist in namespace mail."),
    ],
)
async def test_what_is_asked_of_an_object_is_said_where_it_is_refused(
    status: int, sentence: str
) -> None:
    api = Answers(ApiError("PATCH x", status, "canary"))
    raw = {"kind": "EmailAccount", "metadata": {"name": "support", "namespace": "mail"}}
    with pytest.raises(PluginError) as raised:
        await Cluster(api).annotate(raw, {"a": "b"})
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\nb", "A", "-a", "a.", "\x1b[31m", "\udcff", "a" * 254]
)
async def test_a_name_that_nothing_can_have_is_asked_of_nobody(name: str) -> None:
    """An empty one would lead to the list of all, and others to other places of the API."""
    api = Answers()
    for target, place in (((Kind.EMAIL_ACCOUNT, name), "mail"), ((Kind.EMAIL_ACCOUNT, "a"), name)):
        if not place:
            continue
        with pytest.raises(PluginError, match="is called") as raised:
            await Cluster(api).select([target], place)
        said = str(raised.value)
        assert len(said) < 300 and said.isprintable() and said.isascii()
    assert api.asked == []


async def test_an_empty_namespace_is_that_of_the_kubeconfig() -> None:
    api = Answers()
    (found,) = await Cluster(api).select([(Kind.EMAIL_ACCOUNT, "support")], "")
    assert found["metadata"]["namespace"] == "default"

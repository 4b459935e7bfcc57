# SPDX-License-Identifier: Apache-2.0
"""The policies of tenants under other names, the strict variant, and what was there before them.

Covers: a kustomization that sets namespace, prefix and suffix refuses as before; without
annotations nothing is allowed where that is strict; a Namespace whose annotation cannot be read
is edited otherwise.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from cluster.objects import eventually
from cluster.tenants import (
    ALICE,
    ASSIGNER,
    DOMAINS,
    EDITORS,
    GIVEN,
    Tenant,
    allow_to_write_namespaces,
    anew,
    annotate,
    policies,
    tenant,
)
from postroom.lab.controlplane import ControlPlane

DOMAIN, SERVER, ACCOUNT = "SendingDomain", "MailServer", "EmailAccount"
FOREIGN = {"domain": "foreign.example.org"}
SENDS = {"address": "a@example.com", "roundTrip": {"enabled": True}}
REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "may not use the domain": (DOMAIN, FOREIGN),
    "dialled: its annotation": (SERVER, {"host": "smtp.evil.org"}),
    "may not have messages sent to": (ACCOUNT, SENDS),
}
EVERYTHING = dict.fromkeys(GIVEN, "*")


@pytest.mark.parametrize("directory", ["tenants", "tenants-strict"])
@pytest.mark.parametrize(
    "moved",
    [
        {"namespace": "acme-mail"},
        {"namePrefix": "acme-", "nameSuffix": "-eu"},
        {
            "namespace": "acme-mail",
            "namePrefix": "acme-",
            "labels": [{"pairs": {"a": "b"}, "includeSelectors": True}],
        },
    ],
)
def test_a_kustomization_that_renames_them_refuses_as_before(
    installed: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
    directory: str,
    moved: dict[str, Any],
) -> None:
    scratch = tmp_path_factory.mktemp("moved")
    with policies(installed, scratch, directory, **moved), tenant(installed, **GIVEN) as made:
        for sentence, (kind, spec) in REFUSALS.items():
            made.waits_for_refusal(kind, {**spec, "suspend": False}, sentence)
        assert "created" in made.tries(DOMAIN, {"domain": "example.com"})
        allow_to_write_namespaces(installed, EDITORS)
        eventually(
            lambda: ASSIGNER in annotate(installed, made.namespace, anew(), *ALICE),
            "the annotations are kept",
        )


def test_the_strict_variant_allows_nothing_without_annotations(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        policies(installed, tmp_path_factory.mktemp("strict"), "tenants-strict"),
        tenant(installed, **EVERYTHING) as free,
        tenant(installed, domains="example.com") as partly,
    ):
        for missing, (sentence, (kind, spec)) in zip(EVERYTHING, REFUSALS.items(), strict=True):
            others = {key: every for key, every in EVERYTHING.items() if key != missing}
            with tenant(installed, **others) as silent:
                silent.waits_for_refusal(kind, spec, sentence)
            assert "created" in free.tries(kind, spec)
        assert "created" in partly.tries(DOMAIN, {"domain": "example.com"})
        assert "denied request" in partly.tries(SERVER, {"host": "smtp.example.com"})
        # What names no host and sends to nobody needs no annotation.
        assert "created" in partly.tries(ACCOUNT, {"address": "a@example.com"})


def test_a_namespace_that_was_marked_before_can_still_be_edited(
    installed: ControlPlane, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert "annotated" in annotate(installed, namespace, f"{DOMAINS}=müller.example.")
    with policies(installed, tmp_path_factory.mktemp("late")):
        eventually(
            lambda: "must be a list" in annotate(installed, namespace, f"{DOMAINS}={uuid4().hex}."),
            "the policy is in force",
        )
        assert "annotated" in annotate(installed, namespace, "example.com/else=1")
        # Each policy comes into force by itself.
        Tenant(installed, namespace).waits_for_refusal(DOMAIN, FOREIGN, "denied request")

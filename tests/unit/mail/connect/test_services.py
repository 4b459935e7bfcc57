# SPDX-License-Identifier: Apache-2.0
"""Names of Services, in clusters of the usual domain and of others."""

from __future__ import annotations

import pytest

from postroom.mail.connect.services import cluster_domains, in_full, in_short, is_own_service

OURS = cluster_domains(("mail.svc.k8s.corp.example", "svc.k8s.corp.example", "k8s.corp.example"))


@pytest.mark.parametrize(
    ("search", "domains"),
    [
        (("mail.svc.cluster.local", "svc.cluster.local", "cluster.local"), ("cluster.local",)),
        (("a.svc.k8s.corp", "svc.k8s.corp", "k8s.corp", "corp"), ("k8s.corp", "cluster.local")),
        (("corp.example", "svc", "svc."), ("cluster.local",)),
        ((), ("cluster.local",)),
    ],
)
def test_the_resolver_of_a_pod_tells_the_cluster_s_domain(
    search: tuple[str, ...], domains: tuple[str, ...]
) -> None:
    assert cluster_domains(search) == domains


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("postfix.mail.svc", True),
        ("postfix.mail.svc.k8s.corp.example", True),
        ("Postfix.mail.svc.k8s.corp.example.", True),
        ("postfix.mail.svc.cluster.local", True),
        ("postfix.other.svc.k8s.corp.example", False),
        ("postfix.mail.svc.corp.example", False),
        ("postfix.mail.svc.k8s.corp.example.evil.example", False),
        ("a.postfix.mail.svc", False),
        ("mail.svc.k8s.corp.example", False),
        ("postfix.mail.svck8s.corp.example", False),
    ],
)
def test_services_of_the_own_namespace_in_any_cluster(host: str, own: bool) -> None:
    assert is_own_service(host, "mail", OURS) is own


@pytest.mark.parametrize(
    ("host", "full", "short"),
    [
        ("a.mail.svc", "a.mail.svc.k8s.corp.example", "a.mail.svc"),
        ("A.mail.svc.", "a.mail.svc.k8s.corp.example", "a.mail.svc"),
        ("a.mail.svc.k8s.corp.example", None, "a.mail.svc"),
        ("smtp.example.com", None, "smtp.example.com"),
        ("a.mail.svc.example.com.", None, "a.mail.svc.example.com"),
        ("mail.svc", None, "mail.svc"),
    ],
)
def test_a_service_has_a_name_in_full_and_one_in_short(
    host: str, full: str | None, short: str
) -> None:
    assert in_full(host, OURS) == full
    assert in_short(host, OURS) == short

# SPDX-License-Identifier: Apache-2.0
"""Paths of the API server: namespaced or not, and no name leaves its place."""

from __future__ import annotations

import pytest

from postroom.api.names import Key, Kind
from postroom.controller import api_paths

ACCOUNTS = "/apis/postroom.dev/v1alpha1"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (api_paths.collection(Kind.EMAIL_ACCOUNT, None), f"{ACCOUNTS}/emailaccounts"),
        (
            api_paths.collection(Kind.EMAIL_ACCOUNT, "mail"),
            f"{ACCOUNTS}/namespaces/mail/emailaccounts",
        ),
        (
            api_paths.of_object(Key(Kind.EMAIL_ACCOUNT, "mail", "a.b")),
            f"{ACCOUNTS}/namespaces/mail/emailaccounts/a.b",
        ),
        (api_paths.core("mail", "secrets", "a"), "/api/v1/namespaces/mail/secrets/a"),
        (api_paths.core(None, "events"), "/api/v1/events"),
        (api_paths.core("mail", "pods", "a", "log"), "/api/v1/namespaces/mail/pods/a/log"),
        (
            api_paths.lease("mail", ""),
            "/apis/coordination.k8s.io/v1/namespaces/mail/leases",
        ),
        (
            api_paths.lease("mail", "a"),
            "/apis/coordination.k8s.io/v1/namespaces/mail/leases/a",
        ),
    ],
)
def test_where_things_are(path: str, wanted: str) -> None:
    assert path == wanted


@pytest.mark.parametrize("name", ["../secrets/b", "a?watch=true", "a#b"])
def test_a_name_is_one_step(name: str) -> None:
    for path in (
        api_paths.of_object(Key(Kind.EMAIL_ACCOUNT, "mail", name)),
        api_paths.core("mail", "secrets", name),
        api_paths.lease("mail", name),
    ):
        last = path.rpartition("/")[2]
        assert not set("?#/") & set(last)
        assert ".." not in path.split("/")

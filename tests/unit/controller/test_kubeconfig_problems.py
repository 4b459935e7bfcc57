# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a cluster and a user is told by field; that each is told of a file, and no
value of it, is with the connection."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.controller.kubeconfig_files import Chosen
from postroom.controller.kubeconfig_problems import problems_of_fields, problems_of_files


def read(cluster: dict[str, Any], user: dict[str, Any]) -> Chosen:
    return Chosen("prod", {"server": "https://h", **cluster}, "me", user, "default")


@pytest.mark.parametrize("value", [7, ["a"], True])
@pytest.mark.parametrize(
    ("owner", "field"),
    [
        *(("cluster", each) for each in ("certificate-authority", "certificate-authority-data")),
        *(("user", each) for each in ("token", "tokenFile", "username", "password")),
        *(("user", each) for each in ("client-certificate", "client-key-data")),
    ],
)
def test_what_must_be_text_is(owner: str, field: str, value: object) -> None:
    body = {field: value}
    found = read(body, {}) if owner == "cluster" else read({}, body)
    name = "prod" if owner == "cluster" else "me"
    assert f"{field} of {owner} {name} must be text" in list(problems_of_fields(found))


def test_what_is_well_has_no_problem() -> None:
    found = read(
        {"insecure-skip-tls-verify": False, "proxy-url": "http://h:1", "tls-server-name": "n"},
        {
            "token": "t",
            "as": "jane",
            "as-groups": ["a"],
            "exec": {"apiVersion": "v", "command": "c"},
        },
    )
    assert list(problems_of_fields(found)) == list(problems_of_files(found)) == []

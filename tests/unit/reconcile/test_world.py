# SPDX-License-Identifier: Apache-2.0
"""A Secret as an API server or a manifest has it: decoded, allowed hosts and uses, its age."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.api.times import timestamp
from postroom.reconcile.world import secret_content
from unit.reconcile.assessments import NOW


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("smtp.example.com", ("smtp.example.com",)),
        (" A.example. ,*.example.net,", ("a.example", "*.example.net")),
        ("", ()),
    ],
)
def test_allowed_hosts_are_parsed_and_an_empty_list_allows_none(
    text: str, hosts: tuple[str, ...]
) -> None:
    raw = {"metadata": {"annotations": {"postroom.dev/allowed-hosts": text}}}
    assert secret_content(raw).allowed_hosts == hosts


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("dkim-public-key", {"dkim-public-key"}),
        (" x , dkim-public-key,", {"x", "dkim-public-key"}),
        ("dkim-public-keys", {"dkim-public-keys"}),
        ("", set()),
        (None, set()),
    ],
)
def test_allowed_uses_are_parsed(text: str | None, uses: set[str]) -> None:
    raw = {"metadata": {"annotations": {"postroom.dev/allow": text}}}
    assert secret_content(raw).allowed_uses == uses
    assert secret_content({"metadata": {}}).allowed_uses == set()


def test_what_is_no_text_is_left_out_and_what_is_written_plainly_goes_first() -> None:
    raw = {
        "metadata": {"name": "login", "uid": "u", "resourceVersion": "7"},
        "data": {"a": "YQ==", "b": "Yg==", "not-base64": "%", "not-utf-8": "/w==", "none": None},
        "stringData": {"b": "plain", "number": 1},
    }
    content = secret_content(raw)
    assert content.data == {"a": Masked("a"), "b": Masked("plain")}
    assert (content.name, content.uid, content.resource_version) == ("login", "u", "7")


def managed(at: int | None, *keys: str, section: str = "f:data") -> dict[str, Any]:
    """What one manager owns, and how many minutes ago it changed that."""
    entry: dict[str, Any] = {"fieldsV1": {section: {f"f:{key}": {} for key in keys}}}
    return entry if at is None else {**entry, "time": timestamp(NOW - timedelta(minutes=at))}


@pytest.mark.parametrize(
    ("managers", "minutes_ago"),
    [
        ([], {}),
        ([managed(5, "password")], {"password": 5}),
        (
            [managed(5, "password"), managed(3, "password", "username")],
            {"password": 3, "username": 3},
        ),
        ([managed(3, "password"), managed(5, "password")], {"password": 3}),
        # Whose time is not known may have written it at any time, before or after others.
        ([managed(5, "password"), managed(None, "password")], {}),
        ([managed(None, "password"), managed(5, "password")], {}),
        ([managed(None, "username"), managed(5, "password")], {"password": 5}),
        ([managed(5, "password", section="f:stringData")], {"password": 5}),
        # Who owns a label tells nothing of the content.
        ([managed(5, "password", section="f:metadata")], {}),
    ],
)
def test_when_a_key_was_written_is_read_from_who_manages_it(
    managers: list[dict[str, Any]], minutes_ago: dict[str, int]
) -> None:
    written = secret_content({"metadata": {"managedFields": managers}}).written
    assert written == {key: NOW - timedelta(minutes=at) for key, at in minutes_ago.items()}


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.none() | st.integers()))
def test_any_data_of_a_secret_is_survived(data: dict[str, object]) -> None:
    content = secret_content({"metadata": None, "data": data})
    assert set(content.data) <= set(data)

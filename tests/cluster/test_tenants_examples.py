# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/tenants.md, and the hosts of all mail providers, against the policies.

Covers: the page's Namespace is accepted and its refused object refused with the quoted sentence;
for every provider and every choice of its parameters the policy names the host that is dialled.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.api_client import delete_namespace
from cluster.tenants import INSTALL, Tenant, policies, tenant
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.mail.presets.load import preset, providers
from postroom.mail.presets.resolve import MailPreset, resolve

PAGE = INSTALL.parents[1] / "docs" / "tenants.md"


@pytest.fixture(scope="module")
def held(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    with policies(installed, tmp_path_factory.mktemp("examples")):
        yield installed


def test_the_page_s_namespace_refuses_what_the_page_says(held: ControlPlane) -> None:
    text = PAGE.read_text()
    namespace, refused = (
        yaml.load(block, Loader=yaml.CSafeLoader)
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    )
    (sentence,) = re.findall(r"with the sentence `(.*)`", text)
    held.kubectl("create", "-f", "-", input=json.dumps(namespace))
    try:
        shop = Tenant(held, "shop")
        shop.waits_for_refusal("SendingDomain", refused["spec"], sentence)
        for domain in ("shop.example.com", "news.shop.example.com"):
            assert "created" in shop.tries("SendingDomain", {"domain": domain})
    finally:
        delete_namespace(held, "shop")


def choices() -> Iterator[tuple[str, dict[str, str], str]]:
    """Every provider, values of its parameters, and the host of its SMTP server."""
    for name in providers():
        parameters = preset(name).parameters
        values = [
            [None, *parameter.enum] if parameter.enum else [parameter.example]
            for parameter in parameters
        ]
        for chosen in itertools.product(*values):
            given = {
                parameter.name: value
                for parameter, value in zip(parameters, chosen, strict=True)
                if value is not None
            }
            resolved = resolve(name, given, None)
            if isinstance(resolved, MailPreset):
                yield name, given, resolved.smtp[0].host


def test_the_policy_knows_the_host_of_every_provider(held: ControlPlane) -> None:
    wanted = list(choices())
    assert len({name for name, _, _ in wanted}) == len(providers())
    items: list[dict[str, Any]] = [
        {
            "apiVersion": API_VERSION,
            "kind": "MailServer",
            "metadata": {"name": f"s{number}"},
            "spec": {"provider": name, **({"parameters": given} if given else {})},
        }
        for number, (name, given, _) in enumerate(wanted)
    ]
    with tenant(held, mail_hosts="") as made:
        made.waits_for_refusal("MailServer", {"host": "smtp.example.com"}, "dialled")
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        said = made.run("create", "--dry-run=server", "-f", "-", input=text)
    found = re.findall(r"\"s(\d+)\".*?may not have the host (\S+) dialled", said)
    assert dict(found) == {str(number): host for number, (_, _, host) in enumerate(wanted)}

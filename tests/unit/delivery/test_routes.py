# SPDX-License-Identifier: Apache-2.0
"""Where mail goes, by a spec, a Secret and a Service: the address that the API server gave out, and
nothing that a name could lead elsewhere. What is in the way is tested with the dispatcher."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

import pytest

from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, parse
from postroom.controller.cache import Cache
from postroom.controller.world import ClusterWorld
from postroom.delivery import routes
from postroom.delivery.routes import Found
from postroom.delivery.sinks import http, jetstream
from postroom.delivery.sinks.choice import Destination
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile.account.messages.correspondents import Obstacle
from postroom.reconcile.world import NoTokens, Outbound
from unit.controller.inbound.office import judged
from unit.controller.inbound.statuses import SPEC, account

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Cluster:
    """Secrets, ConfigMaps and Services of one namespace."""

    def __init__(self, *, consent: bool = False, uses: str | None = None, **service: Any) -> None:
        self.consent, self.uses = consent, uses
        self.unwanted: Destination | None = None
        self.spec = {"clusterIP": "10.0.0.7", "ports": [{"port": 8080}], **service}

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any]:
        texts = {"current": KEY, "username": "u", "password": "p"}
        data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        annotations = {"postroom.dev/allowed-hosts": "imap.example.com"}
        if self.uses is not None:
            annotations["postroom.dev/allow"] = self.uses
        return {"metadata": {"name": name, "uid": "s", "annotations": annotations}, "data": data}

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return None

    async def service(self, namespace: str, name: str) -> Mapping[str, Any]:
        return {"spec": self.spec}

    def objection(self, destination: Destination, namespace: str) -> tuple[Reason, str] | None:
        assert namespace == "mail"
        return (Reason.SERVICE_NOT_USABLE, "No.") if destination == self.unwanted else None

    async def find(self, **deliver: Any) -> Found | Obstacle:
        raw = account(judged())
        asked = {**SPEC["inbound"]["deliver"], **deliver}
        asked = {name: value for name, value in asked.items() if value is not None}
        raw["spec"] = {**raw["spec"], "inbound": {"deliver": asked}}
        nobody = cast("Any", None)
        world = ClusterWorld(
            Cache(),
            self,
            Outbound(nobody, nobody, NoTokens()),
            OwnershipRules(),
            require_consent=self.consent,
        )
        resource = cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, raw))
        return await routes.find(resource, world, self, self.objection)


@pytest.mark.parametrize(
    ("address", "url"),
    [("10.0.0.7", "http://10.0.0.7:8080/mail"), ("fd00::7", "http://[fd00::7]:8080/mail")],
)
async def test_the_address_is_the_services_own(address: str, url: str) -> None:
    service = {"name": "tickets", "port": 8080, "path": "/mail"}
    found = await Cluster(clusterIP=address).find(service=service)
    assert isinstance(found, Found) and isinstance(found.destination, http.Destination)
    assert (str(found.destination.url), found.destination.name) == (url, "tickets.mail.svc")
    assert len(found.keys) == 1


async def test_a_stream_has_a_subject_and_no_key() -> None:
    stream = {"service": None, "signingKeyRef": None, "jetStream": {}}
    found = await Cluster().find(**stream)
    assert isinstance(found, Found)
    assert (found.destination, found.keys) == (jetstream.Subject("mail", "support"), ())


async def test_what_the_worker_has_something_against_is_in_the_way() -> None:
    cluster = Cluster()
    found = await cluster.find()
    assert isinstance(found, Found)
    cluster.unwanted = found.destination
    assert await cluster.find() == Obstacle(Reason.SERVICE_NOT_USABLE, "No.")


async def test_anything_that_is_another_one_makes_another_mark() -> None:
    service = SPEC["inbound"]["deliver"]["service"]
    marks = []
    for cluster, deliver in (
        (Cluster(), {}),
        (Cluster(clusterIP="10.0.0.8"), {}),
        (Cluster(), {"maxSize": "1Mi"}),
        (Cluster(), {"format": "CloudEvent"}),
        (Cluster(), {"start": "Backfill"}),
        (Cluster(), {"mailboxes": ["a"]}),
        (Cluster(), {"service": {**service, "path": "/other"}}),
        (Cluster(), {"service": {**service, "scheme": "HTTPS"}}),
    ):
        found = await cluster.find(**deliver)
        assert isinstance(found, Found)
        marks.append(found.mark)
    assert all(first != second for n, first in enumerate(marks) for second in marks[:n])
    again = await Cluster().find()
    assert isinstance(again, Found) and again.mark == marks[0]


@pytest.mark.parametrize(
    ("consent", "uses", "may"),
    [
        (False, None, True),
        (False, "binding", True),
        (True, None, False),
        (True, "binding, dkim-public-key", False),
        (True, "binding, inbound-signing", True),
    ],
)
async def test_a_secret_signs_only_as_its_owner_allows(
    consent: bool, uses: str | None, may: bool
) -> None:
    found = await Cluster(consent=consent, uses=uses).find()
    assert isinstance(found, Found) == may
    if isinstance(found, Obstacle):
        assert (found.reason, found.passing) == (Reason.REFERENCE_NOT_PERMITTED, False)
        assert "postroom.dev/allow: inbound-signing" in found.message


async def test_a_bundle_that_is_not_there_is_in_the_way() -> None:
    service = SPEC["inbound"]["deliver"]["service"]
    asked = {**service, "scheme": "HTTPS", "caBundleRef": {"name": "ca"}}
    found = await Cluster().find(service=asked)
    assert isinstance(found, Obstacle) and "caBundleRef" in found.message


def test_what_brings_an_account_back() -> None:
    raw = account({})
    service = {**SPEC["inbound"]["deliver"]["service"], "scheme": "HTTPS"}
    service["caBundleRef"] = {"kind": "ConfigMap", "name": "ca"}
    raw["spec"]["inbound"]["deliver"]["service"] = service
    found = routes.references_of(cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, raw)))
    assert {each.rpartition("/")[2] for each in found} == {"tickets-hook", "tickets", "ca"}
    del raw["spec"]["inbound"]
    assert not routes.references_of(cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, raw)))


def test_a_stream_needs_nothing_to_come_back() -> None:
    raw = account({})
    raw["spec"]["inbound"]["deliver"] = {"jetStream": {}}
    assert not routes.references_of(cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, raw)))

# SPDX-License-Identifier: Apache-2.0
"""Services of loopback: the API server takes the address, and who listens there is reached."""

from __future__ import annotations

import http.server
import threading
import urllib.request

from cluster.services import expose
from loopback import own_address
from postroom.lab.controlplane import ControlPlane


def test_a_service_leads_to_who_listens_at_its_address(plane: ControlPlane, namespace: str) -> None:
    address = own_address(21)
    server = http.server.HTTPServer((address, 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    expose(plane, namespace, "files", address, server.server_port)
    shown = "jsonpath=http://{.spec.clusterIP}:{.spec.ports[0].port}"
    url = plane.kubectl("get", "service", "files", "-n", namespace, "-o", shown).stdout
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        assert answer.status == 200
    server.shutdown()
    server.server_close()

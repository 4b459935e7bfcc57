# SPDX-License-Identifier: Apache-2.0
"""A connection to an API server, in this process."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 60
#: How often whoever is told to come later (429) does, as kubectl.
_PATIENCE = 30


class Client:
    """A connection to an API server, as the administrator of its kubeconfig."""

    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        place = urlsplit(server)
        assert place.hostname
        self._connection = http.client.HTTPSConnection(
            place.hostname, place.port, context=context, timeout=_SECONDS
        )

    def close(self) -> None:
        """Give the connection up; another request makes a new one."""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        written_as: str = "application/json",
    ) -> dict[str, Any]:
        """The answer, which must be a good one."""
        status, found = self.answer(method, path, body, {"Content-Type": written_as})
        assert status < 400, f"{method} {path}: {status} {found}"
        return found

    def answer(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Status and document of the answer, whatever it is."""
        sent = None if body is None else json.dumps(body)
        try:
            status, text = self._send(method, path, sent, headers)
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            # An idle connection that the server has closed, or one to a server before its restart.
            self._connection.close()
            status, text = self._send(method, path, sent, headers)
        for _ in range(_PATIENCE):
            if status != HTTPStatus.TOO_MANY_REQUESTS:
                break
            time.sleep(1)  # a server that has just begun, or a definition that was just replaced
            status, text = self._send(method, path, sent, headers)
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:  # "404 page not found", where nothing serves the path
            found = {"message": text.decode(errors="replace")}
        return status, found

    def _send(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        return answer.status, answer.read()

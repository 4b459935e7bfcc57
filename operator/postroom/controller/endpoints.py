# SPDX-License-Identifier: Apache-2.0
"""Where the kubelet and scrapers ask the operator: at one address, or at one for each."""

import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from postroom.controller import health as health_server
from postroom.controller.kubeconfig import own_namespace
from postroom.controller.scraping import Reviewer, ScrapePermission
from postroom.controller.served_names import ServedNames, search_domains
from postroom.controller.server_tls import CertificateUnusable, ServerTLS
from postroom.controller.status_page import PAGE_PATH, StatusPage, add_status_page
from postroom.metrics import Registry
from postroom.settings import Address, Settings, flag

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The operator cannot start; the text says what to do."""


class Endpoints:
    """The servers of /healthz, /readyz, /metrics and /ui.

    `reviewer` answers for the tokens of scrapers and readers; `spawn` keeps following a certificate
    alive; `status_page` is what /ui shows, if there is one.
    """

    def __init__(
        self,
        settings: Settings,
        health: health_server.Health,
        metrics: Registry,
        reviewer: Reviewer,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        status_page: StatusPage | None,
    ) -> None:
        self._settings, self._health, self._metrics = settings, health, metrics
        self._reviewer, self._spawn, self._page = reviewer, spawn, status_page
        self._runners: list[web.AppRunner] = []

    async def serve(self) -> None:
        """Listen; raises `StartError`."""
        settings = self._settings
        if settings.metrics_tls_directory is not None and settings.metrics_address is None:
            raise StartError(
                "--metrics-tls-directory needs --metrics-address: the kubelet's probes speak no TLS"
            )
        if settings.ui and settings.health_address is None and settings.metrics_address is None:
            raise StartError("--ui needs --health-address or --metrics-address")
        app = self._guarded(health_server.application(self._health))
        permission = None
        if settings.metrics_auth:
            permission = ScrapePermission(self._reviewer, health_server.METRICS_PATH)
        if settings.metrics_address is None:
            health_server.add_metrics(app, self._metrics, permission)
            self._add_page(app)
        if settings.health_address is not None:
            await self._listen(app, settings.health_address, "health_address")
        if settings.metrics_address is not None:
            metrics = self._guarded(web.Application())
            health_server.add_metrics(metrics, self._metrics, permission)
            self._add_page(metrics)
            await self._listen(metrics, settings.metrics_address, "metrics_address", self._tls())
        for field, whose in (("metrics_auth", "scrapers"), ("ui_auth", "readers")):
            if getattr(settings, field) and settings.metrics_tls_directory is None:
                logger.warning(
                    "%s without --metrics-tls-directory: tokens of %s come in clear",
                    flag(field),
                    whose,
                )

    def _guarded(self, app: web.Application) -> web.Application:
        """Answer under no stranger's name what is shown without a token."""
        settings = self._settings
        asking = {health_server.METRICS_PATH: settings.metrics_auth, PAGE_PATH: settings.ui_auth}
        names = ServedNames(settings.allow_http_hosts, own_namespace(), search_domains())
        app.middlewares.append(names.guard([path for path, asks in asking.items() if asks]))
        return app

    def _add_page(self, app: web.Application) -> None:
        """Serve /ui beside /metrics, where it is asked for."""
        if self._settings.ui and self._page is not None:
            asked = self._settings.ui_auth
            permission = ScrapePermission(self._reviewer, PAGE_PATH) if asked else None
            add_status_page(app, self._page, permission)

    def _tls(self) -> ssl.SSLContext | None:
        directory = self._settings.metrics_tls_directory
        if directory is None:
            return None
        try:
            served = ServerTLS(directory)
        except CertificateUnusable as error:
            raise StartError(f"{flag('metrics_tls_directory')}: {error}") from None
        self._spawn(served.follow())
        return served.context

    async def _listen(
        self, app: web.Application, where: Address, field: str, tls: ssl.SSLContext | None = None
    ) -> None:
        try:
            self._runners.append(await health_server.serve(app, *where, tls))
        except OSError as error:
            raise StartError(
                f"nothing can listen on {where[0]}:{where[1]} ({error.strerror}): "
                f"choose another {flag(field)}, or off"
            ) from None

    async def close(self) -> None:
        """Stop listening."""
        while self._runners:
            await self._runners.pop().cleanup()
        if self._page is not None:
            await self._page.close()

# SPDX-License-Identifier: Apache-2.0
"""The lab's submission server (aiosmtpd): STARTTLS or implicit TLS, AUTH only over TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from postroom.lab.mailboxes import Accounts

#: aiosmtpd tells there, at every session, that it cannot see our TLS and that it is deprecating
#: things of its own.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class _Delivery:
    """Takes mail for accounts of the lab, and no other."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        known = [one for one in envelope.rcpt_tos if self._accounts.deliver(one, content)]
        return "250 2.0.0 delivered" if known else "550 5.1.1 nobody of that name in this lab"


class LabSmtp:
    """One listener."""

    def __init__(
        self,
        accounts: Accounts,
        context: ssl.SSLContext,
        address: str,
        port: int,
        *,
        implicit: bool,
    ) -> None:
        self._accounts, self._context = accounts, context
        self._address, self._port, self._implicit = address, port, implicit
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; raises `OSError` where the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(
            self._session,
            self._address,
            self._port,
            ssl=self._context if self._implicit else None,
        )

    def _session(self) -> SMTP:
        with warnings.catch_warnings():
            # aiosmtpd cannot see that the transport is TLS already, and warns at every session.
            warnings.simplefilter("ignore")
            return SMTP(
                _Delivery(self._accounts),
                hostname="smtp.mail.example.org",
                ident="postroom lab",
                tls_context=None if self._implicit else self._context,
                require_starttls=False,
                auth_require_tls=not self._implicit,
                auth_required=True,
                authenticator=self._authenticate,
                enable_SMTPUTF8=True,
            )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        if isinstance(data, LoginPassword) and self._accounts.authenticate(
            data.login.decode(errors="replace"), data.password.decode(errors="replace")
        ):
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

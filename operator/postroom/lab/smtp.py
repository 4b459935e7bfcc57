# SPDX-License-Identifier: Apache-2.0
"""The lab's submission server (aiosmtpd): STARTTLS or implicit TLS, AUTH only over TLS."""

import asyncio
import logging
import ssl
import warnings
from collections.abc import Collection, Mapping

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from postroom.lab.mailboxes import Accounts

#: aiosmtpd tells there, at every session, that it cannot see our TLS and that it is deprecating
#: things of its own.
logging.getLogger("mail.log").setLevel(logging.ERROR)


#: Octets of a message; announced as SIZE.
SIZE_LIMIT = 10 * 1024 * 1024
#: login -> the addresses that it may send as, all in lowercase.
Senders = Mapping[str, Collection[str]]


class _Delivery:
    """Takes mail for accounts of the lab, and no other; `senders` as in `LabSmtp`."""

    def __init__(self, accounts: Accounts, senders: Senders | None) -> None:
        self._accounts = accounts
        self._senders = senders

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Judge the sender, too: like Postfix, which waits for the recipient before it does."""
        login, sender = str(session.auth_data), envelope.mail_from or ""
        if self._senders is not None and sender.lower() not in self._senders.get(login, ()):
            return f"553 5.7.1 <{sender}>: Sender address rejected: not owned by user {login}"
        if not self._accounts.knows(address):
            return f"550 5.1.1 <{address}>: Recipient address rejected: nobody in this lab"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        known = [
            recipient
            for recipient in envelope.rcpt_tos
            if self._accounts.deliver(recipient, content)
        ]
        return "250 2.0.0 delivered" if known else "550 5.1.1 nobody of that name in this lab"


class LabSmtp:
    """One listener.

    `senders` says who may send as what; without it everyone may send as anyone.
    """

    def __init__(
        self,
        accounts: Accounts,
        context: ssl.SSLContext,
        address: str,
        port: int,
        *,
        implicit: bool,
        senders: Senders | None = None,
        size_limit: int = SIZE_LIMIT,
    ) -> None:
        self._senders, self._size_limit = senders, size_limit
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
                _Delivery(self._accounts, self._senders),
                data_size_limit=self._size_limit,
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
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        login = data.login.decode(errors="replace").lower()
        if self._accounts.authenticate(login, data.password.decode(errors="replace")):
            return AuthResult(success=True, auth_data=login)
        return AuthResult(success=False, handled=False)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

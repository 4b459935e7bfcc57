# SPDX-License-Identifier: Apache-2.0
"""The sinks of a process: what all accounts share of them, and the one for each destination."""

from collections.abc import Callable, Sequence
from datetime import datetime

from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.delivery.contract import Sink
from postroom.delivery.events import Format
from postroom.delivery.sinks import http, jetstream
from postroom.mail.connect import guard
from postroom.mail.connect.tls import TrustStore

_NO_STREAM = (
    "spec.inbound.deliver.jetStream asks for a stream, and postroom deliver was given none: have "
    "an administrator give it --nats-url, or name a Service."
)
#: Where an account's messages go.
Destination = http.Destination | jetstream.Subject


class Sinks:
    """Makes sinks; `close` ends what they share.

    `nats` is the server of streams, None where there is none; `policy` says what may be dialled.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        trusts: TrustStore | None = None,
        nats: jetstream.Server | None = None,
        policy: guard.DialPolicy | None = None,
    ) -> None:
        self._policy = policy or guard.DialPolicy()
        self._now, self._trusts = now, trusts or TrustStore()
        self._streams = jetstream.Connection(nats) if nats is not None else None
        self._session = http.open_session()

    def objection(self, destination: Destination, namespace: str) -> tuple[Reason, str] | None:
        """Why nothing is handed to a destination of a namespace; None where it is."""
        if isinstance(destination, http.Destination):
            denied = guard.judge_addresses(
                destination.name, [destination.address], namespace, self._policy
            )
            return (Reason.SERVICE_NOT_USABLE, denied.sentence) if denied is not None else None
        return (Reason.SINK_NOT_CONFIGURED, _NO_STREAM) if self._streams is None else None

    def sink(self, destination: Destination, keys: Sequence[Masked], written_as: Format) -> Sink:
        """The sink of one account's destination."""
        if isinstance(destination, http.Destination):
            return http.HttpSink(
                self._session, destination, keys, self._now, written_as, self._trusts
            )
        if self._streams is None:
            raise ValueError("no stream was asked for")
        return jetstream.JetStreamSink(self._streams, destination, written_as)

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()
        if self._streams is not None:
            await self._streams.close()

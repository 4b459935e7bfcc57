# SPDX-License-Identifier: Apache-2.0
"""The certificate that the operator's own listener shows: a mounted Secret of kubernetes.io/tls."""

import asyncio
import logging
import ssl
from pathlib import Path

logger = logging.getLogger(__name__)

#: Seconds; the kubelet takes about a minute to bring a changed Secret.
_LOOK_EVERY = 30.0


class CertificateUnusable(Exception):
    """The certificate or its key cannot be used; the text names the directory and says why."""


class ServerTLS:
    """A server-side TLS context (1.2 or newer) whose certificate follows its files."""

    def __init__(self, directory: Path) -> None:
        self._files = (directory / "tls.crt", directory / "tls.key")
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._loaded = self._content()
        self._load()

    async def follow(self) -> None:
        """Load the files again when they change, until cancelled; a bad change is logged once."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self.refresh()

    def refresh(self) -> None:
        """Load the files again if they have changed; new connections see the new certificate."""
        try:
            content = self._content()
            if content == self._loaded:
                return
            self._loaded = content
            self._load()
        except CertificateUnusable as error:
            logger.error("%s; the certificate before it stays in use", error)  # noqa: TRY400

    def _content(self) -> tuple[bytes, ...]:
        try:
            return tuple(file.read_bytes() for file in self._files)
        except OSError as error:
            name = Path(str(error.filename)).name
            raise CertificateUnusable(
                f"{self._files[0].parent}: {name} cannot be read ({error.strerror})"
            ) from None

    def _load(self) -> None:
        # Tried on a context of its own: a pair that does not match must not half replace the last.
        certificate, key = self._files
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
            self.context.load_cert_chain(certificate, key)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "not a PEM certificate with its key"
            raise CertificateUnusable(
                f"{certificate.parent}: tls.crt and tls.key cannot be used ({reason})"
            ) from None

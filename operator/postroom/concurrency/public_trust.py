# SPDX-License-Identifier: Apache-2.0
"""Contexts of TLS for clients, made of our own rules, and of the authorities that the system trusts
for whoever names none of their own.

A verdict must not depend on the interpreter, nor on what the system's configuration of OpenSSL or
the environment say of TLS; only whom to trust is theirs to say.
"""

import os
import re
import ssl
from functools import cache
from pathlib import Path

from postroom.concurrency.shortage import Shortage, shortage_in

#: The cipher suites that Python's own build has since 3.10. Distributions leave them to OpenSSL, as
#: Debian does, which takes some without forward secrecy.
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
#: What `Options` and `Protocol` in openssl.cnf can set, and OpenSSL before 3.0 sets by itself:
#: SSL_OP_LEGACY_SERVER_CONNECT, _ALLOW_UNSAFE_LEGACY_RENEGOTIATION and _IGNORE_UNEXPECTED_EOF.
_LOOSENED = 0x4 | 0x40000 | 0x80
_WITHOUT_VERSIONS = int(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1 | ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3)
#: How OpenSSL finds an authority in a directory: by the digest of its name.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


class NoAuthorities(Shortage):
    """The system trusts nobody, so that no certificate of a public authority can be judged."""

    fix = (
        "Install the package ca-certificates where postroom runs, or name a file of authorities in "
        "SSL_CERT_FILE."
    )

    def __init__(self) -> None:
        super().__init__("authorities")
        self.wrong = (
            "postroom itself finds no certificate authorities on its system, and could not judge a "
            "certificate; the look is repeated."
        )
        self.sentence = f"{self.wrong} {self.fix}"
        self.args = (self.sentence,)


def client_context() -> ssl.SSLContext:
    """Return a new context that verifies by our rules, and trusts nobody yet.

    Not ssl's default one: that writes the keys of all connections to a file which SSLKEYLOGFILE
    names, and fails where it cannot.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(CIPHERS)
    context.options = ssl.Options(int(context.options) & ~_LOOSENED)
    take_versions(context, ssl.TLSVersion.TLSv1_2)
    # As Python 3.13 has it: what the user names may be trusted, be it an intermediate or a leaf.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # As Python before 3.13 has it: many private authorities lack what RFC 5280 asks of them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def take_versions(context: ssl.SSLContext, lowest: ssl.TLSVersion) -> None:
    """Have a context take all versions from `lowest` on, and none before it."""
    context.options = ssl.Options(int(context.options) & ~_WITHOUT_VERSIONS)
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.minimum_version = lowest


def public_context() -> ssl.SSLContext:
    """Return a new context that trusts them; takes tens of milliseconds of CPU.

    Raises `Shortage` where we have not the means to read them, and where there are none.
    """
    context = client_context()
    context.load_default_certs()
    if context.cert_store_stats()["x509_ca"]:
        return context
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        # Of a file that it cannot open OpenSSL tells nobody, and a context that trusts none would
        # be kept.
        try:
            context.load_verify_locations(paths.cafile)
        except OSError as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
    if not context.cert_store_stats()["x509_ca"] and not _in_directories(paths.capath):
        raise NoAuthorities
    return context


def _in_directories(paths: str | None) -> bool:
    """Whether there are authorities in directories, which are opened when they are needed."""
    for directory in filter(None, (paths or "").split(os.pathsep)):
        try:
            if any(_HASHED.fullmatch(file.name) for file in Path(directory).iterdir()):
                return True
        except OSError as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
    return False


@cache
def suite_names() -> frozenset[str]:
    """The cipher suites that we accept, by OpenSSL's names for them."""
    return frozenset(str(suite["name"]) for suite in client_context().get_ciphers())

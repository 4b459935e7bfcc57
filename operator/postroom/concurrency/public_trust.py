# SPDX-License-Identifier: Apache-2.0
"""The certificate authorities that the system trusts, for whoever names none of their own."""

import ssl

from postroom.concurrency.shortage import shortage_in

#: The cipher suites that Python's own build has since 3.10. Distributions leave them to OpenSSL, as
#: Debian does, which takes some without forward secrecy: a verdict must not depend on the
#: interpreter.
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"


def public_context() -> ssl.SSLContext:
    """Return a new context that trusts them; takes tens of milliseconds of CPU.

    Raises `Shortage` where we have not the means to read them.
    """
    context = ssl.create_default_context()
    context.set_ciphers(CIPHERS)
    known = ssl.get_default_verify_paths().cafile
    if known and not context.cert_store_stats()["x509_ca"]:
        # Of a file that it cannot open OpenSSL tells nobody, and a context that trusts none would
        # be kept.
        try:
            context.load_verify_locations(known)
        except OSError as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
    return context

# SPDX-License-Identifier: Apache-2.0
"""The certificate authorities that the system trusts, for whoever names none of their own."""

import ssl

from postroom.concurrency.shortage import shortage_in


def public_context() -> ssl.SSLContext:
    """Return a new context that trusts them; takes tens of milliseconds of CPU.

    Raises `Shortage` where we have not the means to read them.
    """
    context = ssl.create_default_context()
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

# SPDX-License-Identifier: Apache-2.0
"""The system's authorities: read from where it says, and never passed over for want of means."""

from __future__ import annotations

import errno
import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from postroom.concurrency.public_trust import public_context
from postroom.concurrency.shortage import Shortage

Patch = pytest.MonkeyPatch


@pytest.fixture
def unread(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A file of authorities that OpenSSL has passed over."""
    file = tmp_path / "authorities.pem"
    monkeypatch.setattr(
        "ssl.create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    monkeypatch.setattr("ssl.get_default_verify_paths", lambda: SimpleNamespace(cafile=str(file)))
    return file


def test_the_system_says_whom_to_trust(tmp_path: Path, monkeypatch: Patch) -> None:
    file = tmp_path / "authorities.pem"
    trustme.CA(organization_name="a company").cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    context = public_context()
    (found,) = context.get_ca_certs()
    assert (("organizationName", "a company"),) in found["subject"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_file_that_was_passed_over_is_read_again(unread: Path) -> None:
    trustme.CA().cert_pem.write_to_path(unread)
    assert public_context().cert_store_stats()["x509_ca"] == 1


def test_where_there_is_no_such_file_nobody_is_trusted(unread: Path) -> None:
    assert not unread.exists()
    assert public_context().cert_store_stats()["x509_ca"] == 0


def test_a_want_of_means_is_told(unread: Path, monkeypatch: Patch) -> None:
    class Starved(ssl.SSLContext):
        def load_verify_locations(self, *_: object, **__: object) -> None:
            raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("ssl.create_default_context", lambda: Starved(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(Shortage):
        public_context()


def test_the_interpreter_does_not_choose_the_cipher_suites() -> None:
    """Debian's Python takes some that python.org's does not, without forward secrecy."""
    left_to_openssl = ssl.create_default_context()
    left_to_openssl.set_ciphers("DEFAULT")
    names = {str(suite["name"]) for suite in public_context().get_ciphers()}
    assert names < {str(suite["name"]) for suite in left_to_openssl.get_ciphers()}
    assert [name for name in names if not name.startswith(("TLS_", "ECDHE-", "DHE-"))] == []
    assert [name for name in names if name.endswith("-SHA")] == []

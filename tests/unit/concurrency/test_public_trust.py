# SPDX-License-Identifier: Apache-2.0
"""The system's authorities: read from where it says, and never passed over for want of means."""

from __future__ import annotations

import errno
import os
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from postroom.concurrency.public_trust import NoAuthorities, public_context
from postroom.concurrency.shortage import Shortage, shortage_in

Patch = pytest.MonkeyPatch


@pytest.fixture
def unread(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A file of authorities that OpenSSL has passed over."""
    file = tmp_path / "authorities.pem"
    monkeypatch.setattr("ssl.SSLContext.load_default_certs", lambda *_: None)
    monkeypatch.setattr(
        "ssl.get_default_verify_paths",
        lambda: SimpleNamespace(cafile=str(file), capath=str(tmp_path / "none")),
    )
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


NONE = {"missing": None, "empty": b"", "no PEM": b"canary", "a key": trustme.CA().private_key_pem}


@pytest.mark.parametrize("name", NONE)
def test_where_there_are_no_authorities_nobody_is_judged_by_them(name: str, unread: Path) -> None:
    """A context that trusts nobody would call the certificate of every server untrusted."""
    content = NONE[name]
    if content is not None:
        unread.write_bytes(content if isinstance(content, bytes) else content.bytes())
    with pytest.raises(NoAuthorities) as caught:
        public_context()
    assert shortage_in(caught.value) is caught.value
    assert "ca-certificates" in str(caught.value) and "limits" not in str(caught.value)


def test_authorities_of_a_directory_are_opened_when_they_are_needed(unread: Path) -> None:
    directory = unread.parent / "none"
    directory.mkdir()
    (directory / "README").touch()
    with pytest.raises(NoAuthorities):
        public_context()
    (directory / "0a1b2c3d.0").touch()
    assert public_context().cert_store_stats()["x509_ca"] == 0


def test_a_want_of_means_is_told(unread: Path, monkeypatch: Patch) -> None:
    class Starved(ssl.SSLContext):
        def load_verify_locations(self, *_: object, **__: object) -> None:
            raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(
        "postroom.concurrency.public_trust.client_context",
        lambda: Starved(ssl.PROTOCOL_TLS_CLIENT),
    )
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


#: What a verdict depends on, printed by an interpreter of its own: both are read when it begins.
_SETTINGS = """
import ssl
from postroom.mail.connect.handshake import _accepting_anything
from postroom.concurrency.public_trust import client_context, public_context
versions = int(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1 | ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3)
loosened = 0x4 | 0x40000 | 0x80
for made in client_context(), public_context(), _accepting_anything([]):
    options = int(made.options) & (versions | (loosened if made.verify_mode else 0x4))
    suites = [suite["name"] for suite in made.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    print(made.minimum_version, made.maximum_version, options, int(made.verify_flags))
    print(made.verify_mode, made.check_hostname, made.security_level, suites, made.keylog_filename)
"""
_CONFIGURED = """openssl_conf = all
[all]
ssl_conf = modules
[modules]
system_default = rules
[rules]
"""
#: Lines of openssl.cnf, as distributions and administrators set them, or of the environment.
ELSEWHERE = {
    "only new": "MinProtocol = TLSv1.3",
    "only old": "MaxProtocol = TLSv1.2\nMinProtocol = TLSv1",
    "without TLS 1.3": "Protocol = ALL, -TLSv1.3",
    "strict": "CipherString = DEFAULT@SECLEVEL=3",
    "loose": "CipherString = ALL:@SECLEVEL=0",
    "unsafe": "Options = UnsafeLegacyServerConnect, UnsafeLegacyRenegotiation",
    "keys": {"SSLKEYLOGFILE": "keys.log"},
    "keys nowhere": {"SSLKEYLOGFILE": "missing/keys.log"},
    "a time and a language": {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    return settings(tmp_path_factory.mktemp("usual"), {})


def settings(directory: Path, elsewhere: str | dict[str, str]) -> str:
    told = dict(elsewhere) if isinstance(elsewhere, dict) else {"OPENSSL_CONF": "openssl.cnf"}
    if isinstance(elsewhere, str):
        (directory / "openssl.cnf").write_text(f"{_CONFIGURED}{elsewhere}\n")
    ran = [sys.executable, "-c", _SETTINGS]
    return subprocess.run(
        ran, cwd=directory, env=os.environ | told, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("name", ELSEWHERE)
def test_neither_configuration_nor_environment_choose(
    name: str, tmp_path: Path, usual: str
) -> None:
    assert settings(tmp_path, ELSEWHERE[name]) == usual
    assert not list(tmp_path.glob("*.log")), "keys of connections are written nowhere"

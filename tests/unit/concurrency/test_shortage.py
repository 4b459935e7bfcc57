# SPDX-License-Identifier: Apache-2.0
"""Which errors tell of what this process lacks, whatever they are wrapped in, and which do not."""

from __future__ import annotations

import errno
import socket
import ssl
from types import SimpleNamespace

import aiohttp
import aiosmtplib
import pytest

from postroom.concurrency.shortage import LACKING, Shortage, shortage_in

#: All that this process can be short of, as it meets it.
WANTS: dict[str, BaseException] = {
    **{errno.errorcode[number]: OSError(number, "no") for number in LACKING},
    "MemoryError": MemoryError(),
    "threads": RuntimeError("can't start new thread"),
    "OpenSSL's memory": ssl.SSLError(1, "[SSL: MALLOC_FAILURE] malloc failure (_ssl.c:1000)"),
    "memory to look names up": socket.gaierror(socket.EAI_MEMORY, "no"),
    "one of several addresses": OSError("Multiple exceptions: [Errno 111] x, [Errno 24] y"),
}
#: What tells of the world, or of a bug.
OTHERS: dict[str, BaseException] = {
    **{
        errno.errorcode[number]: OSError(number, "no")
        for number in (
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.EPIPE,
            errno.ENETUNREACH,
            errno.EHOSTUNREACH,
            errno.ETIMEDOUT,
            errno.ENOENT,
        )
    },
    "silence": TimeoutError(),
    # The number of an error of OpenSSL is not one of the system's.
    "TLS": ssl.SSLError(errno.ENOMEM, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "no such name": socket.gaierror(socket.EAI_NONAME, "no"),
    "several addresses": OSError("Multiple exceptions: [Errno 111] x, [Errno 101] y"),
    "bug": RuntimeError("dictionary changed size during iteration"),
    "arithmetic": ZeroDivisionError(),
}


def raised(error: BaseException, cause: BaseException | None, *, hidden: bool) -> BaseException:
    """An error as it is where another one was handled."""
    try:
        try:
            raise cause or ValueError  # noqa: TRY301
        except BaseException:
            if hidden:
                raise error from None
            raise error  # noqa: B904 - that is what is tried
    except BaseException as found:
        return found


@pytest.mark.parametrize("want", WANTS.values(), ids=WANTS)
def test_a_want_of_ours_is_known_by_itself_and_within_others(want: BaseException) -> None:
    key = SimpleNamespace(host="h", port=443, ssl=True, is_ssl=True)
    wrapped = aiosmtplib.SMTPServerDisconnected("gone")
    wrapped.__cause__ = want
    found = [shortage_in(want), shortage_in(wrapped)]
    found += [shortage_in(raised(ValueError(), want, hidden=False))]
    found += [shortage_in(BaseExceptionGroup("several", [ZeroDivisionError(), want]))]
    if isinstance(want, OSError):
        found += [shortage_in(aiohttp.ClientConnectorError(key, want))]  # type: ignore[arg-type]
    for lack in found:
        assert lack is not None
        assert lack.sentence.startswith("postroom itself is short of ")
    assert shortage_in(Shortage("x")) is not None


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_tells_of_the_world_is_no_want_of_ours(other: BaseException) -> None:
    assert shortage_in(other) is None
    assert shortage_in(None) is None


def test_what_was_hidden_on_purpose_stays_hidden() -> None:
    assert shortage_in(raised(ConnectionResetError(), MemoryError(), hidden=True)) is None


def test_errors_that_lead_in_a_circle_come_to_an_end() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert shortage_in(first) is None


@pytest.mark.parametrize(("code", "doubtful"), [(20, True), (2, True), (10, False), (62, False)])
def test_an_issuer_that_could_not_be_opened_is_not_unknown(
    code: int, doubtful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrusted = ssl.SSLCertVerificationError("no")
    untrusted.verify_code = code
    key = SimpleNamespace(host="h", port=443, ssl=True, is_ssl=True)
    wrapped = aiohttp.ClientConnectorCertificateError(key, untrusted)  # type: ignore[arg-type]
    wrapped.__cause__ = untrusted
    assert shortage_in(untrusted) is None
    assert shortage_in(wrapped) is None

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "no")

    monkeypatch.setattr("os.open", none_left)
    assert (shortage_in(untrusted) is not None) is doubtful
    assert (shortage_in(wrapped) is not None) is doubtful

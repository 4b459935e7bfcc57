# SPDX-License-Identifier: Apache-2.0
"""Why a stream did not take a message: one clause for each error, without a word of the server."""

from __future__ import annotations

import ssl

import nats.errors
import nats.js.errors
import pytest

from postroom.delivery.sinks.nats_troubles import (
    PLAIN,
    NotStored,
    NotTaken,
    is_too_large,
    of_connecting,
    of_publishing,
)

SUBJECT = "postroom.mail.mail.support"
CANARY = "canary-7f3a"


def api(code: int, err_code: int | None) -> nats.js.errors.APIError:
    return nats.js.errors.APIError(code=code, err_code=err_code, description=CANARY)


@pytest.mark.parametrize(
    ("error", "complaints", "words"),
    [
        (nats.js.errors.NoStreamResponseError(CANARY), (), f"No stream of NATS takes {SUBJECT}"),
        (api(503, 10077), (), "is full"),
        (api(400, 10054), (), "The stream of NATS takes no message so large"),
        (nats.errors.MaxPayloadError(), (), "takes no message so large"),
        (api(400, 10060), (), f"Another stream of NATS takes {SUBJECT}"),
        (api(503, 10023), (), "no room left"),
        (api(500, 10047), (), "no room left"),
        (api(503, 10039), (), "JetStream is not available"),
        (api(503, 10008), (), "JetStream is not available"),
        (api(500, 10999), (), "(JetStream error 10999)"),
        (api(500, None), (), "(JetStream error 500)"),
        (nats.js.errors.BucketNotFoundError(), (), "no Object Store"),
        (nats.errors.TimeoutError(), (), "does not acknowledge"),
        (
            nats.errors.TimeoutError(),
            (f'nats: Permissions Violation for Publish to "{SUBJECT}"',),
            f"lets postroom not publish {SUBJECT}",
        ),
        (
            nats.errors.TimeoutError(),
            ('nats: Permissions Violation for Publish to "postroom.mail.other.account"',),
            "does not acknowledge",
        ),
        (
            nats.errors.TimeoutError(),
            ('nats: Permissions Violation for Publish to "$O.mail.C.x"',),
            "not write into the Object Store",
        ),
        (nats.errors.ConnectionClosedError(), (), "ends the connection"),
        (BrokenPipeError(CANARY), (), "ends the connection"),
        (KeyError(CANARY), (), "that is no stream"),
        (ValueError(CANARY), (), "that is no stream"),
        (NotTaken("A clause"), (), "A clause"),
        # What stands for large messages is another stream: nobody raises the limits of this one.
        (NotStored(api(503, 10077)), (), "The Object Store of --nats-object-store is full"),
        (NotStored(api(400, 10054)), (), "The Object Store of --nats-object-store takes no piece"),
        (NotStored(api(404, 10059)), (), "no Object Store"),
        (NotStored(nats.js.errors.NoStreamResponseError(CANARY)), (), "no Object Store"),
        (NotStored(api(503, 10023)), (), "no room left"),
        (NotStored(api(500, 10999)), (), "(JetStream error 10999)"),
        (NotStored(nats.errors.TimeoutError()), (), "does not acknowledge"),
        (RuntimeError(CANARY), (), "NATS refuses the message"),
    ],
)
def test_each_error_has_its_clause(
    error: Exception, complaints: tuple[str, ...], words: str
) -> None:
    clause = str(of_publishing(error, SUBJECT, complaints))
    assert words in clause
    assert CANARY not in clause and clause[-1] not in ".;"


@pytest.mark.parametrize(
    ("error", "by_size"),
    [
        (api(400, 10054), True),
        (nats.errors.MaxPayloadError(), True),
        (api(503, 10077), False),
        (nats.errors.TimeoutError(), False),
        (NotStored(api(400, 10054)), False),
    ],
)
def test_what_is_not_taken_for_its_size_is_told_from_the_rest(
    error: Exception, by_size: bool
) -> None:
    assert is_too_large(error) is by_size


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([ConnectionRefusedError(), nats.errors.NoServersError()], "cannot be reached"),
        ([TimeoutError()], "cannot be reached"),
        ([nats.errors.Error("nats: 'Authorization Violation'")], "does not let postroom sign in"),
        ([nats.errors.AuthorizationError()], "does not let postroom sign in"),
        ([ssl.SSLCertVerificationError(CANARY), nats.errors.NoServersError()], "is not trusted"),
        ([ssl.SSLError(1, "TLSV13_ALERT_CERTIFICATE_REQUIRED")], "asks for a client certificate"),
        ([FileNotFoundError(CANARY)], "cannot be read"),
        ([ValueError(CANARY)], "cannot be read"),
        ([NotTaken(PLAIN), nats.errors.NoServersError()], "does not begin with TLS"),
    ],
)
def test_each_attempt_to_connect_has_its_clause(errors: list[Exception], words: str) -> None:
    clause = str(of_connecting(errors))
    assert words in clause
    assert CANARY not in clause and clause[-1] not in ".;"


def test_a_server_that_wants_a_certificate_may_just_end_the_connection() -> None:
    ended = [ConnectionResetError(CANARY), nats.errors.NoServersError()]
    assert "asks for a client certificate" in str(of_connecting(ended, wants_certificate=True))
    untrusted = [ssl.SSLCertVerificationError(CANARY)]
    assert "is not trusted" in str(of_connecting(untrusted, wants_certificate=True))

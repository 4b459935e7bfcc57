# SPDX-License-Identifier: Apache-2.0
"""Signing in on another device: the device authorization grant (RFC 8628)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postroom.api.masked import Masked
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import TokenFailure, failure_from, no_answer_failure
from postroom.mail.oauth.endpoints import url_of
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.login import FLOW, LoginRequest, SignedIn, signed_in, too_late
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.oauth.tokens import Exchange

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds between questions, where the server does not say, and what it may say (RFC 8628 3.2).
_INTERVAL, _SHORTEST, _LONGEST = 5.0, 1.0, 60.0
#: Seconds to add when the server finds us too eager (RFC 8628 section 3.5).
_SLOWER = 5.0
_LONGEST_WAIT = 1800.0
_TEXT_LIMIT = 256

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person must enter where; times are in seconds."""

    user_code: str
    verification_uri: str
    device_code: Masked
    interval: float
    lasts: float


async def begin(exchange: Exchange, request: LoginRequest) -> DeviceCode | TokenFailure:
    """A code that a person can enter, fresh from the server."""
    form = request.form("", {})
    form.open["scope"] = request.asked_scopes
    url = url_of(request.endpoints.device_url, request.tenant)
    answer = await exchange.post(url, form, ca_bundle=request.ca_bundle)
    if isinstance(answer, NoAnswer):
        return no_answer_failure(answer)
    code = _code_from(answer) if answer.status == 200 else None
    return code or failure_from(answer, request.provider, FLOW)


def _code_from(answer: TokenAnswer) -> DeviceCode | None:
    document = answer.document or {}
    texts = [document.get(name) for name in ("user_code", "verification_uri", "device_code")]
    code, uri, device = (text if isinstance(text, str) else "" for text in texts)
    plain = all(
        text and text.isascii() and text.isprintable() and len(text) <= _TEXT_LIMIT
        for text in (code, uri)
    )
    if not (plain and device and uri.startswith("https://")):
        return None
    interval = _seconds(document.get("interval"), _INTERVAL)
    return DeviceCode(
        user_code=code,
        verification_uri=uri,
        device_code=Masked(device),
        interval=min(max(interval, _SHORTEST), _LONGEST),
        lasts=min(_seconds(document.get("expires_in"), _LONGEST_WAIT), _LONGEST_WAIT),
    )


def _seconds(value: object, unsaid: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return unsaid
    # An integer of JSON may be too large for a float.
    return float(value) if 0 < value < 1e9 else unsaid


async def finish(
    exchange: Exchange,
    request: LoginRequest,
    code: DeviceCode,
    *,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> SignedIn | TokenFailure:
    """What comes of a code, polled until the person has signed in, declined, or it has expired.

    An outage in between only slows us down.
    """
    url = url_of(request.endpoints.token_url, request.tenant)
    form = request.form(_GRANT, {"device_code": code.device_code})
    interval, ends = code.interval, clock() + code.lasts
    while clock() < ends:
        await sleep(interval)
        answer = await exchange.post(url, form, ca_bundle=request.ca_bundle)
        got = signed_in(answer, request)
        if isinstance(got, SignedIn) or got.conclusive:
            return got
        if got.reason is not OAuthReason.LOGIN_PENDING:
            interval = min(max(interval + _SLOWER, got.retry_after or 0.0), _LONGEST)
    return too_late()

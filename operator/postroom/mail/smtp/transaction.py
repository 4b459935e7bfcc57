# SPDX-License-Identifier: Apache-2.0
"""What mail transactions have in common: what ends one early is no failure of the session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiosmtplib import SMTPResponse

from postroom.api.mailserver import ProbeStage
from postroom.mail.connect.dial import Failure
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.replies import Stage, enhanced_code
from postroom.mail.smtp.session import SmtpSession


async def interruption(
    session: SmtpSession, seconds: float, transaction: Awaitable[None]
) -> Answer | None:
    """The answer to what a transaction did not come to in its time; None where it came to all."""
    session.state.stage = ProbeStage.DONE
    try:
        async with asyncio.timeout(seconds):
            await transaction
    except Failure as failure:
        end = failure
    except TimeoutError:
        end = session.state.silent()
    else:
        return None
    return Answer(Acceptance.UNKNOWN, end.reason, end.message, end.code, end.enhanced_code)


def refusal(session: SmtpSession, stage: Stage, reply: SMTPResponse) -> Failure:
    """The end of a transaction by an error reply."""
    meaning, message = session.meaning(stage, reply)
    code, enhanced = reply.code, enhanced_code(reply.message)
    return Failure(session.state.stage, meaning.reason, message, meaning.conclusive, code, enhanced)

# SPDX-License-Identifier: Apache-2.0
"""The test message that somebody asks for by annotation: one for each new value of it."""

from datetime import timedelta

from postroom.api.account_messages import LastTest, MessageInFlight
from postroom.api.fields import is_email_address
from postroom.api.reasons import Reason
from postroom.mail.round_trip.compose import Purpose
from postroom.reconcile.account.messages import correspondents, overdue, results
from postroom.reconcile.account.messages import flight as flights
from postroom.reconcile.account.messages.flight import Progress
from postroom.reconcile.account.steps import AccountView, Contribution


async def step(view: AccountView) -> Contribution:
    """Begin the test that is asked for, or go on with the one that is under way."""
    metadata, last = view.resource.metadata, view.resource.status.last_test
    if last is not None and last.in_flight is not None:
        flight = last.in_flight
        parties = correspondents.Correspondents(
            await correspondents.sender_of(view), _receiver(flight.recipient, view)
        )
        progress = await flights.advance(flight, Purpose.SEND_TEST, parties, view)
        return _contribution(last.nonce, progress, view, overdue.left_behind(flight, progress))
    nonce, recipient = metadata.send_test, metadata.send_test_to or view.resource.spec.address
    if nonce is None or (last is not None and last.nonce == nonce):
        return await _corrected(last, view)
    spec, policy = view.resource.spec, view.world.outbound.messages
    own = {
        spec.address.lower(),
        *(identity.address.lower() for identity in spec.enabled_identities),
    }
    allowed = recipient.lower() in own or (policy is not None and policy.allows(recipient))
    # The annotation is of no schema, and so may be no address.
    if not (allowed and is_email_address(recipient.lower())):
        result = results.failed_before(
            recipient,
            view.world.now(),
            Reason.RECIPIENT_NOT_ALLOWED,
            "Test messages only go to the account itself, its identities and whom the operator "
            "allows: correct the annotation postroom.dev/send-test-to, then ask anew.",
        )
        return Contribution(fields={"last_test": LastTest(nonce=nonce, result=result)})
    wait = flights.not_before(view)
    if wait > timedelta():
        # It is not forgotten: one message in five minutes.
        progress = Progress(look_again=wait, waits=True)
    else:
        parties = correspondents.Correspondents(
            await correspondents.sender_of(view), _receiver(recipient, view)
        )
        progress = await flights.begin(recipient, parties, view)
    if not progress.waits:
        return _contribution(nonce, progress, view)
    what = "The test message that the annotation postroom.dev/send-test asks for"
    waiting = results.waiting("sendTest", what)
    return Contribution(
        fields={"last_test": last}, findings=waiting, look_again=progress.look_again
    )


async def _corrected(last: LastTest | None, view: AccountView) -> Contribution:
    """What is known of the last test, if nothing of it is under way."""
    if last is not None and last.overdue is not None:
        progress = await overdue.look(last, _receiver(last.overdue.recipient, view), view)
        changes = {"overdue": progress.in_flight, "result": progress.result or last.result}
        corrected = last.model_copy(update=changes)
        return Contribution(fields={"last_test": corrected}, look_again=progress.look_again)
    return Contribution(fields={"last_test": last})


def _receiver(
    recipient: str, view: AccountView
) -> correspondents.Receiver | correspondents.Obstacle | None:
    """The account's own mailbox, if the message goes there."""
    if recipient.lower() != view.resource.spec.address.lower():
        return None
    return correspondents.own_receiver(view)


def _contribution(
    nonce: str,
    progress: Progress,
    view: AccountView,
    left_behind: MessageInFlight | None = None,
) -> Contribution:
    last = LastTest(
        nonce=nonce, in_flight=progress.in_flight, result=progress.result, overdue=left_behind
    )
    fields = {**flights.noted(progress, view), "last_test": last}
    return Contribution(
        fields=fields, look_again=progress.look_again, announces_message=progress.announced
    )

# SPDX-License-Identifier: Apache-2.0
"""What servers' refusals and silences mean: a catalogue of data, never the server's own words.

`meaning_of_smtp` and `meaning_of_imap` judge replies, `meaning_of_cause` tells what was found
otherwise; `as_text` reads octets of a reply, `normalised` makes a server's own text fit to be shown
beside the verdict, and `is_same_refusal` tells whether two of them are one refusal, told twice.
"""

from postroom.mail.replies.catalogue import causes, rows
from postroom.mail.replies.causes import Cause
from postroom.mail.replies.charsets import as_text
from postroom.mail.replies.meaning import (
    Circumstances,
    Meaning,
    enhanced_code,
    meaning_of_cause,
    meaning_of_imap,
    meaning_of_smtp,
)
from postroom.mail.replies.model import TRANSACTION, FailureClass, Protocol, SignIn, Stage
from postroom.mail.replies.server_text import normalised
from postroom.mail.replies.wording import is_same_refusal

__all__ = [
    "TRANSACTION",
    "Cause",
    "Circumstances",
    "FailureClass",
    "Meaning",
    "Protocol",
    "SignIn",
    "Stage",
    "as_text",
    "causes",
    "enhanced_code",
    "is_same_refusal",
    "meaning_of_cause",
    "meaning_of_imap",
    "meaning_of_smtp",
    "normalised",
    "rows",
]

# SPDX-License-Identifier: Apache-2.0
"""From a reply to its meaning: the first row of the catalogue that fits decides.

Where no row knows the words, the family decides that they are of, and last the code. What says
that it passes outranks what says that it stays: a limit of the server's is never a wrong password.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta

from postroom.api.reasons import Reason
from postroom.mail.replies import model
from postroom.mail.replies.catalogue import causes, rows_at
from postroom.mail.replies.causes import Cause
from postroom.mail.replies.families import family_of, is_riddle, passes, spoken, without_supposed
from postroom.mail.replies.waits import suggested_wait

_TEXT_LIMIT = 4096
#: Reasons that are a verdict on the credentials, which must not be tried again as they are.
_REFUSALS = frozenset(
    {Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED, Reason.ACCOUNT_LOCKED}
)

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_RESPONSE = re.compile(r"\s*\[([A-Za-z-]{1,32})")
#: What moves the cursor of a terminal or colours it (ECMA-48 section 5.4), and what is not seen at
#: all: words can hide in it. Other controls part words.
_UNSEEN = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,32}[ -/]{0,8}[@-~]|\x1b[ -/]{0,8}[0-~]"
    "|[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_CONTROLS = re.compile(r"[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
#: What blames the credentials, the recipient or nobody by name: not so if the server speaks of
#: something that passes. All other causes stay what they are, and pass.
_NOT_WHEN_PASSING = frozenset(
    {
        Cause.AUTHENTICATION_FAILED,
        Cause.OAUTH_TOKEN_REJECTED,
        Cause.WRONG_REGION_OR_APP_PASSWORD,
        Cause.GREETING_REJECTED,
        Cause.AUTH_NOT_OFFERED,
        Cause.MAILBOX_UNAVAILABLE,
        Cause.RECIPIENT_REJECTED,
        Cause.MESSAGE_REJECTED,
        Cause.SEND_REFUSED,
    }
)
#: What a code stands for that refuses a sign-in for whatever reason.
_GUESSED = frozenset({Cause.AUTHENTICATION_FAILED, Cause.OAUTH_TOKEN_REJECTED})
_TEMPORARY = {
    model.Stage.AUTH: Cause.AUTH_TEMPORARY_FAILURE,
    model.Stage.MAILBOX: Cause.MAILBOX_TEMPORARY_FAILURE,
    **dict.fromkeys((model.Stage.SEND, *model.TRANSACTION), Cause.SEND_TEMPORARY_FAILURE),
}
#: Response codes of IMAP after which the same may work later (RFC 5530 section 3), and one that
#: servers made up.
_PASSING_RESPONSES = frozenset(
    {
        "UNAVAILABLE",
        "INUSE",
        "LIMIT",
        "SERVERBUG",
        "OVERQUOTA",
        "CORRUPTION",
        "EXPUNGEISSUED",
        "THROTTLED",
    }
)
_STAYING_RESPONSES = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "CONTACTADMIN", "NOPERM"}
)
_SEES_NO_TLS = (
    "The session is over TLS already, and the server does not know: have whoever runs it, or what "
    "takes TLS off before it, tell it so."
)
_TAKES_NONE_THAT_IT_OFFERS = (
    "The server offers AUTH, and then takes none: have whoever runs it mend its AUTH settings."
)
_OFFERS_NONE_THAT_IT_WANTS = (
    "The server wants a sign-in before it takes mail, and offers none here: use the submission "
    "port (587 or 465), and set credentialsRef or oauth."
)
_CODES_DIFFER = "Read the server's log first: of its two codes one says yes, or that it passes."
_CODE_STAYS = "The code says that it stays, the words that it passes: it is taken as passing."
_WORDS_UNKNOWN = (
    "Read the server's words first, in its log if need be: postroom goes by the code here, and "
    "does not know what they say."
)
_CODE_PASSES = "The code says that it passes, the words that someone must act."


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known besides the reply.

    `provider` is the preset whose host it is, None if unknown; `sign_in` what was sent; and
    `app_password_shaped` whether the password looks like one of the provider's app passwords,
    None where that cannot be told. `encrypted` says that the session is over TLS for sure,
    `authenticated` that the server has accepted a sign-in in it, and `offered` whether it offers
    AUTH, None where that is not known.
    """

    stage: model.Stage = model.Stage.AUTH
    provider: str | None = None
    sign_in: model.SignIn = model.SignIn.PASSWORD
    app_password_shaped: bool | None = None
    encrypted: bool = False
    authenticated: bool = False
    offered: bool | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal means: the precise cause, the reason of the condition, and what to do.

    `wait` is how long to leave the server alone at least, None for the usual time; `row` the id
    of the row that decided, None for a signal; `response` the response code of IMAP by which it
    did. `needs_someone`: it is taken for passing, by its code, but its words say that someone must
    act. `unclear`: the code alone refuses the sign-in, beside words that nobody here knows, which
    may well tell of something that passes.
    """

    cause: Cause
    reason: Reason
    failure_class: model.FailureClass
    hint: str
    wait: timedelta | None = None
    row: str | None = None
    response: str | None = None
    needs_someone: bool = False
    unclear: bool = False

    @property
    def conclusive(self) -> bool:
        """Whether it will stay that way until someone changes something."""
        return self.failure_class.hard

    @property
    def refuses_credentials(self) -> bool:
        """Whether it is a verdict on the credentials, and not on how they were sent."""
        return self.reason in _REFUSALS

    @property
    def counts_as_refusal(self) -> bool:
        """Whether a server may count it towards a lock: what refuses credentials, and what does so
        in words, with a code that says that it passes."""
        in_words = self.needs_someone and self.reason is Reason.TEMPORARY_FAILURE
        return self.refuses_credentials or in_words


_USUAL = Circumstances()


def meaning_of_smtp(code: int, text: str, circumstances: Circumstances = _USUAL) -> Meaning:
    """What an error reply means (RFC 4954 section 6, RFC 5321 section 4.2).

    `text` may have several lines. A code that is none is judged as one of the class 5xx.
    """
    if not 400 <= code <= 599:
        code = 599
    reply = _Reply(model.Protocol.SMTP, _words(text), circumstances, str(code), enhanced_code(text))
    return _as_offered(_over_tls(_meaning_of(reply), circumstances), circumstances)


def meaning_of_imap(
    text: str, result: str = "NO", circumstances: Circumstances = _USUAL
) -> Meaning:
    """What NO, BAD or BYE means, by its response code (RFC 5530), else by its words.

    NO is the refusal of a login (RFC 9051 section 6.2.3). BAD is not: the server did not
    understand the command, or does not want to now. Any other result is judged as BAD.
    """
    found = _RESPONSE.match(text[:_TEXT_LIMIT])
    kind = model.Result(result) if result in set(model.Result) else model.Result.BAD
    reply = _Reply(
        model.Protocol.IMAP,
        _words(text),
        circumstances,
        result=kind,
        response=found[1].upper() if found else None,
    )
    return _over_tls(_meaning_of(reply), circumstances)


def meaning_of_cause(cause: Cause, hint: str = "") -> Meaning:
    """What a cause means that was found otherwise, such as by a check before dialling."""
    entry = causes()[cause]
    wait = timedelta(seconds=entry.wait) if entry.wait else None
    return Meaning(cause, entry.reason, entry.failure_class, hint or entry.remedy, wait)


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that a reply begins with (RFC 3463, RFC 2034)."""
    found = _ENHANCED.match(text)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class _Reply:
    """A reply, taken apart as far as rows look at it.

    `words` are lowercase, `stated` those of them that are not only supposed, `said` those that
    families look at.
    """

    protocol: model.Protocol
    words: str
    circumstances: Circumstances
    code: str = ""
    enhanced: str | None = None
    result: model.Result | None = None
    response: str | None = None
    stated: str = field(init=False)
    said: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stated", without_supposed(self.words))
        object.__setattr__(self, "said", without_supposed(spoken(self.words)))

    @property
    def codes_differ(self) -> bool:
        """Whether the enhanced code is of another class than 5xx, as it must not be (RFC 2034)."""
        return self.code[:1] == "5" and self.enhanced is not None and self.enhanced[0] != "5"

    @property
    def of_class(self) -> str | None:
        """The enhanced code as of the code's class: what it is about is right all the same."""
        return f"5{self.enhanced[1:]}" if self.enhanced and self.codes_differ else self.enhanced

    @property
    def code_stays(self) -> bool:
        """Whether the code says that it stays: 5xx, or AUTHENTICATIONFAILED and the like."""
        if self.protocol is model.Protocol.SMTP:
            return self.code.startswith("5")
        return self.response in _STAYING_RESPONSES

    @property
    def code_passes(self) -> bool:
        """Whether the code says that it passes; only NO refuses a login."""
        if self.protocol is model.Protocol.SMTP:
            return self.code.startswith("4")
        return self.result is not model.Result.NO or self.response in _PASSING_RESPONSES

    def fits(self, row: model.ReplyRow) -> bool:
        """Whether all that the row names is so, of which `rows_at` has seen to two."""
        about = self.circumstances
        return (
            (not row.codes or self.code in row.codes or f"{self.code[:1]}xx" in row.codes)
            and (not row.results or self.result in row.results)
            and row.enhanced in (None, self.enhanced, self.of_class)
            and row.response in (None, self.response)
            and row.sign_in in (None, about.sign_in)
            and row.app_password_shaped in (None, about.app_password_shaped)
            and not (row.in_the_clear and about.encrypted)
            and (not row.only_at_provider or row.provider == about.provider)
            and all(fragment in self.stated for fragment in row.text)
        )


def _meaning_of(reply: _Reply) -> Meaning:
    """Judge by a row that knows the words, else by their family, else by the code.

    Whichever it is, words that say that it passes outrank what says that it stays.
    """
    about, riddle, unclear = reply.circumstances, False, False
    specific, general = rows_at(reply.protocol, about.stage)
    row = next((candidate for candidate in specific if reply.fits(candidate)), None)
    if row is None:
        family = family_of(reply.protocol, about.stage, about.sign_in, reply.said)
        row = next((candidate for candidate in general if reply.fits(candidate)), None)
        if family is not None:
            soft = row and not (row.failure_class or causes()[row.cause].failure_class).hard
            # That a password is wrong tells less than a row that knows what stays, and than a code
            # that stands for nothing but what passes; an enhanced code alone is no such row.
            known = not (soft or (row and row.enhanced)) or reply.response in _PASSING_RESPONSES
            vague = family.cause is Cause.AUTHENTICATION_FAILED and known
            same = row and (row.cause is family.cause or vague)
            # Unless what the code means says as much as the words do.
            if not (same or (family.passing and soft)):
                return _weighed(_of_family(family, about), reply)
        if row is None:
            # A stage at which no command is sent: nothing there can be a reply.
            return meaning_of_cause(Cause.PROTOCOL_ERROR)
        guessed = row.cause in _GUESSED and family is None
        by_class = not row.hint or row.only_at_provider
        riddle = guessed and by_class and is_riddle(reply.said)
        unclear = guessed and (riddle or reply.codes_differ or row.codes == ("5xx",))
    meaning = _of_row(row, about)
    if unclear:
        first = _WORDS_UNKNOWN if riddle else _CODES_DIFFER if reply.codes_differ else ""
        meaning = replace(meaning, hint=f"{first} {meaning.hint}".strip(), unclear=True)
    if not meaning.conclusive:
        return replace(meaning, wait=suggested_wait(reply.words) or meaning.wait)
    by_code = reply.response in _PASSING_RESPONSES and row.response is None
    # A sign-in that is refused by one of two codes is refused; a message may go another time.
    another_time = about.stage in _TEMPORARY and about.stage is not model.Stage.AUTH
    by_code |= reply.codes_differ and another_time
    return _softened(meaning, reply, (*row.text, *row.despite), by_code=by_code)


def _of_row(row: model.ReplyRow, about: Circumstances) -> Meaning:
    meaning = replace(_meant(row.cause, row.hint, about), row=row.id, response=row.response)
    if meaning.cause is not row.cause:
        return meaning
    return replace(
        meaning,
        reason=row.reason or meaning.reason,
        failure_class=row.failure_class or meaning.failure_class,
        wait=timedelta(seconds=row.wait) if row.wait else meaning.wait,
    )


def _of_family(family: model.FamilyEntry, about: Circumstances) -> Meaning:
    return replace(_meant(family.cause, family.hint, about), row=family.id)


def _meant(cause: Cause, hint: str, about: Circumstances) -> Meaning:
    """What a cause means with the sign-in that was accepted, if one was."""
    if about.authenticated:
        entry = causes()[cause]
        if entry.after_sign_in is not None:
            return meaning_of_cause(entry.after_sign_in)
        hint = hint or entry.remedy_after_sign_in or ""
    return meaning_of_cause(cause, hint)


def _as_offered(meaning: Meaning, circumstances: Circumstances) -> Meaning:
    """What is said of AUTH, held against what the server offers."""
    offered = circumstances.offered
    if meaning.cause is Cause.AUTH_NOT_OFFERED and offered:
        return replace(meaning, hint=_TAKES_NONE_THAT_IT_OFFERS)
    if meaning.cause is Cause.AUTH_NOT_ACCEPTED and offered is False:
        return replace(meaning, hint=_OFFERS_NONE_THAT_IT_WANTS)
    return meaning


def _over_tls(meaning: Meaning, circumstances: Circumstances) -> Meaning:
    """What demands TLS over TLS asks for nothing that the client could change."""
    if meaning.cause is not Cause.AUTH_REQUIRES_TLS or not circumstances.encrypted:
        return meaning
    return replace(meaning, hint=_SEES_NO_TLS)


def _weighed(meaning: Meaning, reply: _Reply) -> Meaning:
    """Hold what the words mean against the code: the softer of the two counts, and it is said."""
    if not meaning.conclusive:
        wait = suggested_wait(reply.words) or meaning.wait
        hint = f"{meaning.hint} {_CODE_STAYS}" if reply.code_stays else meaning.hint
        return replace(meaning, hint=hint, wait=wait)
    softened = _softened(meaning, reply)
    if softened.conclusive and reply.code_passes:
        hint = f"{meaning.hint} {_CODE_PASSES}"
        reason = Reason.TEMPORARY_FAILURE if meaning.refuses_credentials else meaning.reason
        return replace(
            meaning,
            failure_class=model.FailureClass.THROTTLED,
            reason=reason,
            hint=hint,
            needs_someone=True,
        )
    return softened


def _softened(
    meaning: Meaning, reply: _Reply, explained: tuple[str, ...] = (), *, by_code: bool = False
) -> Meaning:
    """Take what would stay for passing where the words say so, or a response code that the row
    does not look at; `explained` is what a row knows."""
    # Here also what is only supposed counts: in doubt it passes.
    said = spoken(reply.words)
    if not (by_code or passes(said, explained)):
        return meaning
    wait = suggested_wait(reply.words)
    if meaning.cause in _NOT_WHEN_PASSING:
        # A passing limit is never a wrong password.
        about = reply.circumstances
        family = family_of(reply.protocol, about.stage, about.sign_in, without_supposed(said))
        passing = _of_family(family, about) if family is not None else meaning
        if passing.conclusive:
            cause = _TEMPORARY.get(about.stage, Cause.SERVER_BUSY)
            passing = replace(meaning_of_cause(cause), row=meaning.row)
        hint = f"{passing.hint} {_CODE_STAYS}" if reply.code_stays else passing.hint
        return replace(passing, hint=hint, wait=wait or passing.wait)
    return replace(
        meaning,
        reason=Reason.TEMPORARY_FAILURE,
        failure_class=model.FailureClass.THROTTLED,
        hint=meaning.hint if by_code else f"{meaning.hint} {_CODE_STAYS}",
        wait=wait or meaning.wait,
    )


def _words(text: str) -> str:
    """Join the lines of a reply, in which a sentence may run on after a repeated code."""
    lines = _CONTROLS.sub(" ", _UNSEEN.sub("", text[:_TEXT_LIMIT])).splitlines()
    code = enhanced_code(text)
    if code:
        lines = lines[:1] + [line.strip().removeprefix(code) for line in lines[1:]]
    return " ".join(" ".join(lines).lower().split())

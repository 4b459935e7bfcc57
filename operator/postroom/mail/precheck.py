# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an attempt that can be told before anything is dialled, without a network.

What blocks is certain; all else only warns, because a false alarm is worse than a miss: the server
itself has the last word.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

from postroom.api.credentials_reference import PLACEHOLDERS
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.presets import identify, nearly, preset, providers
from postroom.mail.presets.model import Preset, SignInWay, UsernameForm
from postroom.mail.replies import Cause, Protocol
from postroom.mail.report import Login

#: What the standards say of ports (RFC 8314 section 7.3, RFC 9051 section 2.1).
_STANDARD_MODES = {
    465: TLSMode.IMPLICIT,
    993: TLSMode.IMPLICIT,
    25: TLSMode.START_TLS,
    143: TLSMode.START_TLS,
    587: TLSMode.START_TLS,
}
#: What nobody sees: soft hyphens, zero-width characters, and the byte order mark of editors.
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
_QUOTED = re.compile(r"\"[^\"]+\"|'[^']+'|[\u201c\u201e][^\u201c-\u201e]+[\u201c\u201d]|`[^`]+`")
#: Shorter texts are base64 of something that can be read by chance.
_ENCODED_LEAST = 12
#: Nothing that a shape describes is longer.
_PASSWORD_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is about to be tried.

    `provider` is the preset that the spec names, None where it names none; `login` is None where
    nobody signs in with a password; `token` whether it is done with OAuth.
    """

    protocol: Protocol
    host: str
    port: int
    tls: TLSMode
    login: Login | None = None
    token: bool = False
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class PreCheck:
    """One thing that is wrong, or looks so.

    `place` is the field or key to change; `sentence` repeats nothing of the credentials. What
    `blocks` cannot work, and is not to be tried.
    """

    cause: Cause
    place: str
    sentence: str
    blocks: bool


def precheck(attempt: Attempt) -> tuple[PreCheck, ...]:
    """Look for what cannot work, or hardly can: what blocks comes first. Pure."""
    found = [*_of_host(attempt), *_of_port(attempt)]
    chosen = preset_of(attempt)
    if chosen is not None:
        found += _of_way(attempt, chosen)
    if attempt.login is not None:
        found += _of_white_space(attempt.login)
        found += _of_handling(attempt.login)
        if chosen is not None:
            found += _of_username(attempt.protocol, chosen, attempt.login.username)
            found += _of_password(attempt.protocol, chosen, attempt.login.password)
    return tuple(sorted(found, key=lambda check: not check.blocks))


def preset_of(attempt: Attempt) -> Preset | None:
    """Find the preset of an attempt: the one that the spec names, else the host's."""
    name = attempt.provider or identify(attempt.host)
    try:
        return preset(name) if name else None
    except KeyError:
        return None


def app_password_shaped(chosen: Preset | None, password: Masked) -> bool | None:
    """Whether a password looks like one of the provider's; None where nothing is known.

    Spaces do not count: providers show app passwords in groups.
    """
    if chosen is None or chosen.password is None or chosen.password.shape is None:
        return None
    text = password.reveal().replace(" ", "")
    if len(text) > _PASSWORD_LIMIT:
        return False
    return re.fullmatch(chosen.password.shape, text) is not None


def _of_host(attempt: Attempt) -> Iterator[PreCheck]:
    owner = identify(attempt.host)
    if owner is not None and (attempt.login is not None or attempt.token):
        host = attempt.host.lower().removesuffix(".")
        for mistaken in preset(owner).mistaken:
            if mistaken.host == host:
                yield PreCheck(Cause.HOST_MISSPELLED, "host", mistaken.sentence, blocks=False)
    known = nearly(attempt.host) if attempt.provider is None else None
    if known is not None:
        sentence = f"The host is nearly {known}: correct its spelling if that is meant."
        yield PreCheck(Cause.HOST_MISSPELLED, "host", sentence, blocks=False)


def _of_port(attempt: Attempt) -> Iterator[PreCheck]:
    """Compare with what the provider serves, if the host is known, else with the standards."""
    name = identify(attempt.host)
    if name is None:
        wanted = _STANDARD_MODES.get(attempt.port)
        if wanted is not None and attempt.tls not in (wanted, TLSMode.NONE):
            sentence = (
                f"Port {attempt.port} is for {wanted.value}: set tls.mode to {wanted.value}, or "
                "use another port."
            )
            yield PreCheck(Cause.PORT_CONTRADICTS_TLS, "tls.mode", sentence, blocks=False)
        return
    chosen = preset(name)
    rows = chosen.smtp if attempt.protocol is Protocol.SMTP else chosen.imap
    here = [row for row in rows if row.port == attempt.port]
    if any(row.tls is attempt.tls for row in here):
        return
    if here and attempt.tls is not TLSMode.NONE:
        mode = here[0].tls.value
        sentence = f"{chosen.title} takes {mode} on port {attempt.port}: set tls.mode to {mode}."
        yield PreCheck(Cause.PORT_CONTRADICTS_TLS, "tls.mode", sentence, blocks=True)
    elif chosen.all_ports and not here and rows:
        served = sorted({(row.port, row.tls.value) for row in rows})
        offers = ", ".join(f"{port} ({mode})" for port, mode in served)
        sentence = f"{chosen.title} serves {offers}: use one of these."
        yield PreCheck(Cause.PORT_NOT_SERVED, "port", sentence, blocks=True)


def _of_way(attempt: Attempt, chosen: Preset) -> Iterator[PreCheck]:
    """Compare how one would sign in with the ways that the provider has."""
    ways = chosen.ways
    if attempt.protocol is Protocol.IMAP:
        if not chosen.imap:
            sentence = f"{chosen.title} has no IMAP: remove spec.imap."
            yield PreCheck(Cause.PROTOCOL_DISABLED, "imap", sentence, blocks=False)
            return
        ways = chosen.imap_ways or ways
    if attempt.login is not None and not attempt.token and set(ways) == {SignInWay.OAUTH}:
        sentence = (
            f"{chosen.title} takes no passwords over {attempt.protocol.value}: configure oauth."
        )
        yield PreCheck(Cause.BASIC_AUTH_DISABLED, "oauth", sentence, blocks=True)
    if attempt.token and SignInWay.OAUTH not in ways:
        sentence = f"{chosen.title} is not known to take OAuth tokens: use credentialsRef."
        yield PreCheck(Cause.AUTH_MECHANISM_UNSUPPORTED, "oauth", sentence, blocks=False)


def _of_white_space(login: Login) -> Iterator[PreCheck]:
    for key in login.trimmed:
        sentence = (
            f"The {key} ends with a line end. It is left out here, but others that read the Secret "
            "send it, and are refused: store it without, such as with printf or "
            "kubectl create secret --from-literal."
        )
        yield PreCheck(Cause.CREDENTIAL_HAS_WHITESPACE, key, sentence, blocks=False)
    for key, text in (("username", login.username), ("password", login.password.reveal())):
        if text != text.strip():
            sentence = (
                f"The {key} begins or ends with white space: remove it from the Secret if it does "
                "not belong there."
            )
            yield PreCheck(Cause.CREDENTIAL_HAS_WHITESPACE, key, sentence, blocks=False)


def _of_handling(login: Login) -> Iterator[PreCheck]:
    """What tools and templates make of a credential on its way into a Secret."""
    for key, text in (("username", login.username), ("password", login.password.reveal())):
        sentence = _handled(text[:_PASSWORD_LIMIT].strip())
        if sentence:
            yield PreCheck(Cause.CREDENTIAL_ALTERED, key, f"The {key} {sentence}.", blocks=False)


def _handled(text: str) -> str:
    """What a credential looks like that was altered; "" where it does not. Only guesses."""
    if _INVISIBLE.search(text):
        return (
            "holds a character that nobody sees, such as the byte order mark that some editors "
            "write first: type it anew, or store it with kubectl create secret --from-literal"
        )
    if _QUOTED.fullmatch(text):
        return (
            "stands between quotes, which a Secret takes for a part of it: remove them from the "
            "Secret if they do not belong there"
        )
    if PLACEHOLDERS.fullmatch(text):
        return "looks like the placeholder of a template: put the real one into the Secret"
    if _is_encoded(text):
        return (
            "looks like base64 of a text, as if it had been encoded twice: values of data are "
            "encoded once, those of stringData not at all"
        )
    return ""


def _is_encoded(text: str) -> bool:
    try:
        octets = base64.b64decode(text, validate=True).removesuffix(b"\n")
    except ValueError:
        return False
    return len(text) >= _ENCODED_LEAST and octets.isascii() and octets.decode().isprintable()


def _of_username(protocol: Protocol, chosen: Preset, username: str) -> Iterator[PreCheck]:
    rule = chosen.smtp_username if protocol is Protocol.SMTP else chosen.imap_username
    if rule is None or rule.pattern is None or re.fullmatch(rule.pattern, username[:512]):
        return
    sentence = f"The username for {chosen.title} must {rule.sentence}: correct it in the Secret."
    blocks = rule.form is UsernameForm.FIXED
    yield PreCheck(Cause.USERNAME_MUST_BE, "username", sentence, blocks)


def _of_password(protocol: Protocol, chosen: Preset, password: Masked) -> Iterator[PreCheck]:
    text = password.reveal()
    rule = chosen.password
    for wrong in rule.wrong_keys if rule is not None else ():
        if text.startswith(wrong.prefix):
            sentence = f"The password {wrong.sentence[0].lower()}{wrong.sentence[1:]}"
            yield PreCheck(Cause.WRONG_KEY_TYPE, "password", sentence, blocks=True)
            return
    keys = ((name, preset(name).password) for name in providers())
    owner = next(
        (name for name, key in keys if key and key.prefix and text.startswith(key.prefix)), None
    )
    if owner is not None and owner != chosen.name:
        sentence = (
            f"The password looks like a key of {preset(owner).title}, but is for {chosen.title}: "
            "correct the Secret or the host."
        )
        yield PreCheck(Cause.WRONG_KEY_TYPE, "password", sentence, blocks=False)
        return
    ways = (chosen.imap_ways if protocol is Protocol.IMAP else None) or chosen.ways
    if rule is None or not rule.required or set(ways) == {SignInWay.OAUTH}:
        return
    if app_password_shaped(chosen, password) is False:
        cause = (
            Cause.APP_PASSWORD_REQUIRED if SignInWay.APP_PASSWORD in ways else Cause.WRONG_KEY_TYPE
        )
        sentence = (
            f"The password is none that {chosen.title} makes for programs: create one and put it "
            f"into the Secret. {rule.description}"
        )
        yield PreCheck(cause, "password", sentence, blocks=False)

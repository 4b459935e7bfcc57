# SPDX-License-Identifier: Apache-2.0
"""``postroom auth login``: sign in to a mailbox as a person, and get the Secret for it."""

import asyncio
import re
import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from postroom.api.fields import EmailAddress, ObjectName
from postroom.api.masked import Masked
from postroom.api.oauth import ClientID, MicrosoftCloud, OAuthProvider, Scope, Tenant
from postroom.cli import auth_secret, terminal, usage
from postroom.cli.options import ExitCode, say, waiting
from postroom.mail.connect.dial import SystemResolver
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.oauth import device_code
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.endpoints import endpoints_of
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.login import LoginRequest, SignedIn, too_late
from postroom.mail.oauth.loopback import LoopbackLogin
from postroom.mail.oauth.tokens import Exchange

auth = typer.Typer(
    cls=usage.VerbGroup,
    name="auth",
    help="Sign in to a mailbox with OAuth, and get the Secret for it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    epilog=usage.examples("postroom", "auth"),
)

_SECRET_LIMIT = 4096


class Provider(StrEnum):
    """Whom a person can sign in with."""

    GOOGLE = "Google"
    MICROSOFT = "Microsoft"


class Method(StrEnum):
    """How a person signs in."""

    BROWSER = "Browser"
    DEVICE_CODE = "DeviceCode"


class BadInput(Exception):
    """The command line cannot be followed; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the Secret goes; `applied` says that it is written into a cluster."""

    name: str
    namespace: str
    applied: bool
    kubeconfig: Path | None
    context: str | None


@auth.callback()
def _root() -> None:
    """Sign in to a mailbox with OAuth, and get the Secret for it."""


_ProviderOption = Annotated[
    Provider, typer.Option(help="Whose mailbox it is.", case_sensitive=False)
]
_ClientIDOption = Annotated[str, typer.Option(help="ID of your OAuth client.")]
_AddressOption = Annotated[str, typer.Option(help="Address of the mailbox.")]
_SignedInAsOption = Annotated[
    str | None,
    typer.Option(help="Who signs in, where that is another than the (shared) mailbox."),
]
_ClientSecretFileOption = Annotated[
    Path | None,
    typer.Option(help="File with the client's secret; - for standard input. Google needs it."),
]
_TenantOption = Annotated[
    str | None, typer.Option(help="Microsoft tenant: ID or domain; default: common.")
]
_CloudOption = Annotated[
    MicrosoftCloud, typer.Option(help="Microsoft cloud.", case_sensitive=False)
]
_MethodOption = Annotated[
    Method | None,
    typer.Option(
        help="Browser (of this machine), or DeviceCode (of any; Microsoft only, its default).",
        case_sensitive=False,
    ),
]
_ScopeOption = Annotated[
    list[str] | None, typer.Option(help="Scope to ask for; default: those that mail needs.")
]
_OpenOption = Annotated[
    bool, typer.Option("--open", help="Open the browser, instead of only showing the page.")
]
_NameOption = Annotated[
    str | None, typer.Option(help="Name of the Secret; default: made from the address.")
]
_NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", help="Namespace of the Secret.")
]
_ApplyOption = Annotated[
    bool, typer.Option("--apply", help="Write the Secret into the cluster; else print it.")
]
_KubeconfigOption = Annotated[
    Path | None, typer.Option(help="Kubeconfig; default: KUBECONFIG.", dir_okay=False)
]
_ContextOption = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
SignInTimeout = Annotated[
    float,
    waiting("How long to wait for the sign-in, such as 5m; a bare number: seconds.", longest=1800),
]


@auth.command()
def login(
    provider: _ProviderOption,
    client_id: _ClientIDOption,
    address: _AddressOption,
    signed_in_as: _SignedInAsOption = None,
    client_secret_file: _ClientSecretFileOption = None,
    tenant: _TenantOption = None,
    cloud: _CloudOption = MicrosoftCloud.PUBLIC,
    method: _MethodOption = None,
    scope: _ScopeOption = None,
    open_browser: _OpenOption = False,
    name: _NameOption = None,
    namespace: _NamespaceOption = "default",
    applied: _ApplyOption = False,
    kubeconfig: _KubeconfigOption = None,
    context: _ContextOption = None,
    timeout: SignInTimeout = 600,
) -> None:
    """Sign in as the mailbox's owner, check who signed in, and print or apply the Secret.

    The Secret goes to standard output, all else to standard error. Exits 0 when signed in, 1 when
    not, 2 on bad input.
    """
    try:
        request = _request(
            OAuthProvider(provider.value),
            client_id,
            signed_in_as or address,
            _client_secret(client_secret_file),
            tenant,
            cloud,
            tuple(scope or ()),
        )
        way = _way(request.provider, method)
        target = Target(
            _checked(ObjectName, name or secret_name(address), "--name"),
            _checked(ObjectName, namespace, "--namespace"),
            applied,
            kubeconfig,
            context,
        )
        _checked(EmailAddress, address, "--address")
    except BadInput as problem:
        say(f"postroom auth login: {problem}", errors=True)
        raise typer.Exit(ExitCode.BAD_INPUT) from None
    code = asyncio.run(
        sign_in_through(exchange(), request, way, target, address, open_browser, timeout)
    )
    raise typer.Exit(code)


def _request(
    provider: OAuthProvider,
    client_id: str,
    address: str,
    client_secret: Masked | None,
    tenant: str | None,
    cloud: MicrosoftCloud,
    scopes: tuple[str, ...],
) -> LoginRequest:
    endpoints = endpoints_of(provider, cloud)
    assert endpoints is not None  # noqa: S101 - only generic providers have none
    if provider is OAuthProvider.GOOGLE and tenant is not None:
        raise BadInput("--tenant is for Microsoft only: leave it out.")
    return LoginRequest(
        provider=provider,
        endpoints=endpoints,
        client_id=_checked(ClientID, client_id, "--client-id"),
        address=_checked(EmailAddress, address, "--address and --signed-in-as"),
        tenant=_checked(Tenant, tenant, "--tenant") if tenant is not None else None,
        client_secret=client_secret,
        scopes=tuple(_checked(Scope, scope, "--scope") for scope in scopes),
    )


def _checked(kind: Any, value: str, option: str) -> str:
    """Check a value as the API would; raises `BadInput` with the sentence of its type."""
    try:
        return str(TypeAdapter(kind).validate_python(value))
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]["msg"]
        raise BadInput(f"{option} {first.removeprefix('Value error, ')}.") from None


def _way(provider: OAuthProvider, method: Method | None) -> Method:
    if provider is OAuthProvider.GOOGLE:
        if method is Method.DEVICE_CODE:
            raise BadInput("Google offers no device code for mail: use --method Browser.")
        return Method.BROWSER
    return method or Method.DEVICE_CODE


def _client_secret(path: Path | None) -> Masked | None:
    """Read the secret from a file, because the command line is for everyone to see."""
    if path is None:
        return None
    try:
        if str(path) == "-":
            text = sys.stdin.read(_SECRET_LIMIT)
        else:
            with path.open(encoding="utf-8") as opened:
                text = opened.read(_SECRET_LIMIT)
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"--client-secret-file {path} cannot be read as text.") from None
    if text.lstrip().startswith("{"):
        # As Google's console hands it out.
        raise BadInput(
            "--client-secret-file holds JSON: put the value of client_secret alone into a file."
        )
    if not text.strip() or not text.strip().isprintable():
        raise BadInput("--client-secret-file must hold the secret in one line.")
    return Masked(text.strip())


def secret_name(address: str) -> str:
    """Make a name for the Secret of an address: lowercase letters, digits and hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", address.lower()).strip("-")
    return f"{words[:240].strip('-')}-oauth"


def exchange() -> Exchange:
    """Return the way to the endpoints: public addresses only, as in the operator."""
    return HttpsExchange(DialPolicy(), SystemResolver(threads=2))


async def sign_in_through(
    through: Exchange,
    request: LoginRequest,
    way: Method,
    target: Target,
    address: str,
    open_browser: bool,
    seconds: float,
) -> int:
    """Sign in and hand over what it yields; return the exit code."""
    told = terminal.errors()
    if target.applied:
        try:
            await auth_secret.try_out(
                target.name, target.namespace, target.kubeconfig, target.context
            )
        except auth_secret.CannotApply as problem:
            told.print(f"postroom auth login: {problem}", soft_wrap=True, markup=False)
            return ExitCode.NOT_READY
    sign_in = _by_device_code if way is Method.DEVICE_CODE else _by_browser
    got = await sign_in(through, request, told, open_browser, seconds)
    if isinstance(got, TokenFailure):
        told.print(f"postroom auth login: {got.message}", soft_wrap=True, markup=False)
        return ExitCode.NOT_READY
    told.print(f"Signed in as {request.address}.", markup=False)
    secret = auth_secret.secret_of(
        target.name, target.namespace, got.refresh_token, request.client_secret
    )
    if target.applied:
        try:
            with told.status("Writing the Secret"):
                done = await auth_secret.apply(secret, target.kubeconfig, target.context)
        except auth_secret.CannotApply as problem:
            told.print(f"postroom auth login: {problem}", soft_wrap=True, markup=False)
            return ExitCode.NOT_READY
        told.print(f"secret/{target.name} {done} in namespace {target.namespace}.", markup=False)
    else:
        typer.echo(yaml.safe_dump(secret, sort_keys=False), nl=False)
    told.print("Refer to it so:", markup=False)
    shown = yaml.safe_dump({"oauth": spec_of(request, target.name, address)}, sort_keys=False)
    told.print(shown.rstrip(), soft_wrap=True, markup=False)
    return ExitCode.READY


async def _by_device_code(
    through: Exchange, request: LoginRequest, told: Console, open_browser: bool, seconds: float
) -> SignedIn | TokenFailure:
    with told.status(f"Asking {request.provider.value} for a code"):
        code = await device_code.begin(through, request)
    if isinstance(code, TokenFailure):
        return code
    told.print(
        f"Open {code.verification_uri} and enter the code {code.user_code}; sign in as "
        f"{request.address}.",
        soft_wrap=True,
        markup=False,
    )
    if open_browser:
        await asyncio.to_thread(webbrowser.open, code.verification_uri)
    with told.status("Waiting for the sign-in (Ctrl-C ends it)"):
        try:
            async with asyncio.timeout(seconds):
                return await device_code.finish(through, request, code)
        except TimeoutError:
            return too_late()


async def _by_browser(
    through: Exchange, request: LoginRequest, told: Console, open_browser: bool, seconds: float
) -> SignedIn | TokenFailure:
    async with LoopbackLogin(through, request) as attempt:
        told.print(
            f"Open this page in a browser of this machine, and sign in as {request.address}:",
            soft_wrap=True,
            markup=False,
        )
        told.print(attempt.url, soft_wrap=True, markup=False)
        if open_browser:
            await asyncio.to_thread(webbrowser.open, attempt.url)
        with told.status("Waiting for the sign-in (Ctrl-C ends it)"):
            return await attempt.finish(seconds)


def spec_of(request: LoginRequest, secret: str, address: str) -> Mapping[str, object]:
    """Return what ``spec.oauth`` should say; it holds no secret."""
    said: dict[str, object] = {"provider": request.provider.value, "clientID": request.client_id}
    if request.tenant is not None:
        said["tenant"] = request.tenant
    cloud = next(
        (
            known
            for known in MicrosoftCloud
            if endpoints_of(request.provider, known) == request.endpoints
        ),
        MicrosoftCloud.PUBLIC,
    )
    if cloud is not MicrosoftCloud.PUBLIC:
        said["cloud"] = cloud.value
    if request.scopes:
        said["scopes"] = list(request.scopes)
    if request.address.lower() != address.lower():
        said["subject"] = address
    if request.client_secret is not None:
        said["clientSecretRef"] = {"name": secret, "key": auth_secret.CLIENT_SECRET_KEY}
    said["refreshTokenRef"] = {"name": secret, "key": auth_secret.REFRESH_TOKEN_KEY}
    return said

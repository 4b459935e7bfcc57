# SPDX-License-Identifier: Apache-2.0
"""Programs that people read and send mail with: does one sign in at a server?

swaks, msmtp and mbsync are Debian's (``swaks msmtp isync``); who is not installed is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import shutil
import smtplib
import ssl
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path

from lab.mail_probing import AUTHORITY
from lab.odd_server import PASSWORD, USER, OddServer

#: Seconds.
PATIENCE = 3
Client = Callable[[OddServer, bool, Path], Coroutine[None, None, bool]]


@cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())


async def _ran(*words: str, told: bytes = b"") -> bool:
    """Run a program to its end; a success is one that it claims."""
    made = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await made.communicate(told)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            made.kill()
        await made.wait()
    return made.returncode == 0


async def curl(server: OddServer, upgrades: bool, room: Path) -> bool:
    protocol = server.protocol if upgrades else f"{server.protocol}s"
    url = f"{protocol}://127.0.0.1:{server.port}"
    ca = _authority(room)
    words = ["curl", "-sS", "--ssl-reqd", "--cacert", ca, "-u", f"{USER}:{PASSWORD}"]
    return await _ran(*words, "--max-time", str(PATIENCE), url, "-X", "NOOP") and server.accepted


async def swaks(server: OddServer, upgrades: bool, room: Path) -> bool:
    words = ["swaks", "--server", "127.0.0.1", "--port", str(server.port), "--quit-after", "AUTH"]
    words += ["--tls" if upgrades else "--tls-on-connect", "--auth", "--auth-user", USER]
    words += ["--auth-password", PASSWORD, "--timeout", f"{PATIENCE}s"]
    return await _ran(*words) and server.accepted


async def msmtp(server: OddServer, upgrades: bool, room: Path) -> bool:
    words = ["msmtp", "--host=127.0.0.1", f"--port={server.port}", "--tls=on", f"--user={USER}"]
    words += [f"--tls-trust-file={_authority(room)}", "--tls-fingerprint=", "--auth=on"]
    words += [f"--tls-starttls={'on' if upgrades else 'off'}", f"--passwordeval=echo {PASSWORD}"]
    words += [f"--timeout={PATIENCE}", f"--from={USER}", "b@example.com"]
    return await _ran(*words, told=b"Subject: x\r\n\r\nx\r\n") and server.accepted


async def mbsync(server: OddServer, upgrades: bool, room: Path) -> bool:
    settings = room / f"mbsync-{server.port}"
    settings.write_text(
        f"IMAPStore far\nHost 127.0.0.1\nPort {server.port}\nUser {USER}\nPass {PASSWORD}\n"
        f"SSLType {'STARTTLS' if upgrades else 'IMAPS'}\nCertificateFile {_authority(room)}\n"
        f"AuthMechs *\nTimeout {PATIENCE}\n\n"
        f"MaildirStore near\nPath {room}/\nInbox {room}/in\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\n"
    )
    return await _ran("mbsync", "-c", str(settings), "--list", "all") and server.accepted


async def pythons(server: OddServer, upgrades: bool, room: Path) -> bool:
    talk = _smtplib if server.protocol == "smtp" else _imaplib
    return await asyncio.to_thread(talk, server.port, upgrades) and server.accepted


def _smtplib(port: int, upgrades: bool) -> bool:
    try:
        if upgrades:
            client = smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE)
        else:
            client = smtplib.SMTP_SSL("127.0.0.1", port, timeout=PATIENCE, context=_trusting())
        try:
            if upgrades:
                client.starttls(context=_trusting())
            client.login(USER, PASSWORD)
        finally:
            client.close()
    except (smtplib.SMTPException, OSError, ValueError):
        return False
    return True


def _imaplib(port: int, upgrades: bool) -> bool:
    try:
        if upgrades:
            client = imaplib.IMAP4("127.0.0.1", port, timeout=PATIENCE)
        else:
            client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=_trusting(), timeout=PATIENCE)
        try:
            if upgrades:
                client.starttls(_trusting())
            if "LOGINDISABLED" not in client.capabilities:
                client.login(USER, PASSWORD)
            elif "AUTH=PLAIN" in client.capabilities:
                client.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
            else:
                client.login_cram_md5(USER, PASSWORD)
            client.select("INBOX", readonly=True)
        finally:
            client.shutdown()
    except (imaplib.IMAP4.error, OSError, ValueError):
        return False
    return True


def _authority(room: Path) -> str:
    place = room / "ca.pem"
    if not place.exists():
        place.write_bytes(AUTHORITY.cert_pem.bytes())
    return str(place)


#: Debian's package of each program.
PACKAGES = {"curl": "curl", "swaks": "swaks", "msmtp": "msmtp", "mbsync": "isync"}

_PROGRAMS: dict[str, tuple[Client, ...]] = {
    "smtp": (curl, swaks, msmtp),
    "imap": (curl, mbsync),
}


def clients_of(protocol: str) -> dict[str, Client]:
    """Those that are here, Python's own among them."""
    here = {one.__name__: one for one in _PROGRAMS[protocol] if shutil.which(one.__name__)}
    return {"pythons": pythons, **here}

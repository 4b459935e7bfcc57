# SPDX-License-Identifier: Apache-2.0
"""A real Postfix in front of Dovecot, which checks its passwords and takes its mail.

Needs root, as Postfix does, and Debian's package postfix. AUTH is offered only over TLS, and users
may write only from their own addresses.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab.dovecot_server import (
    PATIENCE,
    Dovecot,
    MailServerProcess,
    cannot_run,
    free_ports,
    mail_program,
)
from lab.dovecot_server_files import ALICE, BOB
from lab.mail_probing import AUTHORITY, HOST
from loopback import own_address

#: An address of Alice's besides her own, and one that nobody may write from.
ALIAS, NOBODYS = "sales@example.com", "ceo@example.com"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
inet_protocols = ipv4
myhostname = {host}
mydestination =
mynetworks =
smtputf8_enable = no
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {directory}/tls.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{sasl}
smtpd_sender_login_maps = inline:{{
    {{ {alice} = {alice} }}, {{ {alias} = {alice} }}, {{ {bob} = {bob} }} }}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{{ {{ {alice} = 1 }}, {{ {bob} = 1 }} }}
virtual_alias_maps = inline:{{ {{ {alias} = {alice} }} }}
virtual_transport = lmtp:inet:{lmtp}
"""
_MASTER = """\
{submission} inet n - n - - smtpd
{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
{relay} inet n - n - - smtpd -o smtpd_sasl_auth_enable=no
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@asynccontextmanager
async def postfix(backend: Dovecot) -> AsyncIterator[MailServerProcess]:
    """Run Postfix; its services are submission, submissions, and relay, which knows no AUTH."""
    program = mail_program("postfix", "postfix")
    if os.getuid() != 0:
        cannot_run("Postfix starts as root only")
    address = own_address(24)
    names = ("submission", "submissions", "relay")
    with tempfile.TemporaryDirectory(prefix="postroom-") as name:
        directory = Path(name)
        ports = dict(zip(names, free_ports(address, len(names)), strict=True))
        running = MailServerProcess(address, ports, directory)
        _write_files(running, backend)
        command = [program, "-c", str(directory / "etc"), "start-fg"]
        with (directory / "stderr").open("wb") as stream:
            process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                command, stdout=stream, stderr=stream
            )
            try:
                await running.wait(process)
                yield running
            finally:
                _stop(directory)
                await asyncio.to_thread(process.wait, timeout=PATIENCE)


def _stop(directory: Path) -> None:
    """End the server and its children, of which it is the group's leader."""
    file = directory / "queue/pid/master.pid"
    if file.exists():
        os.killpg(int(file.read_text()), signal.SIGKILL)


def _write_files(running: MailServerProcess, backend: Dovecot) -> None:
    directory, leaf = running.directory, AUTHORITY.issue_cert(HOST)
    # Its processes run as other users; only what they must read is theirs to read.
    directory.chmod(0o755)
    for name in ("etc", "queue", "data"):
        (directory / name).mkdir()
    shutil.chown(directory / "data", "postfix")
    (directory / "tls.pem").write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    (directory / "tls.pem").chmod(0o600)
    main = _MAIN.format(
        directory=directory,
        host=HOST,
        sasl=f"{backend.address}:{backend.ports['sasl']}",
        lmtp=f"{backend.address}:{backend.ports['lmtp']}",
        alice=ALICE,
        bob=BOB,
        alias=ALIAS,
    )
    (directory / "etc/main.cf").write_text(main)
    places = {name: f"{running.address}:{port}" for name, port in running.ports.items()}
    (directory / "etc/master.cf").write_text(_MASTER.format(**places))

# SPDX-License-Identifier: Apache-2.0
"""What Dovecot reads in the lab: its configuration, users, certificate, and the key of tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import pwd
import secrets
import shutil
import time
from grp import getgrgid
from pathlib import Path
from typing import Any

import trustme

ALICE, BOB = "alice@example.com", "bob@example.com"
#: `nothing_leaks` looks for how they begin; the second has what protocols must quote.
PASSWORDS = {ALICE: "hunter2-alice", BOB: 'hunter2 "b" \\ %'}
#: MiB.
QUOTA = 10
#: Signs the tokens that the server takes.
KEY = secrets.token_bytes(32)
#: With a test running as root, the server runs as this user.
_UNPRIVILEGED = "nobody"

_CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
protocols = imap submission lmtp
listen = {address}
hostname = mail.example.com
ssl = yes
ssl_cert = <{directory}/cert.pem
ssl_key = <{directory}/key.pem
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_verbose = yes
mail_location = maildir:{directory}/mail/%u
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 0
first_valid_gid = 0
mail_plugins = quota
recipient_delimiter = +
lmtp_save_to_detail_mailbox = yes
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = scheme=PLAIN username_format=%u {directory}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/oauth2
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {directory}/users
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = subscribe
    special_use = \\Trash
  }}
}}
plugin {{
  quota = count:User quota
  quota_rule = *:storage={quota}M
  quota_vsizes = yes
}}
protocol imap {{
  mail_plugins = quota imap_quota
}}
service anvil {{
  chroot =
  {penalty}
}}
service stats {{
  chroot =
}}
service auth {{
  user = {user}
  inet_listener sasl {{
    address = {address}
    port = {sasl}
  }}
}}
service auth-worker {{
  user = {user}
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  service_count = 0
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = {submissions}
    ssl = yes
  }}
}}
service lmtp {{
  chroot =
  user = {user}
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""
_OAUTH2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={directory}/keys/
username_attribute = email
"""
_PENALTY_OFF = "unix_listener anvil-auth-penalty {\n    mode = 0\n  }"


def server_user() -> tuple[str, str]:
    """The user and group that servers run as: never root."""
    found = pwd.getpwnam(_UNPRIVILEGED) if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    return found.pw_name, getgrgid(found.pw_gid).gr_name


def token(address: str, *, lifetime: float = 3600, key: bytes = KEY, **claims: Any) -> str:
    """An access token (RFC 9068) for a mailbox, which ends in `lifetime` seconds."""
    now = int(time.time())
    said = {"email": address, "iat": now - 7200, "nbf": now - 7200, "exp": now + int(lifetime)}
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": address, **said, **claims}]
    content = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return f"{content}.{_encoded(hmac.digest(key, content.encode(), hashlib.sha256))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write_files(
    directory: Path,
    address: str,
    ports: dict[str, int],
    *,
    relay: int,
    mechanisms: str,
    penalty: bool,
    leaf: trustme.LeafCert,
) -> None:
    """Write all that the server reads, so that its user alone may."""
    user, group = server_user()
    configuration = _CONFIGURATION.format(
        directory=directory,
        address=address,
        user=user,
        group=group,
        relay=relay,
        mechanisms=mechanisms,
        quota=QUOTA,
        penalty="" if penalty else _PENALTY_OFF,
        **ports,
    )
    (directory / "keys/default/HS256").mkdir(parents=True)
    (directory / "mail").mkdir()
    users = "".join(f"{name}:{{PLAIN}}{said}::::::\n" for name, said in PASSWORDS.items())
    for name, text in {
        "dovecot.conf": configuration,
        "oauth2": _OAUTH2.format(directory=directory),
        "users": users,
        "keys/default/HS256/default": base64.b64encode(KEY).decode(),
        "key.pem": leaf.private_key_pem.bytes().decode(),
        "cert.pem": "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems),
    }.items():
        (directory / name).write_text(text)
    if os.getuid() == 0:
        give_away(directory, user, group)


def give_away(directory: Path, user: str, group: str) -> None:
    """Make a directory and all in it another user's."""
    for one in (directory, *directory.rglob("*")):
        shutil.chown(one, user, group)

# SPDX-License-Identifier: Apache-2.0
"""Files of credentials as nsc writes them, held against the library of NATS's own."""

from __future__ import annotations

import base64
from pathlib import Path

import nkeys
import pytest

from lab.nats_server import Realm
from postroom.delivery.sinks import nats_credentials


def test_what_is_signed_is_what_the_library_of_nats_signs(tmp_path: Path) -> None:
    text = Realm().credentials(tmp_path / "user.creds").read_text()
    found = nats_credentials.read(tmp_path / "user.creds")
    token, seed = text.splitlines()[1], text.splitlines()[5]
    assert found.jwt() == token.encode()
    for nonce in ("", "bm9uY2U", "x" * 200):
        signed = nkeys.from_seed(bytearray(seed.encode())).sign(nonce.encode())
        assert base64.b64decode(found.sign(nonce)) == signed
    assert seed not in repr(found) and token not in repr(found)


def test_what_is_no_file_of_credentials_is_refused(tmp_path: Path) -> None:
    text = Realm().credentials(tmp_path / "user.creds").read_text()
    seed = text.splitlines()[5]
    # One octet of the seed is another, it is an account's, it ends early, there is none; no token.
    kinds = (seed[:20] + ("B" if seed[20] == "A" else "A") + seed[21:], "SA" + seed[2:], seed[:-8])
    wrong = [text.replace(seed, other) for other in (*kinds, "0189", "")]
    wrong += [text.replace("JWT", "NOTE"), "", "nothing"]
    for number, content in enumerate(wrong):
        path = tmp_path / f"{number}.creds"
        path.write_text(content)
        with pytest.raises(ValueError):
            nats_credentials.read(path)
    with pytest.raises(OSError, match="No such file"):
        nats_credentials.read(tmp_path / "none.creds")

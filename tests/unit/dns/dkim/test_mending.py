# SPDX-License-Identifier: Apache-2.0
"""Damage to a key record, each kind undone by its step, and nothing but it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dkim import mending
from postroom.dns.dkim.mending import Undo, steps, with_key_type
from unit.dns.dkim_keys import ed25519_base64, ed25519_der_base64, rsa_base64, rsa_numbers

RSA = rsa_base64(rsa_numbers())
ED = ed25519_base64()
SOUND = (
    f"v=DKIM1; k=rsa; p={RSA}",
    f"v=DKIM1; p={RSA};",
    f"p={RSA}",
    f"v=DKIM1; k=ed25519; p={ED}",
)
URL = RSA.replace("+", "-").replace("/", "_")


@pytest.mark.parametrize(
    ("undo", "damaged", "sound"),
    [
        (
            mending.without_pem,
            f"-----BEGIN PUBLIC KEY-----{RSA}-----END PUBLIC KEY-----",
            RSA,
        ),
        (mending.without_pem, f"p=--BEGIN RSA PUBLIC KEY--{RSA}", f"p={RSA}"),
        (mending.with_separators, f"v=DKIM1 k=rsa p={RSA}", f"v=DKIM1; k=rsa; p={RSA}"),
        (mending.with_separators, f"v=DKIM1, k=rsa|p={RSA}", f"v=DKIM1; k=rsa; p={RSA}"),
        (mending.with_separators, f"v=DKIM1k=rsap={RSA}", f"v=DKIM1; k=rsa; p={RSA}"),
        (mending.with_separators, f" k=ed25519p={ED}", f"k=ed25519; p={ED}"),
        (mending.with_plus, "p= ab cd  ef", "p=ab+cd++ef"),
        (mending.without_percent, "p=ab%2Bcd%3D", "p=ab+cd="),
        (mending.without_version, f"v=dkim1; p={RSA}", f" p={RSA}"),
        (mending.without_version, f"k=rsa; v=DKIM1; p={RSA}", f"k=rsa; p={RSA}"),
        (mending.without_version, f"DKIM1; p={RSA}", f" p={RSA}"),
        (mending.without_version, f"v=DKIM-1; p={RSA}", f" p={RSA}"),
        (mending.without_second_p, f"v=DKIM1; p=p={RSA}", f"v=DKIM1; p={RSA}"),
        (mending.with_standard_base64, f"v=DKIM1; p={URL}", f"v=DKIM1; p={RSA}"),
        (mending.with_standard_base64, URL.rstrip("="), RSA),
        (mending.with_standard_base64, f"v=DKIM1;{URL}", f"v=DKIM1; {RSA}"),
        (mending.without_semicolons, f"p={RSA[:80]} ; {RSA[80:]}", f"p={RSA}"),
        (mending.without_surplus, f"k=ed25519; p={ED}==", f"k=ed25519; p={ED}"),
        (mending.only_base64, f"p={RSA[:80]}*\xe4{RSA[80:]}; t=s", f"p={RSA}; t=s"),
        (mending.with_p, RSA, f" p={RSA}"),
        (mending.with_p, f"v=DKIM1; k=rsa; {RSA};", f"v=DKIM1; k=rsa; p={RSA}"),
        (mending.without_spaces, f" v = DKIM1;\x00 p={RSA[:9]}\n{RSA[9:]}", f"v=DKIM1;p={RSA}"),
        (mending.without_hashes, f"v=DKIM1; h=sha1; p={RSA}", f"v=DKIM1; p={RSA}"),
        (mending.without_services, f"v=DKIM1;s=tlsrpt;p={RSA}", f"v=DKIM1;p={RSA}"),
        (with_key_type("rsa"), f"v=DKIM1; k=RSA; p={RSA}", f"v=DKIM1; p={RSA}"),
        (with_key_type("ed25519"), f"v=DKIM1; p={ED};", f"v=DKIM1; p={ED}; k=ed25519"),
        (
            with_key_type("ed25519"),
            f"k=rsa; p={ed25519_der_base64()}",
            f" p={ED}; k=ed25519",
        ),
    ],
)
def test_a_step_undoes_its_damage(undo: Undo, damaged: str, sound: str) -> None:
    assert undo(damaged) == sound
    assert undo(sound) == sound


@pytest.mark.parametrize("text", SOUND)
@pytest.mark.parametrize(
    "undo",
    [
        mending.without_pem,
        mending.with_separators,
        mending.with_plus,
        mending.without_percent,
        mending.without_second_p,
        mending.with_standard_base64,
        mending.without_semicolons,
        mending.without_surplus,
        mending.only_base64,
        mending.with_p,
        mending.without_hashes,
        mending.without_services,
    ],
)
def test_what_is_sound_stays(undo: Undo, text: str) -> None:
    # What blanks and semicolons there are between tags, and at the end, says nothing.
    assert undo(text).replace("; ", ";") == text.replace("; ", ";")


def test_every_step_says_what_is_wrong_in_a_clause() -> None:
    for algorithm in ("rsa", "ed25519"):
        for code, detail, undo in steps(algorithm):
            assert code.value.startswith(("DKIM_", "VALUE_"))
            assert detail.split()[0] in ("has", "is", "holds", "lacks", "does", "begins")
            assert undo("") in ("", f"; k={algorithm}")
    assert "k=ed25519" in " ".join(detail for _, detail, _ in steps("ed25519"))


@given(
    st.text(alphabet='vkphst=;: "\\+-_/%DKIM1rsaMIIB\x00\n\xe4', max_size=80),
    st.sampled_from(["rsa", "ed25519"]),
)
def test_no_text_breaks_a_step(text: str, algorithm: str) -> None:
    for _, _, undo in steps(algorithm):
        assert len(undo(text)) <= 3 * len(text) + 20

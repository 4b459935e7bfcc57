# SPDX-License-Identifier: Apache-2.0
"""Which mailbox and whose login it is, however both are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.data_files import InvalidData, validate
from postroom.mail.presets.mailboxes import (
    MailboxServices,
    is_shared_username,
    login_of,
    mailbox_of,
)


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Victim@Example.COM", "victim@example.com"),
        ("victim+tag@example.com", "victim@example.com"),
        ("victim+a+b@example.com", "victim@example.com"),
        ("vic.tim@example.com", "vic.tim@example.com"),  # only Gmail folds dots
        ("V.i.c.tim+tag@gmail.com", "victim@gmail.com"),
        ("vic.tim@GoogleMail.com", "victim@gmail.com"),
        ("vic.tim@mail.gmail.com.example", "vic.tim@mail.gmail.com.example"),
        ("me@mac.com", "me@icloud.com"),
        ("m.e@me.com", "m.e@icloud.com"),  # who knows
        ("m_e.x-y@pm.me", "mexy@proton.me"),
        ("my-name@ya.ru", "myname@yandex.ru"),
        ("...@gmail.com", "...@gmail.com"),
        ("+@example.com", "+@example.com"),
        ("+a@example.com", "+a@example.com"),
    ],
)
def test_an_address_counts_as_the_mailbox_behind_it(address: str, mailbox: str) -> None:
    assert mailbox_of(address) == mailbox


@pytest.mark.parametrize(
    ("username", "host", "login"),
    [
        ("User", "smtp.example.com", ("user", "smtp.example.com")),
        ("DOMAIN\\User", "Mail.Example.com.", ("domain\\user", "mail.example.com")),
        ("U.ser+x@gmail.com", "smtp.gmail.com", ("user@gmail.com", "Gmail")),
        ("user@googlemail.com", "smtp.googlemail.com", ("user@gmail.com", "Gmail")),
        ("u", "smtp.mail.svc.cluster.local", ("u", "smtp.mail.svc")),
        ("u", "smtp.mail.svc", ("u", "smtp.mail.svc")),
        ("u", "mail.svc.example", ("u", "mail.svc.example")),
    ],
)
def test_a_login_is_one_however_it_is_written(
    username: str, host: str, login: tuple[str, str]
) -> None:
    assert login_of(username, host) == login


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_written_is_somebody_and_folding_it_again_changes_nothing(
    username: str, host: str
) -> None:
    assert login_of(*login_of(username, host))[0] == login_of(username, host)[0]
    assert isinstance(is_shared_username(username, host), bool)


def test_a_domain_is_of_one_service() -> None:
    row = '- {domains: [a.example], source: "https://a.example", checked: 2026-12-01}'
    with pytest.raises(InvalidData, match="a domain is there twice"):
        validate("x.yaml", f"services:\n{row}\n{row}\n", MailboxServices)

# SPDX-License-Identifier: Apache-2.0
"""Authentication-Results: the forms that receivers write, which of them are trusted, and texts of
any kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.authentication import (
    Authentication,
    Signature,
    authentication,
    of_strangers,
)
from postroom.mail.round_trip.authentication_results import Outcome, parse
from postroom.mail.round_trip.header import read_header

PASS, NONE, FAIL = Outcome.PASS, Outcome.NONE, Outcome.FAIL


def judged(header: str, *receivers: str) -> Authentication | None:
    return authentication(read_header(header.encode()), receivers)


def told(header: str, *receivers: str) -> tuple[Outcome | None, ...]:
    found = judged(header, *receivers)
    assert found is not None
    return found.spf, found.dkim, found.dmarc


GOOGLE = """Delivered-To: someone@example.org
Received: by 2002:a05:7300:aaaa:b0:1:2 with SMTP id q1csp1;
        Wed, 4 Mar 2026 05:06:09 -0800 (PST)
X-Received: by 2002:a05:6000:1:b0:1:2 with SMTP id x1; Wed, 04 Mar 2026 05:06:09 -0800 (PST)
ARC-Authentication-Results: i=1; mx.google.com;
       dkim=fail header.i=@elsewhere.example
Authentication-Results: mx.google.com;
       dkim=pass header.i=@example.com header.s=mail header.b="Ab/c+d=";
       dkim=fail (body hash did not verify) header.i=@esp.example header.s=s1 header.b=xyz;
       spf=pass (google.com: domain of bounce@send.example.com designates 192.0.2.7 as permitted
        sender) smtp.mailfrom=bounce@send.example.com;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com
Received: from mail.example.com (mail.example.com. [192.0.2.7])
        by mx.google.com with ESMTPS id a1 for <someone@example.org>
        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);
        Wed, 04 Mar 2026 05:06:08 -0800 (PST)
"""


MICROSOFT = """Received: from AM0PR01MB0001.eurprd01.prod.exchangelabs.com (2603:10a6::1) by
 AS8PR01MB0002.eurprd01.prod.exchangelabs.com with HTTPS; Wed, 4 Mar 2026 05:06:10 +0000
Received: from DB1EUR01FT001.eop-eur01.prod.protection.outlook.com (2603:10a6::2) by
 AM0PR01CA0003.outlook.office365.com with Microsoft SMTP Server (version=TLS1_3,
 cipher=TLS_AES_256_GCM_SHA384) id 15.20.1.1; Wed, 4 Mar 2026 05:06:09 +0000
Authentication-Results: spf=pass (sender IP is 192.0.2.7)
 smtp.mailfrom=example.com; dkim=pass (signature was verified)
 header.d=example.com;dmarc=bestguesspass action=none
 header.from=example.com;compauth=pass reason=109
Received: from mail.example.com (192.0.2.7) by
 DB1EUR01FT001.mail.protection.outlook.com (10.0.0.1) with Microsoft SMTP Server id 15.20.1.1;
 Wed, 4 Mar 2026 05:06:08 +0000
"""


YAHOO = """Received: from 198.51.100.7
 by atlas101.mail.ne1.yahoo.com pod-id NONE with HTTPS; Wed, 4 Mar 2026 05:06:09 +0000
Received-SPF: softfail (transitioning domain of example.com)
Authentication-Results: atlas101.mail.ne1.yahoo.com;
 dkim=unknown;
 spf=softfail smtp.mailfrom=example.com;
 dmarc=unknown header.from=example.com;
Received: from 192.0.2.7 (EHLO mail.example.com)
 by 10.217.0.1 with SMTPs; Wed, 04 Mar 2026 05:06:08 +0000
"""


FASTMAIL = """Received: from phl-compute-01.internal (phl-compute-01.internal [10.202.2.41])
\t by store1.internal (Cyrus 3.9) with LMTPA; Wed, 04 Mar 2026 00:06:09 -0500
Received: from phl-mx-02.messagingengine.com ([10.202.2.201])
  by phl-compute-01.internal (MEProxy); Wed, 04 Mar 2026 00:06:09 -0500
Authentication-Results: phl-mx-02.messagingengine.com;
    arc=none (no signatures found);
    bimi=skipped (DMARC Policy is not at enforcement);
    dkim=pass (2048-bit rsa key sha256) header.d=example.com header.i=@example.com
      header.b=Abcdefgh header.a=rsa-sha256 header.s=mail x-bits=2048;
    dmarc=pass policy.published-domain-policy=none policy.applied-disposition=none
      policy.evaluated-disposition=none (p=none,d=none,d.eval=none) policy.policy-from=p
      header.from=example.com;
    iprev=pass smtp.remote-ip=192.0.2.7 (mail.example.com);
    spf=pass smtp.mailfrom=a@example.com smtp.helo=mail.example.com
Received: from mail.example.com (mail.example.com [192.0.2.7])
    by phl-mx-02.messagingengine.com (Postfix) with ESMTPS id ABC
    for <someone@example.org>; Wed,  4 Mar 2026 00:06:08 -0500 (EST)
"""


ICLOUD = """Received: from p00-icloudmta-smtpin-01 by p101-gate
 (mailgateway 2609A1) with SMTP id 1; Wed, 4 Mar 2026 05:06:10 GMT
Received: from mail.example.com (mail.example.com [192.0.2.7])
\tby p00-icloudmta-smtpin-01 (Postfix) with ESMTPS id X; Wed, 4 Mar 2026 05:06:09 GMT
X-ICL-Info: x
Authentication-Results: bimi.icloud.com; bimi=none
Authentication-Results: dmarc.icloud.com; dmarc=pass header.from=example.com
Authentication-Results: dkim-verifier.icloud.com;
\tdkim=pass (2048-bit key) header.d=example.com header.i=@example.com header.b=AbC
Authentication-Results: spf.icloud.com; spf=pass (spf.icloud.com: domain of a@example.com
 designates 192.0.2.7 as permitted sender) smtp.mailfrom=a@example.com
Authentication-Results: out.example.com; spf=fail; arc=fail
Received: from laptop.example.com by out.example.com with ESMTPSA; Wed, 4 Mar 2026 05:06:08 +0000
"""


POSTFIX = """Received: from mx.example.org ([127.0.0.1])
\tby store.example.org with LMTP id 1 for <someone@example.org>; Wed, 04 Mar 2026 05:06:09 +0000
Authentication-Results: mx.example.org; dmarc=fail (p=none dis=none) header.from=example.com
Authentication-Results: mx.example.org; spf=fail (mailfrom) smtp.mailfrom=example.com
 (client-ip=192.0.2.7; helo=mail.example.com; envelope-from=a@example.com)
Authentication-Results: mx.example.org;
\tdkim=permerror reason="no key (for signature; x)" header.d=example.com header.i=@example.com;
\tdkim-atps=neutral
Received: from mail.example.com (mail.example.com [192.0.2.7])
\tby mx.example.org (Postfix) with ESMTPS id 2 for <someone@example.org>; Wed, 4 Mar 2026 05:06:08
Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=forged.example; dmarc=pass
"""


RSPAMD = """Authentication-Results: mx.example.org;
\tdkim=pass header.d=example.com header.s=mail header.b=AbC;
\tdmarc=pass (policy=quarantine) header.from=example.com;
\tspf=softfail (mx.example.org: 192.0.2.7 is neither permitted nor denied by domain of
 a@example.com) smtp.mailfrom=SRS0=ab=cd=example.net=user@example.com
Received: from mail.example.com by mx.example.org with ESMTPS id 2; Wed, 4 Mar 2026 05:06:08 +0000
"""


def test_google() -> None:
    found = judged(GOOGLE)
    assert found == Authentication(
        server="mx.google.com",
        spf=PASS,
        spf_domain="send.example.com",
        dkim=PASS,
        dkim_domain="example.com",
        signatures=(Signature(PASS, "example.com"), Signature(FAIL, "esp.example")),
        dmarc=PASS,
        dmarc_domain="example.com",
    )


def test_microsoft() -> None:
    found = judged(MICROSOFT)
    assert found is not None
    assert (found.server, found.dkim_domain) == (None, "example.com")
    assert told(MICROSOFT) == (PASS, PASS, NONE)


def test_microsoft_of_old_with_stray_words() -> None:
    header = (
        "authentication-results: spf=none (sender IP is 192.0.2.7) smtp.mailfrom=; hotmail.com;\n"
        " dkim=none (message not signed) header.d=none;hotmail.com; dmarc=none action=none\n"
        " header.from=example.com;compauth=fail reason=001\n"
    )
    found = judged(header)
    assert found is not None
    assert told(header) == (NONE, NONE, NONE)
    assert (found.spf_domain, found.dkim_domain) == (None, None)


def test_yahoo() -> None:
    assert told(YAHOO) == (Outcome.SOFT_FAIL, Outcome.UNKNOWN, Outcome.UNKNOWN)


def test_fastmail() -> None:
    found = judged(FASTMAIL)
    assert found is not None
    assert told(FASTMAIL) == (PASS, PASS, PASS)
    assert (found.arc, found.spf_domain, found.dmarc_domain) == (NONE, "example.com", "example.com")


def test_icloud_writes_one_field_for_each_method() -> None:
    found = judged(ICLOUD, "imap.mail.me.com")
    assert found is not None
    assert told(ICLOUD, "imap.mail.me.com") == (PASS, PASS, PASS)
    assert found.arc is None
    assert judged(ICLOUD) is None


def test_postfix_with_milters() -> None:
    assert told(POSTFIX) == (FAIL, Outcome.PERMANENT_ERROR, FAIL)


def test_rspamd_and_a_rewritten_return_path() -> None:
    found = judged(RSPAMD)
    assert found is not None
    assert told(RSPAMD) == (Outcome.SOFT_FAIL, PASS, PASS)
    assert found.spf_domain == "example.com"


def test_nothing_is_said() -> None:
    assert judged("Subject: x\n") is None
    found = judged("Authentication-Results: mx.example.org; none\n")
    assert found == Authentication(server="mx.example.org")


RECEIVED = "Received: from a.example by {} with ESMTPS; Wed, 4 Mar 2026 05:06:08 +0000\n"


OURS, THEIRS = RECEIVED.format("mx.example.org"), RECEIVED.format("out.sender.example")


@pytest.mark.parametrize(
    "header",
    [
        # The sender's own server judged it, and ours did not.
        f"{OURS}Authentication-Results: out.sender.example; spf=pass\n{THEIRS}",
        f"{OURS}Authentication-Results: spf=pass smtp.mailfrom=x.example\n{THEIRS}",
        # Microsoft stamps what it sends out, too.
        f"{OURS}Authentication-Results: dkim=none (message not signed) header.d=none;dmarc=none\n"
        " action=none header.from=x.example;\n" + RECEIVED.format("a.prod.outlook.com"),
        # A field from below, which anybody can have written.
        f"{OURS}{THEIRS}Authentication-Results: elsewhere.example; spf=pass\n",
        f"Authentication-Results: elsewhere.example; spf=pass\n{OURS}",
        f"Authentication-Results: org; spf=pass\n{THEIRS}",
    ],
)
def test_what_others_say_is_not_trusted(header: str) -> None:
    assert judged(header) is None


@pytest.mark.parametrize(
    "header",
    [
        f"Authentication-Results: example.org; spf=pass\n{OURS}",
        f"Authentication-Results: MX.Example.Org.; spf=pass\n{OURS}",
        f"{OURS}Authentication-Results: auth.example.org 1; spf=pass\n{THEIRS}",
        f"Authentication-Results: spf=pass\n{OURS}",
        "Authentication-Results: lab; spf=pass\n",
    ],
)
def test_what_the_receiver_says_is(header: str) -> None:
    found = judged(header)
    assert found is not None
    assert found.spf is PASS


def test_named_receivers_are_trusted() -> None:
    header = f"{OURS}Authentication-Results: judge.example.net; spf=pass\n"
    assert judged(header) is None
    assert judged(header, "example.net") is not None
    assert judged(header, "ample.net") is None


def test_names_below_a_country_are_not_of_one_domain() -> None:
    header = RECEIVED.format("mx.one.co.uk")
    assert judged(f"Authentication-Results: mx.two.co.uk; spf=pass\n{header}") is None
    assert judged(f"Authentication-Results: a.one.co.uk; spf=pass\n{header}") is not None


def test_the_topmost_result_of_a_method_counts() -> None:
    assert told(f"Authentication-Results: example.org; spf=fail; spf=pass\n{OURS}")[0] is FAIL


PIECES = st.sampled_from(
    [
        "spf",
        "dkim",
        "dmarc",
        "=",
        "pass",
        ";",
        " ",
        "(",
        ")",
        '"',
        "\\",
        "header.d",
        "a.example",
        "/1",
    ]
)


@given(st.lists(PIECES | st.text(max_size=4), max_size=60).map("".join))
def test_reading_never_fails(body: str) -> None:
    found = parse(body)
    assert len(found.results) <= 32
    for result in found.results:
        assert isinstance(result.outcome, Outcome)
    octets = f"Authentication-Results: {body}\n{OURS}".encode()
    judgement = authentication(read_header(octets))
    assert judgement is None or len(judgement.signatures) <= 8


@given(st.sampled_from(list(Outcome)), st.sampled_from(list(Outcome)), st.booleans())
def test_what_is_written_is_read(spf: Outcome, dkim: Outcome, named: bool) -> None:
    name = "mx.example.org; " if named else ""
    body = f"{name}spf={spf} smtp.mailfrom=a@x.example; dkim={dkim} header.d=y.example"
    found = judged(f"Authentication-Results: {body}\n{OURS}")
    assert found is not None
    assert (found.spf, found.spf_domain) == (spf, "x.example")
    assert (found.dkim, found.dkim_domain) == (dkim, "y.example")


BORDER = (
    "Received: from {} by mx.example.org (Postfix) with ESMTPS; Wed, 4 Mar 2026 05:06:08 +0000\n"
)
FORGED = "spf=pass smtp.mailfrom=bank.example; dkim=pass header.d=bank.example; dmarc=pass"


def shown(header: str, host: str = "imap.example.org") -> tuple[Outcome | None, ...] | None:
    found = of_strangers(read_header(header.encode()), (host,))
    return (found.spf, found.dkim, found.dmarc) if found is not None else None


@pytest.mark.parametrize(
    ("header", "host", "found"),
    [
        (GOOGLE, "imap.gmail.com", (PASS, PASS, PASS)),
        (MICROSOFT, "outlook.office365.com", (PASS, PASS, NONE)),
        (YAHOO, "imap.mail.yahoo.com", (Outcome.SOFT_FAIL, Outcome.UNKNOWN, Outcome.UNKNOWN)),
        (FASTMAIL, "imap.fastmail.com", (PASS, PASS, PASS)),
        (ICLOUD, "imap.mail.me.com", (PASS, PASS, PASS)),
        (POSTFIX, "imap.example.org", (FAIL, Outcome.PERMANENT_ERROR, FAIL)),
        (RSPAMD, "imap.example.org", (Outcome.SOFT_FAIL, PASS, PASS)),
        # The mailbox is at a server whose name tells nothing of who took the message.
        (RSPAMD, "dovecot.mail.svc", (Outcome.SOFT_FAIL, PASS, PASS)),
    ],
    ids=["google", "microsoft", "yahoo", "fastmail", "icloud", "postfix", "rspamd", "inside"],
)
def test_of_a_stranger_what_the_receiver_says_is_told(
    header: str, host: str, found: tuple[Outcome, ...]
) -> None:
    assert shown(header, host) == found


@pytest.mark.parametrize(
    "taken",
    [
        # The receiver's own fields; its server may have a name that is known inside alone.
        BORDER.format("sender.example"),
        BORDER.format("mx.bank.example"),
        RECEIVED.format("mail"),
        RECEIVED.format("10.0.0.1"),
        RECEIVED.format("store.internal") + RECEIVED.format("mx.internal"),
    ],
    ids=["public", "lied-to", "private", "address", "inside"],
)
@pytest.mark.parametrize(
    "written",
    [
        f"Authentication-Results: {FORGED}\n",
        f"Authentication-Results: {FORGED}\n{RECEIVED.format('a.prod.outlook.com')}",
        f"Authentication-Results: mx.bank.example; {FORGED}\n",
        f"Authentication-Results: mx.bank.example; {FORGED}\n" * 3,
        f"{RECEIVED.format('mx.bank.example')}Authentication-Results: mx.bank.example; {FORGED}\n",
        f"{RECEIVED.format('mail')}Authentication-Results: mail; {FORGED}\n",
        # Names of which those of everybody are made.
        f"Authentication-Results: org; {FORGED}\n",
        f"Authentication-Results: com; {FORGED}\n",
        f"Authentication-Results: svc; {FORGED}\n",
        f"Authentication-Results: example.org.evil.example; {FORGED}\n",
        f"Authentication-Results: (mx.example.org) evil.example; {FORGED}\n",
    ],
)
def test_what_a_stranger_wrote_is_not_the_receivers(taken: str, written: str) -> None:
    for host in ("imap.example.org", "dovecot.mail.svc", "outlook.office365.com"):
        assert shown(taken + written, host) is None, host


@pytest.mark.parametrize("stands", ["above", "below"])
@pytest.mark.parametrize(
    "more", ["x.example.org", "example.org", "org", "mx.bank.example", "mx.example.org"]
)
def test_a_stranger_adds_nothing_to_what_the_receiver_told(stands: str, more: str) -> None:
    told = "Authentication-Results: mx.example.org; spf=fail; dkim=fail; dmarc=fail\n"
    border, forged = BORDER.format("sender.example"), f"Authentication-Results: {more}; {FORGED}\n"
    header = told + border + forged if stands == "above" else border + told + forged
    assert shown(header) == (FAIL, FAIL, FAIL)


@pytest.mark.parametrize("name", ["", "mx.bank.example; ", "org; ", "mail; "])
def test_what_no_server_says_that_it_took_is_of_nobody(name: str) -> None:
    assert shown(f"Authentication-Results: {name}{FORGED}\n") is None
    assert shown(f"Authentication-Results: mx.example.org; {FORGED}\n") == (PASS, PASS, PASS)


@pytest.mark.parametrize("name", ["x.google.com", "mx.google.com", "google.com"])
def test_a_stranger_answers_no_method_of_which_a_provider_is_silent(name: str) -> None:
    own = "Authentication-Results: mx.google.com; spf=fail\n"
    forged = f"Authentication-Results: {name}; {FORGED}\n"
    border = RECEIVED.format("mx.google.com")
    assert shown(border + own + forged, "imap.gmail.com") == (FAIL, None, None)

# SPDX-License-Identifier: Apache-2.0
"""TLS-RPT records that were typed wrongly: no address that they plainly name is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.tls.tls_rpt import destinations, left_out, looks_like_record, missing_from
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of, verdict

TXT: Key = (f"_smtp._tls.{DOMAIN}", "TXT")
WANTED = "mailto:tls@example.com"
PLAN = plan_of(tlsRPT={"rua": [WANTED]})

#: How a record of these addresses is typed wrongly.
Slip = Callable[[list[str]], str]


def _listed(start: str = "v=TLSRPTv1; rua=", comma: str = ",", end: str = "") -> Slip:
    return lambda uris: start + comma.join(uris) + end


def _each(change: Callable[[str], str]) -> Slip:
    return lambda uris: _listed()([change(uri) for uri in uris])


SLIPS: dict[str, Slip] = {
    "lower case": _listed("v=tlsrptv1; rua="),
    "another version": _listed("v=TLSRPT1; rua="),
    "colons": _listed("v:TLSRPTv1; rua:"),
    "no semicolon": _listed("v=TLSRPTv1 rua="),
    "a comma for it": _listed("v=TLSRPTv1, rua="),
    "version last": _listed("rua=", end="; v=TLSRPTv1"),
    "capital tag": _listed("v=TLSRPTv1; RUA="),
    "quoted": _listed('"v=TLSRPTv1; rua=', end='"'),
    "quoted list": _listed('v=TLSRPTv1; rua="', end='"'),
    "smart quotes": _listed("\u201cv=TLSRPTv1; rua=", end="\u201d"),
    "escaped": _listed("v=TLSRPTv1\\; rua="),
    "no-break space": _listed("v=TLSRPTv1;\u00a0rua="),
    "byte order mark": _listed("\ufeffv=TLSRPTv1; rua="),
    "entities": _listed("v=TLSRPTv1&#59; rua="),
    "captioned": _listed("_smtp._tls IN TXT v=TLSRPTv1; rua="),
    "in code": _listed("<code>v=TLSRPTv1; rua=", end="</code>"),
    "blanks for commas": _listed(comma=" "),
    "semicolons for commas": _listed(comma="; "),
    "rua again": _listed(comma="; rua="),
    "blanks around =": _listed("v=TLSRPTv1; rua = "),
    "comma at the end": _listed(end=","),
    "no mailto": _each(lambda uri: uri.removeprefix("mailto:")),
    "slashes": lambda uris: _each(lambda uri: uri.replace("mailto:", "mailto://"))([*uris, "x"]),
    "misspelt": _each(lambda uri: uri.replace("mailto:", "mailt:")),
    "in brackets": _each(lambda uri: f"<{uri}>"),
    "with a size": _each(lambda uri: f"{uri}!10m" if uri.startswith("mailto") else uri),
}
_WORD = st.from_regex(r"[a-z0-9]{1,10}", fullmatch=True)
_URIS = st.lists(
    st.one_of(
        st.builds("mailto:{}@{}.example".format, _WORD, _WORD),
        st.builds("https://{}.example/{}?to={}".format, _WORD, _WORD, _WORD),
    ),
    min_size=1,
    max_size=4,
)


@given(_URIS, st.sampled_from(sorted(SLIPS)))
def test_an_address_in_a_record_that_is_typed_wrongly_is_kept(uris: list[str], slip: str) -> None:
    text = SLIPS[slip](uris).encode().decode("latin-1")
    assert missing_from(destinations(text), uris) == ()
    if looks_like_record(text):
        seen = Names({TXT: [text]})
        judged = seen.judged(PLAN, "tls-rpt")
        assert judged.value is not None
        assert missing_from(destinations(judged.value), [*uris, WANTED]) == ()
        assert judged.cause is not None
        assert judged.cause.fix is not None
        seen.apply(judged.cause.fix)
        assert verdict(seen.judged(PLAN, "tls-rpt")) == ("Valid", None)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("v=TLSRPTv1; rua=http://x.net/r", ("http://x.net/r",)),
        ("v=TLSRPTv1; rua=mailto:a@x.net,tel:1; more=2", ("tel:1", "more=2")),
        ("v=tlsrptv1; ruf=mailto:a@x.net", ("ruf=mailto:a@x.net",)),
        ("v=TLSRPTv1; rua=mailto:a@x.net b@x.net", ()),
        ("v=TLSRPTv1; rua=mailto:a@x.net", ()),
    ],
)
def test_what_has_no_plain_meaning_is_named(text: str, gone: tuple[str, ...]) -> None:
    cause = Names({TXT: [text]}).judged(PLAN, "tls-rpt").cause
    assert cause is not None
    assert ("leaves out" in cause.message) is bool(gone)
    assert all(item in cause.message for item in gone)
    assert cause.fix is not None
    assert (left_out([text], cause.fix.value) == "") is not bool(gone)

# SPDX-License-Identifier: Apache-2.0
"""check_host of RFC 7208, clause by clause, in tables: one zone, many records, many clients."""

from __future__ import annotations

import pytest

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.spf import Limits, Result, ResultCode
from postroom.dns.spf.driving import drive
from postroom.dns.spf.evaluate import evaluate
from rows import over
from unit.dns.spf.spf_cases import CASES, LONG, ZONE
from unit.dns.spf.spf_zones import DOMAIN, answer, result_for


@over(CASES)
def test_results(case: tuple[str, str, str, str]) -> None:
    clause, text, ip, result = case
    zone = {**ZONE, f"{DOMAIN} TXT": [text]}
    assert result_for(zone, ip).result == result, clause


@pytest.mark.parametrize(
    ("sender", "helo", "result"),
    [
        ("user@pass.example.com", "x", "pass"),
        ("user@PASS.Example.COM", "x", "pass"),
        ("user@pass.example.com.", "x", "pass"),
        ("pass.example.com", "x", "pass"),
        ("@pass.example.com", "x", "pass"),
        ('"a@b"@pass.example.com', "x", "pass"),
        ("", "pass.example.com", "pass"),
        ("", "com", "none"),
        ("", "[192.0.2.1]", "none"),
        ("user@localhost", "x", "none"),
        ("user@a..example.com", "x", "none"),
        (f"user@{LONG}.example.com", "x", "none"),
        (f"user@{'a.' * 127}example.com", "x", "none"),
        ("user@gone.example.com", "x", "none"),
        ("user@none.example.com", "x", "none"),
        ("user@two.example.com", "x", "permerror"),
        ("user@broken.example.com", "x", "temperror"),
        ("", "", "none"),
    ],
)
def test_the_domain_is_that_of_the_sender_else_of_helo(sender: str, helo: str, result: str) -> None:
    """Sections 2.4, 4.3, 4.4 and 4.5."""
    assert result_for(ZONE, "192.0.2.1", sender, helo).result == result


@pytest.mark.parametrize(
    ("pointers", "name"),
    [
        (["host.example.org", "deep.host.example.com"], "deep.host.example.com"),
        (["host.example.org", "deep.host.example.com", "example.com"], "example.com"),
        (["host.example.org", "notexample.com"], "host.example.org"),
        (["liar.example.com", "host.example.org"], "host.example.org"),
        (["liar.example.com"], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_macro_p_prefers_the_domain_then_what_is_below_it(
    pointers: list[str], name: str
) -> None:
    """Section 7.3: the domain itself, else a subdomain of it, else any validated name."""
    zone = {
        f"{DOMAIN} TXT": ["v=spf1 exists:%{p}.seen.example.net -all"],
        f"{name}.seen.example.net A": ["127.0.0.2"],
        "1.2.0.192.in-addr.arpa PTR": pointers,
        **{f"{pointer} A": ["192.0.2.1"] for pointer in pointers if not pointer.startswith("liar")},
    }
    assert result_for(zone, "192.0.2.1").result == "pass"


@pytest.mark.parametrize(
    ("text", "explanation"),
    [
        ("v=spf1 -all exp=why.example.com", "192.0.2.1 may not send for example.com"),
        ("v=spf1 exp=why.example.com -ip4:192.0.2.1", "192.0.2.1 may not send for example.com"),
        ("v=spf1 -all exp=%{d1}.%{d2}", ""),
        ("v=spf1 redirect=fail.example.com", "192.0.2.1 may not send for fail.example.com"),
        (
            "v=spf1 redirect=fail.example.com exp=other.example.com",
            "192.0.2.1 may not send for fail.example.com",
        ),
        ("v=spf1 include:fail.example.com -all", ""),
        ("v=spf1 include:fail.example.com -all exp=r.example.com", "mx.example.net 1700 192.0.2.1"),
        ("v=spf1 ~all exp=why.example.com", ""),
        ("v=spf1 -all exp=gone.example.com", ""),
        ("v=spf1 -all exp=broken.example.com", ""),
        ("v=spf1 -all exp=a..example.com", ""),
        ("v=spf1 -all exp=none.example.com", ""),
        ("v=spf1 -all exp=bad.example.com", ""),
        ("v=spf1 -all exp=high.example.com", ""),
        ("v=spf1 -all exp=name.example.com", "from unknown, 100% of a space."),
    ],
)
def test_explanations(text: str, explanation: str) -> None:
    """Section 6.2: whatever is wrong with it, there is none; it costs none of the limits."""
    zone = {
        **ZONE,
        f"{DOMAIN} TXT": [text],
        "r.example.com TXT": ["%{r} %{t} %{c}"],
        "bad.example.com TXT": ["%{x}"],
        "high.example.com TXT": ["na\xefve"],
        "name.example.com TXT": ["from %{p}, 100%% of a%_space."],
    }
    found = result_for(zone, "192.0.2.1")
    assert found.explanation == explanation
    assert found.void_lookups == 0


def test_the_result_tells_what_decided() -> None:
    zone = {**ZONE, f"{DOMAIN} TXT": ["v=spf1 a:gone.example.com redirect=pass.example.com"]}
    found = result_for(zone, "192.0.2.1")
    assert (found.domain, found.matched) == ("pass.example.com", "ip4:192.0.2.0/24")
    assert (found.lookups, found.void_lookups, found.problem) == (2, 1, None)


def test_an_error_says_why() -> None:
    zone = {**ZONE, f"{DOMAIN} TXT": ["v=spf1 include:gone.example.com"]}
    found = result_for(zone, "192.0.2.1")
    assert found.result is ResultCode.PERM_ERROR
    assert found.problem == "the include of gone.example.com leads to no SPF record"


@pytest.mark.parametrize(
    ("limits", "result"),
    [
        (Limits(), "permerror"),
        (Limits(voids=3), "pass"),
        (Limits(voids=3, terms=2), "permerror"),
    ],
)
def test_limits_can_be_chosen(limits: Limits, result: str) -> None:
    text = "v=spf1 a:g1.net.x a:g2.net.x a:g3.net.x all"
    zone = {**ZONE, f"{DOMAIN} TXT": [text]}
    assert result_for(zone, "192.0.2.1", limits=limits).result == result


def test_limits_without_end_are_refused() -> None:
    assert Limits(terms=50).terms == 50
    with pytest.raises(ValueError, match="above 50"):
        Limits(terms=51)


@pytest.mark.parametrize(("each", "result"), [(False, "pass"), (True, "permerror")])
def test_voids_are_counted_by_term_or_by_query(each: bool, result: str) -> None:
    zone = {
        f"{DOMAIN} TXT": ["v=spf1 mx all"],
        f"{DOMAIN} MX": ["1 g1.net.x", "1 g2.net.x", "1 g3.net.x"],
    }
    assert result_for(zone, limits=Limits(each_void_query=each)).result == result


def test_what_is_no_address_raises() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        result_for(ZONE, "192.0.2.256")


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("v=spf1 +all", {"192.0.2.3", "192.0.2.10", "192.0.2.129", "192.0.2.130", "192.0.2.65"}),
        ("v=spf1 a -all", {"192.0.2.10"}),
        ("v=spf1 a:example.org -all", set()),
        ("v=spf1 mx -all", {"192.0.2.129", "192.0.2.130"}),
        ("v=spf1 mx mx:aliasmx.example.com -all", {"192.0.2.129", "192.0.2.130"}),
        ("v=spf1 mx/30 mx:ten.example.com/30 -all", {"192.0.2.129", "192.0.2.130"}),
        ("v=spf1 ptr -all", {"192.0.2.10"}),
        ("v=spf1 ip4:192.0.2.128/28 -all", {"192.0.2.129", "192.0.2.130"}),
    ],
)
def test_simple_records_authorise_whom_they_name(text: str, passing: set[str]) -> None:
    """The kinds of records of appendix A.1, for the hosts of one domain."""
    zone = {**ZONE, f"{DOMAIN} TXT": [text]}
    clients = ("192.0.2.3", "192.0.2.10", "192.0.2.129", "192.0.2.130", "192.0.2.65")
    assert {client for client in clients if result_for(zone, client).result == "pass"} == passing


@pytest.mark.parametrize(
    ("sender", "ip", "result"),
    [
        ("mary@mobile.example.com", "203.0.113.5", "pass"),
        ("mary@mobile.example.com", "192.0.2.10", "fail"),
        ("fred@mobile.example.com", "192.0.2.10", "pass"),
        ("joe@mobile.example.com", "203.0.113.5", "fail"),
    ],
)
def test_each_user_may_have_hosts_of_their_own(sender: str, ip: str, result: str) -> None:
    """As in appendix A.4: users whose names exist may send from anywhere, or from one host."""
    zone = {
        "mobile.example.com TXT": [
            "v=spf1 exists:%{l1r+}.anywhere.%{d} exists:%{ir}.%{l1r+}.host.%{d} -all"
        ],
        "mary.anywhere.mobile.example.com A": ["127.0.0.2"],
        "10.2.0.192.fred.host.mobile.example.com A": ["127.0.0.2"],
    }
    if sender.startswith("mary") and ip == "192.0.2.10":
        zone["mary.anywhere.mobile.example.com A"] = []
    assert result_for(zone, ip, sender).result == result


def test_domains_of_one_provider_share_a_record() -> None:
    """As in appendix A.3 and section 6.1: many domains, one record kept by the provider."""
    zone = {
        **ZONE,
        **{f"{one}.example.com TXT": ["v=spf1 redirect=pass.example.com"] for one in ("la", "ny")},
    }
    results = {result_for(zone, "192.0.2.1", f"u@{one}.example.com").result for one in ("la", "ny")}
    assert results == {ResultCode.PASS}


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        (f"{'a' * 63}.example.com", True),
        (f"{'a' * 64}.example.com", False),
        (f"{'a.' * 121}example.com", True),
        (f"{'a.' * 120}ab.example.com", False),
        (f"{'a.' * 120}example.com", True),
        (f"{'a.' * 130}example.com", False),
        ("a..example.com", False),
        (".example.com", False),
    ],
)
def test_only_what_fits_into_dns_is_asked_for(name: str, exists: bool) -> None:
    """RFC 1035 section 3.1: labels of 1 to 63 bytes, 253 in all."""
    zone = {f"{name} TXT": ["v=spf1 +all"]}
    assert (result_for(zone, sender=f"u@{name}").result is ResultCode.PASS) is exists
    zone[f"{DOMAIN} TXT"] = [f"v=spf1 include:{name} -all"]
    assert (result_for(zone).result is ResultCode.PASS) is exists


@pytest.mark.parametrize("target", ["aaa.net", "zzz.net", "Example.COM"])
def test_the_macro_d_is_the_domain_of_the_record(target: str) -> None:
    """Section 7.2; that of the sender as it is written."""
    zone = {
        "example.com TXT": [f"v=spf1 include:{target} -all exp=why.example.com"],
        "why.example.com TXT": ["%{d}"],
        "aaa.net TXT": ["v=spf1 exists:%{d}.seen.net -all"],
        "zzz.net TXT": ["v=spf1 exists:%{d}.seen.net -all"],
        f"{target}.seen.net A": ["127.0.0.2"],
    }
    if target.islower():
        assert result_for(zone).result is ResultCode.PASS
    else:
        zone["example.com TXT"] = ["v=spf1 -all exp=why.example.com"]
        assert result_for(zone, sender=f"u@{target}").explanation == target


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("host.net", "pass"),
        ("a.host.net", "pass"),
        ("ahost.net", "fail"),
        ("aaa.net", "fail"),
        ("zzz.net", "fail"),
    ],
)
def test_a_name_of_the_client_matches_at_or_below_the_target(name: str, result: str) -> None:
    """Section 5.5."""
    zone = {
        f"{DOMAIN} TXT": ["v=spf1 ptr:host.net -all"],
        "1.2.0.192.in-addr.arpa PTR": [name],
        f"{name} A": ["192.0.2.1"],
    }
    assert result_for(zone).result == result


@pytest.mark.parametrize(
    ("terms", "lookups", "voids", "result"),
    [
        ("ptr ip4:192.0.2.1", 1, 1, "pass"),
        ("ptr ptr:a.net ip4:192.0.2.1", 2, 2, "pass"),
        ("ptr ptr:a.net ptr:b.net ip4:192.0.2.1", 3, 3, "permerror"),
        # One for each term, whatever of it finds nothing.
        ("ptr exists:%{p}.a.net ip4:192.0.2.1", 2, 2, "pass"),
        ("exists:%{p}.a.net exists:%{p}.b.net ptr", 3, 3, "permerror"),
        (f"{'ptr:host.net ' * 10}ip4:192.0.2.1", 3, 3, "permerror"),
    ],
)
def test_each_term_that_asks_for_names_of_the_client_counts(
    terms: str, lookups: int, voids: int, result: str
) -> None:
    """Section 4.6.4: terms count, though a receiver that remembers asks once."""
    found = result_for({f"{DOMAIN} TXT": [f"v=spf1 {terms} -all"]})
    assert (found.lookups, found.void_lookups, found.result) == (lookups, voids, result)


def test_of_many_names_of_the_client_ten_are_looked_at_by_each_term() -> None:
    zone = {
        f"{DOMAIN} TXT": [f"v=spf1 {'ptr:other.net ' * 9}ptr:host.net -all"],
        "1.2.0.192.in-addr.arpa PTR": [*(f"h{at}.net" for at in range(9)), "host.net", "late.net"],
        **{f"h{at}.net A": ["192.0.2.9"] for at in range(9)},
        "host.net A": ["192.0.2.1"],
        "late.net A": ["192.0.2.1"],
    }
    assert result_for(zone).result is ResultCode.PASS
    zone[f"{DOMAIN} TXT"] = ["v=spf1 ptr:late.net -all"]
    assert result_for(zone).result is ResultCode.FAIL
    zone[f"{DOMAIN} TXT"] = [f"v=spf1 {'ptr:other.net ' * 10}ptr:host.net -all"]
    assert result_for(zone).result is ResultCode.PERM_ERROR


def test_what_is_not_told_is_unknown_and_nothing_is_counted_where_nothing_is_looked_up() -> None:
    zone = {f"{DOMAIN} TXT": ["v=spf1 -all exp=why.net"], "why.net TXT": ["%{r} %{t} %{c}"]}
    steps = evaluate("192.0.2.1", f"u@{DOMAIN}", "x.net")
    found = drive(steps, lambda name, kind: answer(zone, name, kind))
    assert found.explanation == "unknown 0 192.0.2.1"
    assert result_for(zone, sender="u@localhost") == Result(
        ResultCode.NONE, "", 0, 0, None, "localhost", None
    )
    assert Result(ResultCode.NONE) == Result(ResultCode.NONE, "", 0, 0, None, "", None)


def test_what_is_no_domain_is_not_asked_for() -> None:
    assert result_for({"localhost TXT": ["v=spf1 +all"]}, sender="u@localhost").result == "none"


def test_what_is_no_address_or_name_hides_none_behind_it() -> None:
    zone = {
        f"{DOMAIN} TXT": ["v=spf1 a -all"],
        f"{DOMAIN} A": ["junk", "192.0.2.1"],
        "1.2.0.192.in-addr.arpa PTR": ["a..b", "broken.net", "host.net"],
        "broken.net A": None,
        "host.net A": ["192.0.2.1"],
    }
    assert result_for(zone).result is ResultCode.PASS
    zone[f"{DOMAIN} TXT"] = ["v=spf1 ptr:host.net -all"]
    assert result_for(zone).result is ResultCode.PASS


@pytest.mark.parametrize("each", [False, True])
def test_that_a_domain_has_no_record_counts_as_no_void_lookup(each: bool) -> None:
    found = result_for({}, sender=f"u@{DOMAIN}", limits=Limits(each_void_query=each))
    assert (found.result, found.void_lookups) == (ResultCode.NONE, 0)


@pytest.mark.parametrize(
    ("outcome", "values", "result", "voids"),
    [
        (Outcome.FOUND, ("192.0.2.1",), "pass", 0),
        (Outcome.FOUND, (), "fail", 1),
        (Outcome.NO_DATA, (), "fail", 1),
        (Outcome.NX_DOMAIN, (), "fail", 1),
        (Outcome.TIMEOUT, ("192.0.2.1",), "temperror", 0),
    ],
)
def test_what_was_not_found_is_void(
    outcome: Outcome, values: tuple[str, ...], result: str, voids: int
) -> None:
    zone = {f"{DOMAIN} TXT": ["v=spf1 a -all"]}

    def source(name: str, kind: RecordType) -> Answer:
        if kind is RecordType.A:
            return Answer(Question(name, kind), outcome, values)
        return answer(zone, name, kind)

    found = drive(evaluate("192.0.2.1", f"u@{DOMAIN}", "x.net"), source)
    assert (found.result, found.void_lookups) == (result, voids)

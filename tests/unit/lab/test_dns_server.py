"""The lab's DNS server: its records, denied zones, and input that is not a query."""

from __future__ import annotations

import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.lab.dns_server import Zone, answer

OWN = "echo.netprobe.svc.cluster.local."
EVERYWHERE = "echo.netprobe.svc.clusterset.local."
ZONE = Zone({OWN: (("10.0.0.1", "fd00::1"), 80), EVERYWHERE: (("10.0.0.1", "10.1.0.1", "fd00::1"), 80)})


def ask(name: str, kind: str, *denied: str) -> tuple[str, list[str]]:
    query = dns.message.make_query(name, kind)
    wire = answer(query.to_wire(), ZONE, denied=denied)
    assert wire is not None
    response = dns.message.from_wire(wire)
    assert query.is_response(response)
    texts = sorted(record.to_text() for group in response.answer for record in group)
    return dns.rcode.to_text(response.rcode()), texts


QUESTIONS = [
    (OWN, "A", "NOERROR", ["10.0.0.1"]),
    (OWN, "AAAA", "NOERROR", ["fd00::1"]),
    (OWN, "SRV", "NOERROR", [f"0 100 80 {OWN}"]),
    (OWN, "TXT", "NOERROR", []),
    (OWN.upper(), "A", "NOERROR", ["10.0.0.1"]),
    (EVERYWHERE, "A", "NOERROR", ["10.0.0.1", "10.1.0.1"]),
    ("netprobe.svc.cluster.local.", "A", "NOERROR", []),
    ("absent.netprobe.svc.cluster.local.", "A", "NXDOMAIN", []),
    ("example.org.", "A", "NXDOMAIN", []),
]


@pytest.mark.parametrize(("name", "kind", "rcode", "texts"), QUESTIONS, ids=str)
def test_a_question_gets_its_records(name: str, kind: str, rcode: str, texts: list[str]) -> None:
    assert ask(name, kind) == (rcode, texts)


def test_a_denied_zone_is_unknown_and_the_other_is_not() -> None:
    assert ask(EVERYWHERE, "A", "clusterset.local") == ("NXDOMAIN", [])
    assert ask(OWN, "A", "clusterset.local") == ("NOERROR", ["10.0.0.1"])


def test_an_answer_is_not_answered() -> None:
    query = dns.message.make_query(OWN, "A")
    wire = answer(query.to_wire(), ZONE, denied=())
    assert wire is not None
    assert answer(wire, ZONE, denied=()) is None


@given(noise=st.binary(max_size=600))
def test_noise_is_dropped_or_answered_but_never_breaks_the_server(noise: bytes) -> None:
    wire = answer(noise, ZONE, denied=())
    assert wire is None or dns.message.from_wire(wire).rcode() in (dns.rcode.NXDOMAIN, dns.rcode.NOERROR)


@given(data=st.data())
def test_a_damaged_question_never_breaks_the_server(data: st.DataObject) -> None:
    wire = bytearray(dns.message.make_query(OWN, "A").to_wire())
    place = data.draw(st.integers(0, len(wire) - 1))
    wire[place] = data.draw(st.integers(0, 255))
    texts = answer(bytes(wire), ZONE, denied=())
    assert texts is None or isinstance(dns.message.from_wire(texts), dns.message.Message)

"""PCP, NAT-PMP and SSDP byte by byte, as the RFCs draw them; and whatever bytes come, decoding says something."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cicada.nat import natpmp, pcp, ssdp
from cicada.nat.requests import Gateway

NONCE = bytes(range(12))
V4 = bytes.fromhex("00000000000000000000ffff")
GATEWAY = Gateway("192.168.1.1", "192.168.1.20", "eth0", "192.168.1.0/24")

MAP_REQUEST = (
    bytes.fromhex("02 01 0000 00000e10") + V4 + bytes([192, 168, 1, 20])  # version, opcode, lifetime 3600, client
    + NONCE + bytes.fromhex("06 000000 c1ca c1ca") + V4 + bytes(4)  # TCP, 49610 inside, 49610 wished for
)  # fmt: skip
MAP_ANSWER = (
    bytes.fromhex("02 81 00 00 00000e10 000003e8") + bytes(12)  # result 0, lifetime 3600, epoch 1000
    + NONCE + bytes.fromhex("06 000000 c1ca 9c40") + V4 + bytes([44, 128, 77, 1])  # 40000 outside
)  # fmt: skip


def test_a_map_request_is_laid_out_as_rfc_6887_figures_2_and_9() -> None:
    encoded = pcp.encode_map(
        nonce=NONCE, transport="tcp", port=49610, external_port=49610, lifetime=3600, client_ip="192.168.1.20"
    )
    assert encoded == MAP_REQUEST


def test_deleting_with_pcp_asks_for_no_time_and_no_port() -> None:
    encoded = pcp.encode_map(
        nonce=NONCE, transport="tcp", port=49610, external_port=49610, lifetime=0, client_ip="192.168.1.20"
    )
    assert encoded[4:8] == bytes(4)
    assert encoded[42:44] == bytes(2)


def test_a_map_answer_is_read_as_rfc_6887_figures_3_and_10() -> None:
    answer = pcp.answer_to_map(MAP_ANSWER, NONCE, "tcp", 49610)
    assert answer == pcp.MapAnswer(
        lifetime=3600,
        epoch=1000,
        nonce=NONCE,
        protocol=6,
        internal_port=49610,
        external_port=40000,
        external_ip="44.128.77.1",
    )


@pytest.mark.parametrize(
    ("nonce", "transport", "port"), [(bytes(12), "tcp", 49610), (NONCE, "udp", 49610), (NONCE, "tcp", 49611)]
)
def test_a_map_answer_to_another_request_is_nobodys(nonce: bytes, transport: str, port: int) -> None:
    assert pcp.answer_to_map(MAP_ANSWER, nonce, transport, port) is None


def test_an_announcement_and_its_answer_have_a_header_only() -> None:
    assert pcp.encode_announce("192.168.1.20") == bytes.fromhex("02 00 0000 00000000") + V4 + bytes(
        [192, 168, 1, 20]
    )
    assert pcp.decode(bytes.fromhex("02 80 00 00 00000000 00000007") + bytes(12)) == pcp.AnnounceAnswer(
        epoch=7
    )


def test_options_after_a_map_answer_are_passed_over() -> None:
    assert pcp.decode(MAP_ANSWER + bytes.fromhex("80 00 0000")) == pcp.decode(MAP_ANSWER)


def test_natpmp_requests_are_laid_out_as_rfc_6886_sections_3_2_and_3_3() -> None:
    assert natpmp.encode_address() == bytes.fromhex("00 00")
    tcp = natpmp.encode_map(transport="tcp", port=49610, external_port=40000, lifetime=3600)
    assert tcp == bytes.fromhex("00 02 0000 c1ca 9c40 00000e10")
    assert natpmp.encode_map(transport="udp", port=1, external_port=2, lifetime=3)[1] == 1
    gone = natpmp.encode_map(transport="tcp", port=49610, external_port=40000, lifetime=0)
    assert gone == bytes.fromhex("00 02 0000 c1ca 0000 00000000")


def test_natpmp_answers_are_read_as_rfc_6886_sections_3_2_and_3_3() -> None:
    address = natpmp.decode(bytes.fromhex("00 80 0000 00000007 2c804d01"))
    assert address == natpmp.AddressAnswer(external_ip="44.128.77.1", epoch=7)
    mapped = natpmp.decode(bytes.fromhex("00 82 0000 00000007 c1ca 9c40 00000e10"))
    assert mapped == natpmp.MapAnswer(opcode=2, port=49610, external_port=40000, lifetime=3600, epoch=7)
    assert natpmp.decode(bytes.fromhex("00 82 0002 00000007")) == natpmp.ErrorAnswer(opcode=2, result=2)


@given(st.binary(max_size=1200))
@example(MAP_ANSWER)
@example(MAP_ANSWER[:59])
@example(bytes.fromhex("02810002"))
@example(bytes.fromhex("0080000100000000"))
def test_whatever_bytes_come_both_codecs_say_something(data: bytes) -> None:
    assert isinstance(pcp.decode(data), pcp.AnyAnswer)
    assert isinstance(natpmp.decode(data), natpmp.AnyAnswer)
    answer = pcp.answer_to_map(data, NONCE, "tcp", 49610)
    assert answer is None or isinstance(answer, pcp.ErrorAnswer) or answer.nonce == NONCE


@given(place=st.integers(0, len(MAP_ANSWER) - 1), value=st.integers(0, 255))
def test_a_changed_byte_never_makes_an_answer_to_another_port(place: int, value: int) -> None:
    changed = MAP_ANSWER[:place] + bytes([value]) + MAP_ANSWER[place + 1 :]
    answer = pcp.answer_to_map(changed, NONCE, "tcp", 49610)
    if isinstance(answer, pcp.MapAnswer):
        assert (answer.internal_port, answer.protocol) == (49610, 6)
        assert 0 <= answer.external_port <= 65535


# SSDP


def found(location: str, *, status: str = "HTTP/1.1 200 OK", kind: str = "") -> bytes:
    kind = kind or "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
    return f"{status}\r\nST: {kind}\r\nLOCATION: {location}\r\n\r\n".encode()


def test_the_gateway_and_its_neighbours_are_believed() -> None:
    for host in ("192.168.1.1", "192.168.1.254"):
        url = f"http://{host}:5000/root.xml"
        assert ssdp.device_of(found(url), host, GATEWAY) == url


@pytest.mark.parametrize(
    "answer",
    [
        found("http://192.168.1.1:5000/x", status="HTTP/1.1 404 Not Found"),
        found("http://192.168.1.1:5000/x", status="NOTIFY * HTTP/1.1"),
        found("http://192.168.1.1:5000/x", kind="urn:schemas-upnp-org:device:MediaServer:1"),
        found("http://10.0.0.1:5000/x"),  # another host than the one that answered
        found("http://router.local/x"),
        found("https://192.168.1.1/x"),
        found("http://me@192.168.1.1/x"),
        found("http://192.168.1.1:99999/x"),
        found("http://192.168.1.1:0/x"),
        found("http://[192.168.1.1/x"),
        found("http://192.168.1.1/" + "x" * 300),
        b"HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1/x\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_names_no_router_here_is_not_followed(answer: bytes) -> None:
    assert ssdp.device_of(answer, "192.168.1.1", GATEWAY) == ""


def test_a_router_in_another_network_is_not_believed() -> None:
    assert ssdp.device_of(found("http://10.0.0.1/x"), "10.0.0.1", GATEWAY) == ""
    alone = Gateway("192.168.1.1", "192.168.1.20")
    assert ssdp.device_of(found("http://192.168.1.2/x"), "192.168.1.2", alone) == "", "no subnet is known"


def test_the_default_gateway_comes_before_other_routers() -> None:
    other, own = "http://192.168.1.9/a", "http://192.168.1.1/b"
    assert ssdp.in_order([other, own, other], GATEWAY) == [own, other]


@given(st.binary(max_size=600), st.sampled_from(["192.168.1.1", "10.0.0.1", "junk"]))
def test_whatever_answers_a_search_only_a_near_router_is_followed(data: bytes, sender: str) -> None:
    for answer in (data, found("http://192.168.1.1/x")[: len(data)] + data):
        device = ssdp.device_of(answer, sender, GATEWAY)
        assert not device or (sender == "192.168.1.1" and ssdp.is_at(device, sender))

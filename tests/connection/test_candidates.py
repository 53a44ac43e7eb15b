"""The relay's own candidates, and its ICE credentials."""

import pytest

from telerelay.connection.candidates import host_candidates, machine_addresses, priority
from telerelay.connection.credentials import new_credentials
from telerelay.errors import ConfigError


def own(version: int) -> list[str]:
    return {4: ["192.0.2.1", "198.51.100.1"], 6: ["2001:db8::1"]}[version]


@pytest.mark.parametrize(
    ("binds", "advertise", "expected"),
    [
        ([("127.0.0.1", 40000)], [], [("127.0.0.1", 40000)]),
        ([("::1", 40000)], [], [("::1", 40000)]),
        ([("0.0.0.0", 40000)], [], [("192.0.2.1", 40000), ("198.51.100.1", 40000)]),
        ([("0.0.0.0", 4), ("::", 6)], [], [("2001:db8::1", 6), ("192.0.2.1", 4), ("198.51.100.1", 4)]),
        ([("0.0.0.0", 4)], ["203.0.113.9"], [("203.0.113.9", 4)]),
        ([("10.0.0.5", 4)], ["203.0.113.9"], [("203.0.113.9", 4)]),
        ([("0.0.0.0", 4), ("::", 6)], ["203.0.113.9"], [("2001:db8::1", 6), ("203.0.113.9", 4)]),
        ([("10.0.0.5", 4), ("10.0.0.6", 5)], ["203.0.113.9"], [("203.0.113.9", 4), ("203.0.113.9", 5)]),
        ([("10.0.0.5", 4), ("0.0.0.0", 4)], ["203.0.113.9"], [("203.0.113.9", 4)]),
        ([("192.0.2.1", 4), ("0.0.0.0", 4)], [], [("192.0.2.1", 4), ("198.51.100.1", 4)]),
    ],
)
def test_addresses_offered(binds: list[tuple[str, int]], advertise: list[str], expected: list[tuple[str, int]]) -> None:
    """
    What is bound, or what it is advertised as; IPv6 first; each once.
    """
    candidates = host_candidates(binds, advertise, own)

    assert expected == [(candidate.address, candidate.port) for candidate in candidates]


def test_candidates_are_udp_hosts_in_order_of_priority() -> None:
    """
    RFC 8445, 5.1.2.1: unique priorities, falling; one foundation for each address.
    """
    candidates = host_candidates([("0.0.0.0", 4), ("192.0.2.1", 5)], (), own)

    assert {("host", "udp", 1)} == {(each.type, each.protocol, each.component) for each in candidates}
    assert sorted({each.priority for each in candidates}, reverse=True) == [each.priority for each in candidates]
    assert 2 == len({each.foundation for each in candidates})


@pytest.mark.parametrize(("local_preference", "expected"), [(65535, 2130706431), (0, 2113929471), (1, 2113929727)])
def test_priority_is_that_of_the_rfc(local_preference: int, expected: int) -> None:
    """
    (2^24)·126 + (2^8)·local preference + (256 − component).
    """
    assert expected == priority(local_preference)


@pytest.mark.parametrize(
    ("binds", "advertise"), [([("127.0.0.1", 4)], ["2001:db8::1"]), ([("::1", 4)], ["203.0.113.9"])]
)
def test_an_advertised_address_needs_a_bind_of_its_version(binds: list[tuple[str, int]], advertise: list[str]) -> None:
    """
    Otherwise clients would be sent where nobody listens.
    """
    with pytest.raises(ConfigError, match=advertise[0]):
        host_candidates(binds, advertise, own)


def test_nothing_to_offer_is_an_error() -> None:
    """
    A machine without addresses needs to be told one.
    """
    with pytest.raises(ConfigError, match="advertise"):
        host_candidates([("::", 4)], (), lambda version: [])


def test_the_machine_offers_no_loopback() -> None:
    """
    A loopback candidate is offered only where loopback is what is bound.
    """
    assert not [
        each for each in (*machine_addresses(4), *machine_addresses(6)) if each.startswith("127.") or each == "::1"
    ]


def test_credentials_name_the_worker_and_are_unguessable() -> None:
    """
    ICE characters only, 84 and 192 random bits, none twice.
    """
    made = [new_credentials(0xAB) for _ in range(1000)]

    assert {"ab"} == {each.ufrag[:2] for each in made}
    assert {(16, 32)} == {(len(each.ufrag), len(each.pwd)) for each in made}
    assert 1000 == len({each.ufrag for each in made}) == len({each.pwd for each in made})
    assert all(char.isalnum() or char in "+/" for each in made for char in each.ufrag + each.pwd)

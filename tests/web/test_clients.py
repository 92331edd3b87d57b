"""Who a client is: nobody passes for another by what he writes, nor for many by the addresses that he has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.web.clients import Proxies, key_of
from ribocast.web.settings import read_settings

ADDRESSES = st.ip_addresses(v=4).map(str)
ANYTHING = st.text(st.characters(max_codepoint=255), max_size=30) | ADDRESSES


@given(st.lists(ANYTHING, max_size=3), ADDRESSES, st.integers(1, 3))
def test_a_client_is_whom_the_outermost_proxy_saw_whatever_he_wrote(written, client, proxies):
    inner = [f"10.0.0.{number}" for number in range(1, proxies)]
    sent = [*written, ", ".join([client, *inner])]
    assert Proxies(str(proxies)).client("10.0.0.9", sent) == client
    if not client.startswith("10.0.0."):
        for setting in ("10.0.0.0/24", "10.0.0.1, 10.0.0.2, 10.0.0.9"):
            assert Proxies(setting).client("10.0.0.9", sent) == client


@given(st.lists(ANYTHING, max_size=3), ADDRESSES)
def test_nobody_but_a_proxy_is_believed(written, client):
    assert Proxies("").client(client, written) == client
    if client != "10.0.0.9":
        assert Proxies("10.0.0.9").client(client, written) == client


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_addresses_with_ports_are_read(entry, key):
    assert Proxies("1").client("127.0.0.1", [entry]) == key


@given(st.ip_addresses(v=6, network="2001:db8:0:7::/64"))
def test_addresses_of_one_ipv6_network_are_one_client(address):
    assert key_of(str(address)) == "2001:db8:0:7::/64"
    assert key_of("2001:db8:0:8::1") != key_of(str(address))


def test_a_name_stands_for_its_addresses():
    assert Proxies("localhost").client("127.0.0.1", ["203.0.113.9"]) == "203.0.113.9"


@pytest.mark.parametrize("setting", ["*", "nobody.invalid", "1.2.3.4/99", "11", "-1", "a b"])
def test_other_settings_are_refused_in_a_line_that_says_which(setting):
    with pytest.raises(RibocastError, match="RIBOCAST_TRUSTED_PROXY") as error:
        read_settings({"RIBOCAST_TRUSTED_PROXY": setting})
    assert len(str(error.value).splitlines()) == 1
    assert "proxies" in str(error.value) or setting in str(error.value)

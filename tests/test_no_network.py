"""The guard at the network works: no test, and nothing that a test starts, gets beyond this machine."""

import socket
import subprocess
import sys
import urllib.request

import pytest

REACH = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.create_connection(("2001:db8::1", 80), timeout=1),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
        lambda: socket.socket().connect_ex(("192.0.2.1", 80)),
        lambda: socket.getaddrinfo("example.org", 80),
        lambda: socket.gethostbyname("example.org"),
        lambda: urllib.request.urlopen("http://example.org", timeout=1),
    ],
    ids=range(7),
)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_whoever_reaches_beyond_this_machine_is_stopped(reach):
    with pytest.raises(RuntimeError, match="a test reaches for the network"):
        reach()


def test_what_a_test_starts_is_stopped_too():
    run = subprocess.run([sys.executable, "-c", REACH], capture_output=True, text=True, check=False)
    assert "RuntimeError: a test reaches for the network: socket.getaddrinfo 192.0.2.1" in run.stderr


def test_this_machine_may_be_reached():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
    assert socket.getaddrinfo("localhost", 80)

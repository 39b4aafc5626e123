"""Where keys and data may travel."""

from __future__ import annotations

import pytest

from liftgate.data.remote.hosts import plain_http_warning, require_allowed_host
from liftgate.errors import Refused, UsageError


@pytest.mark.parametrize("host", ["cvat.example.org", "192.168.1.20", "cvat", "localhost"])
def test_https_goes_anywhere(host: str) -> None:
    assert require_allowed_host(f"https://{host}:8443/x", confidential=False, what="cows") == host
    assert plain_http_warning(f"https://{host}:8443/x") is None


@pytest.mark.parametrize(
    "host", ["10.0.0.7", "172.16.3.4", "192.168.1.20", "[fd12::1]", "cvat", "cvat.local", "cvat.factory.internal"]
)
def test_plain_http_stays_in_the_local_network_and_is_noted(host: str) -> None:
    assert require_allowed_host(f"http://{host}:8080", confidential=False, what="cows") == host.strip("[]")
    assert "can be read" in str(plain_http_warning(f"http://{host}:8080"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_plain_http_within_this_machine_needs_no_note(host: str) -> None:
    require_allowed_host(f"http://{host}:8080", confidential=False, what="cows")
    assert plain_http_warning(f"http://{host}:8080") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://cvat.example.org",
        "http://8.8.8.8",
        "http://134744072",  # the same address as one number
        "http://0x08080808",
        "http://172.32.0.1",
        "http://169.254.169.254",  # a cloud machine's own secrets
        "http://[2001:db8::1]",
        "http://192.168.0.3.example.org",
        "http://10.0.0.1@example.org",
        "http://[::",
        "ftp://10.0.0.1",
        "10.0.0.1",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        require_allowed_host(url, confidential=False, what="cows")


def test_where_the_local_network_is_not_meant_it_is_refused_too() -> None:
    with pytest.raises(UsageError):
        require_allowed_host("http://192.168.1.20", confidential=False, what="cows", lan=False)


def test_confidential_data_stay_here_also_within_the_local_network() -> None:
    with pytest.raises(Refused, match="cows"):
        require_allowed_host("http://192.168.1.20", confidential=True, what="cows")
    assert require_allowed_host("http://192.168.1.20", confidential=True, allowed=["192.168.1.20"], what="cows")

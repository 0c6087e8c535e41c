"""No camera is where a camera cannot be: services of clouds, other networks, other folders."""

import socket
from ipaddress import ip_network

import pytest
from django.core.exceptions import ValidationError

from environments.addresses import (
    AddressForbidden,
    folder_check,
    host_check,
    resolved_check,
    webhook_addresses,
    webhook_host_check,
)
from environments.models import validate_source_url

HOME = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "169.254.43518",
        "0251.0376.0251.0376",
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "0.0.0.0",  # noqa: S104 - refused
        "0",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_hosts_where_no_camera_is_are_refused(host):
    with pytest.raises(AddressForbidden, match="SPOTON_SOURCE_NETWORKS"):
        host_check(host, networks=[])


@pytest.mark.parametrize("host", ["10.1.2.3", "fd12::1", "camera.example", "::ffff:10.0.0.1"])
def test_hosts_within_the_networks_may_be_cameras(host):
    host_check(host, networks=HOME)


@pytest.mark.parametrize("host", ["192.168.1.1", "127.0.0.1", "127.1", "8.8.8.8", "::1", "2001:db8::1"])
def test_hosts_outside_the_networks_are_refused(host):
    host_check(host, networks=[])
    with pytest.raises(AddressForbidden):
        host_check(host, networks=HOME)


def test_every_address_of_a_name_is_checked(monkeypatch):
    found = {
        "good.example": ["10.0.0.1", "10.0.0.2"],
        "rebound.example": ["10.0.0.1", "169.254.169.254"],
    }

    def look_up(host, *_, **__):
        if host not in found:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0)) for text in found[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolved_check("good.example", networks=HOME)
    resolved_check("nowhere.example", networks=HOME)
    with pytest.raises(AddressForbidden):
        resolved_check("rebound.example", networks=[])


def test_files_stay_in_their_folders(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link").symlink_to("/etc")
    folder_check("/etc/passwd", folders=[])
    folder_check(str(inside / "a.mp4"), folders=["/srv", str(inside)])
    for path in (f"{inside}/../x", f"{inside}/link/passwd", "/etc/passwd", f"{inside}x/a.mp4"):
        with pytest.raises(AddressForbidden, match="SPOTON_SOURCE_FOLDERS"):
            folder_check(path, folders=[str(inside)])


def test_addresses_are_checked_when_saved(settings):
    settings.SPOTON_SOURCE_SCHEMES = ["rtsp", "file"]
    settings.SPOTON_SOURCE_NETWORKS = HOME
    settings.SPOTON_SOURCE_FOLDERS = ["/srv/videos"]
    validate_source_url("rtsp://u:p@10.0.0.1/s")
    validate_source_url("file:///srv/videos/a.mp4?loop=3")
    for url in (
        "http://10.0.0.1/s",
        "rtsp://192.168.0.1/s",
        "rtsp://u:p@169.254.169.254/s",
        "file:///etc/passwd",
        "file:///srv/videos/%2e%2e/secret",
        "gopher://10.0.0.1/",
        "javascript:alert(1)",
    ):
        with pytest.raises(ValidationError):
            validate_source_url(url)


# --- webhooks ---


@pytest.mark.parametrize(
    ("host", "networks", "is_allowed"),
    [
        ("93.184.216.34", [], True),
        ("10.0.0.5", [], True),
        ("127.0.0.1", [], False),
        ("::1", [], False),
        ("::ffff:127.0.0.1", [], False),
        ("64:ff9b::7f00:1", [], False),
        ("169.254.169.254", [], False),
        ("64:ff9b::a9fe:a9fe", [], False),
        ("64:ff9b::5db8:d822", [], True),
        ("127.0.0.1", [ip_network("127.0.0.0/8")], True),
        ("169.254.169.254", [ip_network("169.254.0.0/16")], False),
        ("93.184.216.34", HOME, False),
        ("10.0.0.5", HOME, True),
        ("hooks.example.com", HOME, True),  # nobody knows yet where that is
    ],
)
def test_webhooks_may_be_everywhere_but_here_or_in_the_networks_named(host, networks, is_allowed):
    if is_allowed:
        webhook_host_check(host, networks=networks)
        return
    with pytest.raises(AddressForbidden, match="SPOTON_WEBHOOK_NETWORKS"):
        webhook_host_check(host, networks=networks)


def test_all_addresses_of_a_webhook_are_checked_and_given(monkeypatch):
    found = ["10.0.0.5", "10.0.0.6", "10.0.0.5"]

    def getaddrinfo(host, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert webhook_addresses("hooks.example.com", networks=HOME) == ["10.0.0.5", "10.0.0.6"]
    found.append("169.254.169.254")
    with pytest.raises(AddressForbidden):
        webhook_addresses("hooks.example.com", networks=[])

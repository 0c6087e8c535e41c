"""Secrets of camera addresses: hidden wherever they are shown."""

import pytest

from environments.secrets import mask_credentials


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://viewer:secret@10.0.0.1/1", "rtsp://***@10.0.0.1/1"),
        ("rtsp://viewer:s@cret@10.0.0.1/1", "rtsp://***@10.0.0.1/1"),
        ("rtsp://viewer@10.0.0.1/1", "rtsp://***@10.0.0.1/1"),
        ("rtsp://10.0.0.1/mail@home", "rtsp://10.0.0.1/mail@home"),
        ("http://h/v?user=a&pwd=secret&ch=1", "http://h/v?user=***&pwd=***&ch=1"),
        ("cannot open rtsp://a:b@h/1: gone", "cannot open rtsp://***@h/1: gone"),
        ("rtsp://admin:p@ss@cam/x", "rtsp://***@cam/x"),
        ("open 'http://u:p@a/b' and rtsp://x:y@c/d", "open 'http://***@a/b' and rtsp://***@c/d"),
        ("/videos/a@b.mp4", "/videos/a@b.mp4"),
        ("no address", "no address"),
    ],
)
def test_credentials_are_masked(text, masked):
    assert mask_credentials(text) == masked

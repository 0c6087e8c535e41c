"""Log lines hold no secrets."""

import logging
import logging.config
import sys
from typing import Any

import pytest
from django.conf import settings

from spoton.logs import MaskingFormatter, masked

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("open rtsp://ann:secret@10.0.0.1/s", "open rtsp://***@10.0.0.1/s"),
        ("GET /x?token=abc&page=2", "GET /x?token=***&page=2"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ***"),
        ("key spoton_0a1b2c3d_SECRET-part_x used", "key spoton_0a1b2c3d_*** used"),
        ("camera c1 is online at 12:00", "camera c1 is online at 12:00"),
    ],
)
def test_secrets_are_masked(text, shown):
    assert masked(text) == shown


def test_traces_are_masked_too():
    try:
        raise ValueError("cannot open rtsp://ann:secret@10.0.0.1/s")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed %s", (TOKEN,), sys.exc_info())
    line = MaskingFormatter("%(message)s").format(record)
    assert "cannot open rtsp://***@10.0.0.1/s" in line
    assert "secret" not in line
    assert TOKEN not in line


def test_every_handler_masks():
    logging_settings: dict[str, Any] = settings.LOGGING
    used = {handler["formatter"] for handler in logging_settings["handlers"].values()}
    assert {logging_settings["formatters"][name]["()"] for name in used} == {"spoton.logs.MaskingFormatter"}

"""Uploaded pictures: a picture and nothing else, within bounds."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from accounts.models import Role
from environments import pictures
from environments.models import FloorPlan
from environments.pictures import PictureRefused, picture_clean, picture_turned
from tests.factories import EnvironmentFactory
from tests.roles import client_with, roles_ensure

SCRIPT = b"<script>alert(1)</script>"


def made(kind="PNG", size=(8, 6), mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, size, "red").save(file, kind, **options)
    return file.getvalue()


def png_claiming(width, height):
    """Give a PNG whose head claims a size that nobody could unpack."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("kind", "mode", "suffix"),
    [
        ("PNG", "RGB", ".png"),
        ("PNG", "P", ".png"),
        ("PNG", "RGBA", ".png"),
        ("JPEG", "L", ".jpg"),
        ("WEBP", "RGB", ".png"),
    ],
)
def test_picture_is_kept_as_it_looks(kind, mode, suffix):
    clean = picture_clean(io.BytesIO(made(kind, mode=mode)))
    assert (clean.suffix, Image.open(io.BytesIO(clean.content)).size) == (suffix, (8, 6))


def test_same_picture_gives_the_same_bytes_also_the_second_time():
    once = picture_clean(io.BytesIO(made()))
    assert picture_clean(io.BytesIO(made())) == once
    assert picture_clean(io.BytesIO(once.content)) == once


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_hides_in_a_picture_is_left_out(kind):
    exif = Image.Exif()
    exif[0x010E] = SCRIPT.decode()
    for content in (made(kind, exif=exif), made(kind) + SCRIPT, made(kind) + b"PK\x03\x04" + SCRIPT):
        assert SCRIPT in content
        assert SCRIPT not in picture_clean(io.BytesIO(content)).content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        SCRIPT,
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        made("GIF"),
        made("BMP"),
        made("TIFF"),
        made()[:40],
        made("JPEG")[:200],
        b"GIF89a" + made(),
    ],
)
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(PictureRefused, match="no picture that can be read"):
        picture_clean(io.BytesIO(content))


@pytest.mark.parametrize(
    "size", [(20_000, 1), (9_000, 9_000), (2**31 - 1, 2**31 - 1), (12_000, 12_000), (30_000, 30_000)]
)
def test_picture_that_would_fill_the_memory_is_refused_before_it_is_unpacked(size):
    with pytest.raises(PictureRefused):
        picture_clean(io.BytesIO(png_claiming(*size)))


@pytest.mark.parametrize(
    ("turn_deg", "size", "place"),
    [
        (90, (6, 8), (1.0, 7.0)),
        (-90, (6, 8), (5.0, 1.0)),
        (180, (8, 6), (7.0, 5.0)),
    ],
)
def test_picture_is_turned_with_a_point_of_it(turn_deg, size, place):
    turned, point = picture_turned(made(), turn_deg=turn_deg, point=(1.0, 1.0))
    assert Image.open(io.BytesIO(turned.content)).size == size
    assert point == pytest.approx(place, abs=0.01)


def test_mark_in_a_turned_picture_lies_where_its_point_is_said_to_be():
    file = io.BytesIO()
    picture = Image.new("RGB", (120, 80), "white")
    picture.paste("black", (98, 18, 103, 23))
    picture.save(file, "PNG")
    turned, (u, v) = picture_turned(file.getvalue(), turn_deg=30, point=(100.5, 20.5))
    shown = np.asarray(Image.open(io.BytesIO(turned.content)).convert("L"))
    ys, xs = np.nonzero(shown < 60)
    assert (xs.mean() + 0.5, ys.mean() + 0.5) == pytest.approx((u, v), abs=0.4)
    assert shown[0, 0] == 255  # what came into the corners


def test_picture_that_would_grow_too_large_is_not_turned(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_SIDE_PX", 9)
    with pytest.raises(PictureRefused, match="turned, the picture would have 10x10 px"):
        picture_turned(made(), turn_deg=45, point=(0, 0))


def test_file_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 2 * 1024 * 1024)
    with pytest.raises(PictureRefused, match="larger than 2 MiB"):
        picture_clean(io.BytesIO(made() + b"\0" * 2 * 1024 * 1024))


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["plan.png", "plan.html", "../../etc/plan.svg", "plan.png\0.php"])
def test_upload_is_named_and_typed_by_what_it_is(name, settings, tmp_path):
    roles_ensure()
    settings.MEDIA_ROOT = tmp_path
    EnvironmentFactory.create(slug="plaza")
    admin = client_with(Role.ADMIN)
    file = io.BytesIO(made() + SCRIPT)
    file.name = name
    address = "/api/v1/environments/plaza/plan/"
    response = admin.put(address, {"image": file, "metres_per_px": 1}, format="multipart")
    assert response.status_code == 200, response.content
    picture = admin.get(f"{address}picture/")
    assert (picture["Content-Type"], picture["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert SCRIPT not in picture.content
    assert str(FloorPlan.objects.get().image.name).startswith("plans/plaza")
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "plans"]

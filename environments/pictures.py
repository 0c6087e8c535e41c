"""Pictures from outside, made safe: read as what they are, within bounds, and written anew.

Writing anew leaves out whatever else a file may hold: scripts or archives behind the picture, comments, places in EXIF.
"""

import io
import math
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
MAX_SIDE_PX = 16_384
KINDS = {"PNG": ("PNG", ".png"), "JPEG": ("JPEG", ".jpg"), "WEBP": ("PNG", ".png")}  # format read: written as
UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,  # of a damaged PNG
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class PictureRefused(ValueError):  # noqa: N818 - named for what is wrong
    """A file that is no picture, or none that is taken; the message says why."""


@dataclass(frozen=True, slots=True)
class CleanPicture:
    """A picture and nothing else.

    Attributes:
        suffix: ``.png`` or ``.jpg``.
    """

    content: bytes
    suffix: str


def picture_clean(file: IO[bytes]) -> CleanPicture:
    """Read a picture and write it anew; the same picture gives the same bytes.

    Raises:
        PictureRefused: too large, of another type, or damaged.
    """
    file.seek(0)
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PictureRefused(f"the picture is larger than {MAX_BYTES // 1024**2} MiB: make it smaller")
    try:
        # by what it holds, whatever its name and type say; the size is known before anything is unpacked
        picture: Any = Image.open(io.BytesIO(content), formats=list(KINDS))
        if max(picture.size) > MAX_SIDE_PX or picture.width * picture.height > MAX_PIXELS:
            raise PictureRefused(
                f"the picture has {picture.width}x{picture.height} px: make it smaller than "
                f"{MAX_PIXELS // 10**6} million pixels and {MAX_SIDE_PX} px a side"
            )
        return _written_anew(picture)
    except PictureRefused:
        raise
    except BOMBS as error:  # so large that its size is not even told
        raise PictureRefused(
            f"the picture has more than {MAX_PIXELS // 10**6} million pixels: make it smaller"
        ) from error
    except UNREADABLE as error:
        raise PictureRefused("this is no picture that can be read: use a PNG, JPEG or WebP file") from error


def picture_turned(
    content: bytes, *, turn_deg: float, point: tuple[float, float]
) -> tuple[CleanPicture, tuple[float, float]]:
    """Turn a clean picture counter-clockwise, and give where a point of it lies then.

    What comes into the corners has the colour of its first pixel.

    Raises:
        PictureRefused: it would be too large.
    """
    picture: Any = Image.open(io.BytesIO(content))
    a = math.radians(turn_deg)
    width = abs(picture.width * math.cos(a)) + abs(picture.height * math.sin(a))
    height = abs(picture.width * math.sin(a)) + abs(picture.height * math.cos(a))
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise PictureRefused(
            f"turned, the picture would have {width:.0f}x{height:.0f} px: make it smaller first"
        )
    turned = picture.rotate(
        turn_deg, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=picture.getpixel((0, 0))
    )
    turned.format = picture.format
    u, v = point[0] - picture.width / 2, point[1] - picture.height / 2
    moved = (
        u * math.cos(a) + v * math.sin(a) + turned.width / 2,
        v * math.cos(a) - u * math.sin(a) + turned.height / 2,
    )
    return _written_anew(turned), moved


def _written_anew(picture: Any) -> CleanPicture:
    kind, suffix = KINDS[picture.format]
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    upright = ImageOps.exif_transpose(picture)  # what EXIF says of it is left out
    plain = upright.convert("RGBA" if has_alpha and kind == "PNG" else "RGB")
    plain.info = {}
    written = io.BytesIO()
    plain.save(written, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return CleanPicture(written.getvalue(), suffix)

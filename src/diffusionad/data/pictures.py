"""The one way from a picture file to an array, and what happens to every odd picture. numpy and Pillow only.

What a file may be: PNG, JPEG, BMP, TIFF, WebP, told by its first bytes, never by its name.

    rotation flag (EXIF)    ignored: the pixels stay where the camera stored them
    alpha, transparency     laid over white (`BACKGROUND`), hidden colours never show
    palette                 expanded to its colours
    CMYK, YCCK, Lab         Pillow's plain conversion to RGB; colour profiles and gamma are not applied
    grey, 1 bit             the same value in three channels
    16-bit grey             uint16 as stored, nothing scaled, nothing clipped (12 bits in 16 stay 0..4095)
    16-bit colour           refused: Pillow would cut it to 8 bits without a word
    32-bit integer TIFF     uint16 when every value fits 0..65535, else refused
    signed 8-bit TIFF       refused
    float TIFF              refused, and named `picture.nonfinite` when it holds NaN or infinity
    several pages, animated refused, because nobody said which page is meant; a phone's JPEG counts as its first picture
    cut off                 refused; a half picture never comes back
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from diffusionad.errors import DataError, PictureError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from diffusionad.structures import BoolMap, FloatMap, Picture

__all__ = [
    "BACKGROUND",
    "MAX_PIXELS",
    "MIN_SIDE",
    "Stored",
    "is_mask_empty",
    "picture_size",
    "read_mask",
    "read_mask_levels",
    "read_picture",
    "read_stored",
]

BACKGROUND = 255
"""Grey level 0..255 laid under transparent pixels: white."""

MAX_PIXELS = 200_000_000
"""Largest picture that is decoded, in pixels."""

MIN_SIDE = 8
"""Shortest side of a picture that can be judged, in pixels."""

# Opened by class rather than by PIL.Image.open: its bomb guard is one number for the whole process, warns instead of
# refusing below 179 megapixels, and would not say which of our limits was met.
_FORMATS: tuple[tuple[bytes, bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", b"", PngImageFile),
    (b"\xff\xd8\xff", b"", JpegImageFile),
    (b"BM", b"", BmpImageFile),
    (b"II*\0", b"", TiffImageFile),
    (b"MM\0*", b"", TiffImageFile),
    (b"II+\0", b"", TiffImageFile),
    (b"MM\0+", b"", TiffImageFile),
    (b"RIFF", b"WEBP", WebPImageFile),
)
_ORIENTATION, _CHANGED, _EXIF_PART, _RECORDED = 274, 306, 34665, 36867
_MAX_LABELS = 8  # a mask with more grey levels than this has soft edges, not labels


@dataclass(frozen=True, slots=True)
class Stored:
    """A decoded picture, and what its file says about it.

    Attributes:
        picture: as `read_picture` returns it.
        mode: Pillow's name for how the pixels are stored, such as "L", "RGB", "RGBA", "P", "CMYK", "I;16".
        profile: the first 8 hexadecimal digits of the sha256 of the embedded colour profile; None without one.
        rotation: EXIF orientation 1..8; 1 where the file says nothing.
        taken: day of recording by EXIF; None where the file says nothing.
    """

    picture: Picture
    mode: str
    profile: str | None
    rotation: int
    taken: date | None


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode one file to [H, W, 3], uint8 0..255 or uint16 0..65535, by the policies of this module.

    Args:
        path: the file.
        max_pixels: largest H x W that is decoded; checked in the header, before any memory is taken.

    Raises:
        PictureError: with a code of `PictureError`; no other error leaves this function, whatever the bytes are.
    """
    with _opened(path, max_pixels) as picture:
        return _decode(picture, path)


def read_stored(path: Path, *, max_pixels: int = MAX_PIXELS) -> Stored:
    """Decode one file as `read_picture` does, once, and tell how it was stored. Raises as `read_picture`."""
    with _opened(path, max_pixels) as picture:
        mode, pixels = picture.mode, _decode(picture, path)
        profile = picture.info.get("icc_profile")
        rotation, taken = _exif(picture)
        return Stored(pixels, mode, sha256(profile).hexdigest()[:8] if profile else None, rotation, taken)


def picture_size(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(H, W) in pixels from the header alone, as stored (rotation flags ignored). Raises as `read_picture`."""
    with _opened(path, max_pixels) as picture:
        return picture.height, picture.width


def read_mask(path: Path, size: tuple[int, int], *, picture: Path | None = None) -> BoolMap:
    """Read a true mask, [H, W] bool. Palette index, bit or grey level above 0 is anomalous.

    A mask of more than eight grey levels has soft or compressed edges; there a pixel needs half of the mask's maximum.
    Of a colour mask the strongest channel counts, and fully transparent pixels are normal.

    Args:
        path: the mask's file.
        size: (H, W) of the picture it belongs to, in pixels.
        picture: the picture's file, for the message only.

    Raises:
        DataError: the mask cannot be read, or its size is not `size`.
    """
    try:
        with _opened(path, MAX_PIXELS) as mask:
            found = (mask.height, mask.width)
            if found != size:
                raise DataError(
                    f"The mask {_name(path)} is {found[1]} x {found[0]} pixels (width x height), but its picture "
                    f"{_name(picture) if picture else 'beside it'} is {size[1]} x {size[0]}; "
                    "save the mask at the picture's size.",
                    code="data.mask_size",
                )
            levels = _mask_levels(mask, path)
    except PictureError as error:
        raise DataError(f"A mask cannot be read. {error}", code="data.mask") from error
    if len(np.unique(levels)) <= _MAX_LABELS:
        return levels > 0
    return levels >= float(levels.max()) / 2


def is_mask_empty(path: Path) -> bool:
    """Whether a mask marks nothing: every palette index, bit or grey level is 0.

    Raises:
        DataError: the mask cannot be read.
    """
    try:
        with _opened(path, MAX_PIXELS) as mask:
            return not _mask_levels(mask, path).any()
    except PictureError as error:
        raise DataError(f"A mask cannot be read. {error}", code="data.mask") from error


def read_mask_levels(path: Path) -> FloatMap:
    """A mask as stored, [H, W] float32 in the file's own units: its strongest channel. Raises as `read_picture`."""
    with _opened(path, MAX_PIXELS) as mask:
        return _mask_levels(mask, path)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[ImageFile]:
    """Open the header, refuse what the header already condemns, and turn every error of the body into ours."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise _refused("unreadable", f"{_name(path)} is {kind}; give the path of a picture file.")
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _refused("missing", f"{_name(path)} does not exist; check the path.") from error
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise _refused("unreadable", f"{_name(path)} cannot be opened ({reason}); check its permissions.") from error
    with stream:
        try:
            reader = _reader(stream.read(12), path)
            stream.seek(0)
            with reader(stream) as picture:
                _check_header(picture, path, max_pixels)
                yield picture
        except (PictureError, DataError):
            raise
        except MemoryError as error:
            raise _refused("too_large", f"{_name(path)} does not fit into memory; give a smaller picture.") from error
        except Exception as error:  # Pillow raises whatever its parsers meet, from SyntaxError to struct.error
            raise _broken(error, path) from error


def _reader(head: bytes, path: Path) -> type[ImageFile]:
    if not head:
        raise _refused("empty", f"{_name(path)} has no content (0 bytes); copy or record it again.")
    for start, brand, reader in _FORMATS:
        if head.startswith(start) and head[8 : 8 + len(brand)] == brand:
            return reader
    raise _refused(
        "unknown_format",
        f"{_name(path)} is no PNG, JPEG, BMP, TIFF or WebP file, whatever its name says; save it as one of these.",
    )


def _check_header(picture: ImageFile, path: Path, max_pixels: int) -> None:
    width, height = picture.size
    shown = f"{_name(path)} is {width} x {height} pixels"
    if width * height > max_pixels:
        limit = f"{max_pixels / 1e6:g} megapixels"
        raise _refused("too_large", f"{shown}, more than the limit of {limit}; crop or shrink it.")
    if min(width, height) < MIN_SIDE:
        raise _refused("too_small", f"{shown}; the shorter side must have at least {MIN_SIDE}, give a larger picture.")
    if getattr(picture, "is_animated", False):
        raise _refused("unsupported", f"{_name(path)} holds more than one picture; save the one you mean on its own.")


def _decode(picture: ImageFile, path: Path) -> Picture:
    if len(picture.getbands()) > 1 and any(";16" in str(tile[3]) for tile in picture.tile):
        raise _refused(
            "unsupported",
            f"{_name(path)} has 16 bits in each of several channels; save it as 8-bit RGB or 16-bit grey.",
        )
    if isinstance(picture, TiffImageFile) and 2 in picture.tag_v2.get(339, ()) and picture.mode != "I":
        raise _refused("unsupported", f"{_name(path)} holds signed values; save it as plain 8-bit or 16-bit grey.")
    _load(picture, path)
    if picture.mode == "F":
        if not np.isfinite(np.asarray(picture)).all():
            raise _refused("nonfinite", f"{_name(path)} holds NaN or infinite values; save it as 8-bit or 16-bit.")
        raise _refused("unsupported", f"{_name(path)} holds floating point values; save it as 8-bit or 16-bit.")
    if picture.mode.startswith("I"):
        return _deep_grey(picture, path)
    plain: Pillow.Image = picture
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        plain = Pillow.alpha_composite(Pillow.new("RGBA", over.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255)), over)
    return np.array(plain if plain.mode == "RGB" else plain.convert("RGB"), dtype=np.uint8)  # converting copies


def _exif(picture: ImageFile) -> tuple[int, date | None]:
    """Orientation 1..8 and day of recording. What cannot be read is as if it were not there: pixels do not need it."""
    rotation, taken = 1, None
    with suppress(Exception):
        tags = picture.getexif()
        rotation = int(tags.get(_ORIENTATION, 1))
        stamp = tags.get_ifd(_EXIF_PART).get(_RECORDED) or tags.get(_CHANGED)
        taken = date.fromisoformat(str(stamp)[:10].replace(":", "-"))
    return (rotation if 1 <= rotation <= 8 else 1), taken


def _load(picture: ImageFile, path: Path) -> None:
    """Decode all pixels. Pillow is content with two kinds of cut-off files; they are refused here."""
    cut_off = f"{_name(path)} is cut off; copy or record it again."
    if isinstance(picture, TiffImageFile):
        boxes = [tile[1] or (0, 0, *picture.size) for tile in picture.tile]
        covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
        if covered < picture.width * picture.height:
            raise _refused("truncated", cut_off)
    # A file grown to its size before it was written ends in zeros: the JPEG decoder would paint the rest grey.
    if isinstance(picture, JpegImageFile) and picture.fp is not None and b"\xff\xd9" not in picture.fp.read():
        raise _refused("truncated", cut_off)
    picture.load()


def _deep_grey(picture: ImageFile, path: Path) -> Picture:
    stored = np.asarray(picture)
    if stored.min() < 0 or stored.max() > 65535:
        span = f"{stored.min()} to {stored.max()}"
        raise _refused("unsupported", f"{_name(path)} holds values from {span}; save it as 16-bit grey, 0 to 65535.")
    grey = stored.astype(np.uint16)
    if isinstance(picture, TiffImageFile) and picture.tag_v2.get(262) == 0:
        grey = np.uint16(65535) - grey  # "white is zero", which Pillow undoes for 8 bits only
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        grey = np.where(grey == hidden, np.uint16(BACKGROUND * 257), grey)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _mask_levels(mask: ImageFile, path: Path) -> FloatMap:
    """The strongest channel of a mask file, [H, W] float32 in the file's own units."""
    _load(mask, path)
    levels = np.asarray(mask).astype(np.float32)
    if mask.mode in ("LA", "RGBA"):
        levels = levels[..., :-1] * (levels[..., -1:] > 0)
    return levels.max(axis=2) if levels.ndim == 3 else levels


def _broken(error: Exception, path: Path) -> PictureError:
    reason = str(error).lower()
    if any(word in reason for word in ("unknown", "unsupported", "cannot handle", "conversion from")):
        return _refused(
            "unsupported", f"{_name(path)} uses a rare variant of its format; save it as a plain 8-bit PNG."
        )
    return _refused("truncated", f"{_name(path)} is damaged or cut off; copy or record it again.")


def _refused(code: str, message: str) -> PictureError:
    return PictureError(message, code=f"picture.{code}")


def _name(path: Path) -> str:
    """A path in quotes on one line, also when its name holds a newline or bytes that are not text."""
    return repr(str(path))

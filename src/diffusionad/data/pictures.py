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
    float TIFF, grey        0..1 becomes uint16 0..65535, to the nearest step; other values are refused, and named
                            `picture.nonfinite` when they are NaN or infinite
    several pages, animated refused, because nobody said which page is meant; a phone's JPEG counts as its first picture
    several grey pages      with `channels`, when there are as many: one picture under that many lights
    cut off                 refused; a half picture never comes back
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from diffusionad.errors import DataError, PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

    from diffusionad.structures import FloatMap, Picture

__all__ = [
    "BACKGROUND",
    "MAX_PIXELS",
    "MIN_SIDE",
    "REDUCTIONS",
    "Reduced",
    "Stored",
    "load_pixels",
    "named",
    "opened",
    "picture_size",
    "read_picture",
    "read_reduced",
    "read_stored",
    "recording_day",
]

BACKGROUND = 255
"""Grey level 0..255 laid under transparent pixels: white."""

MAX_PIXELS = 200_000_000
"""Largest picture that is decoded, in pixels."""

MIN_SIDE = 8
"""Shortest side of a picture that can be judged, in pixels."""

REDUCTIONS = (2, 4, 8)
"""Parts of its size that a JPEG can be decoded at: sides are divided by one of these and rounded up."""

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


@dataclass(frozen=True, slots=True)
class Reduced:
    """A decoded picture that may be smaller than its file says.

    Attributes:
        picture: as `read_picture` returns it, or a JPEG at a size of `REDUCTIONS`.
        native: (H, W) in pixels as the file says.
    """

    picture: Picture
    native: tuple[int, int]


def read_picture(path: Path, *, channels: int | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode one file to [H, W, 3], uint8 0..255 or uint16 0..65535, by the policies of this module.

    Args:
        path: the file.
        channels: None, or how many grey pages the file holds: [H, W, channels] then, in the order of the pages.
        max_pixels: largest H x W that is decoded; checked in the header, before any memory is taken.

    Raises:
        PictureError: with a code of `PictureError`; no other error leaves this function, whatever the bytes are.
    """
    return read_reduced(path, lambda native: native, channels=channels, max_pixels=max_pixels).picture


def read_reduced(
    path: Path,
    enough: Callable[[tuple[int, int]], tuple[int, int]],
    *,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Reduced:
    """Decode one file as `read_picture` does, but a JPEG at the smallest of its scales that is enough.

    At a reduced scale the decoder takes means of blocks while it decodes, which is several times as fast.

    Args:
        path: the file.
        enough: native (H, W) -> (H, W) that the decoded picture must have at least, in pixels.
        channels, max_pixels: as in `read_picture`.

    Raises:
        PictureError: as `read_picture`, and what `enough` raises.
    """
    with opened(path, max_pixels, channels) as picture:
        native = (picture.height, picture.width)
        height, width = enough(native)
        if isinstance(picture, JpegImageFile):
            picture.draft(None, (width, height))
        return Reduced(_decode(picture, path) if channels is None else _stack(picture, path, channels), native)


def read_stored(path: Path, *, max_pixels: int = MAX_PIXELS) -> Stored:
    """Decode one file as `read_picture` does, once, and tell how it was stored. Raises as `read_picture`."""
    with opened(path, max_pixels) as picture:
        mode, pixels = picture.mode, _decode(picture, path)
        profile = picture.info.get("icc_profile")
        rotation, taken = _exif(picture)
        return Stored(pixels, mode, sha256(profile).hexdigest()[:8] if profile else None, rotation, taken)


def recording_day(path: Path) -> date | None:
    """Day of recording by EXIF, from the header alone; None where the file says nothing or cannot be read."""
    try:
        with opened(path, MAX_PIXELS) as picture:
            return _exif(picture)[1]
    except PictureError:
        return None


def picture_size(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(H, W) in pixels from the header alone, as stored (rotation flags ignored), of the first page.

    Raises:
        PictureError: as `read_picture`, but pages are not counted.
    """
    with opened(path, max_pixels, 0) as picture:
        return picture.height, picture.width


@contextmanager
def opened(path: Path, max_pixels: int, channels: int | None = None) -> Iterator[ImageFile]:
    """Open the header, refuse what the header already condemns, and turn every error of the body into ours.

    Args:
        path, max_pixels: as in `read_picture`.
        channels: how many pages there must be; None: one picture; 0: any number.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise _refused("unreadable", f"{named(path)} is {kind}; give the path of a picture file.")
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _refused("missing", f"{named(path)} does not exist; check the path.") from error
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise _refused("unreadable", f"{named(path)} cannot be opened ({reason}); check its permissions.") from error
    with stream:
        try:
            reader = _reader(stream.read(12), path)
            stream.seek(0)
            with reader(stream) as picture:
                _check_header(picture, path, max_pixels, channels)
                yield picture
        except (PictureError, DataError):
            raise
        except MemoryError as error:
            raise _refused("too_large", f"{named(path)} does not fit into memory; give a smaller picture.") from error
        except Exception as error:  # Pillow raises whatever its parsers meet, from SyntaxError to struct.error
            raise _broken(error, path) from error


def _reader(head: bytes, path: Path) -> type[ImageFile]:
    if not head:
        raise _refused("empty", f"{named(path)} has no content (0 bytes); copy or record it again.")
    for start, brand, reader in _FORMATS:
        if head.startswith(start) and head[8 : 8 + len(brand)] == brand:
            return reader
    raise _refused(
        "unknown_format",
        f"{named(path)} is no PNG, JPEG, BMP, TIFF or WebP file, whatever its name says; save it as one of these.",
    )


def _check_header(picture: ImageFile, path: Path, max_pixels: int, channels: int | None) -> None:
    width, height = picture.size
    shown = f"{named(path)} is {width} x {height} pixels"
    if width * height * max(1.0, (channels or 0) / 3) > max_pixels:
        limit = f"{max_pixels / 1e6:g} megapixels"
        raise _refused("too_large", f"{shown}, more than the limit of {limit}; crop or shrink it.")
    if min(width, height) < MIN_SIDE:
        raise _refused("too_small", f"{shown}; the shorter side must have at least {MIN_SIDE}, give a larger picture.")
    if channels is None and getattr(picture, "is_animated", False):
        pages = getattr(picture, "n_frames", 2)
        raise _refused(
            "unsupported",
            f"{named(path)} holds {pages} pictures; save the one you mean on its own, or, if they are grey pictures of "
            f"one part under {pages} lights, train with data.channels={pages}.",
        )
    if channels and (pages := getattr(picture, "n_frames", 1)) != channels:
        raise _refused("channels", f"{named(path)} holds {pages} grey pages, but the model is for {channels} of them.")


def _decode(picture: ImageFile, path: Path) -> Picture:
    deep = any(";16" in str(tile[3]) for tile in picture.tile)
    if isinstance(picture, TiffImageFile):  # in planes, 16 bits are not told by the tiles, and Pillow mixes their bytes
        deep = deep or max(picture.tag_v2.get(258, (1,))) > 8
    if deep and len(picture.getbands()) > 1:
        raise _refused(
            "unsupported",
            f"{named(path)} has 16 bits in each of several channels; save it as 8-bit RGB or 16-bit grey.",
        )
    if isinstance(picture, TiffImageFile) and 2 in picture.tag_v2.get(339, ()) and picture.mode != "I":
        raise _refused("unsupported", f"{named(path)} holds signed values; save it as plain 8-bit or 16-bit grey.")
    load_pixels(picture, path)
    if picture.mode == "F":
        levels = _steps(np.asarray(picture), path)
        return _grey(np.uint16(65535) - levels if _is_white_zero(picture) else levels)
    if picture.mode.startswith("I"):
        return _grey(_deep_grey(picture, path))
    plain: Pillow.Image = picture
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        plain = Pillow.alpha_composite(Pillow.new("RGBA", over.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255)), over)
    return np.array(plain if plain.mode == "RGB" else plain.convert("RGB"), dtype=np.uint8)  # converting copies


def _stack(picture: ImageFile, path: Path, channels: int) -> Picture:
    """All pages, grey and of one size and depth, as the channels of one picture: [H, W, channels]."""
    size, pages = picture.size, []
    for page in range(channels):
        if channels > 1:
            picture.seek(page)
        if picture.size != size or len(picture.getbands()) > 1 or picture.mode == "P":
            raise _refused(
                "channels", f"Page {page + 1} of {named(path)} is not grey, or has another size than the first."
            )
        pages.append(_decode(picture, path)[:, :, 0])
    if len({page.dtype for page in pages}) > 1:
        raise _refused("channels", f"The pages of {named(path)} differ in depth; save all with 8 or all with 16 bits.")
    stacked: NDArray[Any] = np.stack(pages, axis=2)
    return stacked


def _is_white_zero(picture: ImageFile) -> bool:
    """Whether a TIFF counts from white to black, which Pillow undoes for 8 bits only."""
    return isinstance(picture, TiffImageFile) and picture.tag_v2.get(262) == 0


def _grey(levels: NDArray[np.uint16]) -> Picture:
    return np.repeat(levels[:, :, None], 3, axis=2)


def _steps(values: FloatMap, path: Path) -> NDArray[np.uint16]:
    """Floating point grey 0..1 in the steps of 16 bits. Another range would need a white that a file does not name."""
    if not np.isfinite(values).all():
        raise _refused("nonfinite", f"{named(path)} holds NaN or infinite values; save it as 8-bit or 16-bit.")
    if values.min() < 0 or values.max() > 1:
        raise _refused(
            "unsupported",
            f"{named(path)} holds floating point values from {values.min():g} to {values.max():g}; "
            "divide them by the camera's white, so that they lie in 0..1, or save it as 16-bit grey.",
        )
    return np.asarray(np.rint(values * np.float32(65535)), dtype=np.uint16)


def _exif(picture: ImageFile) -> tuple[int, date | None]:
    """Orientation 1..8 and day of recording. What cannot be read is as if it were not there: pixels do not need it."""
    rotation, taken = 1, None
    with suppress(Exception):
        tags = picture.getexif()
        rotation = int(tags.get(_ORIENTATION, 1))
        stamp = tags.get_ifd(_EXIF_PART).get(_RECORDED) or tags.get(_CHANGED)
        taken = date.fromisoformat(str(stamp)[:10].replace(":", "-"))
    return (rotation if 1 <= rotation <= 8 else 1), taken


def load_pixels(picture: ImageFile, path: Path) -> None:
    """Decode all pixels. Pillow is content with two kinds of cut-off files; they are refused here."""
    cut_off = f"{named(path)} is cut off; copy or record it again."
    if isinstance(picture, TiffImageFile):
        boxes = [tile[1] or (0, 0, *picture.size) for tile in picture.tile]
        covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
        if covered < picture.width * picture.height:
            raise _refused("truncated", cut_off)
    # A file grown to its size before it was written ends in zeros: the JPEG decoder would paint the rest grey.
    if isinstance(picture, JpegImageFile) and picture.fp is not None and b"\xff\xd9" not in picture.fp.read():
        raise _refused("truncated", cut_off)
    picture.load()


def _deep_grey(picture: ImageFile, path: Path) -> NDArray[np.uint16]:
    stored = np.asarray(picture)
    if stored.min() < 0 or stored.max() > 65535:
        span = f"{stored.min()} to {stored.max()}"
        raise _refused("unsupported", f"{named(path)} holds values from {span}; save it as 16-bit grey, 0 to 65535.")
    grey = stored.astype(np.uint16)
    if _is_white_zero(picture):
        grey = np.uint16(65535) - grey
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        grey = np.where(grey == hidden, np.uint16(BACKGROUND * 257), grey)
    return grey


def _broken(error: Exception, path: Path) -> PictureError:
    reason = str(error).lower()
    if any(word in reason for word in ("unknown", "unsupported", "cannot handle", "conversion from")):
        return _refused(
            "unsupported", f"{named(path)} uses a rare variant of its format; save it as a plain 8-bit PNG."
        )
    return _refused("truncated", f"{named(path)} is damaged or cut off; copy or record it again.")


def _refused(code: str, message: str) -> PictureError:
    return PictureError(message, code=f"picture.{code}")


def named(path: Path) -> str:
    """A path in quotes on one line, also when its name holds a newline or bytes that are not text."""
    return repr(str(path))

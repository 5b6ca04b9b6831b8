"""Drawing on arrays: heat colours, overlays, labelled strips, encoded bytes.

One fixed colour scale for every picture, never stretched to a picture's own range: a good part must look good.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from diffusionad.structures import BoolMap, FloatMap, Picture, Region

__all__ = ["encode", "heat", "heat_layer", "outline_layer", "outlined", "overlay", "sheet", "strip", "to_display"]

Pixels = NDArray[np.uint8]

ANCHORS = ((4, 6, 30), (58, 16, 104), (132, 30, 112), (204, 58, 82), (240, 116, 40), (250, 190, 60), (254, 250, 190))
"""Night blue over violet, red and orange to pale yellow: lightness rises all along, so it reads in grey as well."""

FAINT = 0.05
"""Map values up to here leave the picture as it is."""
FULL = 0.60
"""From here on the heat colour has its highest opacity."""
OPACITY = 0.78

GAP = 6
INK, PAPER = (24, 28, 36), (255, 255, 255)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
JUDGED = (60, 220, 110)


def heat(anomaly_map: FloatMap) -> Pixels:
    """Colours [H, W, 3] of a map [H, W] in 0..1; the same value has the same colour in every picture."""
    return TABLE[np.rint(_shares(anomaly_map) * 255).astype(np.uint8)]


def heat_layer(anomaly_map: FloatMap) -> Pixels:
    """Heat colours with their opacity, [H, W, 4], to lie over a picture."""
    alpha = np.rint(_opacity(anomaly_map) * 255).astype(np.uint8)
    return np.dstack([heat(anomaly_map), alpha])


def outline_layer(inside: BoolMap, colour: tuple[int, int, int]) -> Pixels:
    """Double line just outside `inside`, so that nothing in it is hidden: `colour`, then black; clear elsewhere.

    Returns:
        [H, W, 4] uint8.
    """
    layer = np.zeros((*inside.shape, 4), np.uint8)
    line = _line_width(inside.shape)
    near = _grow(inside, line, crop=0)
    layer[_grow(near, line, crop=0) & ~near] = (*BLACK, 255)
    layer[near & ~inside] = (*colour, 255)
    return layer


def overlay(
    picture: Pixels,
    anomaly_map: FloatMap,
    threshold: float | None,
    regions: Sequence[Region],
    max_side: int = 1024,
    *,
    seen: tuple[int, int, int, int] | None = None,
    judged: BoolMap | None = None,
) -> Pixels:
    """Heat, outline and boxes over a picture; what was judged is framed in green where that is not all.

    Args:
        picture: [H, W, 3] uint8 at native size, left as it is; `to_display` turns 16 bits into 8.
        anomaly_map: [h, w] 0..1 at working size, covering the box `seen`.
        threshold: map value above which pixels are outlined; None draws no outline.
        regions: drawn as boxes, in native pixels.
        max_side: a larger picture is scaled down until its longer side has this many pixels.
        seen: (x, y, width, height) in native pixels, the part that was seen; None: the whole picture.
        judged: [h, w] bool over the box `seen`, the part of it that was judged; None: all of it.
    """
    _check_rgb(picture)
    height, width = picture.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = picture if scale == 1.0 else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    part = _scaled(seen or (0, 0, width, height), scale, size)
    part_size = part[1].stop - part[1].start, part[0].stop - part[0].start
    values = np.zeros(canvas.shape[:2], np.float32)
    values[part] = np.asarray(Image.fromarray(_shares(anomaly_map)).resize(part_size, Image.Resampling.BILINEAR))
    opacity = _opacity(values)[..., None]
    blended = np.rint(canvas * (1 - opacity) + heat(values) * opacity).astype(np.uint8)
    line = _line_width(blended.shape)
    shown = np.zeros(values.shape, np.bool_)
    shown[part] = True if judged is None else _resize_inside(judged, part_size)
    blended = outlined(blended, shown)
    if threshold is not None:
        found = np.zeros(values.shape, np.bool_)
        found[part] = _resize_inside(_shares(anomaly_map) > np.float64(threshold), part_size)
        inner, outer = _double_line(found, line)
        blended[outer], blended[inner] = BLACK, WHITE
    return _draw_boxes(blended, regions, scale, line)


def outlined(picture: Pixels, judged: BoolMap | None) -> Pixels:
    """The picture [H, W, 3] with a green double line round what is judged, [H, W] bool; itself when that is all."""
    if judged is None or judged.all():
        return picture
    drawn = picture.copy()
    inner, outer = _double_line(judged, _line_width(picture.shape))
    drawn[outer], drawn[inner] = BLACK, JUDGED
    return drawn


def strip(columns: Sequence[Pixels], titles: Sequence[str]) -> Pixels:
    """Pictures of one height side by side, each under its title; no titles, no label line."""
    if not columns or (titles and len(titles) != len(columns)):
        raise ValueError(f"A strip needs pictures and one title for each or none: {len(columns)}, {len(titles)}.")
    for column in columns:
        _check_rgb(column)
    heights = {column.shape[0] for column in columns}
    if len(heights) > 1:
        raise ValueError(f"Pictures in a strip have one height; found {sorted(heights)}.")
    height = heights.pop()
    font_size = min(28, max(11, height // 14))
    top = font_size * 2 if titles else 0
    width = sum(column.shape[1] for column in columns) + GAP * (len(columns) - 1)
    canvas = Image.new("RGB", (width, top + height), PAPER)
    x = 0
    for index, column in enumerate(columns):
        canvas.paste(Image.fromarray(column), (x, top))
        if titles:
            _write(canvas, (x, top // 2), titles[index], column.shape[1], font_size)
        x += column.shape[1] + GAP
    return np.asarray(canvas)


def sheet(rows: Sequence[Pixels]) -> Pixels:
    """Strips below each other, narrower ones filled up with paper on the right."""
    if not rows:
        raise ValueError("A sheet needs at least one row.")
    for row in rows:
        _check_rgb(row)
    height = sum(row.shape[0] for row in rows) + GAP * (len(rows) - 1)
    canvas = np.full((height, max(row.shape[1] for row in rows), 3), PAPER, np.uint8)
    y = 0
    for row in rows:
        canvas[y : y + row.shape[0], : row.shape[1]] = row
        y += row.shape[0] + GAP
    return canvas


def encode(picture: Pixels, format: Literal["webp", "png", "jpeg"] = "webp", quality: int = 85) -> bytes:  # noqa: A002
    """File content of a picture [H, W, 3], or [H, W, 4] for webp and png; png is lossless and ignores `quality`."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, format=format, quality=quality)
    return stream.getvalue()


def to_display(picture: Picture) -> Pixels:
    """8 bits in three channels: uint8 as it is, uint16 by its upper byte; the mean where there are not three channels.

    The full range 0..65535 counts, as for the network, so a 12-bit camera that leaves the upper bits empty looks dark.
    """
    shallow = picture >> 8 if picture.dtype == np.uint16 else picture
    if picture.shape[2] != 3:
        shallow = np.repeat(np.rint(shallow.mean(axis=2, keepdims=True)), 3, axis=2)
    return shallow.astype(np.uint8, copy=False)


def _table() -> Pixels:
    """256 colours along the anchors, spaced so that CIE lightness rises in equal steps."""
    at = np.linspace(0, len(ANCHORS) - 1, 4096)
    path = np.stack([np.interp(at, np.arange(len(ANCHORS)), channel) for channel in zip(*ANCHORS, strict=True)], axis=1)
    share = path / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    steps = np.linspace(lightness[0], lightness[-1], 256)
    colours = np.stack([np.interp(steps, lightness, channel) for channel in path.T], axis=1)
    table: Pixels = np.rint(colours).astype(np.uint8)
    return table


TABLE = _table()


def _shares(anomaly_map: FloatMap) -> FloatMap:
    """Values inside 0..1; NaN becomes 1, because what is unknown must not look good."""
    return np.clip(np.nan_to_num(anomaly_map.astype(np.float32), nan=1.0), 0, 1)


def _opacity(anomaly_map: FloatMap) -> FloatMap:
    ramp = np.clip((_shares(anomaly_map) - FAINT) / (FULL - FAINT), 0, 1)
    opacity: FloatMap = (OPACITY * ramp).astype(np.float32)
    return opacity


def _line_width(shape: tuple[int, ...]) -> int:
    return max(1, round(max(shape[:2]) / 480))


def _scaled(box: tuple[int, int, int, int], scale: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a native box on a canvas of (width, height) `size`, at least one of each."""
    x, y, width, height = box
    left, top = min(size[0] - 1, round(x * scale)), min(size[1] - 1, round(y * scale))
    right = min(size[0], max(left + 1, round((x + width) * scale)))
    return slice(top, min(size[1], max(top + 1, round((y + height) * scale)))), slice(left, right)


def _double_line(inside: BoolMap, width: int) -> tuple[BoolMap, BoolMap]:
    """Pixels of the inner and of the outer line. The picture's edge counts as outside, so outlines are closed."""
    return inside & _grow(np.pad(~inside, width, constant_values=True), width, crop=width), (
        _grow(inside, width, crop=0) & ~inside
    )


def _grow(inside: BoolMap, steps: int, *, crop: int) -> BoolMap:
    """`inside` and all pixels at most `steps` away across sides, without `crop` pixels at each edge."""
    grown = inside.copy()
    for _ in range(steps):
        last = grown.copy()
        grown[1:] |= last[:-1]
        grown[:-1] |= last[1:]
        grown[:, 1:] |= last[:, :-1]
        grown[:, :-1] |= last[:, 1:]
    return grown[crop : grown.shape[0] - crop, crop : grown.shape[1] - crop]


def _resize_inside(inside: BoolMap, size: tuple[int, int]) -> BoolMap:
    """`inside` at (width, height) `size`, round when enlarged; no set pixel ever vanishes."""
    shares = Image.fromarray(inside.astype(np.float32))
    if min(size[0] / inside.shape[1], size[1] / inside.shape[0]) >= 2:
        return np.asarray(shares.resize(size, Image.Resampling.BILINEAR)) >= 0.5
    return np.asarray(shares.resize(size, Image.Resampling.BOX)) > 0


def _draw_boxes(picture: Pixels, regions: Sequence[Region], scale: float, line: int) -> Pixels:
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    room = 3 * line
    for region in regions:
        x, y, width, height = (side * scale for side in region.box)
        left, top = max(line, round(x) - room), max(line, round(y) - room)
        right = max(left, min(canvas.width - 1 - line, round(x + width) - 1 + room))
        bottom = max(top, min(canvas.height - 1 - line, round(y + height) - 1 + room))
        draw.rectangle((left - line, top - line, right + line, bottom + line), outline=BLACK, width=line)
        draw.rectangle((left, top, right, bottom), outline=WHITE, width=line)
    return np.asarray(canvas)


def _write(canvas: Image.Image, at: tuple[int, int], text: str, width: int, font_size: int) -> None:
    """Text centred on the height of `at`, cut with an ellipsis where it is wider than `width`."""
    font = ImageFont.load_default(font_size)
    text = " ".join(text.split())
    while font.getlength(text) > width and len(text) > 1:
        text = text.rstrip("…")[:-1] + "…"
    ImageDraw.Draw(canvas).text(at, text, fill=INK, font=font, anchor="lm")


def _check_rgb(picture: Pixels) -> None:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(f"Expected a picture [H, W, 3] uint8, found {list(picture.shape)} {picture.dtype}.")

"""Every fault a picture file can have, and that a sound one comes back pixel for pixel."""

from __future__ import annotations

import io
import os
import resource
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from diffusionad.data import BACKGROUND, picture_size, read_mask, read_picture
from diffusionad.errors import DataError, PictureError

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 64, 3), dtype=np.uint8)


def encoded(array: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(array: np.ndarray, *, photometric: int = 1, sample_format: int = 1) -> bytes:
    """A little-endian grey TIFF of one strip, written by hand."""
    tags = [
        (256, 4, array.shape[1]),
        (257, 4, array.shape[0]),
        (258, 3, array.itemsize * 8),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8 + 2 + 12 * 10 + 4),
        (277, 3, 1),
        (278, 4, array.shape[0]),
        (279, 4, array.nbytes),
        (339, 3, sample_format),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + array.tobytes()


def refusal(path: Path) -> PictureError:
    """The error of a file; both ways in must refuse, and the message must name the file in one sentence."""
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert path.name in message
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


def refused(tmp_path: Path, content: bytes, name: str = "part.png") -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return refusal(path).code


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_come_back_pixel_for_pixel(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    path = tmp_path / "part.dat"  # the ending says nothing
    path.write_bytes(encoded(COLOURS, kind, **options))
    picture = read_picture(path)
    assert picture.dtype == np.uint8
    assert picture.flags.writeable
    np.testing.assert_array_equal(picture, COLOURS)
    assert picture_size(path) == (40, 64)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_comes_back_pixel_for_pixel(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "part.tif"
    path.write_bytes(encoded(COLOURS[:37, :61], "TIFF", compression=compression))
    np.testing.assert_array_equal(read_picture(path), COLOURS[:37, :61])


def test_jpeg_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "part.jpg"
    path.write_bytes(encoded(COLOURS, "JPEG", quality=95))
    with Image.open(path) as stored:
        np.testing.assert_array_equal(read_picture(path), np.asarray(stored))


def test_grey_and_one_bit_fill_three_channels(tmp_path: Path) -> None:
    grey, bits = COLOURS[..., 0], COLOURS[..., 0] > 127
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_picture(tmp_path / "bits.png")[..., 1], np.where(bits, 255, 0))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bit_grey_keeps_every_value(tmp_path: Path, kind: str) -> None:
    values = np.linspace(0, 65535, 40 * 64).astype(np.uint16).reshape(40, 64)
    path = tmp_path / f"part.{kind}"
    Image.fromarray(values).save(path)
    picture = read_picture(path)
    assert picture.dtype == np.uint16
    np.testing.assert_array_equal(picture, np.repeat(values[..., None], 3, axis=2))


def test_sixteen_bit_tiff_where_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    values = np.arange(40 * 64, dtype="<u2").reshape(40, 64) * 20
    path = tmp_path / "part.tif"
    path.write_bytes(tiff(values, photometric=0))
    np.testing.assert_array_equal(read_picture(path)[..., 2], 65535 - values)


def test_thirty_two_bit_integers_are_kept_when_they_fit(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 40 * 64).astype("<i4").reshape(40, 64)
    path = tmp_path / "part.tif"
    path.write_bytes(tiff(values, sample_format=2))
    np.testing.assert_array_equal(read_picture(path)[..., 0], values)
    assert refused(tmp_path, tiff(values * 2, sample_format=2)) == "picture.unsupported"
    assert refused(tmp_path, tiff(values - 1, sample_format=2)) == "picture.unsupported"


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colour_is_refused_not_cut_to_eight(tmp_path: Path, colour: int, channels: int) -> None:
    rows = b"".join(b"\0" + RNG.bytes(16 * channels * 2) for _ in range(16))
    assert refused(tmp_path, png(16, 16, 16, colour, rows)) == "picture.unsupported"


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_colour_tiff_in_planes_is_refused_not_mixed_up(tmp_path: Path, order: str) -> None:
    """Pillow takes the bytes of such planes for pixels of 8 bits, and says nothing."""
    side, start = 16, 8 + 2 + 12 * 10 + 4
    plane, first = side * side * 2, start + 6 + 12 + 12
    tags = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 3, start),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 3, start + 6),
        (277, 3, 1, 3),
        (278, 4, 1, side),
        (279, 4, 3, start + 18),
        (284, 3, 1, 2),
    ]
    entries = b"".join(
        struct.pack(order + "HHI", tag, kind, count)
        + (struct.pack(order + "HH", value, 0) if (kind, count) == (3, 1) else struct.pack(order + "I", value))
        for tag, kind, count, value in tags
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    more = struct.pack(order + "3H3I3I", 16, 16, 16, *(first + plane * band for band in range(3)), *[plane] * 3)
    content = head + entries + struct.pack(order + "I", 0) + more + RNG.bytes(3 * plane)
    assert refused(tmp_path, content) == "picture.unsupported"


def test_float_tiff_from_0_to_1_keeps_every_step_of_sixteen_bits(tmp_path: Path) -> None:
    levels = RNG.integers(0, 65536, (40, 50), dtype=np.uint16)
    levels[0, :2] = 0, 65535
    values = (levels / 65535).astype("<f4")
    path = tmp_path / "part.tif"
    for photometric, expected in ((1, levels), (0, 65535 - levels)):
        path.write_bytes(tiff(values, photometric=photometric, sample_format=3))
        picture = read_picture(path)
        assert picture.dtype == np.uint16
        np.testing.assert_array_equal(picture, np.repeat(expected[..., None], 3, axis=2))


def test_float_tiff_of_another_range_is_refused_and_nan_is_named(tmp_path: Path) -> None:
    values = np.full((16, 16), 0.5, dtype="<f4")
    for bad in (-0.01, 1.01, 255.0):
        values[3, 3] = bad
        assert refused(tmp_path, tiff(values, sample_format=3)) == "picture.unsupported"
    for bad in (np.nan, np.inf, -np.inf):
        values[3, 3] = bad
        assert refused(tmp_path, tiff(values, sample_format=3)) == "picture.nonfinite"


def test_signed_eight_bit_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, tiff(np.full((16, 16), -3, dtype=np.int8), sample_format=2)) == "picture.unsupported"


def test_palette_and_its_transparency_are_expanded(tmp_path: Path) -> None:
    indices = np.zeros((16, 16), dtype=np.uint8)
    indices[:8], indices[8:] = 1, 2
    palette = Image.fromarray(indices)
    palette.putpalette([0, 0, 0, 10, 20, 30, 200, 100, 50])
    palette.save(tmp_path / "opaque.png")
    palette.save(tmp_path / "glass.png", transparency=2)
    opaque, glass = read_picture(tmp_path / "opaque.png"), read_picture(tmp_path / "glass.png")
    assert opaque[0, 0].tolist() == glass[0, 0].tolist() == [10, 20, 30]
    assert opaque[15, 0].tolist() == [200, 100, 50]
    assert glass[15, 0].tolist() == [255, 255, 255]


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    layers = np.zeros((16, 16, 4), dtype=np.uint8)
    layers[..., 0] = 200  # hidden red under alpha 0 must not show
    layers[8:, :, 3] = 255
    layers[4:8, :, 3] = 51
    Image.fromarray(layers).save(tmp_path / "part.png")
    picture = read_picture(tmp_path / "part.png")
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[15, 0].tolist() == [200, 0, 0]
    assert picture[5, 0].tolist() == [244, 204, 204]


def test_transparent_grey_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    values = np.full((16, 16), 1000, dtype=">u2")
    values[0] = 77
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    path = tmp_path / "part.png"
    path.write_bytes(png(16, 16, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 77))))
    assert read_picture(path)[[0, 1], 0, 0].tolist() == [65535, 1000]


def test_cmyk_becomes_rgb_by_the_plain_rule(tmp_path: Path) -> None:
    inks = Image.merge("CMYK", [Image.new("L", (16, 16), level) for level in (255, 0, 0, 0)])
    inks.save(tmp_path / "part.jpg", quality=100)
    assert np.abs(read_picture(tmp_path / "part.jpg")[8, 8].astype(int) - [0, 255, 255]).max() <= 2


def test_rotation_flag_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS).save(tmp_path / "part.png", exif=exif)
    with Image.open(tmp_path / "part.png") as stored:
        assert stored.getexif()[0x0112] == 6
    assert picture_size(tmp_path / "part.png") == (40, 64)
    np.testing.assert_array_equal(read_picture(tmp_path / "part.png"), COLOURS)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_several_pages_are_refused(tmp_path: Path, kind: str) -> None:
    pages = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    pages[0].save(tmp_path / "part.dat", kind, save_all=True, append_images=pages[1:])
    assert refusal(tmp_path / "part.dat").code == "picture.unsupported"


def test_missing_folder_empty_and_other_content(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing.png").code == "picture.missing"
    assert refusal(tmp_path).code == "picture.unreadable"
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png").code == "picture.unreadable"
    assert refused(tmp_path, b"") == "picture.empty"
    assert refused(tmp_path, b"not a picture at all\n" * 20) == "picture.unknown_format"
    gif = encoded(COLOURS[..., 0], "GIF")
    assert refused(tmp_path, gif) == "picture.unknown_format"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    path.write_bytes(encoded(COLOURS, "PNG"))
    path.chmod(0)
    assert refusal(path).code == "picture.unreadable"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_no_cut_off_file_ever_becomes_a_picture(tmp_path: Path, kind: str) -> None:
    whole = encoded(COLOURS, kind)
    for length in np.linspace(12, len(whole) - 30, 12).astype(int):
        assert refused(tmp_path, whole[:length]) == "picture.truncated", length
    path = tmp_path / "complete.dat"
    path.write_bytes(whole)
    complete = read_picture(path)
    for length in range(len(whole) - 30, len(whole)):  # without its checksum a PNG is cut off, but all there
        path.write_bytes(whole[:length])
        try:
            np.testing.assert_array_equal(read_picture(path), complete)
        except PictureError as error:
            assert error.code == "picture.truncated", length  # noqa: PT017 - both outcomes are lawful
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_without_its_last_byte_or_with_a_tail_of_zeros_is_truncated(tmp_path: Path, progressive: bool) -> None:
    whole = encoded(COLOURS, "JPEG", progressive=progressive)
    assert refused(tmp_path, whole[:-1]) == "picture.truncated"
    half = len(whole) // 2
    assert refused(tmp_path, whole[:half] + bytes(len(whole) - half)) == "picture.truncated"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20000, 3), (7, 100)])
def test_sides_below_eight_are_too_small(tmp_path: Path, width: int, height: int) -> None:
    content = encoded(np.zeros((height, width), dtype=np.uint8), "PNG")
    assert refused(tmp_path, content) == "picture.too_small"


def test_png_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(20001 * 100)) for _ in range(20)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert len(bomb) < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(tmp_path, bomb) == "picture.too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_limit_is_ours_and_pillows_own_stays_silent(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    path.write_bytes(png(19000, 10000, 1, 0, b""))  # 190 megapixels: above both of Pillow's limits, below ours
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert picture_size(path) == (10000, 19000)
    path.write_bytes(encoded(COLOURS, "PNG"))
    with pytest.raises(PictureError, match=r"limit of 0\.002 megapixels"):
        read_picture(path, max_pixels=2000)


@pytest.mark.parametrize("name", ["größe 漢字 🔩.png", "two words.png", "a\nb.png", "=cmd().png"])
def test_odd_names_are_read_and_errors_stay_on_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(COLOURS, "PNG"))
    np.testing.assert_array_equal(read_picture(path), COLOURS)
    path.write_bytes(b"")
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def test_link_loop_and_null_byte_are_our_errors(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert refusal(tmp_path / "loop.png").code == "picture.unreadable"
    with pytest.raises(PictureError):
        read_picture(Path("a\0b.png"))


WHOLE = [encoded(COLOURS, kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")]
WHOLE += [tiff(COLOURS[..., 0]), encoded(COLOURS, "TIFF", compression="tiff_lzw")]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with some bytes replaced, near its header more often than elsewhere, and perhaps cut."""
    content = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 6))):
        where = draw(st.one_of(st.integers(0, 150), st.integers(0, len(content) - 1)))
        content[where] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(len(content) // 2, len(content)))])


@settings(max_examples=150, deadline=None)
@given(content=st.one_of(st.binary(max_size=300), damaged()))
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_give_a_picture_or_a_picture_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    path.write_bytes(content)
    try:
        picture = read_picture(path, max_pixels=1_000_000)
    except PictureError as error:
        assert error.code.startswith("picture.")  # noqa: PT017 - both outcomes are lawful
    else:
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.dtype in (np.uint8, np.uint16)


@settings(max_examples=60, deadline=None)
@given(content=damaged(), channels=st.integers(1, 4))
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_give_a_stack_or_a_picture_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, channels: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tif"
    path.write_bytes(content)
    try:
        picture = read_picture(path, channels=channels, max_pixels=1_000_000)
    except PictureError as error:
        assert error.code.startswith("picture.")  # noqa: PT017 - both outcomes are lawful
    else:
        assert (picture.ndim, picture.shape[2]) == (3, channels)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(8, 24), st.integers(8, 24)),
    kind=st.sampled_from(["PNG", "TIFF", "BMP", "WEBP"]),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    seed=st.integers(0, 999),
)
def test_lossless_files_of_any_mode_are_the_documented_function_of_their_pixels(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], kind: str, mode: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    if mode == "I;16":
        made = Image.fromarray(rng.integers(0, 65536, size, dtype=np.uint16))
    else:
        made = Image.fromarray(colours).convert(mode)
        if mode in ("LA", "RGBA"):
            made.putalpha(Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)))
    path, stream = tmp_path_factory.getbasetemp() / "any.dat", io.BytesIO()
    try:
        made.save(stream, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    except OSError:
        return  # the format cannot hold the mode
    path.write_bytes(stream.getvalue())
    with Image.open(io.BytesIO(stream.getvalue())) as stored:
        if stored.mode.startswith("I"):
            expected = np.repeat(np.asarray(stored).astype(np.uint16)[..., None], 3, axis=2)
        else:
            pixels = np.asarray(stored.convert("RGBA")).astype(float)
            share = pixels[..., 3:] / 255
            expected = pixels[..., :3] * share + BACKGROUND * (1 - share)
    picture = read_picture(path)
    assert picture.shape == (*size, 3)
    assert picture_size(path) == size
    assert np.abs(picture - expected).max() <= (1 if mode in ("LA", "RGBA") else 0)


def pages(path: Path, planes: list[np.ndarray], **options: object) -> Path:
    first, *others = [Image.fromarray(plane) for plane in planes]
    first.save(path, "TIFF", save_all=True, append_images=others, **options)
    return path


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(8, 24), st.integers(8, 24)),
    count=st.integers(1, 6),
    deep=st.booleans(),
    compression=st.sampled_from([None, "tiff_lzw"]),
)
def test_a_stack_comes_back_page_by_page(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], count: int, deep: bool, compression: str | None
) -> None:
    kind = np.uint16 if deep else np.uint8
    stack = RNG.integers(0, np.iinfo(kind).max, (*size, count), dtype=kind, endpoint=True)
    path = pages(
        tmp_path_factory.getbasetemp() / "stack.tif",
        [np.ascontiguousarray(stack[..., page]) for page in range(count)],
        compression=compression,
    )
    picture = read_picture(path, channels=count)
    assert picture.dtype == kind
    np.testing.assert_array_equal(picture, stack)
    assert picture_size(path) == size
    with pytest.raises(PictureError) as caught:
        read_picture(path, channels=count + 1)
    assert caught.value.code == "picture.channels"


def test_a_stack_of_unlike_pages_is_refused_and_a_stack_nobody_asked_for_names_the_setting(tmp_path: Path) -> None:
    grey = COLOURS[..., 0]
    unlike = {"smaller": grey[:-1], "colour": COLOURS, "deep": grey.astype(np.uint16) * 257}
    for name, plane in unlike.items():
        path = pages(tmp_path / f"{name}.tif", [grey, plane])
        with pytest.raises(PictureError, match=name) as caught:
            read_picture(path, channels=2)
        assert caught.value.code == "picture.channels"
    with pytest.raises(PictureError, match=r"data\.channels=2"):
        read_picture(path)
    with pytest.raises(PictureError, match="limit"):
        read_picture(pages(tmp_path / "many.tif", [grey] * 6), channels=6, max_pixels=grey.size * 2 - 1)


def mask_file(folder: Path, levels: np.ndarray) -> Path:
    Image.fromarray(levels).save(folder / "mask.png")
    return folder / "mask.png"


@pytest.mark.parametrize("levels", [(0, 255), (0, 1), (0, 1, 2), (0, 128, 255)])
def test_labels_above_zero_are_anomalous(tmp_path: Path, levels: tuple[int, ...]) -> None:
    drawn = RNG.choice(np.array(levels, dtype=np.uint8), (40, 64))
    np.testing.assert_array_equal(read_mask(mask_file(tmp_path, drawn), (40, 64)), drawn > 0)


def test_bits_palette_sixteen_bit_and_colour_masks_agree(tmp_path: Path) -> None:
    truth = RNG.random((40, 64)) > 0.7
    palette = Image.fromarray(truth.astype(np.uint8))
    palette.putpalette([255, 255, 255, 0, 0, 0])  # the index counts, not the colour
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png", (40, 64)), truth)
    red = np.zeros((40, 64, 4), dtype=np.uint8)
    red[..., 0], red[..., 3] = truth * 255, 255
    for levels in (truth, truth.astype(np.uint16) * 65535, red):
        np.testing.assert_array_equal(read_mask(mask_file(tmp_path, levels), (40, 64)), truth)


def test_soft_edges_need_half_of_the_maximum(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 201, dtype=np.uint8), (10, 1))
    np.testing.assert_array_equal(read_mask(mask_file(tmp_path, ramp), (10, 201)), ramp >= 100)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_mask_with_values_that_are_no_numbers_is_refused_not_empty(tmp_path: Path, odd: float) -> None:
    levels = np.linspace(-1, 1, 100, dtype=np.float32).reshape(10, 10)
    path = tmp_path / "mask.tif"
    Image.fromarray(levels).save(path)
    np.testing.assert_array_equal(read_mask(path, (10, 10)), levels >= levels.max() / 2)
    levels[3, 3] = odd
    Image.fromarray(levels).save(path)
    with pytest.raises(DataError, match="NaN or infinite"):
        read_mask(path, (10, 10))


def test_mask_of_another_size_names_both(tmp_path: Path) -> None:
    path = mask_file(tmp_path, np.zeros((40, 64), dtype=np.uint8))
    with pytest.raises(DataError, match=r"mask\.png.*64 x 40.*part\.png.*64 x 41"):
        read_mask(path, (41, 64), picture=tmp_path / "part.png")


def test_unreadable_mask_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"mask\.png"):
        read_mask(tmp_path / "mask.png", (40, 64))

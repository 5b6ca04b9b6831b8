"""The few real defective pictures a run may learn from: read once, with their masks where they have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from diffusionad.config import Config
from diffusionad.data import Framing, cut_tile, find_defects, find_samples, read_mask, see
from diffusionad.data.seeing import Seen
from diffusionad.errors import DataError, PictureError
from diffusionad.files import file_hash
from diffusionad.structures import BoolMap, Sample
from diffusionad.synthesis import RealDefect
from diffusionad.tensors import to_image

__all__ = ["NO_DEFECTS", "RealDefects", "find_real_defects", "read_real_defects"]


@dataclass(frozen=True, slots=True)
class RealDefects:
    """Real defective pictures at working size.

    Attributes:
        paths: where they came from, in the order of `defects`; one is named for each of its tiles.
        defects: what training draws from.
        hashes: sha256 of each file, 16 hexadecimal digits.
        warnings: sentences a person should read.
        key: sha256 of pictures and masks; "" without any. A run can only be resumed on the same ones.
    """

    paths: tuple[Path, ...] = ()
    defects: tuple[RealDefect, ...] = ()
    hashes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    key: str = ""

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return len(self.hashes)

    @property
    def outlined(self) -> int:
        """How many of them have a mask."""
        return len(
            {path for path, defect in zip(self.paths, self.defects, strict=True) if defect.true_mask is not None}
        )


NO_DEFECTS = RealDefects()


def find_real_defects(
    folder: Path | None, data: Path, config: Config, layout: str, category: str | None, roi: BoolMap | None = None
) -> RealDefects:
    """Read the folder of defects that stands beside a data set; none without a folder.

    Defects that are also test pictures of the data set are learned from and named in a warning: whoever measures on the
    test pictures must leave these out, and `evaluate` does.

    Raises:
        DataError: see `find_defects` and `read_real_defects`; or one of them is a good training picture, byte by byte.
    """
    if folder is None:
        return NO_DEFECTS
    real = read_real_defects(find_defects(folder), config, roi)
    samples = find_samples(data, layout, category)
    sizes = {path.stat().st_size for path in real.paths}  # bytes that differ in number need no reading
    alike = [s for s in samples if s.path.is_file() and s.path.stat().st_size in sizes]
    same = [sample for sample in alike if file_hash(sample.path)[:16] in real.hashes]
    if good := [sample for sample in same if sample.is_good]:
        raise DataError(
            f"{str(good[0].path)!r} is a good picture of {str(data)!r} and lies among the defects of {str(folder)!r}, "
            "byte by byte the same: decide what it is, and delete the other.",
            code="data.contradiction",
        )
    if not same:
        return real
    warning = (
        f"{len(same)} of {real.count} real defects are also test pictures of {str(data)!r}: they train, so they "
        "measure nothing any more. `evaluate` leaves them out; do the same with every other figure."
    )
    return RealDefects(real.paths, real.defects, real.hashes, (*real.warnings, warning), real.key)


def read_real_defects(samples: Sequence[Sample], config: Config, roi: BoolMap | None = None) -> RealDefects:
    """Read defective pictures and their masks at working size; the same file twice counts once.

    With tiles, all tiles that show some of a defect are read. Without a mask nobody knows which do, so such a picture
    is left out with a warning; so is one that cannot be read, and one whose defect lies where nothing is judged. `roi`
    as of `GoodPictures`.

    Raises:
        DataError: a mask cannot be read, has another size or marks nothing; or nothing can be read.
    """
    data, digest = config.data, sha256()
    framing = Framing(data.fit, data.size, data.tile, data.overlap, roi)
    paths, defects, hashes, warnings = [], [], [], []
    for sample in samples:
        try:
            seen, name = see(sample.path, framing, data.channels), file_hash(sample.path)
        except PictureError as error:
            warnings.append(f"Left out of the real defects: {error}")
            continue
        if name[:16] in hashes:
            continue
        view, true_mask = seen.view, None
        if sample.mask_path is not None:
            native = read_mask(sample.mask_path, view.native, picture=sample.path)
            if not native.any():
                raise DataError(
                    f"The mask {str(sample.mask_path)!r} marks nothing: mark the defect, or delete the mask.",
                    code="data.mask",
                )
            true_mask = view.mask(native)
            true_mask &= True if view.judged is None else view.judged
            if not true_mask.any():
                warnings.append(f"Left out: the defect of {str(sample.path)!r} lies where nothing is judged.")
                continue
        elif data.fit == "tile":
            warnings.append(
                f"Left out: {str(sample.path)!r} has no mask, so nobody knows which of its tiles show the defect."
            )
            continue
        shown = _shown(framing, seen, true_mask)
        paths.extend([sample.path] * len(shown))
        defects.extend(shown)
        hashes.append(name[:16])
        digest.update(name.encode() + (b"" if true_mask is None else true_mask.tobytes()))
    if not defects:
        raise DataError(f"No real defect can be learned from. {' '.join(warnings)}")
    if bare := sum(defect.true_mask is None for defect in defects):
        warnings.append(
            f"{bare} of {len(hashes)} real defects have no mask: of them only is learned that something is wrong "
            "somewhere. They are not pasted, and teach no outline."
        )
    return RealDefects(tuple(paths), tuple(defects), tuple(hashes), tuple(warnings), digest.hexdigest())


def _shown(framing: Framing, seen: Seen, true_mask: BoolMap | None) -> list[RealDefect]:
    """The picture at working size, or those of its tiles on which something is marked."""
    working, tiling = seen.picture, framing.tiling(seen.view)
    if tiling is None or true_mask is None:
        return [RealDefect(to_image(working), true_mask)]
    tiles = [(corner, cut_tile(true_mask, corner, tiling.tile)) for corner in tiling.corners()]
    return [
        RealDefect(to_image(cut_tile(working, corner, tiling.tile)), marked) for corner, marked in tiles if marked.any()
    ]

"""The operator's table: a row a picture, its verdict, perhaps who said so, a mask and a note."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from diffusionad.bundle import Bundle
from diffusionad.data import Framing, read_mask, see, table_rows
from diffusionad.data.seeing import Seen
from diffusionad.errors import DataError, PictureError
from diffusionad.files import file_hash

__all__ = ["COLUMNS", "Remark", "look", "read_table"]

COLUMNS = ("path", "verdict", "mask", "by", "note")
"""Known columns; path and verdict must be there."""

_VERDICTS = ("good", "anomalous")


@dataclass(frozen=True, slots=True)
class Remark:
    """What an operator says of one picture.

    Attributes:
        path: the picture's file; readable.
        hash: sha256 of its content, hexadecimal: the picture's name, wherever the file lies.
        verdict: "good" or "anomalous".
        by: who says so.
        mask: file whose non-zero pixels are defective; None where nobody drew it.
        note: free text.
        where: table and line, for messages.
    """

    path: Path
    hash: str
    verdict: str
    by: str
    mask: Path | None
    note: str
    where: str


def read_table(table: Path, bundle: Bundle, by: str) -> list[Remark]:
    """Read a table, CSV or JSON lines, and look at every picture and mask in it. Paths count from the table's folder.

    Args:
        table: its file.
        bundle: pictures are read as this one reads them.
        by: who says so, where the row does not name anybody.

    Raises:
        DataError: no table, an unknown column or verdict, no rows; a picture or mask that is missing or unreadable, a
            mask that marks nothing or belongs to a good picture; one picture with both verdicts.
    """
    remarks: dict[str, Remark] = {}
    for line, values in table_rows(table, COLUMNS, ("path", "verdict")):
        remark = _remark(table.parent, values, bundle, by, f"{str(table)!r}, line {line}")
        before = remarks.setdefault(remark.hash, remark)
        if before.verdict != remark.verdict:
            raise DataError(
                f"{remark.where}, calls {str(remark.path)!r} {remark.verdict}, and an earlier line calls the same "
                f"picture ({str(before.path)!r}) {before.verdict}: decide which holds, and delete the other.",
                code="feedback.contradiction",
            )
        remarks[remark.hash] = replace(before, mask=before.mask or remark.mask)
    if not remarks:
        raise DataError(f"{str(table)!r} has no rows: write a picture and its verdict in each.", code="feedback.empty")
    return list(remarks.values())


def _remark(folder: Path, values: dict[str, str], bundle: Bundle, by: str, where: str) -> Remark:
    verdict, path = values["verdict"].casefold(), folder / values["path"]
    mask = folder / values["mask"] if values["mask"] else None
    if verdict not in _VERDICTS:
        raise DataError(
            f"{where}, has the verdict {values['verdict']!r}; the known ones are {' and '.join(_VERDICTS)}.",
            code="feedback.verdict",
        )
    if verdict == "good" and mask is not None:
        raise DataError(f"{where}, is good but has a mask; delete one of the two.", code="feedback.mask")
    if not values["path"] or not path.is_file():
        raise DataError(
            f"{where}, names the picture {values['path']!r}, which is not there; paths count from the table's folder.",
            code="feedback.missing",
        )
    try:
        seen = look(path, bundle)
    except PictureError as error:
        raise DataError(f"{where}: {error}", code="feedback.unreadable") from None
    if mask is not None and not read_mask(mask, seen.view.native, picture=path).any():
        raise DataError(f"{where}: the mask {str(mask)!r} marks nothing.", code="feedback.mask")
    return Remark(path, file_hash(path), verdict, values["by"] or by, mask, values["note"], where)


def look(path: Path, bundle: Bundle) -> Seen:
    """A picture as the networks of a bundle see it. Raises PictureError."""
    data = bundle.config.data
    return see(path, Framing(data.fit, data.size, data.tile, data.overlap, bundle.roi), data.channels)

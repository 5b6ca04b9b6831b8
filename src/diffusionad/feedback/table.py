"""The operator's table: a row a picture, its verdict, perhaps its mask and a note. Everything wrong is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusionad.data import read_mask, read_picture, table_rows
from diffusionad.errors import DataError, PictureError
from diffusionad.files import file_hash

__all__ = ["COLUMNS", "Remark", "read_table"]

COLUMNS = ("path", "verdict", "mask", "note", "category")
"""Known columns; path and verdict must be there."""

_VERDICTS = ("good", "anomalous")


@dataclass(frozen=True, slots=True)
class Remark:
    """What an operator says of one picture.

    Attributes:
        path: the picture's file; readable.
        hash: sha256 of its content, hexadecimal: the picture's name, wherever the file lies.
        is_good: the operator's verdict.
        mask: file whose non-zero pixels are defective; None where nobody drew it.
        note: free text.
    """

    path: Path
    hash: str
    is_good: bool
    mask: Path | None
    note: str


def read_table(table: Path, category: str) -> list[Remark]:
    """Read the table and look at every picture and mask in it. Paths count from the table's folder.

    Raises:
        DataError: no table, an unknown column or verdict, a row of another category, no rows; a picture or mask that is
            missing or unreadable, a mask that marks nothing or belongs to a good picture; one picture with both
            verdicts.
    """
    remarks: dict[str, Remark] = {}
    for line, values in table_rows(table, COLUMNS, ("path", "verdict")):
        where = f"{str(table)!r}, line {line}"
        remark = _remark(table.parent, values, category, where)
        before = remarks.setdefault(remark.hash, remark)
        if before.is_good != remark.is_good:
            raise DataError(
                f"{where}, calls {str(remark.path)!r} {values['verdict']}, and an earlier line says the opposite of "
                f"the same picture ({str(before.path)!r}): decide which holds, and delete the other.",
                code="feedback.contradiction",
            )
        if before.mask is None:
            remarks[remark.hash] = remark
    if not remarks:
        raise DataError(f"{str(table)!r} has no rows: write a picture and its verdict in each.", code="feedback.empty")
    return list(remarks.values())


def _remark(folder: Path, values: dict[str, str], category: str, where: str) -> Remark:
    verdict = values["verdict"].casefold()
    if verdict not in _VERDICTS:
        raise DataError(
            f"{where}, has the verdict {values['verdict']!r}; the known ones are good and anomalous.",
            code="feedback.verdict",
        )
    if values["category"] not in ("", category):
        raise DataError(
            f"{where}, is of the category {values['category']!r}; this bundle judges {category!r}.",
            code="feedback.category",
        )
    path = folder / values["path"]
    if not values["path"] or not path.is_file():
        raise DataError(
            f"{where}, names the picture {values['path']!r}, which is not there; paths count from the table's folder.",
            code="feedback.missing",
        )
    try:
        picture = read_picture(path)
    except PictureError as error:
        raise DataError(f"{where}: {error}", code="feedback.unreadable") from None
    mask = folder / values["mask"] if values["mask"] else None
    if mask is not None:
        if verdict == "good":
            raise DataError(f"{where}, is good but has a mask; delete one of the two.", code="feedback.mask")
        if not read_mask(mask, (picture.shape[0], picture.shape[1]), picture=path).any():
            raise DataError(f"{where}: the mask {str(mask)!r} marks nothing.", code="feedback.mask")
    return Remark(path, file_hash(path), verdict == "good", mask, values["note"])

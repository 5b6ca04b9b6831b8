"""Checks on the masks of defective test pictures."""

from __future__ import annotations

from collections.abc import Iterator

from diffusionad.doctor.findings import Finding, Seen, Severity, counted
from diffusionad.doctor.looking import Look, MaskLook

__all__ = ["find_masks_amiss", "find_missing_masks"]

_LABELS = 8  # a mask with more grey levels has soft edges; as in `diffusionad.data.read_mask`


def find_missing_masks(seen: Seen) -> Iterator[Finding]:
    """Defective pictures without a mask. None at all is only a note: outlines are then not measured."""
    missing = [look for look in seen.defective if look.sample.mask_path is None]
    total = len(seen.defective)
    if missing:
        some = len(missing) < total
        yield Finding(
            "mask.missing",
            "risk" if some else "note",
            f"{len(missing)} of {total} defective pictures have no mask: pixel figures are not measured.",
            "Draw them and save them as ground_truth/<defect>/<name>_mask.png, white where the defect is."
            + ("" if some else " Without masks, image figures are still measured."),
            tuple(look.sample.path for look in missing),
        )


def find_masks_amiss(seen: Seen) -> Iterator[Finding]:
    """Masks that cannot be read, are empty, of another size, or of more than two levels; each mask in one of them."""
    kinds: dict[str, list[tuple[Look, MaskLook]]] = {row[0]: [] for row in _FAULTS}
    for look in seen.looks:
        if look.mask is not None and (code := _fault(look, look.mask)):
            kinds[code].append((look, look.mask))
    for code, severity, words, advice in _FAULTS:
        found = kinds[code]
        if found:
            yield Finding(
                code,
                severity,
                f"{counted(len(found), 'mask', one=words[0], many=words[1])}.",
                advice,
                tuple(look.sample.mask_path or look.sample.path for look, _ in found),
                tuple(_remark(code, look, mask) for look, mask in found),
            )


def _fault(look: Look, mask: MaskLook) -> str | None:
    if mask.error is not None:
        return "mask.unreadable"
    if mask.size != look.size:
        return "mask.size"
    if mask.marked == 0:
        return "mask.empty"
    if mask.levels > _LABELS:
        return "mask.soft"
    return "mask.levels" if mask.levels > 2 else None


def _remark(code: str, look: Look, mask: MaskLook) -> str:
    if code == "mask.size":
        return "{1} x {0}, its picture {3} x {2}".format(*mask.size, *look.size)
    return f"{mask.levels} levels" if code in ("mask.soft", "mask.levels") else ""


_FAULTS: tuple[tuple[str, Severity, tuple[str, str], str], ...] = (
    (
        "mask.unreadable",
        "broken",
        ("cannot be read", "cannot be read"),
        "Save them as PNG of 8-bit grey, or delete them.",
    ),
    (
        "mask.size",
        "broken",
        ("is of another size than its picture", "are of another size than their pictures"),
        "Save each mask at its picture's size, without smoothing.",
    ),
    (
        "mask.empty",
        "broken",
        ("marks nothing although its picture is defective", "mark nothing although their pictures are defective"),
        "Draw the defects, or move the pictures to test/good.",
    ),
    (
        "mask.soft",
        "note",
        (
            "has soft or compressed edges: half of its maximum counts",
            "have soft or compressed edges: half of the maximum counts",
        ),
        "Save them as PNG with two levels, 0 and 255, to have the last word.",
    ),
    (
        "mask.levels",
        "note",
        (
            "has more than two levels: everything above 0 is anomalous",
            "have more than two levels: everything above 0 is anomalous",
        ),
        "Check that no level above 0 means normal; save them with 0 and 255.",
    ),
)

"""Colours of pages: text can be read, and kinds stay apart for people who do not see all colours."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusionad.report.pictures import heat

STYLE = (files("diffusionad.report") / "template" / "style.css").read_text(encoding="utf-8")
ROOTS = [
    dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]+);", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)
]

# Machado, Oliveira and Fernandes, IEEE TVCG 2009, severity 1, for linear RGB
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> NDArray[np.float64]:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    share = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of linear RGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("root", range(2), ids=["light", "dark"])
@pytest.mark.parametrize("name", BLINDNESS)
def test_good_and_defective_stay_apart(root: int, name: str) -> None:
    colours = ROOTS[0] | ROOTS[root]
    seen = [lab(np.asarray(BLINDNESS[name]) @ linear(colours[kind])) for kind in ("good", "defective")]
    assert np.linalg.norm(seen[0] - seen[1]) > 40  # 2 is just visible


@pytest.mark.parametrize("root", range(2), ids=["light", "dark"])
def test_all_text_has_the_contrast_that_wcag_asks_for(root: int) -> None:
    colours = ROOTS[0] | ROOTS[root]
    pairs = [(text, ground) for text in ("text", "soft", "accent") for ground in ("ground", "surface")]
    pairs += [("alarm", "alarm-ground"), ("ok", "ok-ground"), ("review", "review-ground"), ("bad", "bad-ground")]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_heat_gets_lighter_all_along_for_everybody() -> None:
    colours = heat(np.linspace(0, 1, 30, dtype=np.float32)[None])[0] / 255.0
    rgb = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for matrix in BLINDNESS.values():
        lightness = [lab(np.asarray(matrix) @ one)[0] for one in rgb]
        assert np.all(np.diff(lightness) > 0)

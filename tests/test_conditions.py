"""What a picture was taken under, against a plain reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, laplace

from diffusionad.conditions import CONDITIONS, conditions

RNG = np.random.default_rng(0)
SIZE = (30, 44)


@pytest.mark.parametrize("judged", [None, RNG.random(SIZE) > 0.4, np.eye(*SIZE, dtype=np.bool_)])
def test_conditions_are_what_they_say(judged: np.ndarray | None) -> None:
    image, reconstruction = RNG.uniform(-1, 1, (2, 3, *SIZE)).astype(np.float32)
    anomaly_map = RNG.random(SIZE, dtype=np.float32)
    inside = np.ones(SIZE, np.bool_) if judged is None else judged
    grey = image.astype(np.float64).mean(axis=0)
    upright, level = np.gradient(grey)
    contrast = ((2 * upright) ** 2 + (2 * level) ** 2)[1:-1, 1:-1] * inside[1:-1, 1:-1]
    rows, columns = center_of_mass(contrast)
    calm = inside & (anomaly_map <= np.median(anomaly_map[inside]))
    apart = np.abs(image.astype(np.float64) - reconstruction).mean(axis=0)
    expected = {
        "brightness": (grey[inside].mean() + 1) / 2,
        "focus": np.log(laplace(grey)[1:-1, 1:-1][inside[1:-1, 1:-1]].var()),
        "left_right": (columns + 0.5) / contrast.shape[1],
        "up_down": (rows + 0.5) / contrast.shape[0],
        "background": apart[calm].mean(),
    }
    found = conditions(image, reconstruction, anomaly_map, judged)
    assert tuple(found) == CONDITIONS
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_picture_of_which_only_the_rim_is_judged_has_no_focus() -> None:
    rim = np.ones(SIZE, np.bool_)
    rim[1:-1, 1:-1] = False
    flat = np.zeros((3, *SIZE), np.float32)
    found = conditions(flat, flat, np.zeros(SIZE, np.float32), rim)
    assert (found["focus"], found["left_right"], found["background"]) == (0.0, 0.5, 0.0)

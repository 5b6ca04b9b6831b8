"""Laws of the filter bank: directions, signs, scales and symmetries of what it answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diffusionad.filters import CELLS, COLOUR, DIRECTIONS, FAINT, FilterBank
from diffusionad.tensors import DARK

SIZE = (64, 64)


def lines(turned: bool, bright: bool, size: tuple[int, int] = SIZE, width: int = 1) -> Tensor:
    """A line through the middle, up and down, or across when `turned`."""
    image = torch.zeros(1, 3, *size)
    middle = size[1] // 2
    image[..., middle - width // 2 : middle - width // 2 + width] = 1.0 if bright else -1.0
    return image.transpose(2, 3) if turned else image


def strengths(bank: FilterBank, image: Tensor) -> Tensor:
    """[levels, slope | bright | dark, directions, h, w] of one image."""
    found = bank(image)[0, : bank.features - 9].exp() - FAINT
    return found.reshape(-1, 3, DIRECTIONS, *bank.places)


def test_a_line_is_strongest_across_its_direction_and_has_its_sign() -> None:
    bank = FilterBank(3, SIZE)
    for turned, across in ((False, 0), (True, DIRECTIONS // 2)):
        for bright in (True, False):
            middle = strengths(bank, lines(turned, bright))[0, :, :, 32, 32]
            kind = 1 if bright else 2
            assert middle[kind].argmax() == across
            assert middle[kind, across] > 2 * middle[3 - kind, across]


def test_a_flat_picture_has_no_edges_whatever_its_colour() -> None:
    bank = FilterBank(3, SIZE)
    for value in (-1.0, 0.2, 1.0):
        assert strengths(bank, torch.full((1, 3, *SIZE), value)).abs().max() < 1e-4


def test_a_mirrored_picture_gives_mirrored_features() -> None:
    bank = FilterBank(3, SIZE)
    image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    plain, mirrored = strengths(bank, image), strengths(bank, image.flip(3)).flip(4)
    order = [-n % DIRECTIONS for n in range(DIRECTIONS)]  # a mirror turns each direction the other way
    torch.testing.assert_close(plain[:, :, order], mirrored, rtol=0, atol=1e-4)


def test_a_thick_line_is_seen_at_a_coarser_scale_than_a_thin_one() -> None:
    bank = FilterBank(3, (256, 256))
    thin, thick = (strengths(bank, lines(False, True, (256, 256), width))[:, 1, 0, 32, 32] for width in (1, 12))
    assert thin.argmax() < thick.argmax()


def test_light_that_is_so_many_times_as_bright_moves_colours_and_leaves_edges_alone() -> None:
    bank = FilterBank(3, SIZE)
    light = DARK + 0.4 * torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    dim, bright = (bank(2 * (times * light - DARK) - 1)[0] for times in (1.0, 2.0))
    assert (bright - dim)[:-9].abs().max() < 1e-3
    moved = torch.full_like(dim[-9:], COLOUR * math.log(2.0))
    torch.testing.assert_close((bright - dim)[-9:], moved, rtol=0, atol=1e-4)


@pytest.mark.parametrize("turn", range(0, 180, 15))
def test_a_line_is_followed_through_a_gap_in_any_direction_which_slopes_do_not_see(turn: int) -> None:
    bank = FilterBank(1, (256, 256))
    at = torch.arange(256.0) - 128
    y, x = torch.meshgrid(at, at, indexing="ij")
    radians = torch.tensor(turn * torch.pi / 180)
    across, along = x * radians.sin() - y * radians.cos(), x * radians.cos() + y * radians.sin()
    line = torch.exp(-0.5 * (across / 2) ** 2) * (along.abs() > 14) * (along.abs() < 60)

    found = bank(line[None, None])[0, : bank.features - 3].exp() - FAINT
    slopes, bright, dark = found.reshape(-1, 3, DIRECTIONS, *bank.places).amax(dim=2)[1]

    middle = (slice(31, 33), slice(31, 33))
    assert bright[middle].max() > 0.4 * bright.max()
    assert dark[middle].max() < bright[middle].max()
    assert slopes[middle].max() < 0.1 * slopes.max()


@pytest.mark.parametrize(
    ("size", "cell"),
    [((32, 32), 1), ((128, 128), 2), ((256, 256), 4), ((256, 384), 4), ((272, 272), 4), ((144, 160), 2)],
)
def test_the_grid_has_cells_enough_and_divides_the_picture(size: tuple[int, int], cell: int) -> None:
    bank = FilterBank(4, size)
    assert bank.cell == cell
    assert bank.places == (size[0] // cell, size[1] // cell)
    assert min(bank.places) >= min(CELLS, *size)
    assert bank(torch.zeros(2, 4, *size)).shape == (2, bank.features, *bank.places)

"""Laws of the segmenter's shapes and paths."""

from __future__ import annotations

import pytest
import torch

from diffusionad.networks import Segmenter


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize(
    ("widths", "patch", "size"),
    [((8, 16), 1, (16, 32)), ((8, 16, 16), 2, (32, 24)), ((8,), 4, (16, 20)), ((8, 12), 3, (12, 18))],
)
def test_one_logit_a_pixel(norm: str, widths: tuple[int, ...], patch: int, size: tuple[int, int]) -> None:
    if norm == "group" and any(width % min(8, width) for width in widths):
        widths = tuple(8 * (width // 8) for width in widths)
    segmenter = Segmenter(inputs=6, widths=widths, patch=patch, norm=norm)
    assert segmenter(torch.randn(2, 6, *size))[0].shape == (2, 1, *size)


def test_every_weight_takes_part() -> None:
    segmenter = Segmenter(inputs=6, widths=(8, 16, 16), patch=2, norm="group")
    segmenter(torch.randn(2, 6, 32, 32))[0].square().sum().backward()
    idle = [name for name, weight in segmenter.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_the_logit_lies_where_the_picture_differs() -> None:
    """Folding and unfolding keep places: one changed pixel moves the logits around it most."""
    torch.manual_seed(0)
    segmenter = Segmenter(inputs=6, widths=(16,), patch=4, norm="batch").eval()
    features = torch.randn(1, 6, 32, 32)
    changed = features.clone()
    changed[:, :, 9, 22] += 5.0
    with torch.no_grad():
        moved = (segmenter(changed)[0] - segmenter(features)[0]).abs()[0, 0]
    rows, columns = torch.nonzero(moved, as_tuple=True)
    # three 3 x 3 convolutions over cells of 4 x 4 pixels reach three cells around cell (2, 5)
    assert (int(rows.min()), int(rows.max())) == (0, 23)
    assert (int(columns.min()), int(columns.max())) == (8, 31)
    assert moved[8:12, 20:24].mean() > moved[moved > 0].mean()


@pytest.mark.parametrize("size", [(30, 32), (32, 28), (33, 32)])
def test_sizes_that_cannot_be_folded_and_halved_are_refused_by_torch(size: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError):
        Segmenter(inputs=6, widths=(8, 8, 8), patch=2)(torch.randn(1, 6, *size))


def test_another_number_of_channels_is_refused_by_torch() -> None:
    with pytest.raises(RuntimeError):
        Segmenter(inputs=6, widths=(8, 8))(torch.randn(1, 9, 16, 16))

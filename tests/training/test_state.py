"""Laws of taking up a run: resumed is straight, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from diffusionad.assembly import build_detector
from diffusionad.config import Config, resolve
from diffusionad.detector import Detector
from diffusionad.errors import TrainingError
from diffusionad.training.state import Averaged, Progress, load_state, save_state, save_weights
from diffusionad.training.step import TrainingStep

KEY = "settings and pictures of this run"


def tiny(seed: int = 0) -> Config:
    return resolve(
        "tiny",
        overrides={
            "seed": seed,
            "data.size": (32, 32),
            "denoiser.width": 8,
            "denoiser.multipliers": (1, 2),
            "denoiser.attention_levels": (1,),
            "denoiser.heads": 2,
            "denoiser.groups": 4,
            "segmenter.widths": (8, 8),
            "segmenter.norm": "batch",  # has running statistics and a counter, the harder case
        },
    )


class Run:
    """Everything a training run is made of, as `training.runs` makes it."""

    def __init__(self, seed: int = 0) -> None:
        config = tiny(seed)
        self.detector: Detector = build_detector(config)
        self.step = TrainingStep(self.detector, config.diffusion, config.loss)
        self.averaged = Averaged(self.detector, 40)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self.detector.denoiser.parameters(), "lr": 1e-3, "base_rate": 1e-3},
                {"params": self.detector.segmenter.parameters(), "lr": 2e-3, "base_rate": 2e-3},
            ]
        )
        self.progress = Progress()

    def train(self, steps: int) -> Run:
        for _ in range(steps):
            loss = sum(self.step(**batch(self.progress.images)))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.progress.images += 2
            self.progress.steps += 1
            self.averaged.update(self.detector, 2, self.progress.steps)
        return self

    def save(self, path: Path, key: str = KEY) -> None:
        save_state(path, self.detector, self.averaged, self.optimizer, self.progress, key)

    def load(self, path: Path, key: str = KEY) -> Run:
        self.progress = load_state(path, self.detector, self.averaged, self.optimizer, key)
        return self

    def tensors(self) -> dict[str, Tensor]:
        moments = {
            f"moments/{index}/{slot}": value
            for index, slots in self.optimizer.state_dict()["state"].items()
            for slot, value in slots.items()
        }
        averages = {f"averaged/{name}": value for name, value in self.averaged.tensors.items()}
        return {**self.detector.state_dict(), **averages, **moments}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def batch(seed: int) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, 32, 32, generator=chance) * 2 - 1
    true_mask = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    true_mask[1, 0, 4:9, 4:9] = True
    return {
        "image": image,
        "clean": torch.where(true_mask, 0.0, image),
        "true_mask": true_mask,
        "is_normal": torch.tensor([True, False]),
        "is_clean_known": torch.ones(2, 1, 32, 32, dtype=torch.bool),
        "is_outlined": torch.tensor([True, True]),
        "noise": torch.randn(2, 2, 3, 32, 32, generator=chance),
        "time": torch.rand(2, 2, generator=chance, dtype=torch.float64),
    }


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        assert value.dtype == other[name].dtype, name
        assert torch.equal(value, other[name]), name


@pytest.fixture
def trained() -> Run:
    run = Run().train(3)
    run.progress.seconds, run.progress.validations = 12.5, 2
    run.progress.best_score, run.progress.best_images = 1 / 3, 4
    run.progress.history = [(2, 0.1), (4, 1 / 3)]
    return run


def test_a_new_run_takes_up_everything(tmp_path: Path, trained: Run) -> None:
    trained.save(tmp_path / "state.safetensors")
    taken_up = Run(seed=9)  # other weights, no moments
    before = taken_up.tensors()
    assert not torch.equal(before["denoiser.enter.weight"], trained.detector.denoiser.enter.weight)
    taken_up.load(tmp_path / "state.safetensors")
    assert_equal(taken_up.tensors(), trained.tensors())
    assert len(taken_up.tensors()) > len(before)  # the moments
    assert taken_up.progress == trained.progress
    assert taken_up.progress is not trained.progress
    assert isinstance(taken_up.progress.history[0], tuple)


def test_resumed_is_straight_to_the_bit(tmp_path: Path, trained: Run) -> None:
    trained.save(tmp_path / "state.safetensors")
    resumed = Run(seed=9).load(tmp_path / "state.safetensors").train(2)
    trained.train(2)
    assert_equal(resumed.tensors(), trained.tensors())
    assert resumed.progress == trained.progress


def test_saving_changes_nothing_and_loads_into_parameters_of_the_same_optimiser(tmp_path: Path, trained: Run) -> None:
    before = {name: value.clone() for name, value in trained.tensors().items()}
    trained.save(tmp_path / "state.safetensors")
    assert_equal(trained.tensors(), before)
    resumed = Run(seed=9)
    ids = [id(weight) for group in resumed.optimizer.param_groups for weight in group["params"]]
    resumed.load(tmp_path / "state.safetensors")
    assert ids == [id(weight) for group in resumed.optimizer.param_groups for weight in group["params"]]
    assert ids == [id(weight) for weight in resumed.detector.parameters()]
    assert [group["base_rate"] for group in resumed.optimizer.param_groups] == [1e-3, 2e-3]


def test_a_run_saved_before_its_first_step_can_be_taken_up(tmp_path: Path) -> None:
    fresh = Run()
    fresh.save(tmp_path / "state.safetensors")
    resumed = Run(seed=9).load(tmp_path / "state.safetensors").train(1)
    assert_equal(resumed.tensors(), fresh.train(1).tensors())


def test_a_state_of_another_run_is_refused_and_nothing_is_touched(tmp_path: Path, trained: Run) -> None:
    trained.save(tmp_path / "state.safetensors")
    other = Run(seed=9)
    before = {name: value.clone() for name, value in other.tensors().items()}
    with pytest.raises(TrainingError, match="other settings") as caught:
        other.load(tmp_path / "state.safetensors", key="another")
    assert caught.value.code == "training.other_run"
    assert_equal(other.tensors(), before)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_state_is_refused_and_nothing_is_touched(tmp_path: Path, trained: Run, kept: float) -> None:
    path = tmp_path / "state.safetensors"
    trained.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    other = Run(seed=9)
    before = {name: value.clone() for name, value in other.tensors().items()}
    with pytest.raises(TrainingError, match=r"state\.safetensors is damaged"):
        other.load(path)
    assert_equal(other.tensors(), before)


def test_a_missing_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere"):
        Run().load(tmp_path / "nowhere")


def test_saved_weights_are_the_tensors_and_nothing_more(tmp_path: Path, trained: Run) -> None:
    save_weights(tmp_path / "model.safetensors", trained.averaged.tensors)
    assert names_in(tmp_path) == ["model.safetensors"]
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert_equal({name: file.get_tensor(name) for name in file.keys()}, trained.averaged.tensors)  # noqa: SIM118
    fresh = build_detector(tiny(seed=9))
    fresh.load_state_dict(trained.averaged.tensors)


def test_the_average_halves_its_distance_in_a_half_life() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 0.0)
    averaged = Averaged(module, half_life=400)
    torch.nn.init.constant_(module.weight, 1.0)
    for _ in range(50):
        averaged.update(module, 8, steps=1_000_000)  # 50 steps of 8 images, long after the start
    assert averaged.tensors["weight"].item() == pytest.approx(0.5, abs=1e-5)


def test_the_average_follows_fast_early_and_copies_counters() -> None:
    module = torch.nn.BatchNorm2d(2)
    averaged = Averaged(module, half_life=1e9)
    module.num_batches_tracked.fill_(7)
    torch.nn.init.constant_(module.weight, 3.0)
    averaged.update(module, 8, steps=1)
    assert averaged.tensors["num_batches_tracked"].item() == 7
    torch.testing.assert_close(averaged.tensors["weight"], torch.full((2,), 1 + 2 * 9 / 11))  # keeps (1+1)/(10+1)
    assert torch.equal(module.weight, torch.full((2,), 3.0))

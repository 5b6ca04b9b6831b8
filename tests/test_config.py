"""Laws of the settings: typed, closed, complete, and the later source wins."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from diffusionad import config as module
from diffusionad.config import PRESETS, Config, resolve
from diffusionad.errors import UsageError


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_complete_and_says_its_name(preset: str) -> None:
    config = resolve(preset)
    assert config.preset == preset
    for section, values in PRESETS[preset].items():
        for key, value in values.items():
            assert getattr(getattr(config, section), key) == value


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_survive_json(preset: str) -> None:
    config = resolve(preset, settings=["training.images=64", "data.size=[512, 256]"])
    assert Config.model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_presets_state_the_steps_on_images_in_minus_one_to_one() -> None:
    for preset in PRESETS:
        diffusion = resolve(preset).diffusion
        assert (diffusion.t_fine, diffusion.t_coarse) == (331, 530)


def test_unknown_preset_is_named_with_the_nearest_and_the_known() -> None:
    with pytest.raises(UsageError, match=r'"smal".*did you mean "small".*tiny, small, base, journal'):
        resolve("smal")


@pytest.mark.parametrize(
    ("setting", "unknown", "nearest", "known"),
    [
        ("trainin.batch=4", "trainin", "training", "segmenter"),
        ("training.bach=4", "training.bach", "batch", "max_seconds"),
        ("denoiser.heds=4", "denoiser.heds", "heads", "multipliers"),
        ("top_kk=4", "top_kk", "top_k", "seed"),
    ],
)
def test_unknown_key_is_named_with_the_nearest_and_the_known(
    tmp_path: Path, setting: str, unknown: str, nearest: str, known: str
) -> None:
    key, _, value = setting.partition("=")
    file = tmp_path / "settings.toml"
    file.write_text(setting)
    for source in ({"settings": [setting]}, {"overrides": {key: int(value)}}, {"file": file}):
        with pytest.raises(UsageError, match=f'"{unknown}": did you mean "{nearest}"') as caught:
            resolve(**source)
        assert known in str(caught.value)


def test_unknown_kind_of_defect_names_the_known() -> None:
    with pytest.raises(UsageError, match=r"scrach.*'scratch'"):
        resolve(settings=["synthesis.kinds.scrach=1"])


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("training.batch=4", "training", "batch", 4),
        (" training.batch = 4 ", "training", "batch", 4),
        ("training.max_seconds=90", "training", "max_seconds", 90.0),
        ("training.denoiser_rate=1e-4", "training", "denoiser_rate", 1e-4),
        ("segmenter.difference=false", "segmenter", "difference", False),
        ("data.size=[64, 96]", "data", "size", (64, 96)),
        ("data.foreground=masks/of all", "data", "foreground", "masks/of all"),
        ('data.foreground="whole"', "data", "foreground", "whole"),
        ("synthesis.kinds={scratch=2.0}", "synthesis", "kinds", {"scratch": 2.0}),
        ("denoiser.embedding=additive", "denoiser", "embedding", "additive"),
    ],
)
def test_a_setting_has_the_type_of_its_field(setting: str, section: str, key: str, value: Any) -> None:
    got = getattr(getattr(resolve(settings=[setting]), section), key)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "setting",
    [
        "training.batch=four",
        "training.batch=2.5",
        "training.batch=0",
        "training.batch",
        "training.batch.size=3",
        "training.max_seconds=-1",
        "training.max_seconds=nan",
        "seed=-1",
        "data.size=[64]",
        "data.size=64",
        "data.shift=1.5",
        "denoiser.embedding=linear",
        "synthesis.normal_share=[0.8, 0.2]",
        "diffusion.guidance_weight=1.2",
        "diffusion.t_coarse=1000",
        "diffusion.t_fine=-1",
        "diffusion.fine_range=[300, 300]",
        "diffusion.coarse_range=[448, 1001]",
    ],
)
def test_what_cannot_be_is_refused_by_name(setting: str) -> None:
    with pytest.raises(UsageError, match=re.split("[.=]", setting)[0]):
        resolve(settings=[setting])


def test_no_kind_of_defect_at_all_is_refused() -> None:
    for kinds in ({}, dict.fromkeys(resolve().synthesis.kinds, 0.0)):
        with pytest.raises(UsageError, match="at least one kind"):
            resolve(overrides={"synthesis.kinds": kinds})
    with pytest.raises(UsageError, match="scratch"):
        resolve(overrides={"synthesis.kinds": {"texture": 1.0, "scratch": -1.0}})


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("seed = 5\n[training]\nmax_seconds = 100\nbatch = 3\n[data]\nsize = [64, 64]\n")
    config = resolve("base", file=file, settings=["training.batch=5", "seed=6"], overrides={"seed": 7})
    assert PRESETS["base"]["data"]["size"] == (512, 512)
    assert config.data.size == (64, 64)  # file over preset
    assert config.training.max_seconds == 100.0  # file over preset
    assert config.training.batch == 5  # settings over file
    assert config.seed == 7  # overrides over settings
    assert config.segmenter == resolve("base").segmenter  # what nobody names stays
    assert resolve("tiny", settings=["seed=1", "seed=2"]).seed == 2


def test_a_file_may_name_its_preset_and_the_callers_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('preset = "tiny"\nseed = 5\n')
    assert resolve(file=file) == resolve("tiny", settings=["seed=5"])
    assert resolve("journal", file=file) == resolve("journal", settings=["seed=5"])
    file.write_text('preset = "tinny"\n')
    with pytest.raises(UsageError, match='did you mean "tiny"'):
        resolve(file=file)


def test_a_preset_among_the_settings_is_never_only_a_label() -> None:
    for source in ({"settings": ["preset=tiny"]}, {"overrides": {"preset": "tiny"}}):
        try:
            config = resolve(**source)
        except UsageError:
            continue
        assert config == resolve("tiny")


def test_a_file_replaces_the_kinds_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[synthesis.kinds]\nscratch = 1.0\n")
    for preset in ("small", "journal"):
        assert resolve(preset, file=file).synthesis.kinds == {"scratch": 1.0}


def test_resolving_leaves_the_table_of_presets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = deepcopy(PRESETS)
    monkeypatch.setattr(module, "PRESETS", table)  # a failure must not spoil the other tests
    for preset in PRESETS:
        resolve(
            preset,
            settings=["synthesis.kinds.scratch=0.25", "training.batch=2", "denoiser.heads=1"],
            overrides={"segmenter.norm": "batch", "data.shift": 0.5},
        )
    assert table == PRESETS


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        resolve(file=tmp_path / "nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"seed = = 1")
    with pytest.raises(UsageError, match=r"broken\.toml"):
        resolve(file=broken)
    broken.write_bytes(b"seed = 1 # \xff")
    with pytest.raises(UsageError, match=r"broken\.toml"):
        resolve(file=broken)


@pytest.mark.parametrize(
    "setting", ["data.size=[250, 256]", "data.size=[256, 200]", "denoiser.patch=3", "segmenter.patch=3"]
)
def test_sizes_the_networks_cannot_halve_are_refused(setting: str) -> None:
    # small: denoiser 4 * 2^3, segmenter 2 * 2^4; a patch of 3 makes 24 or 48, and 256 is a multiple of neither
    with pytest.raises(UsageError, match=r"multiples? of"):
        resolve(settings=[setting])


def test_the_size_step_serves_both_networks() -> None:
    for settings in ([], ["denoiser.patch=3", "data.size=[384, 384]"], ["segmenter.patch=8", "data.size=[256, 384]"]):
        config = resolve(settings=settings)
        for patch, levels in (
            (config.denoiser.patch, config.denoiser.multipliers),
            (config.segmenter.patch, config.segmenter.widths),
        ):
            assert config.size_step % (patch * 2 ** (len(levels) - 1)) == 0


@pytest.mark.parametrize(
    "settings",
    [
        ["denoiser.multipliers=[]"],
        ["segmenter.widths=[]"],
        ["denoiser.attention_levels=[4]"],
        ["denoiser.width=33"],
        ["denoiser.groups=5"],
        ["denoiser.heads=3"],
        ["denoiser.width=8", "denoiser.heads=16", "denoiser.attention_levels=[0]"],
        ["segmenter.widths=[12, 24]"],
    ],
    ids=" ".join,
)
def test_networks_that_cannot_be_built_or_run_are_refused_with_the_settings(settings: list[str]) -> None:
    """The last but one: 16 heads share the 32 channels of the last level, not the 8 of level 0."""
    with pytest.raises(UsageError, match=settings[0].partition(".")[0]):
        resolve(settings=settings)


def test_settings_cannot_be_changed_afterwards() -> None:
    config = resolve()
    with pytest.raises(ValidationError, match="frozen"):
        config.training.batch = 2  # type: ignore[misc]


@pytest.mark.parametrize("setting", ["training.max_seconds=inf", "synthesis.kinds.texture=inf", "training.clip=inf"])
def test_endless_numbers_are_refused_since_no_bundle_could_store_them(setting: str) -> None:
    with pytest.raises(UsageError, match="finite"):
        resolve(settings=[setting])


def test_a_number_of_images_takes_the_place_of_a_presets_epochs(tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text("training.images = 16\n")
    assert resolve("journal", file=tmp_path / "few.toml").training.epochs is None
    assert resolve("journal").training.epochs == 3000
    assert resolve("journal", settings=["training.images=16"]).training.epochs is None
    assert resolve("journal", settings=["training.images=16", "training.epochs=2"]).training.epochs == 2

"""The paper's tables as data: whole, and in agreement with themselves."""

from __future__ import annotations

from statistics import fmean

import pytest

from diffusionad.reproduction.paper import DATA_SETS, categories_of, read_table, reported

TABLES = ("visa_image_auroc", "visa_pro", "dagm_image_auroc", "ablation_networks", "ablation_steps")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_names_its_source(name: str) -> None:
    assert "arXiv:2303.08730v1" in read_table(name).source


@pytest.mark.parametrize(("name", "rows"), [("visa_image_auroc", 12), ("visa_pro", 12), ("dagm_image_auroc", 10)])
def test_all_eleven_columns_average_to_what_is_printed(name: str, rows: int) -> None:
    table = read_table(name)
    assert (len(table.columns), len(table.rows)) == (11, rows + 1)
    assert table.columns[-1] == "DiffusionAD"
    for column in table.columns:
        mean = fmean(float(row[column]) for category, row in table.rows.items() if category != "average")
        assert mean == pytest.approx(float(table.rows["average"][column]), abs=0.0501)


def test_what_the_paper_says_of_itself() -> None:
    assert reported("visa", "average", "image_auroc") == 0.978
    assert reported("visa", "average", "aupro") == 0.932
    assert reported("dagm", "average", "image_auroc") == 0.996
    assert reported("visa", "pcb3", "aupro") == 0.944
    assert reported("mvtec", "bottle", "image_auroc") is None
    assert reported("dagm", "Class1", "aupro") is None
    assert reported("visa", "nothing", "aupro") is None
    ours = read_table("ablation_networks").rows["averaged"]
    assert ours == {
        "paper_name": "Ours", "image_auroc": "97.8", "aupro": "93.2", "images_per_second": "8.21"
    }  # fmt: skip
    assert read_table("ablation_steps").rows["averaged"]["aupro"] == ours["aupro"]


def test_every_benchmark_has_its_categories() -> None:
    counts = {dataset: len(set(categories_of(dataset))) for dataset in DATA_SETS}
    assert counts == {"mvtec": 15, "visa": 12, "dagm": 10, "mpdd": 6}

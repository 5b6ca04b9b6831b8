"""The table of equations is what the docstrings say, and it is whole."""

from __future__ import annotations

from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def script():  # type: ignore[no-untyped-def]
    loader = SourceFileLoader("equations_script", str(ROOT / "scripts" / "equations"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_equation_and_both_algorithms_of_the_paper_appear_once() -> None:
    counts = Counter(part for part, *_ in script().claims())
    for part in [*(f"Eq. {number}" for number in range(1, 10)), "Alg. 1", "Alg. 2", "Norm guidance, journal version"]:
        assert counts.pop(part, 0) == 1, part
    assert all(count == 1 for count in counts.values())
    assert not [part for part in counts if part.startswith(("Eq.", "Alg."))]


def test_the_page_is_what_the_docstrings_say() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert script().written(page) == page

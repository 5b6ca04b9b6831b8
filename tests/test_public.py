"""What the package shows to the world."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import diffusionad

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(diffusionad.__path__, "diffusionad.") if "__main__" not in m.name
)
ELSEWHERE = {"diffusionad.integrations.anomalib": "anomalib"}
"""Modules that need a library of another environment, and which."""


@pytest.mark.parametrize("name", MODULES)
def test_every_module_lists_what_it_offers_in_order(name: str) -> None:
    if name in ELSEWHERE:
        pytest.importorskip(ELSEWHERE[name], reason="is in an environment of its own")
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", [])
    order = sorted(offered, key=lambda word: (word.upper() != word, not word[0].isupper(), word))
    assert list(offered) == order
    assert all(hasattr(module, word) for word in offered)
    assert module.__doc__


def test_the_package_offers_what_it_says() -> None:
    for name in diffusionad.__all__:
        assert getattr(diffusionad, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        _ = diffusionad.Detektor


def test_judging_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in 'torch lightning_fabric scipy onnx onnxscript safetensors'.split():\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import diffusionad.cli.judge, diffusionad.cli.train, diffusionad.inspector\n"
        "from diffusionad import Inspector\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

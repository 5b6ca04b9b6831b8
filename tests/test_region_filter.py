"""The region filter agrees with Python on what it accepts, and accepts nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusionad.errors import UsageError
from diffusionad.region_filter import DEEPEST, NAMES, RegionFilter
from diffusionad.structures import Region

_NUMBER = st.floats(0, 300).map(lambda value: f"{value:.4g}")
_TERM = st.one_of(_NUMBER, st.sampled_from(NAMES), st.tuples(_NUMBER, st.sampled_from(NAMES)).map("*".join))
_SIGN = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
_COMPARISON = st.one_of(
    st.tuples(_TERM, _SIGN, _TERM).map(" ".join), st.tuples(_TERM, _SIGN, _TERM, _SIGN, _TERM).map("".join)
)
_EXPRESSION = st.recursive(
    _COMPARISON,
    lambda inner: st.one_of(
        inner.map("not {}".format),
        inner.map("({})".format),
        st.tuples(inner, inner).map(" and ".join),
        st.tuples(inner, inner).map(" or ".join),
    ),
    max_leaves=12,
)
_REGION = st.builds(
    Region,
    st.tuples(*[st.integers(0, 300)] * 4),
    st.integers(1, 300),
    st.floats(0, 1),
    st.floats(0, 1),
)


@given(_EXPRESSION, _REGION)
def test_it_means_what_python_means(text: str, region: Region) -> None:
    x, y, width, height = region.box
    known = {"x": x, "y": y, "width": width, "height": height, "area": region.area, "peak": region.peak}
    known |= {"p_value": region.p_value, "area_mm2": region.area * 0.05**2}
    assert RegionFilter.parse(text).passes(region, 0.05) == eval(text, {"__builtins__": {}}, known)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the end"),
        ("area", "one of < <="),
        ("area > ", "not the end"),
        ("area > 20 peak < 1", '"and", "or" or the end'),
        ("size > 20", "area_mm2"),
        ("area > 20)", '"and", "or"'),
        ("(area > 20", '")"'),
        ("area > __import__", "a number or one of"),
        ("area.real > 1", "'.' is not understood"),
        ("area > 1; y", "';' is not understood"),
        ("peak > 'a'", '"\'" is not understood'),
        ("area > 1e999", "too large"),
        ("(" * (DEEPEST + 2) + "area > 1", "inside each other"),
        ("area > 1 " + "or area > 1 " * 80, "at most 500 characters"),
        ("area > ５", "not understood"),
    ],
)
def test_what_is_no_expression_is_refused_with_a_reason(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=r"region filter") as refused:
        RegionFilter.parse(text)
    assert sentence in str(refused.value)


def test_what_is_not_known_is_never_guessed() -> None:
    region = Region((0, 0, 4, 4), 9, 0.8)
    with pytest.raises(UsageError, match="--scale"):
        RegionFilter.parse("area > 3 or area_mm2 > 1").passes(region)
    with pytest.raises(UsageError, match="calibration"):
        RegionFilter.parse("p_value < 0.1").passes(region, 0.1)
    assert RegionFilter.parse("area_mm2 > 0.08").passes(region, 0.1)
    assert not RegionFilter.parse("area_mm2 > 0.1").passes(region, 0.1)

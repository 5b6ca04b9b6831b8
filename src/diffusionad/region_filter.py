"""A small language that says which regions count: `area > 20 and (peak > 0.7 or width >= 3 * height)` without `eval`.

    any        = both ("or" both)*
    both       = negated ("and" negated)*
    negated    = "not" negated | "(" any ")" | comparison
    comparison = term (("<" | "<=" | ">" | ">=" | "==" | "!=") term)+     20 < area < 900 is a chain
    term       = [number "*"] (number | name)

Names: x, y, width, height (box, native pixels), area (square native pixels), area_mm2, peak (0..1), p_value (0..1).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from diffusionad.structures import Region

__all__ = ["NAMES", "RegionFilter"]

NAMES = ("area", "area_mm2", "height", "p_value", "peak", "width", "x", "y")
"""What a region is asked for."""

LONGEST = 500
DEEPEST = 30

_TOKEN = re.compile(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|[A-Za-z_]\w*|<=|>=|==|!=|[<>()*])", re.ASCII)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

_Values: TypeAlias = Mapping[str, float]
_Test: TypeAlias = Callable[[_Values], bool]
_Term: TypeAlias = Callable[[_Values], float]


@dataclass(frozen=True, slots=True)
class RegionFilter:
    """A parsed expression.

    Attributes:
        text: as it was written.
        names: of what it asks for.
    """

    text: str
    names: frozenset[str]
    _test: _Test

    @classmethod
    def parse(cls, text: str) -> RegionFilter:
        """Read an expression.

        Raises:
            UsageError: it is no expression of this language; says where and what is known.
        """
        parser = _Parser(text)
        return cls(text, frozenset(parser.names), parser.whole)

    def passes(self, region: Region, scale: float | None = None) -> bool:
        """Whether a region counts; `scale` is millimetres a pixel.

        Raises:
            UsageError: the expression asks for what is not known of this region.
        """
        x, y, width, height = region.box
        known: dict[str, float | None] = {
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "area": region.area,
            "area_mm2": None if scale is None else region.area * scale**2,
            "peak": region.peak,
            "p_value": region.p_value,
        }
        missing = sorted(name for name in self.names if known[name] is None)
        if missing:
            raise UsageError(f'The region filter "{self.text}" asks for {missing[0]}, {_REASONS[missing[0]]}.')
        return self._test({name: value for name, value in known.items() if value is not None})


_REASONS = {
    "area_mm2": "which needs the size of a pixel: give --scale, such as --scale 0.05mm",
    "p_value": "which this bundle's calibration does not give for regions",
}


class _Parser:
    """Recursive descent over the tokens; every rule of the grammar is a method that returns a test or a term."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise UsageError(f"A region filter has at most {LONGEST} characters; this one has {len(text)}.")
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self.names: set[str] = set()
        self.whole = self._any(0)
        if self._next < len(self._tokens):
            raise self._wrong('"and", "or" or the end')

    def _split(self) -> list[tuple[str, int]]:
        tokens, at, end = [], 0, len(self._text.rstrip())
        while at < end:
            match = _TOKEN.match(self._text, at)
            if match is None:
                raise self._fault(f"{self._text[at:].lstrip()[0]!r} is not understood", at)
            tokens.append((match[1], match.start(1)))
            at = match.end()
        return tokens

    def _any(self, depth: int) -> _Test:
        parts = [self._both(depth)]
        while self._take("or"):
            parts.append(self._both(depth))
        return lambda values: any(part(values) for part in parts)

    def _both(self, depth: int) -> _Test:
        parts = [self._negated(depth)]
        while self._take("and"):
            parts.append(self._negated(depth))
        return lambda values: all(part(values) for part in parts)

    def _negated(self, depth: int) -> _Test:
        if depth > DEEPEST:
            raise self._fault(f"more than {DEEPEST} brackets or nots inside each other", 0)
        if self._take("not"):
            inner = self._negated(depth + 1)
            return lambda values: not inner(values)
        if self._take("("):
            inside = self._any(depth + 1)
            if not self._take(")"):
                raise self._wrong('")"')
            return inside
        return self._comparison()

    def _comparison(self) -> _Test:
        terms, signs = [self._term()], []
        while self._peek() in _COMPARE:
            signs.append(_COMPARE[self._pop()])
            terms.append(self._term())
        if not signs:
            raise self._wrong("one of < <= > >= == !=")

        def test(values: _Values) -> bool:
            found = [term(values) for term in terms]
            return all(sign(found[i], found[i + 1]) for i, sign in enumerate(signs))

        return test

    def _term(self) -> _Term:
        token = self._peek()
        if token[:1].isdigit() or token[:1] == ".":
            number = float(self._pop())
            if not math.isfinite(number):
                raise self._fault("a number is too large", 0)
            if self._take("*"):
                inner = self._atom()
                return lambda values: number * inner(values)
            return lambda values: number
        return self._atom()

    def _atom(self) -> _Term:
        token = self._peek()
        if token[:1].isdigit() or token[:1] == ".":
            number = float(self._pop())
            return lambda values: number
        if token in NAMES:
            name = self._pop()
            self.names.add(name)
            return lambda values: values[name]
        raise self._wrong(f"a number or one of {', '.join(NAMES)}")

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _pop(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][0]

    def _take(self, token: str) -> bool:
        if self._peek() == token:
            self._next += 1
            return True
        return False

    def _wrong(self, expected: str) -> UsageError:
        found = f'"{self._peek()}"' if self._peek() else "the end"
        at = self._tokens[self._next][1] if self._next < len(self._tokens) else len(self._text)
        return self._fault(f"{expected} is expected, not {found}", at)

    def _fault(self, what: str, at: int) -> UsageError:
        return UsageError(
            f'The region filter "{self._text}" cannot be read at character {at + 1}: {what}. '
            'Write for example "area > 20 and peak > 0.7".'
        )

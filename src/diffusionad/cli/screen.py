"""What the command line prints: for people on a terminal, or one JSON object for machines."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from diffusionad.errors import UsageError

__all__ = ["Screen", "millimetres", "milliseconds", "number", "seconds", "share"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


class Screen:
    """Prints lines, tables and results; with `as_json` only the result goes to stdout."""

    def __init__(self, as_json: bool = False) -> None:
        self._as_json = as_json
        self._passing = False

    def line(self, text: str, passing: bool = False) -> None:
        """A line of progress, on stderr; a passing one is overwritten by the next, on a terminal."""
        if self._as_json:
            return
        terminal = sys.stderr.isatty()
        if self._passing and terminal:
            sys.stderr.write("\r\x1b[K")
        if passing and not terminal:
            return
        sys.stderr.write(text + ("" if passing else "\n"))
        sys.stderr.flush()
        self._passing = passing

    def say(self, text: str = "") -> None:
        """A line of the result, for people."""
        if not self._as_json:
            self._end_passing()
            print(text)

    def table(self, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns, the first to the left, the others to the right."""
        widths = [max(len(row[i]) for row in [heading, *rows]) for i in range(len(heading))]
        for row in [heading, *rows]:
            cells = [
                text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))
            ]
            self.say("  " + "  ".join(cells).rstrip())

    def result(self, content: Mapping[str, Any]) -> None:
        """The result as one JSON object, for machines."""
        if self._as_json:
            print(json.dumps(content, allow_nan=False))

    def error(self, code: str, message: str) -> None:
        """One sentence on stderr, or a JSON object."""
        self._end_passing()
        if self._as_json:
            print(json.dumps({"error": {"code": code, "message": message}}))
        else:
            sys.stderr.write(f"error: {message}\n")

    def _end_passing(self) -> None:
        if self._passing and sys.stderr.isatty():
            sys.stderr.write("\n")
        self._passing = False


def number(value: float | None) -> str:
    """A fraction for people, cut so that 1.000 means perfect."""
    return "-" if value is None else f"{int(value * 1000) / 1000:.3f}"


def seconds(text: str) -> float:
    """'20m', '90s', '1h30m' or '600' -> seconds.

    Raises:
        UsageError: not a duration.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", text)
    if not parts or "".join(value + unit for value, unit in parts) != text or (len(parts) > 1 and not parts[-1][1]):
        raise UsageError(f'"{text}" is not a duration: write 20m, 90s or 1h30m.')
    total = sum(float(value) * _UNITS[unit or "s"] for value, unit in parts)
    if total <= 0:
        raise UsageError(f'"{text}" is no time at all: write 20m, 90s or 1h30m.')
    return total


def milliseconds(text: str) -> float:
    """'25ms' or '0.1s', a time for one picture -> milliseconds above 0.

    Raises:
        UsageError: not a time.
    """
    match = re.fullmatch(r"(\d*\.?\d+)\s*(ms|s)", text)
    if not match or not float(match[1]):
        raise UsageError(f'"{text}" is not a time for one picture: write 25ms or 0.1s.')
    return float(match[1]) * (1 if match[2] == "ms" else 1000)


def millimetres(text: str) -> float:
    """'0.05mm' or '50um', the side of a native pixel -> millimetres above 0.

    Raises:
        UsageError: not a length.
    """
    match = re.fullmatch(r"(\d*\.?\d+)\s*(mm|um|µm)", text)
    if not match or not float(match[1]):
        raise UsageError(f'"{text}" is not the side of a pixel: write 0.05mm or 50um.')
    return float(match[1]) / (1 if match[2] == "mm" else 1000)


def share(text: str) -> float:
    """'0.01', '1/500' or '1%' -> a share above 0 and below 1.

    Raises:
        UsageError: not a share.
    """
    match = re.fullmatch(r"(\d*\.?\d+)(?:/(\d*\.?\d+)|(%))?", text)
    if match:
        divisor = float(match[2]) if match[2] else 100.0 if match[3] else 1.0
        if 0 < float(match[1]) < divisor:
            return float(match[1]) / divisor
    raise UsageError(f'"{text}" is not a share between 0 and 1: write 0.01, 1/500 or 1%.')

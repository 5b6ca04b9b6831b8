"""What can go wrong, as a tree. The message says what was found, where, and what to do.

DiffusionADError            exit code
├── UsageError              2   a command, setting, preset or argument that cannot be
├── DataError               2   a data set that cannot be used
│   ├── LayoutError         2   folders that are not in a known layout
│   └── TooFewPicturesError 2   not enough good pictures to learn or to promise anything
├── PictureError            2   one picture that cannot be judged (verdict "error", exit 3 among others)
├── BundleError             2   a model folder that is damaged, incomplete, unsafe or too new
├── ExportError             1   an artifact that judges otherwise than its bundle
├── CalibrationError        2   scores from which no threshold can be taken
├── TrainingError           4   training cannot go on (loss is not finite, run belongs to other settings)
├── ResourceError           4   the machine lacks something (disk, extra, device)
└── InterruptedRun        130   stopped by the user; run the same command again to resume
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CalibrationError",
    "DataError",
    "DiffusionADError",
    "ExportError",
    "InterruptedRun",
    "LayoutError",
    "PictureError",
    "ResourceError",
    "TooFewPicturesError",
    "TrainingError",
    "UsageError",
]


class DiffusionADError(Exception):
    """Root of all errors raised on purpose.

    Attributes:
        code: stable short name for machines, such as ``picture.truncated``.
        exit_code: what the command line returns when this error ends a command.
    """

    code = "error"
    exit_code = 2

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class UsageError(DiffusionADError):
    """A setting, preset, path or argument that cannot be."""

    code = "usage"


class DataError(DiffusionADError):
    """A data set that cannot be used."""

    code = "data"


class LayoutError(DataError):
    """Folders that are not in a known layout."""

    code = "data.layout"


class TooFewPicturesError(DataError):
    """Not enough good pictures to learn from or to promise anything with."""

    code = "data.too_few"


class PictureError(DiffusionADError):
    """One picture that cannot be judged. Codes: ``picture.missing``, ``.unreadable``, ``.empty``,
    ``.unknown_format``, ``.truncated``, ``.too_large``, ``.too_small``, ``.unsupported``, ``.nonfinite``, ``.roi``,
    ``.channels``.
    """

    code = "picture"


class BundleError(DiffusionADError):
    """A model folder that is damaged, incomplete, unsafe or too new."""

    code = "bundle"


class ExportError(DiffusionADError):
    """An artifact that judges otherwise than the bundle it comes from; nothing was exported."""

    code = "export.differs"
    exit_code = 1


class CalibrationError(DiffusionADError):
    """Scores from which no threshold can be taken."""

    code = "calibration"


class TrainingError(DiffusionADError):
    """Training cannot go on; what was saved last is kept."""

    code = "training"
    exit_code = 4


class ResourceError(DiffusionADError):
    """The machine lacks something: disk space, an extra, a device."""

    code = "resource"
    exit_code = 4


class InterruptedRun(DiffusionADError):
    """Stopped by the user; the same command resumes."""

    code = "interrupted"
    exit_code = 130

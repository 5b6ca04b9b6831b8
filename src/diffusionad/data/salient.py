"""A salient-object network that the user brings as an ONNX file, run by ONNX Runtime.

input     one, [1, 3, H, W] float32, red green blue; H and W fixed in the file, or 1024 x 1024
          values (v - mean) / std with v in 0..1; mean 0.5 and std 1, as IS-Net has it, unless the file's metadata holds
          "mean" and "std" (three numbers each, separated by commas)
output    the first one counts: [1, 1, h, w] or [1, h, w], 0..1, the object's probability; from 0.5 on it is object
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffusionad.data.background import as_three, colours_of
from diffusionad.data.resize import resize, resize_map
from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, Picture

__all__ = ["SalientNetwork"]

_SIDE = 1024  # where the file leaves the size open
_SLACK = 1e-3


class SalientNetwork:
    """The network in `path`.

    Raises:
        UsageError: no such file, nothing that ONNX Runtime runs, or an input that is not as above.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            # From bytes: a model read from memory cannot reach for data in other files.
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except OSError as error:
            raise UsageError(f"The network {str(path)!r} cannot be read: {error.strerror}.") from None
        except Exception as error:  # ONNX Runtime raises many kinds, none of them documented
            raise UsageError(f"{str(path)!r} is no network that ONNX Runtime can run: {_line(error)}.") from None
        self._path = path
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape)
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or shape[1] != 3:
            found = ", ".join(f"{given.name} {given.type} {given.shape}" for given in inputs)
            raise UsageError(f"{str(path)!r} must have one input of [1, 3, H, W] float32, not {found}.")
        self._name = inputs[0].name
        self._size = tuple(side if isinstance(side, int) and side > 0 else _SIDE for side in shape[2:])
        meta = self._session.get_modelmeta().custom_metadata_map
        self._mean = self._numbers(meta, "mean", 0.5)
        self._std = self._numbers(meta, "std", 1.0)

    def mask_of(self, picture: Picture, white: float) -> BoolMap:
        """The object in a picture [H, W, C], [H, W] bool, where the network is at least half sure.

        Raises:
            UsageError: the network answers something else than probabilities.
        """
        height, width = self._size
        values = (as_three(colours_of(resize(picture, (height, width)), white)) - self._mean) / self._std
        fed = np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)
        try:
            answer = np.asarray(self._session.run(None, {self._name: fed})[0], dtype=np.float32)
        except Exception as error:
            raise UsageError(f"{str(self._path)!r} fails on a picture of {height} x {width}: {_line(error)}.") from None
        if answer.size == 0 or answer.ndim not in (3, 4) or any(side != 1 for side in answer.shape[:-2]):
            raise UsageError(f"{str(self._path)!r} answers {list(answer.shape)}; one map [1, 1, H, W] is needed.")
        if not (answer.min() >= -_SLACK and answer.max() <= 1 + _SLACK):  # also when it is NaN
            raise UsageError(
                f"{str(self._path)!r} answers values from {answer.min():.3g} to {answer.max():.3g}; "
                "probabilities 0..1 are needed: end the network with a sigmoid."
            )
        likely = resize_map(answer.reshape(answer.shape[-2:]), (picture.shape[0], picture.shape[1]))
        return np.asarray(likely >= 0.5, dtype=np.bool_)

    def _numbers(self, meta: dict[str, str], key: str, otherwise: float) -> NDArray[np.float32]:
        try:
            given = [float(part) for part in meta[key].split(",")] if key in meta else [otherwise] * 3
        except ValueError:
            given = []
        if len(given) != 3 or not np.isfinite(given).all() or (key == "std" and min(given) <= 0):
            raise UsageError(f'The metadata "{key}" of {str(self._path)!r} must be three numbers with commas between.')
        return np.array(given, dtype=np.float32)


def _line(error: Any) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")

"""Laws of writing: whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from diffusionad import files
from diffusionad.errors import ResourceError
from diffusionad.files import file_hash, write_bytes, write_file, write_json, write_text


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusing(number: int) -> Callable[..., None]:
    """Stands in for a system call that fails."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("call", ["fsync", "open"])
@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk.full"), (errno.EDQUOT, "disk.full"), (errno.EIO, "disk.refused")],
)
def test_a_failing_disk_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    path = tmp_path / "state.bin"
    write_bytes(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, refusing(number))
        with pytest.raises(ResourceError, match=r"state\.bin") as caught:
            write_bytes(path, b"new")
    assert caught.value.code == code
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["state.bin"]


def test_a_failing_rename_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.bin"
    write_bytes(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refusing(errno.EACCES))
        with pytest.raises(ResourceError):
            write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["state.bin"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_whatever_stops_the_writer_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    path = tmp_path / "state.bin"
    write_bytes(path, b"old")

    def half(temporary: Path) -> None:
        temporary.write_bytes(b"ne")
        raise interruption

    with pytest.raises(interruption):
        write_file(path, half)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["state.bin"]


def test_the_content_is_durable_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "state.bin", []
    real = os.fsync

    def note(descriptor: int) -> None:
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.exists()))
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", note)
    write_bytes(path, b"new")
    (first, placed_at_first), (last, placed_at_last) = seen
    assert first.parent == tmp_path
    assert first != path
    assert not placed_at_first
    assert (last, placed_at_last) == (tmp_path, True)


def test_a_place_that_cannot_be_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError) as caught:
        write_text(tmp_path / "file" / "state.json", "x")
    assert caught.value.code == "disk.refused"
    assert (tmp_path / "file").read_text() == "in the way"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "content")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "content"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_other_readers_cannot_read(tmp_path: Path, value: float) -> None:
    path = tmp_path / "values.json"
    write_json(path, {"old": 1})
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_json(path, {"new": [1.0, value]})
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["values.json"]


def test_text_is_utf8_and_foreign_file_names_survive(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"Prüfling": "Kratzer"})
    assert "Prüfling".encode() in (tmp_path / "a.json").read_bytes()
    write_text(tmp_path / "b.txt", os.fsdecode(b"caf\xe9.png"))
    assert (tmp_path / "b.txt").read_bytes() == b"caf\xe9.png"


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_hash_is_of_every_byte(tmp_path: Path, length: int) -> None:
    content = bytes(range(251)) * (length // 251 + 1)
    (tmp_path / "x").write_bytes(content[:length])
    assert file_hash(tmp_path / "x") == sha256(content[:length]).hexdigest()

"""The command and its page: exit codes, JSON, hostile names, an offline file of bounded size."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from diffusionad.cli import main
from diffusionad.doctor import examine, page, render_findings

HOSTILE = ["<script>alert(1)</script>.png", "a,b\n=cmd().png", '"><img src=x onerror=a()>.png', "\u202egnp.png"]


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main(["doctor", *(str(word) for word in words)])
    out, err = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, out, err


class Reader(HTMLParser):
    """Collects tags with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def pictures(self) -> list[str]:
        return [str(attributes["src"]) for tag, attributes in self.tags if tag == "img"]


def test_a_clean_set_is_exit_code_0(faultless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, faultless, "--false-alarms", "10%")
    assert code == 0
    assert out.endswith("Nothing was found.\n")


def test_findings_are_exit_code_1_and_name_five_files(part: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(7):
        (part / "train" / "good" / f"{index:03d}.png").write_bytes(b"")
    code, out, _ = call(capsys, part, "--false-alarms", "1/10")
    assert code == 1
    assert "broken  7 pictures are empty (0 bytes); in train: 7." in out
    assert out.count("train/good/") == 5
    assert "and 2 more" in out
    assert "> Copy or record them again" in out


@pytest.mark.parametrize("left", [0, 9])
def test_too_few_readable_pictures_are_exit_code_2(part: Path, capsys: pytest.CaptureFixture[str], left: int) -> None:
    for path in sorted((part / "train" / "good").iterdir())[left:]:
        path.write_bytes(b"")
    code, out, _ = call(capsys, part, "--json")
    assert code == 2
    result = json.loads(out)
    assert result["usable"] is False
    assert {finding["code"] for finding in result["findings"]} == {"count.unusable", "picture.empty"}
    assert result["pictures"]["unreadable"] == 60 - left


def test_wrong_paths_are_exit_code_2(part: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, part / "nowhere")[0] == 2
    assert call(capsys, part / "train" / "good" / "000.png")[0] == 2
    assert call(capsys, part, "--layout", "visual")[0] == 2
    assert call(capsys, part, "--category", "other")[0] == 2
    assert call(capsys, part, "--false-alarms", "2")[0] == 2
    (part.parent / "empty").mkdir()
    code, out, _ = call(capsys, part.parent / "empty", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "data"


def test_json_names_every_file_and_the_page(part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(part / "train" / "good" / "000.png", part / "test" / "good" / "leak.png")
    code, out, _ = call(capsys, part, "--false-alarms", "0.1", "--json", "--out", tmp_path / "new" / "out")
    assert code == 1
    result = json.loads(out)
    (finding,) = result["findings"]
    assert finding["code"] == "duplicate.leak"
    assert finding["count"] == 2
    assert [file["path"] for file in finding["files"]] == ["test/good/leak.png", "train/good/000.png"]
    assert Path(result["page"]) == tmp_path / "new" / "out" / "doctor.html"
    text = Path(result["page"]).read_text(encoding="utf-8")
    assert "test/good/leak.png" in text
    assert len(Reader(text).pictures) >= 2 + 6


def test_hostile_names_stay_text(part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = part / "train" / "good" / "000.png"
    for name in HOSTILE:
        folder = part / "train" / "good"
        if "/" in name:  # a path cannot hold it in one name: let it be a folder and a file
            (folder / name).parent.mkdir(parents=True)
        shutil.copy(source, folder / name)
        (folder / name).with_suffix(".jpg").write_bytes(b"")
    code, out, _ = call(capsys, part, "--false-alarms", "0.1", "--out", tmp_path / "out")
    assert code == 1
    assert "\u202e" not in out
    assert "a,b\\n=cmd().jpg" in out
    assert not any(line.startswith("=cmd") for line in out.splitlines())
    text = (tmp_path / "out" / "doctor.html").read_text(encoding="utf-8")
    found = Reader(text)
    assert "script" not in {tag for tag, _ in found.tags}
    assert "\u202e" not in text
    assert all(source.startswith("data:image/webp;base64,") for source in found.pictures)
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    shown = "".join(found.words)
    assert "<script>alert(1)</script>.png" in shown
    assert "a,b\\n=cmd().png" in shown
    code, out, _ = call(capsys, part, "--json")
    assert "a,b\n=cmd().png" in {
        Path(file["path"]).name for row in json.loads(out)["findings"] for file in row["files"]
    }


def test_page_asks_nothing_of_the_network(part: Path) -> None:
    (part / "train" / "good" / "000.png").write_bytes(b"")
    text = render_findings(examine(part), "2026-11-26 10:00")
    policy = next(attributes["content"] for tag, attributes in Reader(text).tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "cut off" not in text
    assert "train/good/000.png" in text


def test_page_is_bounded(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(60):
        path = part / "train" / "good" / f"{index:03d}.png"
        Image.open(path).save(path.with_name(f"copy{index:03d}.png"), compress_level=1)
        shutil.copy(path, path.with_name(f"same{index:03d}.png"))
    examination = examine(part)
    assert sum(len(finding.paths) for finding in examination.findings) > 200
    unbounded = len(Reader(render_findings(examination, "now")).pictures)
    monkeypatch.setattr(page, "MOST", 15)
    text = render_findings(examination, "now")
    assert 15 < len(Reader(text).pictures) <= 15 + page.USUAL < unbounded
    assert len(Reader(text[: text.index("Usual good pictures")]).pictures) == 15
    assert max(map(len, Reader(text).pictures)) < page.ROOM * 1.4


def test_page_shows_usual_pictures_even_where_a_finding_concerns_all(part: Path) -> None:
    for index, path in enumerate(sorted((part / "train" / "good").iterdir())):
        Image.open(path).resize((90 + index, 90 + index)).save(path)
    text = render_findings(examine(part, false_alarms=0.1), "now")
    usual = text[text.index("Usual good pictures") :]
    assert len(Reader(usual).pictures) >= 10


def test_nothing_in_the_data_set_is_changed(part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in part.rglob("*") if path.is_file()}
    call(capsys, part, "--out", tmp_path / "out")
    assert {path: path.read_bytes() for path in part.rglob("*") if path.is_file()} == before

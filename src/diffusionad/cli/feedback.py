"""`diffusionad feedback`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from diffusionad.cli.calibrate import good_pictures
from diffusionad.cli.compare import write_comparison
from diffusionad.cli.screen import Screen, seconds
from diffusionad.cli.train import import_training
from diffusionad.errors import UsageError
from diffusionad.feedback import Budget, Journal, Place, Round, learn, place_of, read_table, tell

__all__ = ["feedback"]

Flag = Annotated[bool, Parameter(negative=())]


def feedback(
    bundle: Path,
    table: Path | None = None,
    /,
    *,
    data: Path | None = None,
    frozen: Path | None = None,
    good: Path | None = None,
    layout: str = "auto",
    category: str | None = None,
    max_time: str = "10m",
    images: int | None = None,
    by: str | None = None,
    correct: Flag = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    roll_back: Flag = False,
    json: Flag = False,
) -> int:
    """Learn from operators' verdicts: fine-tune, measure on a frozen set, and promote the candidate or keep the old.

    Without TABLE it tells what happened so far. Exit code 1: the gate refused the candidate.

    Example: diffusionad feedback runs/part/bundle tuesday.csv --data ./part --max-time 10m

    Args:
        bundle: Folder of the bundle in use; all that is kept lies beside it in BUNDLE.feedback.
        table: CSV or JSON lines with the columns path, verdict (good or anomalous), and perhaps mask, by, note.
        data: The data set the bundle was trained on; needed the first time, then remembered.
        frozen: Data set whose test pictures only measure, now and later; without it those of DATA.
        good: Good pictures never trained on, for the threshold; without it those held back in training.
        layout: How to read DATA: auto, or a name that `diffusionad datasets` lists.
        category: Which one, where a data set has several.
        max_time: How long to fine-tune: 10m, 90s.
        images: See that many images instead: repeatable to the bit.
        by: Who says so, where the table does not; without it, the name you are logged in with.
        correct: Where an earlier verdict says the opposite, the new one holds.
        device: Where to compute.
        roll_back: Put the bundle before the last promotion back in its place, byte by byte.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    if table is not None and roll_back:
        raise UsageError("Give a table of verdicts or --roll-back, not both.")
    budget = Budget(seconds(max_time), images, device)
    journal, who = Journal(bundle), by or _login()
    if roll_back:
        return _roll_back(screen, journal, who)
    if table is None:
        return _show_journal(screen, journal)
    training = import_training()
    with journal.alone():
        remarks = read_table(table, journal.bundle, who)
        place = place_of(journal, data, frozen, layout, category, who)
        new, known = tell(journal, place, remarks, correct=correct)
        screen.line(
            f"Data version {journal.version or 'none'}: {new} new verdicts, {known} that say what is known; "
            f"{len(journal.told())} pictures from operators in all. The frozen set has {len(place.frozen)}."
        )
        samples = good_pictures(good, "auto", category) if good else []
        done = learn(journal, place, training.fine_tune, budget, by=who, good=samples, line=screen.line)
    return _show_round(screen, journal, place, done)


def _show_round(screen: Screen, journal: Journal, place: Place, done: Round) -> int:
    bundle, kept = journal.bundle.folder, journal.folder / "versions"
    promoted = done.decision.promote
    new = kept / done.new if promoted else done.folder / "bundle"
    write_comparison(done.folder, done.compared, (kept / done.old if promoted else bundle, new), place.root)
    for warning in done.warnings:
        screen.say(f"warning: {warning}")
    screen.say(f"Threshold of the candidate: {done.threshold}.")
    for reason in done.decision.reasons:
        screen.say(f"  {reason}")
    screen.say(f"Paired (A in use, B candidate): {done.compared.conclusion}")
    screen.say(f"Page: {done.folder / 'comparison.html'}")
    if promoted:
        screen.say(f"Promoted: {bundle} is now {done.new}. Back: diffusionad feedback {bundle} --roll-back")
    else:
        screen.say(f"Refused: {bundle} stays {done.old}. The candidate is in {new}.")
    screen.result(
        {
            "promoted": promoted,
            "version": done.version,
            "old": done.old,
            "new": done.new,
            "reasons": list(done.decision.reasons),
            "paired": done.compared.conclusion,
            "threshold": done.threshold,
            "warnings": list(done.warnings),
            "report": str(done.folder / "comparison.html"),
        }
    )
    return 0 if promoted else 1


def _roll_back(screen: Screen, journal: Journal, by: str) -> int:
    with journal.alone():
        old = journal.bundle.key
        journal.switch("rolled back", journal.previous(), by=by)
    screen.say(
        f"Rolled back: {journal.bundle.folder} is {journal.bundle.key} again; {old} is kept in {journal.folder}."
    )
    screen.result({"rolled_back": True, "old": old, "new": journal.bundle.key})
    return 0


def _show_journal(screen: Screen, journal: Journal) -> int:
    screen.say(f"In use: {journal.bundle.key}. Data version: {journal.version or 'none'}.")
    for event in journal.events:
        screen.say(f"  {event['at']}  {event['event']:<12}  by {event['by']:<12}  {_sentence(event)}".rstrip())
        for reason in event.get("reasons", ()) if event["event"] != "switching" else ():
            screen.say(f"      {reason}")
    screen.result({"in_use": journal.bundle.key, "version": journal.version, "events": journal.events})
    return 0


def _sentence(event: dict[str, Any]) -> str:
    kind = event["event"]
    if kind == "told":
        note = f" ({event['note']})" if event["note"] else ""
        return f"{event['path']} is {event['verdict']}{note}"
    if kind == "frozen":
        return f"{len(event['pictures'])} pictures only measure from now on"
    return f"data set {event['place']['data']}" if kind == "place" else f"{event['old']} -> {event['new']}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"

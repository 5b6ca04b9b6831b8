"""`diffusionad feedback`."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from diffusionad.cli.screen import Screen, seconds
from diffusionad.cli.train import import_training
from diffusionad.errors import UsageError
from diffusionad.feedback import Store, read_table
from diffusionad.feedback.learning import learn, remember

__all__ = ["feedback"]

Flag = Annotated[bool, Parameter(negative=())]


def feedback(
    bundle: Path,
    table: Path | None = None,
    /,
    *,
    data: Path | None = None,
    layout: str = "auto",
    category: str | None = None,
    max_time: str = "10m",
    images: int | None = None,
    by: str | None = None,
    sampled: Flag = False,
    correct: Flag = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    status: Flag = False,
    rollback: Flag = False,
    json: Flag = False,
) -> int:
    """Learn from an operator's verdicts: new data version, fine-tuning, threshold, gate; promote or keep the old bundle.

    Exit code 0: promoted, rolled back or told; 1: the gate kept the old bundle.

    Example: diffusionad feedback runs/part/bundle tuesday.csv --data ./good --max-time 10m

    Args:
        bundle: Folder of the bundle in use; what is kept beside it lies in BUNDLE.feedback.
        table: CSV or JSON lines with the columns path, verdict (good or anomalous), and perhaps mask, note, category.
        data: The data set the bundle was trained on; needed the first time, then remembered.
        layout: How to read DATA: auto, or a name that `diffusionad datasets` lists.
        category: Which one, where DATA has several.
        max_time: How long to fine-tune: 10m, 90s.
        images: See that many images instead: repeatable to the bit.
        by: Who says so; without it, the name you are logged in with.
        sampled: The pictures were drawn without looking at any verdict: good ones may then set the threshold.
        correct: Where an earlier verdict says the opposite, the new one holds.
        device: Where to compute.
        status: Tell what happened so far and do nothing.
        rollback: Put the bundle before the last promotion back in its place.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    if sum((table is not None, status, rollback)) != 1:
        raise UsageError("Give a table of verdicts, or --status, or --rollback: one of the three.")
    store, who = Store(bundle), by or _login()
    if status:
        return _show_status(screen, store)
    if table is None:
        with store.alone():
            old = store.bundle.key
            new = store.switch("rolled_back", store.previous(), by=who)
        screen.say(f"Rolled back: {bundle} is {new.key} again; {old} is kept in {store.folder}.")
        screen.result({"rolled_back": True, "old": old, "new": new.key})
        return 0
    budget = seconds(max_time)
    training = import_training()
    with store.alone():
        remarks = read_table(table, store.bundle.origin.category)
        version = remember(
            store,
            remarks,
            data=data,
            layout=layout,
            category=category,
            by=who,
            sampled=sampled,
            correct=correct,
        )
        roles = [entry["role"] for entry in version["pictures"]]
        screen.say(
            f"Data version {version['key']}: {len(roles)} pictures from operators, {roles.count('training')} to train on, "
            f"{roles.count('calibration')} for the threshold, {roles.count('frozen')} kept for the gate with "
            f"{len(version['tests'])} test pictures."
        )
        done = learn(
            store,
            version,
            training.fine_tune,
            by=who,
            max_time=budget,
            images=images,
            device=device,
            line=screen.line,
        )
    for warning in done.warnings:
        screen.say(f"warning: {warning}")
    for reason in done.decision.reasons:
        screen.say(f"  {reason}")
    if done.decision.promote:
        screen.say(
            f"Promoted: {bundle} is now {done.new}. Back to {done.old}: diffusionad feedback {bundle} --rollback"
        )
    else:
        screen.say(f"Not promoted: {bundle} stays {done.old}. The candidate is kept in {store.folder / 'versions'}.")
    screen.result(asdict(done))
    return 0 if done.decision.promote else 1


def _show_status(screen: Screen, store: Store) -> int:
    events = store.history()
    screen.say(f"In use: {store.bundle.key}. Events: {len(events)}.")
    for event in events:
        keys = f"{event['old']} -> {event['new']}" if "old" in event else f"data {event['data']}"
        screen.say(f"  {event['at']}  {event['event']:<11}  {keys}  by {event['by']}")
        for reason in event.get("reasons", ()):
            screen.say(f"      {reason}")
    screen.result({"in_use": store.bundle.key, "store": str(store.folder), "history": events})
    return 0


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"

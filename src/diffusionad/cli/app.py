"""The commands, and what happens to errors: one sentence and the documented exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from diffusionad.cli.screen import Screen
from diffusionad.errors import DiffusionADError
from diffusionad.version import __version__

__all__ = ["app", "main"]

_HELP = """Learns from pictures of good parts only, then finds and outlines defects.

Exit codes: 0 all good, 1 something anomalous, to review or to mend, 2 wrong use or unusable input,
3 finished but some pictures could not be judged, 4 the machine or the training failed, 130 interrupted.
"""

app = App(name="diffusionad", help=_HELP, version=__version__)
app.command("diffusionad.cli.demo:demo", help="Write the sample set, train, calibrate, evaluate: all in one go.")
app.command("diffusionad.cli.doctor:doctor", help="Look for faults in a data set before training on it.")
app.command("diffusionad.cli.train:train", help="Train on a folder of good pictures; run again to resume.")
app.command("diffusionad.cli.calibrate:calibrate", help="Set the threshold from good pictures never trained on.")
app.command("diffusionad.cli.export:export", help="Export a bundle to another runtime or precision, checked.")
app.command("diffusionad.cli.feedback:feedback", help="Learn from operators' verdicts; promote or keep the old bundle.")
app.command("diffusionad.cli.judge:evaluate", help="Measure a bundle on pictures whose truth is known.")
app.command("diffusionad.cli.judge:predict", help="Judge files, folders and globs.")
app.command("diffusionad.cli.compare:compare", help="Compare two bundles on the same test pictures.")
app.command("diffusionad.cli.verdicts:rejudge", help="Judge stored verdicts anew, without running the network.")
app.command("diffusionad.cli.verdicts:replay", help="Judge stored verdicts' pictures again; tell differences.")
report = App(name="report", help="Pages made of stored verdicts.")
report.command("diffusionad.cli.lots:lot", help="Certify a lot: counts, bounds, costs, recheck list, drift.")
app.command(report)
app.command("diffusionad.cli.datasets:datasets", help="List layouts, their folders, public data sets and licences.")
app.command("diffusionad.cli.import_data:import_data", help="Turn another program's data set into a manifest.")
app.command("diffusionad.cli.judge:info", help="Say what a bundle is, or what a preset takes on this machine.")
app.command("diffusionad.cli.benchmark:benchmark", help="Measure methods side by side on the same pictures.")
app.command("diffusionad.cli.reproduce:reproduce", help="Measure a benchmark and print the paper's table beside it.")


def main(tokens: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    words = list(sys.argv[1:] if tokens is None else tokens)
    screen = Screen(as_json="--json" in words)
    try:
        code = app(words, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        code = 2
    except DiffusionADError as error:
        screen.error(error.code, str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        screen.error("interrupted", "Interrupted.")
        code = 130
    except BrokenPipeError:  # the reader of our output has gone
        code = 0
    except Exception as error:
        traceback.print_exc()
        screen.error("internal", f"This is a fault of diffusionad, please report it: {type(error).__name__}: {error}")
        code = 4
    sys.exit(code if isinstance(code, int) else 0)

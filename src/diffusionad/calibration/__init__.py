"""What a score means: thresholds with a promise, p-values, sessions, lots, drift. Pure functions, no files."""

from __future__ import annotations

from diffusionad.calibration.drift import MIN_FOR_DRIFT, Alarm, Watch, capital, semi_online, watch, watch_good
from diffusionad.calibration.enough import MIN_FOR_PROMISE, check_enough
from diffusionad.calibration.lots import Recheck, recheck
from diffusionad.calibration.lower import MIN_DEFECTS, Lower, lower_threshold
from diffusionad.calibration.sessions import Held, exchangeable, hold_out_each
from diffusionad.calibration.shares import lower_bound, pictures_needed, upper_bound
from diffusionad.calibration.stored import from_json
from diffusionad.calibration.threshold import Calibration, calibrate, p_value

__all__ = [
    "MIN_DEFECTS",
    "MIN_FOR_DRIFT",
    "MIN_FOR_PROMISE",
    "Alarm",
    "Calibration",
    "Held",
    "Lower",
    "Recheck",
    "Watch",
    "calibrate",
    "capital",
    "check_enough",
    "exchangeable",
    "from_json",
    "hold_out_each",
    "lower_bound",
    "lower_threshold",
    "p_value",
    "pictures_needed",
    "recheck",
    "semi_online",
    "upper_bound",
    "watch",
    "watch_good",
]

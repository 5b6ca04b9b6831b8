"""What the operator says about pictures becomes data, then a candidate, and only through a gate the bundle in use."""

from diffusionad.feedback.gate import Decision, decide
from diffusionad.feedback.journal import Journal
from diffusionad.feedback.learning import Budget, Round, learn, tell
from diffusionad.feedback.place import Place, place_of
from diffusionad.feedback.table import Remark, read_table

__all__ = [
    "Budget",
    "Decision",
    "Journal",
    "Place",
    "Remark",
    "Round",
    "decide",
    "learn",
    "place_of",
    "read_table",
    "tell",
]

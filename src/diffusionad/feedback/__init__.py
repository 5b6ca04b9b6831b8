"""What the operator says about pictures becomes data, then a candidate, and only through a gate the bundle in use."""

from diffusionad.feedback.gate import Counts, Decision, decide
from diffusionad.feedback.store import Store
from diffusionad.feedback.table import Remark, read_table

__all__ = ["Counts", "Decision", "Remark", "Store", "decide", "read_table"]

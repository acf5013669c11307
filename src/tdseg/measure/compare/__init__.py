"""`tdseg compare`: two models, or masks of any tool, on one video, frame by frame."""

from tdseg.measure.compare.difference import Comparison
from tdseg.measure.compare.side_by_side import compare

__all__ = ["Comparison", "compare"]

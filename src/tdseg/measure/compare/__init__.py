"""`tdseg compare`: two models, or masks of any tool, on one video, frame by frame."""

from tdseg.measure.compare.run import compare
from tdseg.measure.compare.tally import Comparison

__all__ = ["Comparison", "compare"]

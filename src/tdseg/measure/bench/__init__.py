"""`tdseg bench`: what a model costs on this machine, frame by frame and stage by stage."""

from tdseg.measure.bench.report import Report
from tdseg.measure.bench.run import bench

__all__ = ["Report", "bench"]

"""`tdseg bench`: what a model costs on this machine, frame by frame and stage by stage."""

from tdseg.bench.report import Report
from tdseg.bench.run import bench

__all__ = ["Report", "bench"]

"""`tdseg bench`: what a model costs on this machine, frame by frame and stage by stage."""

from tdseg.measure.bench.measuring import bench
from tdseg.measure.bench.outcome import Benchmark

__all__ = ["Benchmark", "bench"]

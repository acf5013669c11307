"""`tdseg bench`: what a model costs on this machine, frame by frame and stage by stage."""

from tdseg.measure.bench.measuring import Benchmark, bench

__all__ = ["Benchmark", "bench"]

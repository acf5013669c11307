"""Steps of several models, in turns: what one costs over another.

python benchmarks/turns.py MODEL[=RUNTIME] MODEL[=RUNTIME] ... [--rounds N] [--threads N]

A MODEL is a packaged name, a file of weights or a folder of `tdseg export`; RUNTIME torch, onnxruntime, openvino or
auto, the default. Each steps through rendered street video of 360×480, six frames in each round, and is held against
the first: the median of its steps over the median of those of the first.
"""

from __future__ import annotations

import argparse
import statistics
import time

import tdseg
from tdseg.inference.stream import Stream
from tdseg.runtime.network import Execution
from tdseg.street import render_street
from tdseg.system import cpu_threads, machine
from tdseg.zoo.load import prepare

SIZE = (360, 480)
RUN = 6
"""Frames of a model in a round."""


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, help="by default all cores")
    arguments = parser.parse_args()

    frames = [frame.image for frame in render_street(5, num_frames=4 * RUN, size=SIZE)]
    streams, steps = {}, {}
    with cpu_threads(arguments.threads):
        for name in arguments.models:
            model, _, runtime = name.partition("=")
            execution = Execution("cpu", runtime or "auto", threads=arguments.threads)
            streams[name], steps[name] = Stream(prepare(model, execution)), list[float]()
            for frame in frames[: 2 * RUN]:
                streams[name].step(frame)
        for number in range(arguments.rounds):
            first = number % 4 * RUN
            for name, stream in streams.items():
                for frame in frames[first : first + RUN]:
                    began = time.perf_counter()
                    stream.step(frame)
                    steps[name].append(1e3 * (time.perf_counter() - began))
    print(f"tdseg {tdseg.__version__}, {machine()}\n")
    print("| model | runtime | precision | ms a step, median (10th–90th percentile) | over the first |")
    print("|---|---|---|--:|--:|")
    base = statistics.median(steps[arguments.models[0]])
    for name, taken in steps.items():
        network, (low, *_, high) = streams[name].model, statistics.quantiles(taken, n=10)
        median = statistics.median(taken)
        spread = f"{median:.1f} ({low:.1f}–{high:.1f})"
        model = name.partition("=")[0]
        print(f"| `{model}` | {network.runtime} | {network.precision} | {spread} | {median / base:.2f} |")


if __name__ == "__main__":
    main()

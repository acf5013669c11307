"""Damaged and hostile inputs: run cases, and count what went wrong."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from robustness.cases import KINDS, Case, cases
from robustness.materials import make_materials
from robustness.running import run_cases


def main(arguments: list[str]) -> int:
    """0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="robustness inputs", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="how many, over all kinds and seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], help="by default all")
    parser.add_argument("--only", nargs="+", metavar="KIND:NUMBER:SEED", help="these cases alone, told whole")
    parser.add_argument("--place", type=Path, default=Path("out/robustness"), help="folder for inputs and findings")
    given = parser.parse_args(arguments)
    place = given.place.resolve()
    materials = make_materials(place / "materials")
    chosen = [Case.of(text) for text in given.only or ()] or cases(given.cases, given.seeds, given.kinds)
    faults, codes, peak, slowest = Counter[str](), Counter[int | None](), 0.0, 0.0
    for finding in run_cases(chosen, materials, place / "work"):
        faults[finding.fault] += bool(finding.fault)
        codes[finding.code] += 1
        peak, slowest = max(peak, finding.memory_mb), max(slowest, finding.seconds)
        if finding.fault or given.only:
            command = " ".join(text if len(text) < 120 else text[:120] + "…" for text in finding.command)
            figures = f"{finding.code}, {finding.seconds} s, {finding.memory_mb} MB"
            print(f"{finding.fault or 'right'} {finding.case} ({figures}): {command!r}")
            print("    " + finding.told[-2500 if given.only else -700 :].strip().replace("\n", "\n    "), flush=True)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()) if count) or "none"
    print(f"{len(chosen)} cases, seeds {given.seeds}: faults: {counts}; codes {dict(codes)}; ", end="")
    print(f"at most {peak:.0f} MB beyond the start and {slowest:.1f} s")
    return int(any(faults.values()))

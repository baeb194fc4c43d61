# SPDX-License-Identifier: MIT
"""What a planted bug is. The lists are engine.py and http.py; run.py plants and judges.

A mutant must be a real bug: something that a caller of the library can see go wrong, said in `why`.
`old` must be in the file exactly once, so that a list which no longer fits the source is noticed.
"""
from dataclasses import dataclass, field
from typing import Mapping


@dataclass(frozen=True)
class Test:
    """A test as ctest names it, and what it finds in its environment."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self):
        return "test-" + self.name.replace(".", "-", 1)

    @property
    def key(self):
        """Tests with equal keys are one and the same run."""
        return " ".join([self.name] + ["%s=%s" % item for item in sorted(self.env.items())])


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str  # below src/
    old: str
    new: str
    why: str  # one sentence: what a user would see
    tests: tuple  # run in this order until one finds it
    sanitizer: str = "none"  # or address, thread
    hangs: bool = False  # a test that does not end in time has found it, too


def sim(seeds, first=1):
    """The simulation of the engine, with so many seeds."""
    return Test("sim.engine", {"LSIO_SIM_SEEDS": str(seeds), "LSIO_SIM_SEED": str(first)})

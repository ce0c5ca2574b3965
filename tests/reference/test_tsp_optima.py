"""The population stage finds the published optima of TSPLIB (G. Reinelt's list, ``solutions.txt``)."""

import os
import re
from pathlib import Path

import pytest

from gnnlib.heads.combinatorial.tsp.api import solve_tsp
from gnnlib.heads.combinatorial.tsp.params import SearchParams
from gnnlib.stop import MaxIterations

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
TSPLIB = MIRROR / "combinatorial" / "tsp" / "tsplib"

NAMES = ("berlin52", "gr96", "kroA100", "pr152", "si175", "kroA200", "a280", "rd400")

needs_data = pytest.mark.skipif(
    not (TSPLIB / "solutions.txt").exists(),
    reason=f"no TSPLIB below {MIRROR}; name a mirror of the data in GNNLIB_DATA",
)


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_population_of_thirty_tours_finds_the_published_optimum(name):
    optimum = int(re.search(rf"^{name}\s*:\s*(\d+)", (TSPLIB / "solutions.txt").read_text(), re.MULTILINE)[1])
    stop, params = MaxIterations(4000), SearchParams(population=30)
    result = solve_tsp(TSPLIB / f"{name}.tsp", stop=stop, params=params)
    assert result.lower_bound <= optimum == result.length

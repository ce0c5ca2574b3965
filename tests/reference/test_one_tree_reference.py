"""The 1-tree bound against published optima and against the linear programme that it is the dual of.

The optima are TSPLIB's (``solutions.txt``); the programme is solved by the HiGHS of scipy.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from gnnlib.heads.combinatorial.kernels.distance import DistanceData
from gnnlib.heads.combinatorial.kernels.one_tree import one_tree_bound
from gnnlib.heads.combinatorial.tsp.instance import SearchInstance
from gnnlib.heads.combinatorial.tsp.problem import TSP

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
TSPLIB = MIRROR / "combinatorial" / "tsp" / "tsplib"

# more than this below the optimum would be a fault: published Held-Karp gaps, rounded up
WORST_GAP = {
    "att48": 0.004, "bayg29": 0.002, "berlin52": 0.001, "brazil58": 0.004, "burma14": 0.001, "dantzig42": 0.004,
    "gr24": 0.001, "gr48": 0.02, "gr120": 0.008, "kroA100": 0.02, "lin105": 0.002, "pr76": 0.03, "pr107": 0.01,
    "rat99": 0.005, "si175": 0.003, "st70": 0.01, "swiss42": 0.001, "ulysses22": 0.001, "d198": 0.01, "gil262": 0.012,
    "fl417": 0.01, "p654": 0.004, "pr1002": 0.01, "si1032": 0.004, "dsj1000": 0.01, "ts225": 0.09, "brg180": 0.004,
}  # fmt: skip

needs_data = pytest.mark.skipif(
    not TSPLIB.exists(), reason=f"no TSPLIB files below {MIRROR}; name a mirror of the data in GNNLIB_DATA"
)


def _optima():
    found = re.findall(r"^(\S+)\s*:\s*(\d+)", (TSPLIB / "solutions.txt").read_text(), re.MULTILINE)
    return {name: int(value) for name, value in found}


@needs_data
@pytest.mark.parametrize("name", [name for name in WORST_GAP if (TSPLIB / f"{name}.tsp").exists()])
def test_bound_is_close_below_the_published_optimum(name):
    instance = SearchInstance.build(TSP.from_file(TSPLIB / f"{name}.tsp"), 10)
    optimum = _optima()[name]
    bound = one_tree_bound(
        instance.data, instance.neighbours, instance.radius, upper_bound=1.02 * optimum, max_iterations=500
    ).bound
    assert (1.0 - WORST_GAP[name]) * optimum <= bound <= optimum


def _subtour_relaxation(matrix):
    """Value of the linear programme with every subtour constraint, by HiGHS; the 1-tree dual has the same optimum."""
    n = len(matrix)
    tails, heads = np.triu_indices(n, 1)
    sets = (np.arange(1, 2 ** (n - 1) - 1)[:, None] >> np.arange(n)) & 1  # city n - 1 is always outside
    cut = sets[:, tails] != sets[:, heads]
    at_city = (tails == np.arange(n)[:, None]) | (heads == np.arange(n)[:, None])
    solved = linprog(
        matrix[tails, heads], A_ub=-cut.astype(float), b_ub=np.full(len(cut), -2.0), A_eq=at_city.astype(float),
        b_eq=np.full(n, 2.0), bounds=(0.0, 1.0), method="highs",
    )  # fmt: skip
    assert solved.status == 0
    return solved.fun


@pytest.mark.parametrize("symmetric_noise", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_bound_comes_close_to_the_subtour_relaxation_and_never_exceeds_it(seed, symmetric_noise):
    rng = np.random.default_rng(seed)
    points = rng.random((10, 2))
    noise = symmetric_noise * rng.random((10, 10))
    matrix = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2)) + noise + noise.T
    np.fill_diagonal(matrix, 0.0)
    relaxed = _subtour_relaxation(matrix)
    near = np.argsort(matrix + np.diag(np.full(10, np.inf)), axis=1)[:, :6]
    data = DistanceData(0, np.zeros((1, 3)), matrix)
    bound = one_tree_bound(data, near, np.take_along_axis(matrix, near, 1)[:, -1], max_iterations=2000).bound
    assert 0.995 * relaxed < bound <= relaxed * (1.0 + 1e-9)

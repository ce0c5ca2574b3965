"""The closed-loop benchmark: presets are compared on the same starts, and rows are kept as long as they hold."""

import sys
from pathlib import Path

import pytest

from gnnlib.heads.scene.imitation import ABLATION, build_planner

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def loop(monkeypatch):
    if not (FOLDER / "scene" / "closed_loop.py").exists():
        pytest.skip("the benchmarks are not part of this checkout")
    monkeypatch.syspath_prepend(str(FOLDER))
    from scene import closed_loop

    yield closed_loop
    for name in ("scene.closed_loop", "scene.kept_rows", "scene"):
        sys.modules.pop(name, None)


def test_two_policies_are_compared_start_by_start(loop):
    before, after = [True, True, True, False], [False, False, True, True]
    found = loop.paired([before], [after])
    assert found["failed_per_100"] == [75.0, 50.0]
    assert (found["avoided"], found["added"], found["p"]) == (2, 1, 1.0)
    assert found["change_per_100"] == -25.0 and found["standard_error"] == pytest.approx(47.9)


def test_seeds_of_training_do_not_multiply_the_starts(loop):
    before, after = [True] * 6 + [False] * 2, [False] * 8
    once, thrice = loop.paired([before], [after]), loop.paired([before] * 3, [after] * 3)
    assert once == thrice and once["p"] == pytest.approx(2 * 0.5**6, abs=1e-4)
    split = loop.paired([[True, False], [False, True]], [[False, False], [True, False]])
    assert (split["avoided"], split["added"], split["change_per_100"]) == (1, 0, -25.0)


def test_steps_of_the_ablation_compare_the_seeds_that_both_presets_have(loop):
    drives = {f"M0 {ABLATION[0]}-{seed}": [True, seed == 0] for seed in (0, 1)}
    drives |= {f"M2 {ABLATION[2]}-0 (shipped)": [False, False], "IDM": [True, True]}
    steps = loop.steps_of_the_ablation(drives)
    assert list(steps) == ["M0 to M2"] and (steps["M0 to M2"]["seeds"], steps["M0 to M2"]["failed_per_100"]) == (
        1,
        [100.0, 0.0],
    )


def test_a_row_is_kept_until_the_weights_or_the_code_change(loop, tmp_path):
    from scene.kept_rows import KeptRows, Row, digest, driving_code

    code = driving_code()
    assert {"sim.py", "idm.py", "imitation_head.py", "validation_drives.py"} <= {file.name for file in code}
    assert len(driving_code(with_prediction=True)) > len(code)
    models = [build_planner(width=16, depth=1, edge_width=8, seed=seed) for seed in (0, 1)]
    marks = [digest(code, models[0]), digest(code, models[1]), digest(code), digest(code[1:])]
    assert len(set(marks)) == 4 and digest(code, models[0]) == marks[0]
    kept, row = KeptRows(tmp_path / "some" / "rows.json"), Row({"failed_per_100": 50.0}, [True, False])
    assert kept.find("IDM", marks[0]) is None
    kept.keep("IDM", marks[0], row)
    assert kept.find("IDM", marks[0]) == row and kept.find("IDM", marks[1]) is None
    kept.keep("IDM", marks[1], row._replace(failed=[False, False]))
    assert kept.find("IDM", marks[0]) is None and kept.find("IDM", marks[1]).failed == [False, False]

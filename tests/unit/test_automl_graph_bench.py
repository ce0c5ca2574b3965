"""Which tables the graph is judged on: none that the shipped experience knows a relative of."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from gnnlib.heads.automl.recommend import recommend_pipelines, shipped_recommender
from gnnlib.heads.automl.recommend_data import FEATURES

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    if not (FOLDER / "bench_automl_graph.py").exists():
        pytest.skip("the benchmarks are not part of this checkout")
    monkeypatch.syspath_prepend(str(FOLDER))
    import bench_automl_graph

    yield bench_automl_graph
    for name in ("bench_automl_graph", "bench_automl", "record"):
        sys.modules.pop(name, None)


def entry(name, *, family=None, rows=1_237_123, task="classification", ids=()):
    return {
        "name": name,
        "family": family or name,
        "rows": rows,
        "task": task,
        "oboe_ids_same_name": list(ids),
    }


def test_relatives_of_known_data_sets_are_left_out(bench, monkeypatch, tmp_path):
    meta = shipped_recommender("classification").meta
    sizes = meta.features[:, FEATURES.index("NumberOfInstances")]
    known = int(sizes[np.isfinite(sizes)][0])
    index = [
        entry("fresh_b"),
        entry("fresh_a"),
        entry("vehicle"),
        entry("another", family="vehicle"),
        entry("of_a_leaf_somewhere"),
        entry("leaflet"),
        entry("as_long", rows=known),
        entry("namesake", family="kin", ids=[54]),
        entry("sibling", family="kin"),
        entry("numbers", task="regression"),
    ]
    (tmp_path / "datasets_index.json").write_text(json.dumps(index))
    monkeypatch.setattr(bench, "DATA", tmp_path)
    assert bench.unknown_tables() == ["fresh_a", "fresh_b", "leaflet"]


def test_words_alone_do_not_look_at_the_table(bench):
    model = bench.WordsAlone().fit(shipped_recommender("classification").meta)
    rng = np.random.default_rng(0)
    small, wide = rng.standard_normal((60, 3)), rng.standard_normal((900, 40)) ** 3
    said = "gene expression levels of tumour samples"
    found = [
        recommend_pipelines(X, X[:, 0] > 0, description=said, k=3, task="classification", experience=model)
        for X in (small, wide)
    ]
    assert found[0].pipelines == found[1].pipelines
    assert found[0].novelty == 0.0
    other = recommend_pipelines(small, small[:, 0] > 0, description="chess", k=3, experience=model)
    assert [near.weight for near in other.neighbours] != [near.weight for near in found[0].neighbours]

"""Meta-features by hand, descriptions, completion."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gnnlib.errors import InputError
from gnnlib.heads.automl.completion import MatrixCompletion, choose_rank, design_probes
from gnnlib.heads.automl.descriptions import TextEmbedding, clean_description
from gnnlib.heads.automl.metafeatures import compute_metafeatures, landmarkers

DATA = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data") / "automl"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the AutoML data are not here (set GNNLIB_DATA)")

SMALL = pd.DataFrame(
    {
        "size": [1.0, 2.0, np.nan, 4.0, 10.0, 3.0],
        "colour": ["red", "blue", "red", "blue", None, "red"],
        "flag": [True, False, True, False, True, False],
    }
)
CLASSES = ["a", "b", "a", "b", "a", "a"]


def test_counts_by_hand():
    found = compute_metafeatures(SMALL, CLASSES)
    wanted = {
        "NumberOfInstances": 6,
        "NumberOfFeatures": 4,
        "NumberOfClasses": 2,
        "NumberOfMissingValues": 2,
        "NumberOfInstancesWithMissingValues": 2,
        "NumberOfNumericFeatures": 1,
        "NumberOfSymbolicFeatures": 3,
        "NumberOfBinaryFeatures": 3,
        "MajorityClassSize": 4,
        "MinorityClassSize": 2,
        "Dimensionality": 4 / 6,
        "PercentageOfMissingValues": 100 * 2 / 24,
        "MajorityClassPercentage": 100 * 4 / 6,
        "AutoCorrelation": 1 / 5,
        "MeanNominalAttDistinctValues": 2,
        "ClassEntropy": stats.entropy([4, 2], base=2),
        "MeanMeansOfNumericAtts": 4.0,
        "MeanStdDevOfNumericAtts": np.std([1, 2, 4, 10, 3], ddof=1),
        "MeanSkewnessOfNumericAtts": stats.skew([1, 2, 4, 10, 3], bias=False),
        "MeanKurtosisOfNumericAtts": stats.kurtosis([1, 2, 4, 10, 3], bias=False),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name


def test_mutual_information_by_hand():
    x = pd.DataFrame({"same": list("ababab"), "other": list("aabbcc")})
    found = compute_metafeatures(x, list("ababab"))
    assert found["MaxMutualInformation"] == pytest.approx(1.0)
    assert found["MinMutualInformation"] == pytest.approx(0.0, abs=1e-12)
    assert found["MeanAttributeEntropy"] == pytest.approx((1.0 + math.log2(3)) / 2)
    assert found["EquivalentNumberOfAtts"] == pytest.approx(1.0 / 0.5)


def test_correlations_and_components_by_hand():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(500)
    found = compute_metafeatures(np.c_[a, 2 * a + 1, rng.standard_normal(500)], a > 0)
    assert found["MaxAbsoluteCorrelation"] == pytest.approx(1.0, abs=1e-9)
    assert found["ComponentsFor95Percent"] == pytest.approx(2 / 3)
    assert found["FirstComponentShare"] == pytest.approx(2 / 3, abs=0.05)


def test_the_same_table_gives_the_same_numbers():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30_000, 6)), rng.integers(3, size=30_000)
    first, again = compute_metafeatures(x, y), compute_metafeatures(x, y)
    np.testing.assert_equal(first, again)
    assert first["MeanSkewnessOfNumericAtts"] == pytest.approx(0.0, abs=0.05)


def test_the_kind_of_target_is_guessed():
    x = np.zeros((40, 1))
    assert math.isnan(compute_metafeatures(x, np.arange(40) + 0.5)["NumberOfClasses"])
    assert math.isnan(compute_metafeatures(x, np.arange(40))["NumberOfClasses"])
    assert compute_metafeatures(x, np.arange(40) % 3)["NumberOfClasses"] == 3
    assert compute_metafeatures(x, np.arange(40), task="classification")["NumberOfClasses"] == 40
    assert compute_metafeatures(x, ["a", "b"] * 20)["NumberOfClasses"] == 2


def test_odd_tables_are_described():
    twice = pd.DataFrame([[1.0, "a"], [2.0, "b"], [np.inf, "a"]], columns=["x", "x"])
    assert compute_metafeatures(twice, [0, 1, 0])["NumberOfNumericFeatures"] == 1
    constant = compute_metafeatures(np.ones((5, 2)), [0, 1, 0, 1, 0])
    assert math.isnan(constant["MeanSkewnessOfNumericAtts"])
    assert compute_metafeatures(np.full((4, 2), np.nan), [0, 1, 0, 1])["NumberOfMissingValues"] == 8
    dates = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=4)})
    assert compute_metafeatures(dates, [0, 1, 0, 1])["NumberOfSymbolicFeatures"] == 2
    assert compute_metafeatures(np.ones((1, 1)), ["a"])["NumberOfClasses"] == 1


def test_landmarkers_see_an_easy_table():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    found = landmarkers(x, x[:, 0] > 0)
    assert found["DecisionStump"] > 0.9
    assert found["DecisionStumpSeconds"] > 0
    assert math.isnan(landmarkers(x, ["only"] * 200)["NaiveBayes"])


@needs_data
@pytest.mark.parametrize("name", ["vehicle", "kr-vs-kp", "sonar"])
def test_numbers_are_those_that_openml_stores(name):
    import json

    index = {entry["name"].replace("_", "-"): entry for entry in json.loads((DATA / "datasets_index.json").read_text())}
    if name not in index:
        pytest.skip(f"{name} is not in the pool")
    entry = index[name]
    frame = pd.read_csv(DATA / entry["file"])
    stored = pd.read_csv(DATA / "meta" / "openml_qualities" / "openml_qualities_2872.csv.gz").set_index("Id")
    found = compute_metafeatures(frame.iloc[:, :-1].astype(dict.fromkeys(entry["categorical"], str)), frame.iloc[:, -1])
    known = stored.loc[[i for i in entry["openml_ids_same_name"] if i in stored.index]]
    known = known[(known["NumberOfInstances"] == len(frame)) & (known["NumberOfFeatures"] == frame.shape[1])]
    known = known[known["NumberOfClasses"] == found["NumberOfClasses"]]
    if not len(known):
        pytest.skip(f"OpenML's qualities of {name} are not stored")
    row = known.iloc[0]
    for quality in (
        "NumberOfNumericFeatures",
        "MajorityClassSize",
        "ClassEntropy",
        "MeanSkewnessOfNumericAtts",
        "MeanKurtosisOfNumericAtts",
        "MeanStdDevOfNumericAtts",
        "MeanMeansOfNumericAtts",
        "MeanMutualInformation",
        "MeanAttributeEntropy",
    ):
        if np.isfinite(row[quality]) and np.isfinite(found[quality]):
            assert found[quality] == pytest.approx(row[quality], rel=1e-3), quality


def test_past_results_are_cut_out_of_descriptions():
    text = "1. Title: Sonar\n2. Past Usage:\n Gorman reached 90.4% with 12 units\n3. Relevant: rocks\nAccuracy was 99%."
    cleaned = clean_description(text)
    assert "rocks" in cleaned
    assert not {"gorman", "reached", "accuracy"} & set(cleaned.split())
    assert clean_description("") == ""


def test_words_lie_near_their_kin():
    texts = ["iris flowers petals"] * 3 + ["bank credit customers loan"] * 3 + ["flowers garden"] * 2
    embedding = TextEmbedding.fit(texts, size=3)
    vectors = embedding.transform(["credit of customers", "flowers", "", None, "zzz"])
    known = embedding.transform(texts)
    assert vectors[0] @ known[3] > 0.9 > vectors[0] @ known[0]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 0, 0], atol=1e-9)
    again = TextEmbedding.from_arrays(embedding.to_arrays())
    np.testing.assert_allclose(again.transform(texts), known, atol=2e-3)
    with pytest.raises(InputError, match="no word"):
        TextEmbedding.fit(["", ""])
    with pytest.raises(InputError, match="string"):
        clean_description(7)


def low_rank(seed=0, rows=40, columns=20, rank=3):
    rng = np.random.default_rng(seed)
    side = rng.standard_normal((rows, 4))
    factors = side @ rng.standard_normal((4, rank)) + 0.1 * rng.standard_normal((rows, rank))
    return factors @ rng.standard_normal((rank, columns)) + 2.0, side


def test_side_information_predicts_new_rows_and_probes_sharpen_them():
    table, side = low_rank()
    model = MatrixCompletion(rank=3, penalty=1e-3, side_penalty=1.0).fit(table[:35], side[:35])
    spread = np.abs(table[35:] - table[:35].mean(axis=0)).mean()
    blind = np.mean([np.abs(model.predict_row(side[i]) - table[i]).mean() for i in range(35, 40)])
    probes = design_probes(model.column_factors_, 4)
    seen = np.mean(
        [np.abs(model.predict_row(side[i], {p: table[i, p] for p in probes}) - table[i]).mean() for i in range(35, 40)]
    )
    assert blind < 0.3 * spread
    assert seen < 0.5 * blind


def test_holes_are_filled_and_the_rank_is_found():
    table, side = low_rank(1)
    holes = table.copy()
    holes[np.random.default_rng(0).random(table.shape) < 0.3] = np.nan
    filled = MatrixCompletion(rank=3, penalty=1e-3).fit(holes, side).completed()
    missing = np.isnan(holes)
    assert np.abs(filled - table)[missing].mean() < 0.1 * table.std()
    assert choose_rank(holes, side, ranks=(1, 3)) == 3


def test_probes_keep_their_budget():
    factors = np.random.default_rng(0).standard_normal((10, 3))
    chosen = design_probes(factors, 5, costs=np.arange(1.0, 11.0), budget=6.0)
    assert chosen
    assert sum(np.arange(1.0, 11.0)[chosen]) <= 6.0


def test_designed_probes_are_no_worse_than_usual_draws():
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((30, 3))

    def volume(columns):
        return np.linalg.slogdet(factors[columns].T @ factors[columns])[1]

    drawn = [volume(rng.permutation(30)[:4]) for _ in range(200)]
    assert volume(design_probes(factors, 4)) > np.quantile(drawn, 0.95)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MatrixCompletion(rank=0), "rank"),
        (lambda: MatrixCompletion(penalty=-1.0), "penalty"),
        (lambda: MatrixCompletion().fit([[np.nan, 1.0], [np.nan, 2.0]]), "column 0"),
        (lambda: MatrixCompletion().fit([[np.inf]]), "infinity"),
        (lambda: MatrixCompletion().fit([[1.0]], [[1.0], [2.0]]), "side"),
        (lambda: MatrixCompletion(rank=1).fit([[1.0, 2.0]]).predict_row(None, {7: 1.0}), "observed columns"),
        (lambda: design_probes([[1.0]], 0), "count"),
        (lambda: compute_metafeatures(np.zeros((0, 1)), []), "at least one row"),
        (lambda: compute_metafeatures(np.zeros((2, 1)), [1]), "one value for each"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()

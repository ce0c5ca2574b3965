"""Messy tables become matrices."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gnnlib.errors import InputError
from gnnlib.heads.automl.cleaning import HASHED_WORDS, TableCleaner, as_frame


def cleaned(frame, other=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaner = TableCleaner().fit(frame)
    return cleaner, cleaner.transform(frame if other is None else other)


def roles(cleaner):
    return {column.name: column.role for column in cleaner.columns}


@pytest.fixture
def messy():
    rng = np.random.default_rng(0)
    n = 60
    return pd.DataFrame(
        {
            "customer_id": rng.permutation(10_000)[:n],
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.integers(18, 80, n)),
            "since": pd.date_range("2020-01-01", periods=n, freq="36h"),
            "left_on": [f"2021-0{1 + i % 9}-11" for i in range(n)],
            "is_new": rng.random(n) < 0.5,
            "maybe": rng.choice([True, False, None], n),
            "colour": rng.choice(["red", "green", "blue", None], n),
            "price": [f"{value:.2f}" for value in rng.random(n)],
            "note": [f"the customer number {i} asked about thing {i * 7} and was sent away" for i in range(n)],
            "code": [f"AX-{i}" for i in range(n)],
            "same": "x",
            "nothing": np.nan,
            "size": pd.Categorical(rng.choice(["s", "m", "l"], n), categories=["s", "m", "l"], ordered=True),
        }
    )


def test_each_column_gets_its_role(messy):
    cleaner, matrix = cleaned(messy)
    assert roles(cleaner) == {
        "customer_id": "dropped",
        "age": "number",
        "since": "date",
        "left_on": "date",
        "is_new": "number",
        "maybe": "number",
        "colour": "category",
        "price": "number",
        "note": "text",
        "code": "dropped",
        "same": "dropped",
        "nothing": "dropped",
        "size": "category",
    }
    assert matrix.shape == (60, 4 + 6 + 5 + 2 + HASHED_WORDS + 2)
    assert cleaner.layout.cardinalities == (3, 3)
    assert len(cleaner.feature_names) == matrix.shape[1] == len(cleaner.sources)


def test_dropped_columns_are_reported_with_the_reason(messy):
    with pytest.warns(UserWarning, match=r"dropped \(identifier\): 'customer_id', 'code'"):
        TableCleaner().fit(messy)
    with pytest.warns(UserWarning, match=r"dropped \(constant\): 'same'"):
        TableCleaner().fit(messy)


def test_levels_keep_the_order_of_an_ordered_category(messy):
    cleaner, _ = cleaned(messy)
    assert next(column for column in cleaner.columns if column.name == "size").levels == ("s", "m", "l")


def test_levels_never_seen_become_missing():
    cleaner, matrix = cleaned(pd.DataFrame({"c": ["a", "b", "a"]}), pd.DataFrame({"c": ["b", "z", None]}))
    assert matrix[:, 0].tolist()[0] == 1.0
    assert np.isnan(matrix[1:, 0]).all()
    assert cleaner.layout.cardinalities == (2,)


def test_dates_become_days_and_calendar_parts():
    frame = pd.DataFrame({"t": pd.to_datetime(["1970-01-02 12:00", "1971-03-01 00:00"]), "x": [0.0, 1.0]})
    _, matrix = cleaned(frame)
    assert matrix[0, :6].tolist() == [1.5, 1970.0, 1.0, 2.0, 4.0, 12.0]
    assert matrix[1, 0] == 424.0


def test_a_zone_and_text_dates_are_read_alike():
    _, zoned = cleaned(pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2021-05-05"]).tz_localize("UTC")}))
    _, text = cleaned(pd.DataFrame({"t": ["2020-01-01", "2021-05-05"]}))
    assert np.array_equal(zoned, text)


def test_infinities_count_as_missing_and_are_reported():
    frame = pd.DataFrame({"x": [1.0, np.inf, -np.inf, 2.0]})
    with pytest.warns(UserWarning, match="infinite values count as missing in: 'x'"):
        matrix = TableCleaner().fit(frame).transform(frame)
    assert np.isnan(matrix[1:3, 0]).all()


def test_duplicate_names_are_numbered_and_both_columns_stay():
    frame = pd.DataFrame(np.arange(8.0).reshape(4, 2) ** 2, columns=["a", "a"])
    with pytest.warns(UserWarning, match="more than once"):
        cleaner = TableCleaner().fit(frame)
    assert [column.name for column in cleaner.columns] == ["a", "a.1"]
    assert cleaner.transform(frame).shape == (4, 2)


def test_a_high_cardinality_column_stays_while_it_repeats():
    rng = np.random.default_rng(0)
    cleaner, _ = cleaned(pd.DataFrame({"town": [f"t{i}" for i in rng.integers(0, 300, 2_000)]}))
    assert cleaner.layout.cardinalities == (299,), "one of 300 was not drawn"


def test_cells_of_any_kind_are_levels():
    _, matrix = cleaned(pd.DataFrame({"c": [{"a": 1}, [2], {"a": 1}, "x"]}, dtype=object))
    assert matrix[0, 0] == matrix[2, 0]
    assert len(set(matrix[:, 0])) == 3


def test_five_thousand_columns_and_lists_are_fine():
    wide = np.random.default_rng(0).standard_normal((30, 5_000))
    _, matrix = cleaned(wide)
    assert np.array_equal(matrix, wide)
    assert cleaned([[1, "a"], [2, "b"], [3, "a"]])[1].tolist() == [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]


def test_a_column_of_consecutive_integers_is_no_feature_of_a_named_table_only():
    rows = np.column_stack([np.arange(40.0), np.random.default_rng(0).random(40)])
    assert roles(cleaned(pd.DataFrame(rows, columns=["a", "b"]))[0])["a"] == "dropped"
    assert roles(cleaned(rows)[0])["x0"] == "number"


def test_huge_numbers_are_cut_so_that_squares_stay_finite():
    _, matrix = cleaned(np.array([[1e300], [1.0], [-1e200]]))
    assert np.isfinite(matrix**2).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (sparse.csr_matrix(np.eye(3)), "sparse"),
        (np.zeros((0, 3)), "sample"),
        (np.zeros((3, 0)), "feature"),
        (np.zeros(3), "two-dimensional"),
        (np.zeros((2, 2, 2)), "two-dimensional"),
        (np.zeros((2, 2), dtype=complex), "Complex"),
    ],
)
def test_what_is_no_table_is_refused(X, message):
    with pytest.raises(InputError, match=message):
        as_frame(X)


def test_another_number_of_columns_is_refused():
    with pytest.raises(InputError, match="must have 2 columns"):
        cleaned(np.random.default_rng(0).random((5, 2)))[0].transform(np.zeros((1, 3)))

"""Numbers that describe a table: what two data sets have in common before anything was fitted to them.

Names and definitions are those of OpenML's data qualities where one exists (J. Vanschoren et al., *OpenML: networked
science in machine learning*, SIGKDD Explorations 15, 2014), so that a new table can be compared with the thousands
described there. ``NumberOfFeatures`` and ``NumberOfSymbolicFeatures`` count the target, as OpenML does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.table import TASKS, Task

if TYPE_CHECKING:
    import pandas as pd

    from gnnlib.typing import AnyArray, FloatArray, IntArray

__all__ = ["compute_metafeatures", "landmarkers"]

MAX_ROWS = 20_000
"""Moments, entropies and correlations are taken on at most so many evenly spaced rows."""

MAX_COLUMNS = 500
"""... and at most so many evenly spaced columns of each kind."""

_LANDMARK_ROWS = 2_000


def compute_metafeatures(X: Any, y: Any, *, task: Task | None = None) -> dict[str, float]:
    """Describe a table by numbers; the same table always gives the same ones.

    Parameters
    ----------
    X : DataFrame or array [n, d]
        Texts, categories and booleans count as symbolic, all else as numeric; NaN and None are missing.
    y : array [n]
    task : {"classification", "regression"}, optional
        Guessed from `y` when absent: numbers with more than 20 values, or with fractions, are a regression target.

    Returns
    -------
    dict of str to float
        NaN where a quality does not exist, as skewness without a numeric column. Counts are of the whole table; costly
        statistics of at most 20,000 rows and 500 columns of each kind.

    Raises
    ------
    InputError
        If there is no row or no column, or the lengths differ.

    Notes
    -----
    Time is linear in the number of cells and below a second for 100,000 x 100 numbers.

    Examples
    --------
    >>> found = compute_metafeatures([[0.0, 1.0], [1.0, 1.5], [2.0, 0.0], [3.0, 2.5]], ["a", "b", "a", "b"])
    >>> found["NumberOfInstances"], found["ClassEntropy"], found["AutoCorrelation"]
    (4.0, 1.0, 0.0)
    """
    frame, target = _as_table(X, y)
    task = _guess_task(target) if task is None else task
    if task not in TASKS:
        raise InputError(f"`task` must be one of {TASKS}, found {task!r}")
    numeric, symbolic = _split_columns(frame)
    found = _counts(frame, numeric, symbolic, task)
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), MAX_ROWS)).astype(np.int64))
    thinned = frame.iloc[rows] if len(rows) < len(frame) else frame
    codes, classes = _codes(target) if task == "classification" else (None, 0)
    found.update(_of_target(target, codes, classes))
    values = thinned[_spread(numeric)].to_numpy(np.float64, na_value=np.nan, copy=True)
    values[~np.isfinite(values)] = np.nan
    found.update(_of_numbers(values))
    levels = [_codes(thinned[name].to_numpy(object)) for name in _spread(symbolic)]
    found.update(_of_symbols(levels, None if codes is None else codes[rows], found))
    return found


def _as_table(X: Any, y: Any) -> tuple[pd.DataFrame, AnyArray]:
    import pandas as pd

    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    target = np.asarray(y, dtype=object) if not isinstance(y, pd.Series) else y.to_numpy(object)
    if frame.shape[0] < 1 or frame.shape[1] < 1:
        raise InputError(f"`X` must have at least one row and one column, found shape {frame.shape}")
    if target.shape != (len(frame),):
        raise InputError(f"`y` must hold one value for each of {len(frame)} rows, found shape {target.shape}")
    # Positions name the columns: names may appear twice.
    return frame.set_axis(np.arange(frame.shape[1]), axis=1), target


def _guess_task(target: AnyArray) -> Task:
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(target), errors="coerce").to_numpy(np.float64)
    is_number = np.isfinite(numbers).mean() > 0.9
    if not is_number or isinstance(target[0], (str, bool)):
        return "classification"
    known = numbers[np.isfinite(numbers)]
    return "regression" if len(np.unique(known)) > 20 or (known != np.round(known)).any() else "classification"


def _split_columns(frame: pd.DataFrame) -> tuple[list[int], list[int]]:
    import pandas as pd

    numeric: list[int] = []
    symbolic: list[int] = []
    for name, kind in frame.dtypes.items():
        is_number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
        (numeric if is_number else symbolic).append(int(str(name)))
    return numeric, symbolic


def _spread(names: list[int]) -> list[int]:
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(len(names), MAX_COLUMNS)).astype(np.int64))]


def _codes(values: AnyArray) -> tuple[IntArray, int]:
    """Return codes from 0 (-1 where missing) and the number of levels."""
    import pandas as pd

    codes, levels = pd.factorize(values, use_na_sentinel=True)
    return codes.astype(np.int64), len(levels)


def _counts(frame: pd.DataFrame, numeric: list[int], symbolic: list[int], task: Task) -> dict[str, float]:
    rows, columns = frame.shape
    missing = frame.isna()
    has_missing = int(missing.any(axis=1).sum())
    total = int(missing.to_numpy().sum())
    nominal_target = int(task == "classification")
    features = columns + 1
    symbols, numbers = len(symbolic) + nominal_target, len(numeric) + 1 - nominal_target
    return {
        "NumberOfInstances": float(rows),
        "NumberOfFeatures": float(features),
        "NumberOfMissingValues": float(total),
        "NumberOfInstancesWithMissingValues": float(has_missing),
        "PercentageOfMissingValues": 100.0 * total / (rows * features),
        "PercentageOfInstancesWithMissingValues": 100.0 * has_missing / rows,
        "NumberOfNumericFeatures": float(numbers),
        "NumberOfSymbolicFeatures": float(symbols),
        "PercentageOfNumericFeatures": 100.0 * numbers / features,
        "PercentageOfSymbolicFeatures": 100.0 * symbols / features,
        "Dimensionality": features / rows,
    }


def _entropy(counts: FloatArray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum() + 0.0)


def _of_target(target: AnyArray, codes: IntArray | None, classes: int) -> dict[str, float]:
    if codes is None:
        import pandas as pd

        values = pd.to_numeric(pd.Series(target), errors="coerce").to_numpy(np.float64)
        moments = _moments(values[np.isfinite(values)][:, None]) if np.isfinite(values).any() else {}
        names = ("NumberOfClasses", "MajorityClassSize", "MinorityClassSize", "MajorityClassPercentage")
        empty = dict.fromkeys((*names, "MinorityClassPercentage", "ClassEntropy", "AutoCorrelation"), math.nan)
        return {
            **empty,
            "TargetSkewness": float(moments["Skewness"][0]) if moments else math.nan,
            "TargetKurtosis": float(moments["Kurtosis"][0]) if moments else math.nan,
        }
    known = codes[codes >= 0]
    counts = np.bincount(known, minlength=max(classes, 1)).astype(np.float64)
    same = float((codes[1:] == codes[:-1]).mean()) if len(codes) > 1 else math.nan
    total = max(counts.sum(), 1.0)
    return {
        "NumberOfClasses": float(classes),
        "MajorityClassSize": float(counts.max()),
        "MinorityClassSize": float(counts.min()),
        "MajorityClassPercentage": 100.0 * float(counts.max()) / total,
        "MinorityClassPercentage": 100.0 * float(counts.min()) / total,
        "ClassEntropy": _entropy(counts) if counts.sum() else math.nan,
        "AutoCorrelation": same,
        "TargetSkewness": math.nan,
        "TargetKurtosis": math.nan,
    }


def _moments(values: FloatArray) -> dict[str, FloatArray]:
    """Return the moments of columns, those with sample corrections that OpenML uses; NaN where undefined."""
    known = np.isfinite(values)
    count = known.sum(axis=0).astype(np.float64)
    filled = np.where(known, values, 0.0)
    with np.errstate(all="ignore"):
        mean = filled.sum(axis=0) / count
        away = np.where(known, values - mean, 0.0)
        square = away * away
        second = square.sum(axis=0)
        third, fourth = (square * away).sum(axis=0), (square * square).sum(axis=0)
        variance = second / (count - 1)
        n = count
        skew = n / ((n - 1) * (n - 2)) * third / variance**1.5
        kurt = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3)) * fourth / variance**2
        kurt = kurt - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    flat = ~(second > 1e-12 * np.maximum(mean**2 * count, 1e-300))
    skew[flat], kurt[flat] = math.nan, math.nan
    return {"Means": mean, "StdDev": np.sqrt(variance), "Skewness": skew, "Kurtosis": kurt}


def _summary(name: str, values: FloatArray, suffix: str = "OfNumericAtts") -> dict[str, float]:
    known = values[np.isfinite(values)]
    keys = ("Min", "Quartile1", "Quartile2", "Quartile3", "Max")
    places = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]) if len(known) else [math.nan] * 5
    found = {f"{key}{name}{suffix}": float(value) for key, value in zip(keys, places, strict=True)}
    found[f"Mean{name}{suffix}"] = float(known.mean()) if len(known) else math.nan
    return found


def _of_numbers(values: FloatArray) -> dict[str, float]:
    found: dict[str, float] = {}
    has_any = values.shape[1] > 0
    moments = _moments(values) if has_any else {}
    for name in ("Means", "StdDev", "Skewness", "Kurtosis"):
        found.update(_summary(name, moments[name] if has_any else np.empty(0)))
    found.update(_of_covariance(values, moments) if has_any else dict.fromkeys(_SPECTRAL, math.nan))
    return found


_SPECTRAL = ("MeanAbsoluteCorrelation", "MaxAbsoluteCorrelation", "ComponentsFor95Percent", "FirstComponentShare")


def _of_covariance(values: FloatArray, moments: dict[str, FloatArray]) -> dict[str, float]:
    """Correlations and principal components of the standardised columns that vary."""
    scale = moments["StdDev"]
    use = np.isfinite(scale) & (scale > 0) & np.isfinite(moments["Skewness"])
    if use.sum() < 2:
        return dict.fromkeys(_SPECTRAL, math.nan)
    # Five thousand rows tell correlations to 0.014.
    step = max(1, len(values) // 5_000)
    scaled = (values[::step][:, use] - moments["Means"][use]) / scale[use]
    scaled = np.nan_to_num(scaled)
    correlation = scaled.T @ scaled / max(len(scaled) - 1, 1)
    off = np.abs(correlation[~np.eye(len(correlation), dtype=bool)])
    spectrum = np.clip(np.linalg.eigvalsh(correlation)[::-1], 0.0, None)
    share = np.cumsum(spectrum) / max(spectrum.sum(), 1e-300)
    return {
        "MeanAbsoluteCorrelation": float(off.mean()),
        "MaxAbsoluteCorrelation": float(min(off.max(), 1.0)),
        "ComponentsFor95Percent": float((np.searchsorted(share, 0.95 - 1e-12) + 1) / len(spectrum)),
        "FirstComponentShare": float(share[0]),
    }


def _of_symbols(
    columns: list[tuple[IntArray, int]], codes: IntArray | None, known: dict[str, float]
) -> dict[str, float]:
    """Entropies of symbolic columns, and what they tell of the class; missing cells are left out."""
    levels = np.array([count for _, count in columns], dtype=np.float64)
    entropy = np.array([_entropy(np.bincount(c[c >= 0], minlength=1).astype(np.float64)) for c, _ in columns])
    shared = np.full(len(columns), math.nan)
    if codes is not None:
        shared = np.array([_mutual_information(column, codes) for column, _ in columns])
    mutual, mean_entropy = _mean(shared), _mean(entropy)
    # The class counts among the symbolic columns of OpenML, and among the binary ones.
    classes = known["NumberOfClasses"]
    with_target = np.append(levels, classes) if math.isfinite(classes) else levels
    return {
        "NumberOfBinaryFeatures": float((with_target == 2).sum()),
        **_summary("MutualInformation", shared, ""),
        **_summary("AttributeEntropy", entropy, ""),
        "EquivalentNumberOfAtts": known["ClassEntropy"] / mutual if mutual else math.nan,
        "MeanNoiseToSignalRatio": (mean_entropy - mutual) / mutual if mutual else math.nan,
        "MaxNominalAttDistinctValues": float(with_target.max()) if len(with_target) else math.nan,
        "MinNominalAttDistinctValues": float(with_target.min()) if len(with_target) else math.nan,
        "MeanNominalAttDistinctValues": _mean(with_target),
        "StdvNominalAttDistinctValues": float(with_target.std(ddof=1)) if len(with_target) > 1 else 0.0,
    }


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _mutual_information(column: IntArray, codes: IntArray) -> float:
    use = (column >= 0) & (codes >= 0)
    if not use.any():
        return math.nan
    a, b = column[use], codes[use]
    width = int(b.max()) + 1
    joint = np.bincount(a * width + b).astype(np.float64)
    # Both entropies less that of the pair.
    parts = (np.bincount(a).astype(np.float64), np.bincount(b).astype(np.float64))
    return max(_entropy(parts[0]) + _entropy(parts[1]) - _entropy(joint), 0.0)


def landmarkers(X: Any, y: Any, *, seed: int = 0) -> dict[str, float]:
    """Return the accuracies of four quick classifiers, each cross-validated twofold on at most 2,000 rows.

    They cost a fraction of a second to a few seconds, and tell more of a table than most meta-features (B.
    Pfahringer, H. Bensusan, C. Giraud-Carrier, *Meta-learning by landmarking various learning algorithms*, 2000).

    Parameters
    ----------
    X : DataFrame or array [n, d]
    y : array [n]
        Classes.
    seed : int, default 0

    Returns
    -------
    dict of str to float
        Balanced accuracy of a decision stump, a tree, one nearest neighbour, and naive Bayes, and the ``Seconds`` of
        each; NaN where a class has fewer than two rows.
    """
    import time

    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    frame, target = _as_table(X, y)
    codes, classes = _codes(target)
    models = {
        "DecisionStump": DecisionTreeClassifier(max_depth=1, random_state=seed),
        "DecisionTree": DecisionTreeClassifier(min_samples_leaf=3, random_state=seed),
        "NearestNeighbour": KNeighborsClassifier(1),
        "NaiveBayes": GaussianNB(),
    }
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), _LANDMARK_ROWS)).astype(np.int64))
    rows = rows[codes[rows] >= 0]
    if classes < 2 or np.bincount(codes[rows], minlength=classes).min() < 2:
        return {f"{name}{what}": math.nan for name in models for what in ("", "Seconds")}
    numeric, symbolic = _split_columns(frame)
    values = frame[numeric].iloc[rows].to_numpy(np.float64, na_value=np.nan, copy=True)
    parts = [values, *(_codes(frame[name].iloc[rows].to_numpy(object))[0][:, None] for name in symbolic)]
    matrix = np.hstack(parts)
    matrix = np.where(np.isfinite(matrix), matrix, np.nan_to_num(_moments(matrix)["Means"]))
    matrix = (matrix - matrix.mean(axis=0)) / np.maximum(matrix.std(axis=0), 1e-12)
    folds = StratifiedKFold(2, shuffle=True, random_state=seed)
    found: dict[str, float] = {}
    for name, model in models.items():
        began = time.perf_counter()
        guess = cross_val_predict(model, matrix, codes[rows], cv=folds)
        found[name] = float(balanced_accuracy_score(codes[rows], guess))
        found[f"{name}Seconds"] = time.perf_counter() - began
    return found

"""Write a found predictor as a Python file that needs numpy, pandas and scikit-learn only."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.gaussian_process.kernels import Kernel, Sum
from sklearn.model_selection import KFold, StratifiedKFold

from gnnlib.errors import InputError
from gnnlib.heads.automl.cleaning import HASHED_WORDS
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.worker import LEAST_OF_A_CLASS

if TYPE_CHECKING:
    from gnnlib.heads.automl.cleaning import TableCleaner
    from gnnlib.heads.automl.runner_fit import Fitted
    from gnnlib.typing import PathLike

__all__ = ["code_of", "format_code", "write_code"]

_CLEAN = '''
def number(values):
    if values.dtype.kind == "m":
        return values.dt.total_seconds().to_numpy(dtype=float)
    found = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def date(values, has_hours):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        moments = pd.to_datetime(values, errors="coerce", utc=True, format=None if values.dtype.kind == "M" else "mixed")
    moments = moments.dt.tz_localize(None)
    days = (moments - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    parts = [days, moments.dt.year, moments.dt.month, moments.dt.day, moments.dt.day_of_week]
    parts += [moments.dt.hour] if has_hours else []
    return np.column_stack([part.to_numpy(dtype=float, na_value=np.nan) for part in parts])


def text(values):
    words = values.fillna("").astype(str)
    hashed = HashingVectorizer(n_features=HASHED_WORDS, norm="l2").transform(words).toarray()
    return np.column_stack([words.str.count(r"\\S+"), words.str.len(), hashed])


def level(value):
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def category(values, levels):
    if values.dtype == object:
        values = values.map(level, na_action="ignore")
    codes, unique = pd.factorize(values)
    known = {name: float(code) for code, name in enumerate(levels)}
    return np.array([*(known.get(level(value), np.nan) for value in unique), np.nan])[codes]


def clean(frame):
    """Turn a table with the columns of the training table into numbers first, then codes of categories."""
    frame = pd.DataFrame(frame)
    parts, codes = [np.zeros((len(frame), 0))], [np.zeros((len(frame), 0))]
    for position, kind, extra in COLUMNS:
        values = frame.iloc[:, position]
        if kind == "number":
            parts.append(number(values)[:, None])
        elif kind == "date":
            parts.append(date(values, extra))
        elif kind == "text":
            parts.append(text(values))
        else:
            codes.append(category(values, extra)[:, None])
    matrix = np.column_stack([*parts, *codes]) if COLUMNS else np.zeros((len(frame), 1))
    matrix[np.isinf(matrix)] = np.nan
    return np.clip(matrix, -1e30, 1e30)
'''

_FIT_CLASSES = '''
def fit(frame, y):
    """Fit every pipeline on all rows that have a target; rows of rare classes are repeated, as in the search."""
    y = pd.Series(np.asarray(y))
    known = y.notna().to_numpy()
    X, y = clean(frame)[known], y[known].infer_objects().to_numpy()
    rows = np.arange(len(y))
    for label, count in zip(*np.unique(y, return_counts=True)):
        if count < LEAST_OF_A_CLASS:
            rows = np.r_[rows, np.resize(np.flatnonzero(y == label), LEAST_OF_A_CLASS - count)]
    return [(weight, make().fit(X[rows], y[rows])) for weight, make in PIPELINES]


def predict_proba(models, frame):
    """Return the weighted mean of the probabilities; columns as in `models[0][1].classes_`."""
    X = clean(frame)
    return sum(weight * model.predict_proba(X) for weight, model in models)


def predict(models, frame):
    """Return the label of each row."""
    return models[0][1].classes_[(predict_proba(models, frame) * MULTIPLIERS).argmax(axis=1)]
'''

_FIT_NUMBERS = '''
def fit(frame, y):
    """Fit every pipeline on all rows that have a target."""
    y = np.asarray(y, dtype=float)
    known = ~np.isnan(y)
    X, y = clean(frame)[known], y[known]
    return [(weight, make().fit(X, y)) for weight, make in PIPELINES]


def predict(models, frame):
    """Return the weighted mean of the predictions, cut to the range that training suggests."""
    X = clean(frame)
    return sum(weight * np.clip(model.predict(X), *BOUNDS) for weight, model in models)
'''


def code_of(value: Any, modules: dict[str, set[str]]) -> str:
    """Return Python code that makes `value`, and note what it imports.

    Parameters
    ----------
    value : scikit-learn estimator, kernel, or plain value
    modules : dict of module to names
        Filled in.

    Raises
    ------
    InputError
        If the value cannot be written.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> code_of(Ridge(alpha=2.0), {})
    'Ridge(alpha=2.0)'
    """
    if isinstance(value, Sum):
        return f"{code_of(value.k1, modules)} + {code_of(value.k2, modules)}"
    if isinstance(value, (BaseEstimator, Kernel)):
        kind = type(value)
        modules.setdefault(_public_module(kind), set()).add(kind.__name__)
        return f"{kind.__name__}({', '.join(_changed(value, modules))})"
    if isinstance(value, (KFold, StratifiedKFold)):
        modules.setdefault("sklearn.model_selection", set()).add(type(value).__name__)
        return f"{type(value).__name__}({value.n_splits}, shuffle={value.shuffle}, random_state={value.random_state!r})"
    if isinstance(value, np.ufunc):
        return f"np.{value.__name__}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(code_of(item, modules) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else f"{'-' * (value < 0)}np.inf"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    raise InputError(f"cannot write {type(value).__name__} as code")


def _public_module(kind: type) -> str:
    """Return the module that users import from: scikit-learn's private modules start with an underscore."""
    parts = kind.__module__.split(".")
    private = next((i for i, part in enumerate(parts) if part.startswith("_")), len(parts))
    return "lightgbm" if parts[0] == "lightgbm" else ".".join(parts[:private])


def _changed(value: Any, modules: dict[str, set[str]]) -> list[str]:
    parameters = inspect.signature(type(value).__init__).parameters
    found = []
    for name, given in value.get_params(deep=False).items():
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        is_same = type(given) is type(default) and not isinstance(given, BaseEstimator) and given == default
        is_nan = isinstance(given, float) and isinstance(default, float) and math.isnan(given) and math.isnan(default)
        if not (is_same or is_nan):
            found.append(f"{name}={code_of(given, modules)}")
    return found


def format_code(fitted: Fitted, *, seed: int = 0) -> str:
    """Return the text of the file.

    The pipelines are fitted on all rows there, one model each, while the estimator keeps one model a fold; predictions
    agree closely, not exactly.
    """
    modules: dict[str, set[str]] = {}
    makers, table = [], []
    cleaner, committee = fitted.cleaner, fitted.committee
    for number, member in enumerate(committee.members, start=1):
        if " > " not in member.pipeline:
            code = code_of(member.models[0], modules)
        else:
            pipeline = Pipeline.parse(fitted.task, member.pipeline)
            code = code_of(pipeline.build(fitted.layout, seed=seed, rows=fitted.result.rows), modules)
        makers.append(f'\ndef pipeline_{number}():\n    """{member.pipeline}"""\n    return {code}\n')
        table.append(f"    ({member.weight!r}, pipeline_{number}),")
    modules.setdefault("sklearn.feature_extraction.text", set()).add("HashingVectorizer")
    imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(modules.items())]
    is_classes = fitted.task == "classification"
    head = [
        f'"""A predictor found by gnnlib for {fitted.result.rows} rows: models = fit(frame, y); predict(models, frame)."""',
        "",
        "import warnings",
        "",
        "import numpy as np",
        "import pandas as pd",
        *imports,
        "",
        f"HASHED_WORDS = {HASHED_WORDS}",
        "COLUMNS = [  # (position in the table, kind, levels of a category or whether a date has hours)",
        *(f"    {line!r},  # {name}" for line, name in _columns(cleaner)),
        "]",
    ]
    if is_classes:
        factors = 1.0 if committee.multipliers is None else committee.multipliers.tolist()
        head.append(f"LEAST_OF_A_CLASS = {LEAST_OF_A_CLASS}")
        head.append(f"MULTIPLIERS = {factors!r}  # of the probabilities, before the label is chosen")
    else:
        head.append(f"BOUNDS = {committee.bounds!r}")
    tail = ["", "PIPELINES = [", *table, "]", "", _FIT_CLASSES if is_classes else _FIT_NUMBERS]
    return "\n".join([*head, "", _CLEAN, *makers, *tail])


def _columns(cleaner: TableCleaner) -> list[tuple[tuple[int, str, Any], str]]:
    found: list[tuple[tuple[int, str, Any], str]] = []
    for column in cleaner.columns:
        if column.role == "dropped":
            continue
        extra: Any = None
        if column.role == "category":
            extra = list(column.levels)
        if column.role == "date":
            extra = cleaner.has_hours(column)
        found.append(((column.position, column.role, extra), " ".join(column.name.split())))
    return found


def write_code(fitted: Fitted, path: PathLike, *, seed: int = 0) -> None:
    """Write the file.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written.
    """
    place = Path(path)
    if not place.absolute().parent.is_dir():
        raise InputError(f"the folder {place.parent} of {place.name} does not exist; create it first")
    try:
        place.write_text(format_code(fitted, seed=seed), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {place}: {error.strerror or error}") from error

"""From a pipeline as a value to the scikit-learn object."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectFromModel, SelectPercentile, VarianceThreshold, f_classif, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from gnnlib.errors import MissingExtraError
from gnnlib.heads.automl.pieces import is_available

if TYPE_CHECKING:
    from gnnlib.heads.automl.pipelines import Pipeline, Step
    from gnnlib.heads.automl.table import MatrixLayout

__all__ = ["build"]

_TARGET_ON_ONE_SCALE = frozenset({"svm", "mlp", "elastic", "gp"})

_TARGET_PARTS = 5
_TAKES_SPLITTER = inspect.signature(TargetEncoder).parameters["random_state"].default == "deprecated"
"""Since scikit-learn 1.9 the seed of the encoder's inner folds is that of a splitter."""


def build(pipeline: Pipeline, layout: MatrixLayout, *, seed: int = 0, rows: int | None = None) -> SklearnPipeline:
    """Return the unfitted scikit-learn pipeline; see `gnnlib.heads.automl.pipelines.Pipeline.build`."""
    steps: list[tuple[str, Any]] = [("prepare", _preparation(pipeline, layout, seed, rows))]
    reducer = _reducer(pipeline, seed)
    if reducer is not None:
        steps.append(("reduce", reducer))
    steps.append(("estimator", _with_post(pipeline, _estimator(pipeline, layout, seed, rows), rows)))
    return SklearnPipeline(steps)


def _preparation(pipeline: Pipeline, layout: MatrixLayout, seed: int, rows: int | None) -> ColumnTransformer:
    parts: list[tuple[str, Any, Any]] = []
    scale = pipeline.scale.name
    if layout.num_numeric:
        steps = [step for step in (_imputer(pipeline), _scaler(scale, seed, rows)) if step is not None]
        parts.append(("numbers", _joined(steps), list(range(layout.num_numeric))))
    if layout.cardinalities:
        steps = _encoder(pipeline, seed)
        if pipeline.encode.name in {"ordinal", "target"}:
            steps += [step for step in [_scaler(scale, seed, rows)] if step is not None]
        parts.append(("categories", _joined(steps), layout.categorical))
    return ColumnTransformer(parts, sparse_threshold=0.0)


def _joined(steps: list[Any]) -> Any:
    if not steps:
        return "passthrough"
    return steps[0] if len(steps) == 1 else SklearnPipeline([(f"step{i}", step) for i, step in enumerate(steps)])


def _imputer(pipeline: Pipeline) -> Any:
    name = pipeline.impute.name
    if name == "keep":
        return None
    if name == "indicator":
        return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    strategy = {"median": "median", "mean": "mean", "frequent": "most_frequent"}[name]
    return SimpleImputer(strategy=strategy, keep_empty_features=True)


def _encoder(pipeline: Pipeline, seed: int) -> list[Any]:
    step = pipeline.encode
    if step.name == "onehot":
        return [
            OneHotEncoder(
                handle_unknown="infrequent_if_exist", max_categories=step.params["max_levels"], sparse_output=False
            )
        ]
    if step.name == "target":
        return [_target_encoder(step, pipeline.task == "regression", seed)]
    if step.name == "native":
        return []
    return [SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)]


def _target_encoder(step: Step, is_numbers: bool, seed: int) -> TargetEncoder:  # noqa: FBT001
    kind = "continuous" if is_numbers else "auto"
    if not _TAKES_SPLITTER:
        return TargetEncoder(smooth=step.params["smooth"], target_type=kind, random_state=seed)
    splitter = (KFold if is_numbers else StratifiedKFold)(_TARGET_PARTS, shuffle=True, random_state=seed)
    return TargetEncoder(smooth=step.params["smooth"], target_type=kind, cv=splitter)


def _scaler(name: str, seed: int, rows: int | None) -> Any:
    if name == "standard":
        return StandardScaler()
    if name == "robust":
        return RobustScaler(quantile_range=(5.0, 95.0), unit_variance=True)
    if name == "quantile":
        count = max(2, min(300, (rows or 1000) // 2))
        return QuantileTransformer(n_quantiles=count, output_distribution="normal", random_state=seed)
    return None


def _reducer(pipeline: Pipeline, seed: int) -> Any:
    step, is_classes = pipeline.reduce, pipeline.task == "classification"
    if step.name == "variance":
        return VarianceThreshold(0.0)
    if step.name == "kbest":
        return SelectPercentile(f_classif if is_classes else f_regression, percentile=100.0 * step.params["keep"])
    if step.name == "pca":
        return PCA(n_components=step.params["keep"], svd_solver="full", random_state=seed)
    if step.name == "important":
        kind = ExtraTreesClassifier if is_classes else ExtraTreesRegressor
        judge = kind(n_estimators=30, min_samples_leaf=3, max_features=0.4, random_state=seed)
        return SelectFromModel(judge, threshold=f"{step.params['medians']}*median")
    return None


def _with_post(pipeline: Pipeline, estimator: Any, rows: int | None) -> Any:
    name = pipeline.post.name
    if pipeline.task == "classification":
        if name in {"sigmoid", "isotonic"}:
            return CalibratedClassifierCV(estimator, method=name, cv=3, ensemble=False)
        if name == "threshold":
            return TunedThresholdClassifierCV(estimator, scoring=pipeline.post.params["scoring"], cv=3)
        return estimator
    if name == "log":
        return TransformedTargetRegressor(estimator, transformer=_log_target(), check_inverse=False)
    if name == "normal":
        count = max(2, min(300, (rows or 1000) // 2))
        return TransformedTargetRegressor(
            estimator,
            transformer=QuantileTransformer(n_quantiles=count, output_distribution="normal", random_state=0),
            check_inverse=False,
        )
    if pipeline.estimator.name in _TARGET_ON_ONE_SCALE:
        return TransformedTargetRegressor(estimator, transformer=StandardScaler(), check_inverse=False)
    return estimator


def _log_target() -> SklearnPipeline:
    return SklearnPipeline(
        [
            ("log", FunctionTransformer(np.log1p, np.expm1, check_inverse=False)),
            ("scale", StandardScaler()),
        ]
    )


def _estimator(pipeline: Pipeline, layout: MatrixLayout, seed: int, rows: int | None) -> Any:
    is_classes = pipeline.task == "classification"
    step = pipeline.estimator
    if pipeline.family == "boosting":
        categorical = layout.categorical if pipeline.encode.name == "native" else None
        return _boosting(step, is_classes, categorical, seed)
    if pipeline.family == "forest":
        return _forest(step, is_classes, seed)
    if pipeline.family == "kernel":
        return _kernel(step, is_classes, _width(pipeline, layout), seed)
    if step.name == "mlp":
        return _network(step, is_classes, seed)
    if step.name == "knn":
        kind = KNeighborsClassifier if is_classes else KNeighborsRegressor
        count = step.params["neighbours"] if rows is None else max(1, min(step.params["neighbours"], rows))
        return kind(count, weights=step.params["weights"], p=step.params["p"])
    return _linear(step, seed)


def _boosting(step: Step, is_classes: bool, categorical: list[int] | None, seed: int) -> Any:  # noqa: FBT001
    p = step.params
    if step.name == "lightgbm":
        if not is_available("lightgbm"):
            raise MissingExtraError("lightgbm", "automl")
        import lightgbm

        kind = lightgbm.LGBMClassifier if is_classes else lightgbm.LGBMRegressor
        return kind(
            n_estimators=p["trees"],
            learning_rate=p["learning_rate"],
            num_leaves=p["leaves"],
            min_child_samples=p["min_leaf"],
            reg_lambda=p["l2"],
            colsample_bytree=p["columns"],
            random_state=seed,
            n_jobs=1,
            deterministic=True,
            force_row_wise=True,
            verbose=-1,
        )
    kind = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    return kind(
        learning_rate=p["learning_rate"],
        max_iter=p["trees"],
        max_leaf_nodes=p["leaves"],
        min_samples_leaf=p["min_leaf"],
        l2_regularization=p["l2"],
        max_features=p["columns"],
        categorical_features=categorical,
        early_stopping=False,
        random_state=seed,
    )


def _forest(step: Step, is_classes: bool, seed: int) -> Any:  # noqa: FBT001
    p = step.params
    extra = {"criterion": p["criterion"]} if "criterion" in p else {}
    if step.name == "tree":
        single = DecisionTreeClassifier if is_classes else DecisionTreeRegressor
        return single(max_depth=p["depth"], min_samples_leaf=p["min_leaf"], random_state=seed)
    kinds: dict[tuple[str, bool], Any] = {
        ("forest", True): RandomForestClassifier,
        ("forest", False): RandomForestRegressor,
        ("extra", True): ExtraTreesClassifier,
        ("extra", False): ExtraTreesRegressor,
    }
    return kinds[step.name, is_classes](
        n_estimators=p["trees"], max_features=p["columns"], min_samples_leaf=p["min_leaf"], random_state=seed, **extra
    )


def _width(pipeline: Pipeline, layout: MatrixLayout) -> int:
    """Columns after encoding, about: distances grow with them, so that kernels are set relative to it."""
    if pipeline.encode.name == "onehot":
        limit = pipeline.encode.params["max_levels"]
        return max(1, layout.num_numeric + sum(min(levels, limit) for levels in layout.cardinalities))
    return max(1, layout.num_columns)


def _kernel(step: Step, is_classes: bool, width: int, seed: int) -> Any:  # noqa: FBT001
    p = step.params
    if step.name == "gp":
        kernel = RBF(p["length"] * math.sqrt(width), (1e-2, 1e4)) + WhiteKernel(p["noise"], (1e-6, 10.0))
        return GaussianProcessRegressor(kernel, random_state=seed)
    common = {"C": p["C"], "kernel": p["kernel"], "gamma": p["gamma"] / width, "coef0": p.get("coef0", 0.0)}
    if is_classes:
        return CalibratedClassifierCV(
            SVC(**common, cache_size=400, random_state=seed), method="sigmoid", cv=2, ensemble=False
        )
    return SVR(**common, epsilon=p["epsilon"], cache_size=400)


def _network(step: Step, is_classes: bool, seed: int) -> Any:  # noqa: FBT001
    p = step.params
    kind = MLPClassifier if is_classes else MLPRegressor
    return kind(
        hidden_layer_sizes=(p["width"],) * p["layers"],
        alpha=p["alpha"],
        learning_rate_init=p["learning_rate"],
        max_iter=p["epochs"],
        random_state=seed,
    )


def _linear(step: Step, seed: int) -> Any:
    p = step.params
    if step.name == "logistic":
        return LogisticRegression(C=p["C"], max_iter=300)
    if step.name == "lda":
        return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=p["shrinkage"])
    if step.name == "qda":
        return QuadraticDiscriminantAnalysis(reg_param=p["reg"])
    if step.name == "gnb":
        return GaussianNB(var_smoothing=p["smoothing"])
    if step.name == "ridge":
        return Ridge(alpha=p["alpha"])
    return ElasticNet(alpha=p["alpha"], l1_ratio=p["l1"], random_state=seed, max_iter=2000)

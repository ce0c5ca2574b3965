"""Makes the shipped recommender from public tables: Oboe's errors, OpenML's data qualities, descriptions.

``python -m gnnlib.heads.automl.train_recommender --meta FOLDER`` where FOLDER holds ``oboe`` and ``openml_qualities``.
Only derived numbers are written: normalised regrets, meta-features, and words with their directions; no table, no text.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.automl.decode import Recommender
from gnnlib.heads.automl.descriptions import TextEmbedding
from gnnlib.heads.automl.portfolio import SHIPPED
from gnnlib.heads.automl.portfolio_oboe import OboeTable, normalised_regret, read_oboe, translate
from gnnlib.heads.automl.recommend_data import MetaData, feature_row
from gnnlib.training import new_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.typing import FloatArray, IntArray, PathLike

__all__ = ["main", "merge_configurations", "read_features", "read_meta", "read_texts"]

_VERSION = re.compile(r"\s*\(\d+\)$")


def read_features(folder: PathLike, table: OboeTable) -> FloatArray:
    """Return the meta-features [D, F] of the data sets of Oboe's table from OpenML's qualities.

    Columns that would cost the fit of a model (landmarkers) are not among them.
    """
    import pandas as pd

    place = Path(folder)
    qualities = pd.read_csv(place / "openml_qualities" / "openml_qualities_2872.csv.gz").set_index("Id")
    qualities = qualities[~qualities.index.duplicated()].reindex(table.dataset_ids)
    sizes = pd.read_csv(place / "oboe" / "dataset_sizes.csv", header=None, index_col=0).reindex(table.dataset_ids)
    qualities["NumberOfInstances"] = qualities["NumberOfInstances"].fillna(sizes[1])
    qualities["NumberOfFeatures"] = qualities["NumberOfFeatures"].fillna(sizes[2] + 1)
    rows = qualities.select_dtypes("number").to_dict("records")
    return np.stack([feature_row({str(key): float(value) for key, value in row.items()}) for row in rows])


def read_texts(folder: PathLike, table: OboeTable) -> list[str]:
    """Return name and description of every data set of Oboe's table; many have only a name."""
    path = Path(folder) / "oboe" / "dataset_names_descriptions.json"
    if not path.is_file():
        raise InputError(f"{path} is missing")
    entries: dict[int, dict[str, Any]] = {entry["openml_id"]: entry for entry in json.loads(path.read_text())}
    texts = []
    for number in table.dataset_ids:
        entry = entries.get(int(number), {})
        name = _VERSION.sub("", entry.get("openml_name") or "").replace("-", " ").replace("_", " ")
        texts.append(f"{name}. {entry.get('description') or ''}")
    return texts


def read_meta(folder: PathLike, rows: IntArray | None = None) -> tuple[MetaData, OboeTable]:
    """Return everything known of Oboe's data sets, all 219 configurations kept apart.

    Parameters
    ----------
    folder : path-like
    rows : int array, optional
        Words are learnt from these data sets only; from all when absent.
    """
    table = read_oboe(Path(folder) / "oboe")
    texts = read_texts(folder, table)
    learn = range(len(texts)) if rows is None else rows
    embedding = TextEmbedding.fit([texts[row] for row in learn], size=16)
    meta = MetaData(
        tuple(_VERSION.sub("", name) for name in table.names),
        table.families,
        tuple(json.dumps(configuration, sort_keys=True) for configuration in table.configurations),
        normalised_regret(table.errors),
        read_features(folder, table),
        embedding.transform(texts),
        embedding,
        np.stack([table.errors.min(axis=1), table.errors.max(axis=1)], axis=1),
    )
    return meta, table


def merge_configurations(meta: MetaData, table: OboeTable) -> MetaData:
    """Return the same with columns in the pipeline language; configurations with one translation share their mean."""
    pipelines = [translate(configuration) for configuration in table.configurations]
    texts = sorted({str(pipeline) for pipeline in pipelines if pipeline is not None})
    columns = [[i for i, p in enumerate(pipelines) if p is not None and str(p) == text] for text in texts]
    errors = np.stack([table.errors[:, members].mean(axis=1) for members in columns], axis=1)
    bounds = np.stack([errors.min(axis=1), errors.max(axis=1)], axis=1)
    return replace(meta, pipelines=tuple(texts), regret=normalised_regret(errors), bounds=bounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module."""
    parser = argparse.ArgumentParser(description="Make the shipped recommender.")
    parser.add_argument("--meta", required=True, help="folder that holds oboe and openml_qualities")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(SHIPPED / "recommender-classification.npz"))
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    meta, table = read_meta(options.meta)
    merged = merge_configurations(meta, table)
    model = Recommender().fit(merged, seed=options.seed)
    out = Path(options.out)
    out.parent.mkdir(exist_ok=True)
    model.save(out)
    card = new_card(
        Path(out.name),
        purpose="recommends pipelines for a classification table from what worked on public data sets",
        command="python -m gnnlib.heads.automl.train_recommender --meta FOLDER",
        data=_DATA.format(sets=len(merged.names), pipelines=len(merged.pipelines)),
        seed=options.seed,
        seconds=time.perf_counter() - began,
        metrics={},
    )
    known = {key: value for key, value in card.to_dict().items() if value not in ("", None, {}, []) and key != "format"}
    out.with_suffix(".json").write_text(json.dumps(known, indent=2) + "\n")


_DATA = (
    "balanced error rates of {sets} OpenML data sets and {pipelines} pipelines from udellgroup/oboe (BSD-3), data qualities "
    "of OpenML (CC BY 4.0), words of the descriptions; derived numbers only. How good the advice is on families never seen "
    "is measured by benchmarks/bench_meta.py; the shipped file has learned from all of them"
)


if __name__ == "__main__":
    main()

"""Advice on the command line, descriptions by a sentence transformer, and odd tables and texts."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest

from gnnlib.cli import main
from gnnlib.errors import InputError, MissingExtraError
from gnnlib.heads.automl.decode import Recommender
from gnnlib.heads.automl.descriptions_transformers import SentenceEmbedding, load_transformer
from gnnlib.heads.automl.estimators import AutoRegressor
from gnnlib.heads.automl.experience import Experience, ExperienceStore
from gnnlib.heads.automl.metafeatures import compute_metafeatures
from gnnlib.heads.automl.pipelines import Pipeline
from gnnlib.heads.automl.portfolio import static_portfolio
from gnnlib.heads.automl.problem import AutoMLParams
from gnnlib.heads.automl.recommend import fit_meta, recommend_pipelines
from gnnlib.heads.automl.recommend_data import beyond_known
from gnnlib.stop import MaxTrials

SVM, TREES = (str(item) for item in static_portfolio("classification", size=2))
TOPICS = ("flower petal", "bank loan", "heart blood")


def table(rows=120, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns))
    return x, np.where(x[:, 0] + 0.3 * rng.standard_normal(rows) > 0, "yes", "no")


def filled(sets=12):
    """A store of tables of three topics; small ones like one pipeline, large ones the other."""
    store = ExperienceStore("sqlite://")
    for number in range(sets):
        x, y = table(rows=60 + 10 * number, seed=number)
        profile = {key: value for key, value in compute_metafeatures(x, y).items() if np.isfinite(value)}
        said = f"{TOPICS[number % 3]} measurements"
        store.add(
            Experience(
                f"set{number}",
                "classification",
                text,
                "balanced_accuracy",
                0.9 - 0.2 * (place == (number < sets // 2)),
                1.0,
                profile,
                said,
            )
            for place, text in enumerate((SVM, TREES))
        )
    return store


class FakeTransformer:
    """Counts letters, which is deterministic and tells the topics apart."""

    def __init__(self, model, *, local_files_only):
        assert local_files_only, "nothing may be downloaded"
        if model == "not-here":
            raise OSError("We couldn't connect to the hub\nand more lines")
        self.model = model

    def encode(self, texts, *, show_progress_bar):
        assert not show_progress_bar
        if self.model == "broken":
            return np.full((len(texts), 3), np.nan)
        letters = "abcdefghijklmnopqrstuvwxyz"
        return np.array([[text.count(letter) for letter in letters] for text in texts], dtype=np.float32)


@pytest.fixture
def transformer(monkeypatch):
    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeTransformer
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    load_transformer.cache_clear()
    yield
    load_transformer.cache_clear()


@pytest.fixture
def file(tmp_path):
    x, y = table()
    frame = pd.DataFrame(x, columns=list("abcd")).assign(answer=y)
    frame.loc[3, "answer"] = None
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path


def test_the_command_recommends_and_says_why(file, tmp_path, capsys):
    map_file = tmp_path / "map.png"
    words = ["automl", "recommend", str(file), "--target", "answer", "--describe", "noise", "-k", "3"]
    assert main([*words, "--plot", str(map_file)]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("1.", "3.", "nearest", "why"))
    assert map_file.stat().st_size > 1000
    assert main([*words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["task"] == "classification"
    assert len(facts["pipelines"]) == 3
    for entry in facts["pipelines"]:
        Pipeline.parse("classification", entry["pipeline"])


def test_the_command_reads_a_store_and_numbers(file, tmp_path, capsys):
    address = f"sqlite:///{tmp_path / 'own.db'}"
    with ExperienceStore(address) as store, filled() as source:
        store.add(source.experiences())
    assert main(["automl", "recommend", str(file), "--target", "answer", "--store", address, "--json", "-k", "1"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["neighbours"][0]["name"].startswith("set")
    assert main(["automl", "recommend", str(file), "--target", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "regression"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "gone"], "'gone' is not a column"),
        (["--target", "answer", "--task", "luck"], "must be classification or regression"),
        (["--target", "answer", "--plot", "map.docx"], "a picture ends in"),
        (["--target", "answer", "--store", "nonsense"], "address"),
    ],
)
def test_bad_requests_for_advice_end_with_one_line(file, capsys, words, message):
    assert main(["automl", "recommend", str(file), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("transformer")
def test_a_transformer_reads_descriptions_and_is_stored_by_name(tmp_path):
    with filled() as store:
        model = fit_meta(store, descriptions="sentence-transformers", text_model="folder/of/a/model")
    assert isinstance(model.meta.embedding, SentenceEmbedding)
    near = model.meta.embedding.transform(["flower petal", "bank loan", None, "  "])
    assert np.linalg.norm(near, axis=1) == pytest.approx([1.0, 1.0, 0.0, 0.0])
    same = near[:2] @ model.meta.texts.T
    assert same[0].argmax() % 3 == 0
    assert same[1].argmax() % 3 == 1
    model.save(tmp_path / "own.npz")
    again = Recommender.load(tmp_path / "own.npz")
    assert again.meta.embedding.model == "folder/of/a/model"
    x, y = table(rows=100, seed=99)
    said = [recommend_pipelines(x, y, k=1, experience=m, description="bank loan") for m in (model, again)]
    assert said[0].pipelines[0].pipeline == said[1].pipelines[0].pipeline


@pytest.mark.usefixtures("transformer")
def test_models_that_are_not_here_or_broken_are_named():
    with filled(sets=3) as store:
        with pytest.raises(InputError, match=r"no sentence transformer 'not-here'.*hub"):
            fit_meta(store, descriptions="sentence-transformers", text_model="not-here")
        with pytest.raises(InputError, match="finite vector"):
            fit_meta(store, descriptions="sentence-transformers", text_model="broken")
    with pytest.raises(InputError, match="says anything"):
        SentenceEmbedding.fit(["", None], "folder")


def test_the_extra_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    load_transformer.cache_clear()
    with filled(sets=3) as store, pytest.raises(MissingExtraError, match=r"gnnlib\[text\]"):
        fit_meta(store, descriptions="sentence-transformers", text_model="folder")


@pytest.mark.parametrize(
    "more",
    [{"descriptions": "letters"}, {"descriptions": "sentence-transformers"}, {"text_model": "folder"}],
)
def test_settings_of_descriptions_must_fit(more):
    with filled(sets=3) as store, pytest.raises(InputError, match="`descriptions`"):
        fit_meta(store, **more)


def test_a_table_identical_to_a_known_one_leans_on_it():
    with filled() as store:
        learnt = fit_meta(store)
    for number in (2, 7):
        advice = recommend_pipelines(*table(rows=60 + 10 * number, seed=number), k=1, experience=learnt)
        assert advice.novelty < 0.05
        top = max(neighbour.weight for neighbour in advice.neighbours)
        assert {n.name: n.weight for n in advice.neighbours}.get(f"set{number}", 0.0) == pytest.approx(top)


def test_a_table_beyond_all_known_ones_gets_the_static_portfolio():
    rng = np.random.default_rng(0)
    odd = rng.standard_cauchy((600, 60)) ** 9
    names = np.array([f"class {number % 50}" for number in range(600)])
    advice = recommend_pipelines(odd, names, k=3)
    assert advice.source == "portfolio"
    assert "unlike" in advice.reason
    assert advice.novelty > 5.0
    assert [entry.pipeline for entry in advice.pipelines] == [
        str(p) for p in static_portfolio("classification", size=3)
    ]
    usual = recommend_pipelines(*table(), k=3)
    assert usual.source == "experience"
    assert usual.novelty < 1.0


def test_beyond_counts_the_parts_of_the_known_range():
    known = np.array([[0.0, 1.0, 5.0], [np.expm1(2.0), 1.0, np.nan]])
    rows = np.array([[np.expm1(1.0), 1.0, np.nan], [np.expm1(3.0), 9.0, 5.0], [-np.expm1(1.0), np.nan, 5.0]])
    assert beyond_known(known, rows) == pytest.approx([0.0, 0.5, 0.5])


def test_a_description_in_another_language_or_of_noise_changes_little():
    x, y = table()
    silent = recommend_pipelines(x, y, k=5)
    for description in ("Messwerte von Blüten aus dem Garten", "ᚠᚢᚦ ☃ \x00 \ud83c", "\n\t "):
        advice = recommend_pipelines(x, y, k=5, description=description)
        assert len(advice.pipelines) == 5
        assert advice.novelty == pytest.approx(silent.novelty)


def test_a_fit_asks_a_recommender_of_ones_own():
    wanted = "median > ordinal > standard > elastic > none"
    rng = np.random.default_rng(0)
    with ExperienceStore("sqlite://") as store:
        for number in range(12):
            x = rng.standard_normal((60 + 5 * number, 4))
            profile = {k: v for k, v in compute_metafeatures(x, x[:, 0]).items() if np.isfinite(v)}
            store.add(
                Experience(f"set{number}", "regression", text, "rmse", score, 1.0, profile)
                for text, score in ((wanted, -0.1), ("median > ordinal > none > tree > none", -0.5))
            )
        own = fit_meta(store, task="regression")
    x = rng.standard_normal((80, 4))
    params = AutoMLParams(include=("elastic", "tree", "ridge"), num_folds=2, recommender=own)
    model = AutoRegressor(stop=MaxTrials(6), params=params).fit(x, x[:, 0])
    advised = [trial.pipeline for trial in model.result_.trials if trial.why == "data set graph"]
    assert advised[0] == wanted
    assert model.explain().neighbours[0][0].startswith("set")
    with pytest.raises(InputError, match="`recommender` must be what `fit_meta` returns"):
        AutoMLParams(recommender="mine")


def test_a_store_is_read_by_the_metric_that_it_holds():
    with ExperienceStore("sqlite://") as store:
        for number in range(3):
            x, y = np.random.default_rng(number).standard_normal((50, 3)), np.arange(50) % 2
            profile = {k: v for k, v in compute_metafeatures(x, y).items() if np.isfinite(v)}
            store.add(
                Experience(f"set{number}", "classification", text, metric, score, 1.0, profile)
                for text, score in ((SVM, -0.2), (TREES, -0.4))
                for metric in ("log_loss",) + (("accuracy",) if number == 0 else ())
            )
        assert len(fit_meta(store).meta) == 3, "as a search that optimises log loss leaves it"
        assert len(fit_meta(store, metric="accuracy").meta) == 1

"""Synthesis of pipelines: edits, rules, tree search with and without network, on tables of scores."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from gnnlib.encoder import Encoder, GraphModel
from gnnlib.encoder.initialise import seeded_parameters
from gnnlib.errors import InputError
from gnnlib.heads.automl.grammar import Grammar
from gnnlib.heads.automl.pipelines import Pipeline, Step
from gnnlib.heads.automl.synthesis import SynthesisParams, make_search, synthesise_pipelines, table_features
from gnnlib.heads.automl.synthesis_belief import Belief
from gnnlib.heads.automl.synthesis_graph import PIPELINE_SPEC, edit_design, pipeline_graph, sentence_features
from gnnlib.heads.automl.synthesis_head import SynthesisHead
from gnnlib.heads.automl.synthesis_language import DerivationSpace, Edit, PipelineLanguage
from gnnlib.heads.automl.table import MatrixLayout, TableProfile
from gnnlib.stop import MaxRuntime, MaxTrials

PROFILE = TableProfile("classification", 800, MatrixLayout(6, (4, 9)), num_classes=3, has_missing=True)
GRAMMAR = Grammar(PROFILE, include=("logistic", "knn", "extra", "hgb", "svm"))
LANGUAGE = PipelineLanguage.from_grammar(GRAMMAR, levels=3)
OFF = SynthesisParams(use_network=False)


def goodness(pipeline):
    """A score with a slope: extra trees, pca, and many neighbours are good."""
    points = {"extra": 0.5, "hgb": 0.4, "knn": 0.2}.get(pipeline.estimator.name, 0.1)
    return points + 0.2 * (pipeline.reduce.name == "kbest") + 0.2 * (pipeline.encode.name == "target")


def network(seed=0, tables=79):
    encoder = Encoder([PIPELINE_SPEC], width=16, depth=1, seed=seed)
    with seeded_parameters(seed):
        head = SynthesisHead(16, tables)
    return GraphModel(encoder, head)


def test_edits_insert_delete_and_substitute():
    plain = Pipeline("classification", Step("extra"))
    assert Edit("reduce", "pca").kind(plain) == "insert"
    assert Edit("reduce", "none").kind(plain.replace(reduce="pca")) == "delete"
    assert Edit("reduce", "kbest").kind(plain.replace(reduce="pca")) == "substitute"
    assert Edit("estimator", "knn").kind(None) == "insert"
    assert Edit("estimator", "extra", "trees", 30).kind(plain) == "substitute"


def test_with_the_grammar_every_place_is_a_valid_sentence():
    space = DerivationSpace(LANGUAGE)
    for place in range(60):
        for after in space.successors(place):
            pipeline = space.pipelines[after]
            assert after < 0 or (pipeline is not None and GRAMMAR.is_valid(pipeline))
    assert len(space.pipelines) > 200


def test_without_the_grammar_rules_are_broken():
    space = DerivationSpace(LANGUAGE, use_grammar=False)
    for place in range(20):
        space.successors(place)
    valid = [GRAMMAR.is_valid(pipeline) for pipeline in space.pipelines[1:]]
    assert 0 < sum(valid) < 0.8 * len(valid)


def test_an_edit_keeps_what_it_need_not_change():
    before = Pipeline("classification", Step("knn", {"neighbours": 3}), encode="onehot", scale="robust", reduce="pca")
    after = LANGUAGE.apply(before, Edit("estimator", "extra"))
    assert (after.encode.name, after.scale.name, after.reduce.name) == ("onehot", "none", "pca")
    assert LANGUAGE.apply(before, Edit("scale", "none")) is None, "neighbours need a scale"
    same = LANGUAGE.apply(before, Edit("estimator", "knn", "neighbours", 60))
    assert same.estimator.params == {**before.estimator.params, "neighbours": 60}
    assert LANGUAGE.apply(before, Edit("estimator", "knn", "neighbours", 3)) is None
    assert LANGUAGE.apply(before, Edit("estimator", "svm", "C", 1.0)) is None


def test_dependent_values_come_and_go_with_their_parent():
    before = Pipeline("classification", Step("svm"), scale="standard")
    poly = LANGUAGE.apply(before, Edit("estimator", "svm", "kernel", "poly"))
    assert "coef0" in poly.estimator.params
    assert LANGUAGE.apply(poly, Edit("estimator", "svm", "kernel", "rbf")) == before
    assert LANGUAGE.apply(before, Edit("estimator", "svm", "coef0", 1.0)) is None


def test_a_list_of_sentences_is_a_language():
    listed = [Pipeline("classification", Step("knn", {"neighbours": k}), scale="standard") for k in (1, 5, 20)]
    listed.append(Pipeline("classification", Step("extra"), encode="onehot"))
    language = PipelineLanguage.from_sentences(listed)
    space = DerivationSpace(language)
    for place in range(5):
        space.successors(place)
    assert set(space.pipelines[1:]) == set(listed)
    assert [language.is_valid(item) for item in (listed[0], listed[0].replace(scale="none"))] == [True, False]


@pytest.mark.parametrize("params", [OFF, SynthesisParams(network=network(), simulations=16)])
def test_each_pipeline_is_evaluated_once_and_the_stop_is_kept(params):
    seen = []

    def evaluate(pipeline):
        seen.append(pipeline)
        return goodness(pipeline)

    table = np.zeros(79)
    found = synthesise_pipelines(evaluate, LANGUAGE, table=table, params=params, stop=MaxTrials(25), seed=3)
    assert len(seen) == len(set(seen)) == len(found.trials) == 25
    assert all(GRAMMAR.is_valid(pipeline) for pipeline in seen)
    assert [trial.pipeline for trial in found.trials] == [str(pipeline) for pipeline in seen]
    assert found.score == max(map(goodness, seen)) == goodness(found.pipeline)
    assert (np.diff(found.trace) >= 0).all()
    again = synthesise_pipelines(goodness, LANGUAGE, table=table, params=params, stop=MaxTrials(25), seed=3)
    assert [trial.pipeline for trial in again.trials] == [trial.pipeline for trial in found.trials]
    assert not synthesise_pipelines(goodness, LANGUAGE, table=table, params=params, stop=MaxRuntime(0)).trials


def test_the_tree_search_beats_random_derivations():
    rng = np.random.default_rng(0)
    blind = np.mean([max(goodness(GRAMMAR.sample(rng)) for _ in range(90)) for _ in range(5)])
    led = synthesise_pipelines(goodness, LANGUAGE, stop=MaxTrials(90)).score
    assert led == pytest.approx(0.9)
    assert led > blind - 1e-9


def test_a_small_language_is_used_up():
    listed = [Pipeline("regression", Step("ridge", {"alpha": a}), scale="standard") for a in (0.1, 1.0, 10.0)]
    for params in (OFF, SynthesisParams(network=network())):
        found = synthesise_pipelines(
            lambda p: p.estimator.params["alpha"],
            PipelineLanguage.from_sentences(listed),
            table=np.zeros(79),
            params=params,
        )
        assert len(found.trials) == 3
        assert found.pipeline.estimator.params["alpha"] == 10.0


def test_asking_and_telling_is_the_same_search():
    found = synthesise_pipelines(goodness, LANGUAGE, params=OFF, stop=MaxTrials(12), seed=1)
    search = make_search(LANGUAGE, None, seed=1)
    for trial in found.trials:
        asked = search.ask()
        assert str(asked) == trial.pipeline
        search.tell(asked, goodness(asked))


def test_a_trained_value_leads_the_first_trial():
    """Weights are not learnt here: the value is replaced by the score itself."""
    model = network()
    search = make_search(LANGUAGE, np.zeros(79), params=SynthesisParams(network=model, simulations=200), seed=0)
    belief = search.belief

    def prepare(places):
        for place in places:
            pipeline = search.space.pipelines[place]
            belief._values[place] = 0.0 if pipeline is None else goodness(pipeline)
            belief._logits[place] = np.zeros(len(LANGUAGE.edits))

    belief.prepare = prepare
    assert goodness(search.ask()) >= 0.7


def test_results_sharpen_the_belief():
    space = DerivationSpace(LANGUAGE)
    belief = Belief(space, network(), np.zeros(79))
    near = [space.number(Pipeline("classification", Step("extra", {"trees": t}))) for t in (100, 120, 300)]
    other = space.number(Pipeline("classification", Step("logistic"), scale="standard"))
    before, spread = belief.predict([near[1], other])
    belief.learn({near[0]: 0.2, near[2]: 0.2, other: 0.9})
    after, less = belief.predict([near[1], other])
    assert after[1] - after[0] > before[1] - before[0] + 0.1
    assert less[0] < spread[0]
    assert belief.gains([other])[0] < 0.1 * belief._fitted[4]
    belief.learn({near[0]: -math.inf, other: 0.9})
    assert np.isfinite(belief.predict(near)[0]).all()


def test_failures_are_counted_and_do_not_end_the_search():
    for params in (OFF, SynthesisParams(network=network(), use_grammar=False, simulations=16)):
        answers = iter([math.nan, None, math.inf, *[0.5] * 20])
        found = synthesise_pipelines(
            lambda _p, answers=answers: next(answers), LANGUAGE, table=np.zeros(79), params=params, stop=MaxTrials(9)
        )
        assert found.num_failed == 3
        assert found.score == 0.5
    lost = synthesise_pipelines(lambda _p: math.nan, LANGUAGE, params=OFF, stop=MaxTrials(5))
    assert lost.pipeline is None
    assert lost.num_failed == 5


def test_a_start_is_tried_first():
    start = [Pipeline("classification", Step("svm"), scale="robust"), Pipeline("classification", Step("hgb"))]
    found = synthesise_pipelines(goodness, LANGUAGE, start=start, stop=MaxTrials(6))
    assert [trial.pipeline for trial in found.trials[:2]] == list(map(str, start))
    assert found.trials[0].derivation == ("given",)
    assert len({trial.pipeline for trial in found.trials}) == 6


def test_the_result_tells_and_draws_its_tree():
    found = synthesise_pipelines(goodness, LANGUAGE, stop=MaxTrials(20))
    assert found.nodes[0].kind == "start"
    assert all(0 <= node.parent < place for place, node in enumerate(found.nodes) if place)
    assert {trial.pipeline for trial in found.trials} <= {node.pipeline for node in found.nodes}
    assert found.nodes[0].visits >= max(node.visits for node in found.nodes[1:])
    json.dumps(found.to_dict())
    assert "derivation" in found.summary()
    axes = found.plot()
    assert len(axes.collections) >= 2


def test_the_derivation_of_a_trial_makes_it():
    found = synthesise_pipelines(goodness, LANGUAGE, stop=MaxTrials(15))
    edits = {str(edit): edit for edit in LANGUAGE.edits}
    for trial in found.trials:
        pipeline = None
        for text in trial.derivation:
            pipeline = LANGUAGE.apply(pipeline, edits[text])
        assert str(pipeline) == trial.pipeline


def test_the_graph_holds_the_pipeline_and_the_table():
    first = Pipeline("classification", Step("knn"), scale="standard")
    second = first.replace(estimator=Step("knn", {"neighbours": 60}))
    a, b = sentence_features(first), sentence_features(second)
    assert np.abs(a - b).sum() > 0
    graph = pipeline_graph(np.stack([a, b]), np.array([[0.5], [0.25]]))
    assert graph.x[[0, 7], 0].tolist() == [0.5, 0.25]
    assert int(graph.edge_index.max()) == 13
    model = network(tables=1).eval()
    both = model(graph).value
    alone = model(pipeline_graph(b[None], np.array([[0.25]]))).value
    torch.testing.assert_close(both[1:], alone)
    assert not torch.allclose(both[0], both[1])


def test_every_edit_of_a_piece_has_a_score_of_its_own():
    design = edit_design(LANGUAGE.edits, "classification")
    assert len(np.unique(design[[not edit.parameter for edit in LANGUAGE.edits]], axis=0)) == sum(
        not edit.parameter for edit in LANGUAGE.edits
    )
    for name in ("extra", "hgb", "svm"):
        own = design[[edit.piece == name for edit in LANGUAGE.edits]]
        assert len(np.unique(own, axis=0)) == len(own)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluate": 3}, "callable"),
        ({"evaluate": lambda _p: "good"}, "must return a number"),
        ({"language": "words"}, "PipelineLanguage"),
        ({"table": np.zeros(4), "params": SynthesisParams(network=network())}, "79 finite features"),
        ({"table": np.full(79, np.nan), "params": SynthesisParams(network=network())}, "79 finite features"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    arguments = {"evaluate": goodness, "language": LANGUAGE, **change}
    with pytest.raises(InputError, match=message):
        synthesise_pipelines(arguments.pop("evaluate"), arguments.pop("language"), stop=MaxTrials(2), **arguments)


@pytest.mark.parametrize("change", [{"simulations": 0}, {"depth": True}, {"exploration": 0.0}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(InputError, match="must be"):
        SynthesisParams(**change)


def test_languages_need_sentences_of_one_task():
    with pytest.raises(InputError, match="one task"):
        PipelineLanguage.from_sentences([])
    with pytest.raises(InputError, match="levels"):
        PipelineLanguage.from_grammar(GRAMMAR, levels=0)


def test_tables_of_an_unknown_task_have_no_features():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="nothing is known"):
        table_features(rng.standard_normal((50, 3)), rng.standard_normal(50), task="regression")

"""Saving and loading models: what was saved comes back, what is damaged is refused."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from gnnlib.encoder import Card, Encoder, GraphModel, Head, Output, list_weights, load, pretrained, read_card
from gnnlib.errors import InputError, WeightsError
from gnnlib.graphs.schema import GraphSpec
from gnnlib.testing import NodeValueHead, assert_save_load_identity, random_graph

SPEC = GraphSpec("toy", node_dim=2, edge_dim=1, edge_types=2)
OTHER = GraphSpec("other", node_dim=0, edge_dim=0)


def make_model(**settings) -> GraphModel:
    encoder = Encoder([SPEC, OTHER], **{"width": 16, "depth": 1, **settings})
    return GraphModel(encoder, NodeValueHead(SPEC, width=16), Card("mine", purpose="a test", metrics={"error": 0.5}))


@pytest.fixture
def saved(tmp_path):
    make_model().save(tmp_path / "mine")
    return tmp_path / "mine"


def edit_card(path, **changes):
    card_path = path.with_suffix(".json")
    content = json.loads(card_path.read_text())
    content.update(changes)
    card_path.write_text(json.dumps(content))


@pytest.mark.parametrize("sharing", ["hard", "adapters", "routed", "separate"])
def test_a_loaded_model_predicts_what_the_saved_one_did(sharing):
    assert_save_load_identity(make_model(sharing=sharing, mixer="attention", full_attention=True))


def test_double_precision_survives(tmp_path):
    model = make_model().double()
    model.save(tmp_path / "m")
    loaded = GraphModel.load(tmp_path / "m")
    graph = random_graph(SPEC, 5, 9, dtype=torch.float64)
    assert torch.equal(loaded(graph).value, model(graph).value)


def test_the_card_tells_what_is_needed_to_rebuild_the_model(saved):
    card = read_card(saved)
    assert (card.name, card.purpose, card.metrics) == ("mine", "a test", {"error": 0.5})
    assert card.encoder["width"] == 16
    assert [spec["name"] for spec in card.specs] == ["toy", "other"]
    assert card.head == "gnnlib.testing.toy:NodeValueHead"
    assert card.head_config["width"] == 16
    assert len(card.sha256) == 64


@pytest.mark.parametrize("suffix", ["", ".safetensors", ".json"])
def test_a_model_is_found_with_or_without_suffix(saved, suffix):
    path = f"{saved}{suffix}"
    assert load(path).card.name == "mine"
    assert read_card(path).name == "mine"


def test_names_with_dots_keep_them(tmp_path):
    make_model().save(tmp_path / "tsp-1.5")
    assert (tmp_path / "tsp-1.5.safetensors").exists()
    assert load(tmp_path / "tsp-1.5").card.name == "mine"


def test_loading_gives_a_model_in_evaluation_mode(saved):
    assert not load(saved).training


def test_saving_leaves_no_partial_files_and_overwrites(saved):
    make_model(seed=5).save(saved)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["mine.json", "mine.safetensors"]
    assert load(saved).card.sha256 == read_card(saved).sha256


def test_shipped_weights_are_listed_and_loaded_by_name(saved, monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS_DIR", saved.parent)
    assert list_weights() == ["mine"]
    assert load("mine").card.name == "mine"


def test_an_unknown_name_is_refused_with_the_known_ones(saved, monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS_DIR", saved.parent)
    with pytest.raises(WeightsError, match="no weights named 'yours' and no such file; shipped are: mine"):
        load("yours")


def test_a_flipped_bit_is_noticed(saved):
    path = saved.with_suffix(".safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="does not have the sha256 of its card"):
        load(saved)


def test_a_truncated_file_is_noticed_even_when_the_card_agrees(saved):
    import hashlib

    path = saved.with_suffix(".safetensors")
    path.write_bytes(path.read_bytes()[:100])
    edit_card(saved, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        load(saved)


@pytest.mark.parametrize("missing", [".json", ".safetensors"])
def test_a_missing_file_is_named(saved, missing):
    saved.with_suffix(missing).unlink()
    with pytest.raises(WeightsError, match=rf"cannot read .*mine\{missing}"):
        load(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read the card"),
        ("[]", "must be a JSON object"),
        ("{}", "must be a JSON object with `name`"),
        ('{"name": "m", "format": 99}', "has format 99; this gnnlib reads format 1"),
        ('{"name": "m", "format": 1, "colour": "red"}', "only these keys"),
    ],
)
def test_a_damaged_card_is_refused(saved, text, message):
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"width": -1}}, "does not describe an encoder"),
        ({"encoder": {"colour": "red"}}, "does not describe an encoder"),
        ({"specs": [{"name": "toy"}]}, "does not describe an encoder"),
        ({"encoder": {"width": 32, "depth": 1}}, "does not fit the encoder"),
        ({"head_config": {"width": 16}}, "does not describe a NodeValueHead"),
        ({"head": "gnnlib.no_such_module:Head"}, "names the head 'gnnlib.no_such_module:Head'"),
        ({"head": "gnnlib.testing.toy:NoSuchHead"}, "must name a subclass of Head"),
        ({"head": "gnnlib.encoder.cpu:tune_cpu"}, "must name a subclass of Head"),
        ({"head": "gnnlib.encoder.encoder:Encoder"}, "must name a subclass of Head"),
        ({"head": "gnnlib.encoder.cpu:ctypes.CDLL"}, "must name a subclass of Head"),
        ({"head": "os:system"}, "must name a subclass of Head"),
        ({"head": "turtle:Turtle"}, "import its module first or pass `head=`"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(saved, changes, message):
    edit_card(saved, **changes)
    with pytest.raises(WeightsError, match=message):
        load(saved)
    assert "turtle" not in sys.modules


def test_a_given_head_takes_the_place_of_the_named_one(saved):
    edit_card(saved, head="turtle:Turtle")
    head = NodeValueHead(SPEC, width=16)
    assert GraphModel.load(saved, head=head).head is head
    with pytest.raises(WeightsError, match="does not fit the head"):
        GraphModel.load(saved, head=NodeValueHead(SPEC, width=32))


def test_a_user_head_in_an_imported_module_is_found(tmp_path, monkeypatch):
    module = types.ModuleType("users_heads")
    monkeypatch.setitem(sys.modules, "users_heads", module)
    module.UserHead = type("UserHead", (NodeValueHead,), {"__module__": "users_heads", "__qualname__": "UserHead"})
    model = GraphModel(Encoder([SPEC], width=16, depth=1), module.UserHead(SPEC, 16))
    model.save(tmp_path / "m")
    assert isinstance(load(tmp_path / "m").head, module.UserHead)


@dataclass
class Nothing(Output):
    value: Tensor


class StrangeHead(Head):
    spec = SPEC

    def __init__(self, layer: nn.Module, *, sizes: tuple[int, ...] = (1,)) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, embedding, graph):
        return Nothing(embedding.node)

    def losses(self, output, graph):
        return {}


def test_a_head_whose_arguments_are_no_plain_values_says_so(tmp_path):
    model = GraphModel(Encoder([SPEC], width=16, depth=1), StrangeHead(nn.Linear(1, 1)))
    with pytest.raises(WeightsError, match="must hold plain JSON values"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_head_remembers_its_arguments_however_they_were_given():
    layer = nn.Identity()
    assert StrangeHead(layer, sizes=(1, 2)).config() == {"layer": layer, "sizes": (1, 2)}
    assert NodeValueHead(SPEC, 8).config() == NodeValueHead(width=8, spec=SPEC).config()


def test_heads_survive_copy_and_still_know_their_arguments():
    import copy

    assert copy.deepcopy(NodeValueHead(SPEC, 8)).config() == {"spec": SPEC, "width": 8}


def test_a_head_without_forward_cannot_be_built():
    class Half(Head):
        def losses(self, output, graph):
            return {}

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_a_model_needs_an_encoder_that_knows_the_spec_of_its_head():
    with pytest.raises(InputError, match="the encoder must know"):
        GraphModel(Encoder([OTHER], width=16, depth=1), NodeValueHead(SPEC, 16))
    changed = GraphSpec("toy", node_dim=3, edge_dim=1)
    with pytest.raises(InputError, match="node_dim=3"):
        GraphModel(Encoder([changed], width=16, depth=1), NodeValueHead(SPEC, 16))


def test_a_head_that_returns_a_bare_tensor_is_refused():
    class Bare(NodeValueHead):
        def forward(self, embedding, graph):
            return embedding.node

    model = GraphModel(Encoder([SPEC], width=16, depth=1), Bare(SPEC, 16))
    with pytest.raises(InputError, match=r"Bare.forward must return an Output, found Tensor"):
        model(random_graph(SPEC, 3, 3))


def test_nothing_is_ever_unpickled(saved):
    import pickle

    saved.with_suffix(".safetensors").write_bytes(pickle.dumps({"encoder.x": 1}))
    with pytest.raises(WeightsError):
        load(saved)

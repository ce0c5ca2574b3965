"""Bad input to the encoder is refused at the door with a message that says what is wrong."""

from __future__ import annotations

import pytest
import torch

from gnnlib.encoder import Encoder, EncoderConfig
from gnnlib.errors import InputError
from gnnlib.graphs.schema import GraphSpec
from gnnlib.testing import join_graphs, random_graph

SPEC = GraphSpec("toy", node_dim=2, edge_dim=3, node_types=2, edge_types=2)


def broken(**changes):
    graph = random_graph(SPEC, 5, 8)
    for name, value in changes.items():
        setattr(graph, name, value(getattr(graph, name)) if callable(value) else value)
    return graph


def put(tensor, place, value):
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


CASES = {
    "too many node features": ({"x": lambda x: torch.cat([x, x], 1)}, r"`x` of a 'toy' graph .*float32 \[N, 2\]"),
    "no node features": ({"x": None}, "`x`.*found NoneType"),
    "flat node features": ({"x": lambda x: x[:, 0]}, r"`x`.*found float32 \[5\]"),
    "double features": ({"x": lambda x: x.double()}, r"`x`.*float32.*found float64"),
    "integer features": ({"x": lambda x: x.long()}, "`x`.*found int64"),
    "NaN in a node": ({"x": lambda x: put(x, (3, 1), torch.nan)}, r"`x`.*finite, found nan at \[3, 1\]"),
    "infinity at an edge": (
        {"edge_attr": lambda e: put(e, (7, 0), -torch.inf)},
        r"`edge_attr`.*finite, found -inf at \[7, 0\]",
    ),
    "missing edge features": ({"edge_attr": None}, "`edge_attr`.*found NoneType"),
    "too few edge features": ({"edge_attr": lambda e: e[:-1]}, r"`edge_attr`.*\[8, 3\].*found float32 \[7, 3\]"),
    "edge to nowhere": (
        {"edge_index": lambda i: put(i, (1, 4), 5)},
        r"`edge_index` must lie in \[0, 5\), found 5 at \[1, 4\]",
    ),
    "negative node number": ({"edge_index": lambda i: put(i, (0, 0), -1)}, r"`edge_index`.*found -1 at \[0, 0\]"),
    "transposed edge index": (
        {"edge_index": lambda i: i.t()},
        r"`edge_index` must be int64 \[2, E\].*found int64 \[8, 2\]",
    ),
    "32-bit edge index": ({"edge_index": lambda i: i.int()}, "`edge_index`.*found int32"),
    "node type out of range": ({"node_type": lambda t: put(t, 0, 2)}, r"`node_type` must lie in \[0, 2\), found 2"),
    "edge types of wrong length": ({"edge_type": lambda t: t[:-1]}, r"`edge_type` must be int64 \[8\]"),
    "float types": ({"edge_type": lambda t: t.float()}, "`edge_type`.*found float32"),
    "falling batch": ({"batch": torch.tensor([0, 1, 1, 0, 1])}, "`batch` must not decrease, found 0 after 1 at 3"),
    "negative batch": ({"batch": torch.tensor([-1, 0, 0, 0, 0])}, r"`batch` must lie in \[0, 1\), found -1"),
    "short batch": ({"batch": torch.tensor([0, 0])}, r"`batch` must be int64 \[5\]"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_graph_that_does_not_fit_is_refused(case):
    changes, message = CASES[case]
    with pytest.raises(InputError, match=message):
        Encoder([SPEC], width=16, depth=1)(broken(**changes), "toy")


def test_batch_numbers_beyond_the_known_number_of_graphs_are_refused():
    graphs = join_graphs([random_graph(SPEC, 2, 2), random_graph(SPEC, 2, 2)])
    graphs.batch = torch.tensor([0, 0, 1, 2])
    with pytest.raises(InputError, match=r"`batch` must lie in \[0, 2\), found 2"):
        Encoder([SPEC], width=16, depth=1)(graphs, "toy")


def test_large_finite_features_whose_sum_overflows_are_accepted():
    encoder = Encoder([SPEC], width=16, depth=1)
    graph = broken(x=lambda x: torch.full_like(x, 3e38))
    encoder(graph, "toy")


def test_an_unknown_domain_is_refused_with_the_known_names():
    with pytest.raises(InputError, match=r"`spec` must be one of toy, found 'tsp'"):
        Encoder([SPEC], width=16, depth=1)(broken(), "tsp")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "`width`"),
        ({"width": 16.0}, "`width`"),
        ({"width": True}, "`width`"),
        ({"depth": 0}, "`depth`"),
        ({"width": 24}, "multiple of 8, found 12"),
        ({"edge_width": 12}, "multiple of 8, found 12"),
        ({"edge_width": -8}, "`edge_width`"),
        ({"mixer": "mean"}, "`mixer` must be one of gated, attention, found 'mean'"),
        ({"sharing": "some"}, "`sharing` must be one of hard, adapters, routed, separate"),
        ({"width": 24, "edge_width": 8, "full_attention": True}, "multiple of 16, found 24"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Encoder([SPEC], **settings)


def test_unknown_settings_are_a_type_error():
    with pytest.raises(TypeError, match="dept"):
        Encoder([SPEC], dept=3)


def test_specs_need_different_names():
    with pytest.raises(InputError, match=r"different names, found \['toy', 'toy'\]"):
        Encoder([SPEC, SPEC])
    with pytest.raises(InputError, match=r"different names, found \[\]"):
        Encoder([])
    with pytest.raises(InputError, match="has a spec named 'toy' already"):
        Encoder([SPEC], width=16, depth=1).add_spec(SPEC)


def test_unknown_presets_and_backends_are_refused():
    with pytest.raises(InputError, match="`size` must be one of small, base, found 'huge'"):
        Encoder.preset("huge", [SPEC])
    with pytest.raises(InputError, match="`backend` must be one of auto, sparse, dense, compiled, found 'fast'"):
        Encoder([SPEC], width=16, depth=1).backend = "fast"


def test_a_config_rebuilds_the_same_encoder():
    encoder = Encoder([SPEC], width=32, depth=1, mixer="attention", sharing="hard")
    again = Encoder([SPEC], **EncoderConfig(**encoder.config.to_dict()).to_dict())
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), again.parameters(), strict=True))

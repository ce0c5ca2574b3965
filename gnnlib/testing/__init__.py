"""Public contract checks that any encoder or head can be put through, and the small random graphs they use.

They need no test framework: a broken contract raises `AssertionError` with a message that says by how much.
"""

from gnnlib.testing.encoders import (
    assert_batch_equals_loop,
    assert_close,
    assert_devices_agree,
    assert_dtypes,
    assert_edge_information_reaches_nodes,
    assert_handles_empty_edge_sets,
    assert_handles_isolated_nodes,
    assert_permutation_equivariant,
    check_encoder,
)
from gnnlib.testing.graphs import BatchedGraphs, join_graphs, permute_graph, random_graph, random_knn_graph
from gnnlib.testing.heads import (
    assert_losses_train,
    assert_output_equivariant,
    assert_save_load_identity,
    check_head,
    output_tensors,
)
from gnnlib.testing.toy import NodeValueHead, NodeValues

__all__ = [
    "BatchedGraphs",
    "NodeValueHead",
    "NodeValues",
    "assert_batch_equals_loop",
    "assert_close",
    "assert_devices_agree",
    "assert_dtypes",
    "assert_edge_information_reaches_nodes",
    "assert_handles_empty_edge_sets",
    "assert_handles_isolated_nodes",
    "assert_losses_train",
    "assert_output_equivariant",
    "assert_permutation_equivariant",
    "assert_save_load_identity",
    "check_encoder",
    "check_head",
    "join_graphs",
    "output_tensors",
    "permute_graph",
    "random_graph",
    "random_knn_graph",
]

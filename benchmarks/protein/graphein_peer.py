"""Time Graphein on the same files; run it in an environment of its own, because it pins numpy < 2.

    python3.11 -m venv graphein-env && graphein-env/bin/pip install graphein==1.7.8
    graphein-env/bin/python benchmarks/protein/graphein_peer.py ../shared/data/protein/raw > graphein.json

Prints one JSON object a file: CPU milliseconds of the k-NN (16) and radius (10 A) residue graph, and its nodes. It
imports nothing of gnnlib.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path


def main() -> None:
    from graphein.protein.config import ProteinGraphConfig
    from graphein.protein.edges.distance import add_distance_threshold, add_k_nn_edges
    from graphein.protein.graphs import construct_graph

    edges = [
        partial(add_k_nn_edges, k=16, long_interaction_threshold=0),
        partial(add_distance_threshold, long_interaction_threshold=0, threshold=10.0),
    ]
    config = ProteinGraphConfig(edge_construction_functions=edges)
    for packed in sorted(Path(sys.argv[1]).glob("*/*.gz")):
        if not packed.name.endswith((".pdb.gz", ".cif.gz")):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, packed.name.removesuffix(".gz"))
            path.write_bytes(gzip.decompress(packed.read_bytes()))
            begin = time.process_time()
            try:
                nodes = construct_graph(config=config, path=str(path), verbose=False).number_of_nodes()
            except Exception as error:
                print(json.dumps({"file": packed.name, "error": repr(error)[:120]}), flush=True)
                continue
            spent = 1e3 * (time.process_time() - begin)
            print(json.dumps({"file": packed.name, "nodes": nodes, "ms": round(spent, 1)}), flush=True)


if __name__ == "__main__":
    main()

"""Spanning trees, shortest paths and labels: learned against exact, and what each costs.

.. code-block:: text

    python benchmarks/bench_graphs.py [--only trees,growth,search,forms,paths,labels]

Road networks are those of the folder ``combinatorial/graphs/tntp`` of ``GNNLIB_DATA``; without it their rows are left out.
Everything runs on one thread; peers (scipy, networkx) run in the same process.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import record
import torch

from gnnlib.encoder import GraphModel, load
from gnnlib.graphs import from_arrays, knn_graph
from gnnlib.graphs.labels import LABELS, algorithmic_labels
from gnnlib.heads.combinatorial.games.line_policy import NodePolicy, line_graph_of
from gnnlib.heads.combinatorial.games.random_graphs import FAMILIES, random_graph
from gnnlib.heads.combinatorial.graph_io import read_tntp
from gnnlib.heads.combinatorial.kernels.landmarks import as_single_precision, as_sixteen_bits
from gnnlib.heads.combinatorial.mst.api import spanning_tree
from gnnlib.heads.combinatorial.mst.baselines import exact_tree
from gnnlib.heads.combinatorial.mst.decode import TreeSearch, load_policy, score_edges
from gnnlib.heads.combinatorial.mst.graph import edge_graph
from gnnlib.heads.combinatorial.mst.train import run as train_policy
from gnnlib.heads.combinatorial.paths.baselines import Tables, all_distances, find_path, find_path_both_ways
from gnnlib.heads.combinatorial.paths.bounds import landmark_tables, single_source_bounds
from gnnlib.heads.combinatorial.paths.decode import ROUNDS, load_guide, prepare_paths
from gnnlib.heads.combinatorial.paths.placing import place_landmarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.heads.combinatorial.paths.decode import PathIndex
    from gnnlib.heads.combinatorial.weighted_graph import WeightedGraph

DATA = Path(os.environ.get("GNNLIB_DATA", Path(__file__).parents[2] / "shared" / "data")) / "combinatorial" / "graphs"
PACKAGES = ("torch", "scipy", "networkx", "numba")
Row = dict[str, Any]


def roads() -> list[WeightedGraph]:
    return [read_tntp(path) for path in sorted((DATA / "tntp").glob("*_net.tntp"))]


def timed(call: Callable[[], Any], repeats: int = 3) -> tuple[Any, float]:
    """Return the answer and the least wall-clock time."""
    best = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        answer = call()
        best = min(best, time.perf_counter() - started)
    return answer, best


def tree_row(name: str, graphs: list[WeightedGraph], *, peers: bool) -> Row:
    results = [timed(lambda g=g: spanning_tree(g, method="learned"), 1)[0] for g in graphs]
    ratios = np.array([result.weight / result.exact_weight if result.exact_weight else 1.0 for result in results])
    exact = [timed(lambda g=g: exact_tree(g), 1)[1] for g in graphs]
    row: Row = {
        "graphs": f"{name} ({len(graphs)})",
        "edges": int(np.mean([graph.num_edges for graph in graphs])),
        "mean_ratio": f"{ratios.mean():.7f}",
        "worst_ratio": f"{ratios.max():.7f}",
        "exact_trees": f"{100 * np.mean(ratios < 1 + 1e-9):.0f} %",
        "learned_s": float(np.mean([result.seconds for result in results])),
        "scipy_s": float(np.mean(exact)),
        "networkx_s": None,
    }
    if peers:
        networks = [graph.to_networkx() for graph in graphs]
        row["networkx_s"] = float(np.mean([timed(lambda n=n: nx.minimum_spanning_tree(n), 1)[1] for n in networks]))
    return row


def bench_trees() -> dict[str, Any]:
    spanning_tree(random_graph("grid", 30), method="learned")
    rows = [
        tree_row(f"{family}, n = 100", [random_graph(family, 100, seed=9000 + i) for i in range(40)], peers=True)
        for family in FAMILIES
    ]
    for size in (10_000, 100_000):
        for family in FAMILIES:
            nodes = int(size / {"erdos_renyi": 4, "geometric": 3.54}.get(family, 2))
            rows.append(
                tree_row(f"{family}, {size:,} edges", [random_graph(family, nodes, seed=77)], peers=size < 50_000)
            )
    rows += [tree_row(f"road: {graph.name}", [graph.to_undirected()], peers=True) for graph in roads()]
    notes = [
        "The policy saw random graphs of 20 to 100 nodes and rewards, never a minimum spanning tree. Every answer is a "
        "spanning forest (checked when the result is made). Exact algorithms are far faster: learning is on trial here.",
        "Directions of the road networks are forgotten, of two directions the shorter counts.",
    ]
    return {"set": "random graphs of five families, road networks by length", "rows": rows, "notes": notes}


def bench_growth() -> dict[str, Any]:
    rows: list[Row] = []
    times: dict[str, list[tuple[int, float]]] = {}
    for family in ("grid",):
        for size in (1_000, 10_000, 100_000, 1_000_000):
            graph = random_graph(family, int(size / (2 if family == "grid" else 3.54)), seed=5)
            spanning_tree(random_graph("grid", 30), method="learned")
            started = time.process_time()
            result = spanning_tree(graph, method="learned", compare=False)
            seconds = time.process_time() - started
            exact = float(graph.weights[exact_tree(graph)].sum())
            times.setdefault(family, []).append((graph.num_edges, seconds))
            ratio = f"{result.weight / exact:.7f}"
            rows.append({"graph": family, "edges": graph.num_edges, "CPU_s": seconds, "ratio": ratio})
    for family, points in times.items():
        edges, seconds = np.log(np.array(points)).T
        slope = float(np.polyfit(edges, seconds, 1)[0])
        rows.append({"graph": family, "slope_of_log_time_over_log_edges": slope})
    return {
        "rows": rows,
        "notes": "From the arrays of the graph to the checked spanning tree, CPU seconds of one thread.",
    }


def bench_search() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        train_policy("tiny", Path(folder) / "weak")
        weak = load(str(Path(folder) / "weak"))
    rows = []
    for name, model, count in (("trained for seconds", weak, 5), ("shipped policy", load_policy(), 5)):
        graphs = [random_graph(FAMILIES[i % 5], 100, seed=500 + i) for i in range(count)]
        for value in ("playout", "value head"):
            budgets = (0, 16, 64, 256) if value == "playout" else (16,)
            rows += [search_row(name, model, graphs, simulations, value) for simulations in budgets]
    notes = [
        "Ratio to exact of the lightest tree met, mean over the graphs; with 0 simulations it is the greedy policy. "
        "Playout: the policy finishes the tree, and the lightest finished tree is kept, so the answer is never worse than "
        "greedy. Value head: moves are played by the search on the trained value, without keeping any other tree.",
    ]
    return {"set": "random graphs of 100 nodes, one of each family", "rows": rows, "notes": notes}


def search_row(name: str, model: GraphModel, graphs: list[WeightedGraph], simulations: int, value: str) -> Row:
    ratios, started = [], time.perf_counter()
    for graph in graphs:
        scores = score_edges(graph, model=model)
        game = TreeSearch(scores, graph.num_nodes, simulations)
        if value == "value head":
            game.value = game.head_value
        edges = game.play()
        edges = game.played if value == "value head" else edges
        ratios.append(graph.weights[scores.edges[edges]].sum() / graph.weights[exact_tree(graph)].sum())
    return {
        "policy": name,
        "value": value,
        "simulations": simulations,
        "mean_ratio": f"{np.mean(ratios):.6f}",
        "exact_trees": f"{100 * np.mean(np.array(ratios) < 1 + 1e-9):.0f} %",
        "seconds_a_graph": (time.perf_counter() - started) / len(graphs),
    }


def bench_forms() -> dict[str, Any]:
    rows = []
    policy = NodePolicy(16, depth=1).eval()
    for family in ("grid", "geometric", "barabasi_albert"):
        for size in (1_000, 10_000, 100_000, 1_000_000):
            graph = random_graph(family, int(size / (3.54 if family == "geometric" else 2)), seed=3)
            built, _ = edge_graph(graph)
            ends = built.part("ends")
            states = torch.randn(ends.shape[1], 16)
            row: Row = {"graph": family, "edges": ends.shape[1], "line_graph_edges": None, "line_graph_s": None}
            degree = torch.bincount(ends.flatten())
            meetings = int((degree * (degree - 1)).sum())
            with torch.inference_mode():
                if meetings < 8_000_000:
                    line, build_s = timed(lambda e=ends, g=graph: line_graph_of(e, g.num_nodes), 1)
                    literal, pass_s = timed(lambda s=states, x=line: policy(s, x), 1)
                    row["line_graph_s"] = build_s + pass_s
                direct, seconds = timed(lambda s=states, e=ends, g=graph: policy.on_edges(s, e, g.num_nodes), 2)
            row["line_graph_edges"] = meetings
            row["edge_state_s"] = seconds
            row["largest_difference"] = f"{float((literal - direct).abs().max()):.1e}" if row["line_graph_s"] else None
            rows.append(row)
    return {"rows": rows, "notes": "One layer of width 16. Line graphs of more than 8 million edges were not built."}


def path_rows(graph: WeightedGraph, index: PathIndex, queries: int) -> list[Row]:
    rng = np.random.default_rng(11)
    pairs: list[tuple[int, ...]] = []
    while len(pairs) < queries:
        pair = tuple(rng.choice(graph.num_nodes, 2, replace=False).tolist())
        if len(find_path(graph, *pair).nodes):  # without a path there is nothing to be found early
            pairs.append(pair)
    alt, far = (place_landmarks(graph, count, placement="farthest") for count in (16, 32))
    same, twice = (place_landmarks(graph, count, model=load_guide()) for count in (16, 32))
    classical = Tables(*as_single_precision(*landmark_tables(graph, alt)), np.arange(16))
    rounded = Tables(*as_sixteen_bits(*landmark_tables(graph, far)), np.arange(32))
    learned = Tables(*as_single_precision(*landmark_tables(graph, same)), np.arange(16))
    ours = Tables(*as_sixteen_bits(*landmark_tables(graph, twice)), np.arange(32))
    methods: dict[str, Callable[[int, int], Any]] = {
        "Dijkstra": lambda s, t: find_path(graph, s, t),
        "bidirectional Dijkstra": lambda s, t: find_path_both_ways(graph, s, t),
        "ALT, 16 landmarks, farthest": lambda s, t: find_path(graph, s, t, tables=classical),
        "ALT, 16 landmarks, farthest, both ways": lambda s, t: find_path_both_ways(graph, s, t, tables=classical),
        "A*, 16 landmarks, network": lambda s, t: find_path(graph, s, t, tables=learned),
        "A*, 32 landmarks in 16 bits, farthest": lambda s, t: find_path(graph, s, t, tables=rounded),
        "A*, 32 landmarks in 16 bits, network": lambda s, t: find_path(graph, s, t, tables=ours),
        _as_shipped(index): lambda s, t: (find_path_both_ways if index.both_ways else find_path)(
            graph, s, t, tables=index.tables
        ),
        "along predicted distances": lambda s, t: index.learned_path(graph.name_of(s), graph.name_of(t)),
    }
    rows: list[Row] = []
    truth: list[float] = []
    base: dict[str, float] = {}
    for name, find in methods.items():
        find(*pairs[0])
        started = time.perf_counter()
        found = [find(*pair) for pair in pairs]
        milliseconds = 1e3 * (time.perf_counter() - started) / len(pairs)
        truth = truth or [answer.length for answer in found]
        expanded = float(np.mean([answer.expanded for answer in found]))
        base[name] = expanded
        lengths = np.array([answer.length for answer in found])
        exact = np.isclose(lengths, truth, rtol=1e-9) | (np.isinf(lengths) & np.isinf(truth))
        rows.append(
            {
                "network": f"{graph.name} ({graph.num_nodes:,})",
                "search": name,
                "expanded": expanded,
                "of_Dijkstra": f"{100 * expanded / base['Dijkstra']:.1f} %",
                "of_ALT": f"{100 * expanded / base.get('ALT, 16 landmarks, farthest', np.nan):.0f} %"
                if "ALT, 16 landmarks, farthest" in base
                else None,
                "exact_paths": f"{100 * exact.mean():.1f} %",
                "ms": milliseconds,
            }
        )
    return rows


def _as_shipped(index: PathIndex) -> str:
    return f"A*, as shipped ({len(index.landmarks)} landmarks, {'both ways' if index.both_ways else 'one way'})"


def error_row(graph: WeightedGraph, index: PathIndex) -> Row:
    rng = np.random.default_rng(12)
    plain = replace(index, head=load_guide().head)
    # sources that are neither landmarks nor probes: nothing was computed from them
    free = np.setdiff1d(np.arange(graph.num_nodes), index.known.nodes)
    sources = rng.choice(free, min(20, len(free)), replace=False).tolist() if len(free) else []
    errors: dict[str, list[float]] = {"learned": [], "not adapted": [], "lower": [], "upper": []}
    predict_s, exact_s = [], []
    for source in sources:
        (truth, _), seconds = timed(lambda s=source: all_distances(graph, s), 1)
        exact_s.append(seconds)
        predicted, seconds = timed(lambda s=source: index.predict(s), 1)
        predict_s.append(seconds)
        _, low, high = single_source_bounds(graph, source, (index.known.to, index.known.back), ROUNDS)
        answers = {"learned": predicted, "not adapted": plain.predict(source), "lower": low, "upper": high}
        usable = np.isfinite(truth) & (truth > 0)
        if usable.any():
            for name, answer in answers.items():
                errors[name].append(float((np.abs(answer[usable] - truth[usable]) / truth[usable]).mean()))
    shown = {name: f"{100 * np.mean(values):.2f} %" if values else None for name, values in errors.items()}
    return {
        "network": f"{graph.name} ({graph.num_nodes:,})",
        "mean_relative_error": shown["learned"],
        "without_adapting": shown["not adapted"],
        "lower_bound": shown["lower"],
        "upper_bound": shown["upper"],
        "predict_ms": 1e3 * float(np.mean(predict_s)) if predict_s else None,
        "exact_ms": 1e3 * float(np.mean(exact_s)) if exact_s else None,
        "prepare_s": index.seconds,
    }


def bench_paths() -> dict[str, Any]:
    rows: list[Row] = []
    errors: list[Row] = []
    for graph in roads():
        if graph.num_nodes > 100:
            index = prepare_paths(graph)
            rows += path_rows(graph, index, 100)
            errors.append(error_row(graph, index))
            print(f"{graph.name} done", flush=True)
    notes = [
        "Random pairs of nodes that a path joins, directed networks, weight = length. Expanded nodes are counted to the one at which the "
        "search ends. Tables of 32 landmarks rounded to 16 bits take the memory of 16 in single precision; "
        "as shipped, networks below 1024 nodes get more landmarks, until the tables fill 128 KiB, and each "
        "network is searched from one end or from both, whichever expanded fewer nodes between 32 other random pairs.",
        "The gain over ALT comes mostly from the rounding, which buys twice the landmarks; the rows of equal number show "
        "what the placement by the network adds or loses against the farthest rule.",
        f"Distances: error of predictions for all nodes from sources of which nothing was computed; {ROUNDS} layers of "
        "message passing tighten the upper bounds; the last layers adapt to the network by 24 probes. Exact: scipy.",
    ]
    return {"set": "road networks of the TNTP collection", "rows": [*rows, *errors], "notes": notes}


def bench_labels() -> dict[str, Any]:
    points = np.random.default_rng(0).random((17_000, 2))
    edges = knn_graph(points, 5, symmetric=True)
    graph = from_arrays(edges, edge_attr=np.linalg.norm(points[edges[0]] - points[edges[1]], axis=1), num_nodes=17_000)
    small = from_arrays([[0], [1]], edge_attr=[1.0], num_nodes=3)
    algorithmic_labels(small)
    rows = []
    for name in LABELS:
        _, seconds = timed(lambda n=name: algorithmic_labels(graph, names=[n], points=points), 1)
        rows.append({"label": name.replace("_", " "), "edges": graph.num_edges, "seconds": seconds})
    _, total = timed(lambda: algorithmic_labels(graph, points=points), 1)
    rows.append({"label": "all of them", "edges": graph.num_edges, "seconds": total})
    return {"rows": rows, "notes": "Neighbour graph of 17,000 points; betweenness from 128 pivots, all else exact."}


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "trees": bench_trees,
    "growth": bench_growth,
    "search": bench_search,
    "forms": bench_forms,
    "paths": bench_paths,
    "labels": bench_labels,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(SECTIONS))
    wanted = parser.parse_args().only.split(",")
    torch.set_num_threads(1)
    for name in wanted:
        started = time.perf_counter()
        cpu = time.process_time()
        payload = SECTIONS[name]()
        share = (time.process_time() - cpu) / (time.perf_counter() - started)
        if share < 0.9:
            notes = payload.get("notes", [])
            busy = (
                f"Timed on a core shared with other work, of which this process had {100 * share:.0f} %: all times are too "
                "long, for ours and the peers' alike."
            )
            payload["notes"] = [*([notes] if isinstance(notes, str) else notes), busy]
        path = record.write(f"graphs_{name}", {**record.environment(*PACKAGES), **payload})
        print(f"wrote {path.name} after {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()

"""Two processes on half batches against one on whole batches; they talk by gloo over the loopback only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap

import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.training import load_checkpoint
from gnnlib.training.distributed import World, process_group, split_batch

WORKER = textwrap.dedent(
    """
    import json, sys
    import torch
    from torch import nn
    from torch_geometric.data import Data
    from gnnlib.stop import MaxIterations
    from gnnlib.training import FitConfig, ReinforceConfig, Rollouts, fit, process_group, reinforce

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
                self.adapter_of_another_domain = nn.Linear(3, 3).double()

        def forward(self, graph):
            node = self.net(graph.x).squeeze(-1)
            return torch.zeros(graph.num_graphs, dtype=node.dtype).index_add(0, graph.batch, node)

        def losses(self, output, graph):
            return {"square": (output - graph.y).square().mean()}

    def sample(model, batch, generator):
        mean = model(batch)
        shift = torch.tensor([0.5, -0.25, 1.0], dtype=mean.dtype)
        taken = (mean[:, None] + shift).detach()
        return Rollouts(-(taken - mean[:, None]).square() / 2, -(taken - batch.y[:, None]).square())

    def make_graphs():
        generator = torch.Generator().manual_seed(2)
        for index in range(13):
            x = torch.randn(2 + index % 3, 3, generator=generator, dtype=torch.float64)
            yield Data(x=x, y=x.sum().reshape(1), edge_index=torch.zeros(2, 0, dtype=torch.long))

    def plain(result):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]

    def main(folder, batch_size):
        graphs = list(make_graphs())
        with process_group(timeout_s=60) as world:
            config = FitConfig(epochs=3, batch_size=batch_size, learning_rate=0.05, ema_decay=0.8, clip_norm=0.5)
            model, policy = Model(), Model()
            files = dict(checkpoint=folder + "/run.ckpt", log=folder + "/log.csv")
            fit(model, graphs, val=graphs[:7], config=config, stop=MaxIterations(5), **files)
            result = fit(model, graphs, val=graphs[:7], config=config, resume=True, **files)
            config = ReinforceConfig(epochs=2, batch_size=batch_size, learning_rate=0.05)
            learned = reinforce(policy, graphs, sample, config=config)
            flat = [torch.cat([p.detach().flatten() for p in m.parameters()]).tolist() for m in (model, policy)]
            agreed = world.sum(flat[0] + flat[1])
            equal = all(abs(a - world.size * b) < 1e-12 for a, b in zip(agreed, flat[0] + flat[1]))
            report = {"size": world.size, "fit": plain(result), "reinforce": plain(learned), "weights": flat}
            with open(f"{folder}/{world.rank}.json", "w") as file:
                json.dump(report | {"equal": equal, "steps": result.steps}, file)
    """
)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_pair(folder):
    """Start two workers as torchrun would, and leave none behind."""
    common = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common |= {"GLOO_SOCKET_IFNAME": "lo", "WORLD_SIZE": "2"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WORKER + "main(sys.argv[1], 3)", str(folder)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [worker.communicate(timeout=150)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(text[-2000:] for text in errors)


def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    namespace = {}
    exec(WORKER, namespace)
    namespace["main"](str(tmp_path / "one"), 6)
    run_pair(tmp_path / "two")
    alone, *pair = (json.loads((tmp_path / name).read_text()) for name in ("one/0.json", "two/0.json", "two/1.json"))
    assert [report["size"] for report in pair] == [2, 2]
    for report in pair:
        assert report["equal"]
        assert report["steps"] == alone["steps"] == 9  # 13 graphs: 6, 6 and 1 an epoch, the last without a second share
        for kind in ("fit", "reinforce"):
            assert len(report[kind]) == len(alone[kind])
            for ours, theirs in zip(report[kind], alone[kind], strict=True):
                assert ours == pytest.approx(theirs, rel=1e-9)
        for ours, theirs in zip(report["weights"], alone["weights"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert alone["weights"][0] != alone["weights"][1]
    one, two = (load_checkpoint(tmp_path / name / "run.ckpt") for name in ("one", "two"))
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.allclose(value, two.tensors[name]) for name, value in one.tensors.items())
    logs = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("one", "two")]
    assert len(logs[0]) == len(logs[1]) == 4


def test_shares_cover_a_batch_without_overlap():
    for length in range(1, 12):
        for size in range(1, 5):
            shares = [split_batch(range(length), World(rank, size)) for rank in range(size)]
            counted = [index for indices, weight in shares if weight for index in indices]
            assert counted == list(range(length))
            assert sum(weight for _, weight in shares) == length
            assert all(indices for indices, _ in shares)
            sizes = [weight for _, weight in shares]
            assert max(sizes) - min(sizes) <= 1


def test_one_process_needs_no_group(monkeypatch):
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    with process_group() as world:
        assert (world.rank, world.size, world.device) == (0, 1, torch.device("cpu"))
        assert world.any(True)
        assert not world.any(False)
        assert world.from_main(2**40) == 2**40
        assert not torch.distributed.is_initialized()


def test_half_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"RANK, MASTER_ADDR, MASTER_PORT is not; start the script with torchrun"):
        process_group().__enter__()

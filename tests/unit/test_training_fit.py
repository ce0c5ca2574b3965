"""`fit` on stand-in models: what it does with data, settings, budgets and faults."""

from __future__ import annotations

import csv
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from gnnlib.errors import DivergenceError, InputError, WeightsError
from gnnlib.graphs.schema import GraphTensors
from gnnlib.stop import AnyOf, MaxIterations, MaxRuntime, NoImprovement
from gnnlib.training import FitConfig, FitResult, fit, load_checkpoint


class Regressor(nn.Module):
    """Two layers with dropout and a batch statistic; `y` and its absolute value as two losses."""

    def __init__(self, dropout=0.2):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net = nn.Sequential(
                nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1)
            )

    def forward(self, graph):
        return self.net(graph["x"]).squeeze(-1)

    def losses(self, output, graph):
        error = output - graph["y"]
        return {"square": error.square().mean(), "absolute": error.abs().mean()}


class WithMetric(Regressor):
    def metrics(self, output, graph):
        assert not self.training
        return {"hits": ((output - graph["y"]).abs() < 0.5).float().mean(), "constant": 2.5}


def batches(epoch, count=6, size=8):
    generator = torch.Generator().manual_seed(100 + epoch)
    for _ in range(count):
        x = torch.randn(size, 2, generator=generator)
        yield {"x": x, "y": x[:, 0] - 2 * x[:, 1]}


FIXED = list(batches(0))
VAL = list(batches(-1, count=3))


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


CONFIG = FitConfig(epochs=4, learning_rate=0.02, steps_per_epoch=6, warmup_steps=3, ema_decay=0.9)


def test_training_lowers_the_losses_and_reports_them():
    model = WithMetric(dropout=0.0)
    result = fit(model, FIXED, val=VAL, config=FitConfig(epochs=40, learning_rate=0.03))
    assert isinstance(result, FitResult)
    assert [row["epoch"] for row in result.history] == list(range(1, 41))
    assert [row["step"] for row in result.history] == list(range(6, 241, 6))
    assert result.history[-1]["train/loss"] < 0.3 * result.history[0]["train/loss"]
    last = result.history[-1]
    assert last["val/loss"] == pytest.approx(last["val/square"] + last["val/absolute"], rel=1e-6)
    assert last["val/constant"] == 2.5
    assert last["val/hits"] > result.history[0]["val/hits"]
    assert "train/hits" not in last
    assert last["learning_rate"] < result.history[0]["learning_rate"] <= 0.03
    assert (result.epochs, result.steps, result.stopped_by) == (40, 240, "epochs")
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_first_reported_losses_are_those_of_the_untrained_model():
    model = Regressor(dropout=0.0)
    with torch.no_grad():
        expected = [model.losses(model(batch), batch) for batch in FIXED[:1]]
    result = fit(Regressor(dropout=0.0), FIXED[:1], config=FitConfig(epochs=1))
    assert result.history[0]["train/square"] == pytest.approx(float(expected[0]["square"]), rel=1e-6)


def test_loss_weights_enter_the_sum_and_a_weight_of_zero_removes_a_loss():
    config = FitConfig(epochs=1, loss_weights={"square": 0.0, "absolute": 3.0})
    row = fit(Regressor(), FIXED, config=config).history[0]
    assert row["train/loss"] == pytest.approx(3 * row["train/absolute"], rel=1e-5)

    class OnlyAbsolute(Regressor):
        def losses(self, output, graph):
            return {"absolute": 3 * (output - graph["y"]).abs().mean()}

    first, second = Regressor(), OnlyAbsolute()
    fit(first, FIXED, config=config)
    fit(second, FIXED, config=FitConfig(epochs=1))
    for name, value in weights(first).items():
        assert torch.allclose(value, second.state_dict()[name], atol=1e-6)


def test_the_best_validated_weights_are_kept():
    model = Regressor(dropout=0.0)
    config = FitConfig(epochs=11, learning_rate=1.0, schedule="constant")  # far too fast: it jumps about
    result = fit(model, FIXED, val=VAL, config=config)
    losses = [row["val/loss"] for row in result.history]
    assert result.best["val/loss"] == min(losses)
    assert result.best == result.history[losses.index(min(losses))]
    assert losses[-1] > min(losses)
    with torch.no_grad():
        again = sum(float(sum(model.losses(model(b), b).values())) for b in VAL) / len(VAL)
    assert again == pytest.approx(result.best["val/loss"], rel=1e-6)


def test_a_value_may_be_maximised():
    config = FitConfig(epochs=8, learning_rate=0.05, monitor="hits", mode="max")
    result = fit(WithMetric(), FIXED, val=VAL, config=config)
    assert result.best["val/hits"] == max(row["val/hits"] for row in result.history)


def test_patience_ends_a_run_that_no_longer_improves():
    config = FitConfig(epochs=50, learning_rate=1e-9, schedule="constant", patience=3, min_delta=1e-3)
    model = Regressor(dropout=0.0)
    model.net[1] = nn.Identity()  # statistics of batches would move even where weights stand still
    result = fit(model, FIXED, val=VAL, config=config)
    assert result.stopped_by == "patience"
    assert result.best["epoch"] == 1
    assert result.epochs == 4


def test_the_moving_average_is_what_is_validated_and_returned():
    config = FitConfig(epochs=3, learning_rate=0.05, ema_decay=0.99)
    model = Regressor(dropout=0.0)
    result = fit(model, FIXED, val=VAL, config=config)
    plain = Regressor(dropout=0.0)
    fit(plain, FIXED, config=FitConfig(epochs=3, learning_rate=0.05))
    assert not torch.equal(model.net[0].weight, plain.net[0].weight)
    with torch.no_grad():
        again = sum(float(sum(model.losses(model(b), b).values())) for b in VAL) / len(VAL)
    assert again == pytest.approx(result.best["val/loss"], rel=1e-6)


def test_the_same_seed_repeats_a_run_and_global_generators_are_untouched():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    runs = []
    for seed in (5, 5, 6):
        model = Regressor(dropout=0.5)
        result = fit(model, FIXED, config=FitConfig(epochs=2), seed=seed)
        runs.append((weights(model), without_time(result.history)))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same_weights(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert runs[0][1] != runs[2][1]
    assert not torch.equal(runs[0][0]["net.0.weight"], runs[2][0]["net.0.weight"])


@pytest.mark.parametrize(
    ("kind", "steps_before"),
    [
        ("list", 0),
        ("list", 5),
        ("list", 6),
        ("list", 24),
        ("callable", 7),
        ("callable", 18),
        ("iterator", 1),
        ("iterator", 17),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, kind, steps_before):
    def data():
        if kind == "iterator":
            return (batch for epoch in range(1, 5) for batch in batches(epoch))
        return FIXED if kind == "list" else batches

    whole = Regressor(dropout=0.5)
    expected = fit(whole, data(), val=VAL, config=CONFIG, checkpoint=tmp_path / "whole")

    path, log = tmp_path / "cut", tmp_path / "log.csv"
    first = fit(
        Regressor(dropout=0.5),
        data(),
        val=VAL,
        config=CONFIG,
        checkpoint=path,
        log=log,
        stop=MaxIterations(steps_before),
    )
    assert first.steps == steps_before
    resumed = Regressor(dropout=0.5)
    nn.init.zeros_(resumed.net[0].weight)  # nothing may depend on the weights that the model comes with
    result = fit(resumed, data(), val=VAL, config=CONFIG, checkpoint=path, resume=True, log=log)

    assert_same_weights(weights(whole), weights(resumed))
    assert without_time(result.history) == without_time(expected.history)
    assert without_time([result.best]) == without_time([expected.best])
    ours, theirs = load_checkpoint(path), load_checkpoint(tmp_path / "whole")
    assert ours.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(value, theirs.tensors[name]) for name, value in ours.tensors.items())
    with log.open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == [1, 2, 3, 4]


def test_a_run_may_be_cut_many_times(tmp_path):
    whole = Regressor(dropout=0.5)
    fit(whole, batches, config=CONFIG)
    path = tmp_path / "c"
    for steps in (2, 4, 9, 13, 100):
        model = Regressor(dropout=0.5)
        fit(model, batches, config=CONFIG, checkpoint=path, resume=path.exists(), stop=MaxIterations(steps))
    assert_same_weights(weights(whole), weights(model))


def test_a_crash_between_checkpoints_loses_only_the_steps_since(tmp_path):
    def failing(epoch):
        for index, batch in enumerate(batches(epoch)):
            if (epoch, index) == (3, 4):
                raise OSError("the disk went away")
            yield batch

    config = FitConfig(epochs=4, steps_per_epoch=6, checkpoint_every=2)
    with pytest.raises(OSError, match="went away"):
        fit(Regressor(), failing, val=VAL, config=config, checkpoint=tmp_path / "c", log=tmp_path / "l")
    assert load_checkpoint(tmp_path / "c").state["progress"]["step"] == 16
    resumed, whole = Regressor(), Regressor()
    result = fit(resumed, batches, val=VAL, config=config, checkpoint=tmp_path / "c", resume=True, log=tmp_path / "l")
    expected = fit(whole, batches, val=VAL, config=config)
    assert_same_weights(weights(resumed), weights(whole))
    assert without_time(result.history) == without_time(expected.history)


def test_a_finished_run_may_be_extended(tmp_path):
    config = FitConfig(epochs=2, schedule="constant")
    fit(Regressor(), FIXED, config=config, checkpoint=tmp_path / "c")
    longer = FitConfig(epochs=5, schedule="constant")
    resumed, whole = Regressor(), Regressor()
    assert fit(resumed, FIXED, config=longer, checkpoint=tmp_path / "c", resume=True).epochs == 5
    fit(whole, FIXED, config=longer)
    assert_same_weights(weights(resumed), weights(whole))
    again = fit(resumed, FIXED, config=longer, checkpoint=tmp_path / "c", resume=True)
    assert (again.epochs, again.stopped_by) == (5, "epochs")
    assert_same_weights(weights(resumed), weights(whole))


def test_resuming_checks_that_checkpoint_and_call_belong_together(tmp_path):
    path = tmp_path / "c"
    config = FitConfig(epochs=1)
    fit(Regressor(), FIXED, config=config, checkpoint=path, seed=1)
    with pytest.raises(InputError, match=r"`learning_rate` was 0.001 and is 0.1"):
        fit(Regressor(), FIXED, config=FitConfig(epochs=1, learning_rate=0.1), checkpoint=path, resume=True, seed=1)
    with pytest.raises(InputError, match="needs the seed of the checkpoint"):
        fit(Regressor(), FIXED, config=config, checkpoint=path, resume=True, seed=2)
    assert fit(Regressor(), FIXED, config=config, checkpoint=path, resume=True, seed=None).epochs == 1
    with pytest.raises(WeightsError, match="there is no checkpoint"):
        fit(Regressor(), FIXED, config=config, checkpoint=tmp_path / "none", resume=True)
    with pytest.raises(InputError, match="`resume` needs the file"):
        fit(Regressor(), FIXED, config=config, resume=True)
    other = Regressor()
    other.net[4] = nn.Linear(8, 2)
    with pytest.raises(WeightsError, match=r"does not fit the model: 'net.4.bias' differs"):
        fit(other, FIXED, config=config, checkpoint=path, resume=True, seed=1)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="truncated or damaged"):
        fit(Regressor(), FIXED, config=config, checkpoint=path, resume=True, seed=1)


def test_a_stop_cuts_an_epoch_and_says_so():
    model = Regressor()
    result = fit(model, FIXED, config=FitConfig(epochs=10), stop=MaxIterations(8))
    assert (result.steps, result.epochs, result.stopped_by) == (8, 1, "stop")
    assert [row["step"] for row in result.history] == [6, 8]
    assert result.best["epoch"] == 1
    assert fit(Regressor(), FIXED, stop=MaxRuntime(0)).history == []
    patient = AnyOf(NoImprovement(12), MaxRuntime(1000))
    result = fit(Regressor(), FIXED, val=VAL, config=FitConfig(epochs=50, learning_rate=1e-12), stop=patient)
    assert 12 <= result.steps < 300


def test_a_time_limit_is_kept_in_training_and_in_validation():
    def slow(epoch):
        for batch in batches(epoch, count=1000):
            time.sleep(0.01)
            yield batch

    for train, val in ((slow, None), (FIXED, slow)):
        result = fit(
            Regressor(), train, val=val, config=FitConfig(epochs=100, schedule="constant"), stop=MaxRuntime(0.3)
        )
        assert result.stopped_by == "stop"
        assert result.epochs == 0
        assert result.steps > 0


def test_the_first_interrupt_ends_the_run_with_the_best_weights_and_a_checkpoint(tmp_path):
    def interrupted(epoch):
        for index, batch in enumerate(batches(epoch)):
            if (epoch, index) == (3, 2):
                signal.raise_signal(signal.SIGINT)
            yield batch

    model, whole = Regressor(), Regressor()
    result = fit(model, interrupted, val=VAL, config=CONFIG, checkpoint=tmp_path / "c")
    assert (result.stopped_by, result.epochs) == ("interrupt", 2)
    assert result.best["epoch"] in (1, 2)
    with torch.no_grad():
        again = sum(float(sum(model.losses(model(b), b).values())) for b in VAL) / len(VAL)
    assert again == pytest.approx(result.best["val/loss"], rel=1e-6)
    fit(whole, batches, val=VAL, config=CONFIG)
    fit(model, batches, val=VAL, config=CONFIG, checkpoint=tmp_path / "c", resume=True)
    assert_same_weights(weights(model), weights(whole))


def test_a_loss_that_becomes_nan_names_itself_and_the_step():
    poisoned = [*FIXED[:3], {"x": FIXED[0]["x"], "y": FIXED[0]["y"] * math.nan}]
    model, clean = Regressor(), Regressor()
    with pytest.raises(DivergenceError, match="the loss 'square' became nan at step 4"):
        fit(model, poisoned, config=FitConfig(epochs=1))
    fit(clean, poisoned, config=FitConfig(epochs=1), stop=MaxIterations(3))
    assert torch.equal(model.net[0].weight, clean.net[0].weight)
    assert issubclass(DivergenceError, ArithmeticError)


def test_a_gradient_that_becomes_nan_is_caught_though_the_loss_is_finite():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, graph):
            return self.w

        def losses(self, output, graph):
            return {"root": (output * output).sqrt().sum()}  # its slope at 0 is 0 / 0

    model = Root()
    with pytest.raises(DivergenceError, match=r"the gradient became nan at step 1"):
        fit(model, [0])
    assert torch.equal(model.w.detach(), torch.zeros(1))


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (lambda error: {}, "at least one named loss"),
        (lambda error: error.mean(), "at least one named loss"),
        (lambda error: {"e": error}, r"the loss 'e' must be a scalar tensor, found shape \[8\]; take its mean"),
        (lambda error: {"e": 1.0}, "the loss 'e' must be a scalar tensor, found float"),
        (lambda error: {"e": error.mean(), "loss": error.mean()}, "no loss may be called 'loss'"),
        (lambda error: {"e": error.mean().detach()}, "depend on no trainable parameter"),
    ],
)
def test_losses_that_are_no_named_scalars_are_refused(losses, message):
    class Odd(Regressor):
        def losses(self, output, graph):
            return losses(output - graph["y"])

    with pytest.raises(InputError, match=message):
        fit(Odd(), FIXED)


def test_names_that_do_not_exist_are_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"`loss_weights` names 'sqare', which is no loss; did you mean 'square'\?"):
        fit(Regressor(), FIXED, config=FitConfig(loss_weights={"sqare": 1.0}))
    with pytest.raises(InputError, match=r"`monitor` names 'abs', .*valid names: absolute, loss, square"):
        fit(Regressor(), FIXED, val=VAL, config=FitConfig(monitor="abs"))


def test_data_that_cannot_serve_are_refused():
    with pytest.raises(InputError, match="`train` must hold at least one graph or batch, found none"):
        fit(Regressor(), [])
    with pytest.raises(InputError, match="`val` must hold at least one"):
        fit(Regressor(), FIXED, val=[])
    with pytest.raises(InputError, match=r"`train` must be a sequence of graphs, .* found int"):
        fit(Regressor(), 3)
    with pytest.raises(InputError, match="the cosine schedule must know the length of an epoch"):
        fit(Regressor(), batches)
    with pytest.raises(InputError, match="`train` gave no batch in epoch 2"):
        fit(Regressor(), iter(FIXED), config=FitConfig(epochs=2, schedule="constant"))
    with pytest.raises(InputError, match="`val` is read every epoch"):
        fit(Regressor(), FIXED, val=iter(VAL))
    with pytest.raises(InputError, match="`val` gave no batch in epoch 1"):
        fit(Regressor(), FIXED, val=lambda epoch: [])
    with pytest.raises(InputError, match="`patience` needs validation data"):
        fit(Regressor(), FIXED, config=FitConfig(patience=2))


def test_models_and_devices_that_cannot_serve_are_refused():
    with pytest.raises(InputError, match=r"must be a torch module with forward\(graph\) and losses"):
        fit(nn.Linear(1, 1), FIXED)
    frozen = Regressor().requires_grad_(requires_grad=False)
    with pytest.raises(InputError, match="must have a parameter to train"):
        fit(frozen, FIXED)
    with pytest.raises(InputError, match="`device` must name a torch device"):
        fit(Regressor(), FIXED, device="abacus")
    with pytest.raises(InputError, match="`device` names GPU 99, but torch sees"):
        fit(Regressor(), FIXED, device="cuda:99")


def test_frozen_parameters_stay_as_they_are():
    model = Regressor()
    model.net[0].requires_grad_(requires_grad=False)
    before = weights(model)
    fit(model, FIXED, config=FitConfig(epochs=1, ema_decay=0.5))
    assert torch.equal(model.net[0].weight, before["net.0.weight"])
    assert not torch.equal(model.net[4].weight, before["net.4.weight"])


class Slope(nn.Module):
    """A loss whose gradient is the batch itself."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(4))

    def forward(self, graph):
        return graph @ self.w

    def losses(self, output, graph):
        return {"slope": output}


def test_the_norm_is_reported_before_clipping_and_clipping_tames_an_outlier():
    data = [torch.ones(4), torch.full((4,), 1e4), torch.ones(4)]
    config = FitConfig(epochs=1, schedule="constant", learning_rate=0.1, betas=(0.0, 0.9), weight_decay=0.0)
    moved = {}
    for clip_norm in (2.0, math.inf):
        model = Slope()
        row = fit(model, data, config=replace(config, clip_norm=clip_norm)).history[0]
        assert row["grad_norm"] == pytest.approx((2 + 2e4 + 2) / 3, rel=1e-5)
        moved[clip_norm] = -float(model.w[0].detach())
    # without momentum a step is lr * g / sqrt(v): equal gradients move by lr each; an outlier moves by
    # lr * sqrt((1 - 0.9**2) / (1 - 0.9)) and leaves a v that stops the third step
    assert moved[2.0] == pytest.approx(0.3, rel=1e-3)
    assert moved[math.inf] == pytest.approx(0.1 * (1 + math.sqrt(1.9)), rel=1e-3)


def test_half_precision_is_for_gpus_only():
    plain, amp = Regressor(), Regressor()
    fit(plain, FIXED, config=FitConfig(epochs=2))
    fit(amp, FIXED, config=FitConfig(epochs=2, amp=True))
    assert_same_weights(weights(plain), weights(amp))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_runs_on_a_gpu_and_resumes_there(tmp_path):
    config = replace(CONFIG, amp=True, epochs=6)
    fit(Regressor(), FIXED, val=VAL, config=config, device="cuda", checkpoint=tmp_path / "c", stop=MaxIterations(8))
    model = Regressor()
    result = fit(model, FIXED, val=VAL, config=config, device="cuda", checkpoint=tmp_path / "c", resume=True)
    assert result.history[-1]["train/loss"] < result.history[0]["train/loss"]
    assert all(parameter.is_cuda for parameter in model.parameters())


def test_ready_graphs_of_the_light_container_count_as_many_as_they_hold():
    class NodeModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, graph):
            return graph.x.squeeze(-1) * self.scale

        def losses(self, output, graph):
            return {"mean": output.mean()}

    def graph(value, num_graphs):
        x = torch.full((num_graphs, 1), value)
        return GraphTensors(x, torch.zeros(2, 0, dtype=torch.long), batch=torch.arange(num_graphs))

    data = [graph(1.0, 3), graph(5.0, 1)]
    row = fit(NodeModel(), data, val=data, config=FitConfig(epochs=1, learning_rate=1e-9)).history[0]
    assert row["val/mean"] == pytest.approx((3 * 1.0 + 1 * 5.0) / 4, rel=1e-6)
    assert row["train/mean"] == pytest.approx(2.0, rel=1e-6)


def test_zero_epochs_leave_the_model_untouched():
    model = Regressor()
    before = weights(model)
    result = fit(model, FIXED, config=FitConfig(epochs=0))
    assert_same_weights(before, weights(model))
    assert (result.history, result.best, result.stopped_by) == ([], {}, "epochs")


def test_a_progress_bar_appears_only_when_asked_for(capfd):
    fit(Regressor(), FIXED, config=FitConfig(epochs=1))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    fit(Regressor(), FIXED, config=FitConfig(epochs=1), progress=True)
    assert "6/6" in capfd.readouterr().err


def test_training_on_ready_batches_never_imports_pyg():
    code = (
        "import sys, torch; from gnnlib.training import fit, FitConfig\n"
        "class M(torch.nn.Linear):\n"
        "    def losses(self, output, graph): return {'l': output.mean()}\n"
        "fit(M(1, 1), [torch.ones(1, 1)], config=FitConfig(epochs=1))\n"
        "sys.exit('torch_geometric' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0

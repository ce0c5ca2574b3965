"""What every training command shares."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.training import Course, FitConfig, new_card, pack_by_size, tell_card, training_parser


class Line(nn.Module):
    """Learns one slope."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(()))

    def forward(self, graph: dict[str, Tensor]) -> Tensor:
        return self.slope * graph["x"]

    def losses(self, output: Tensor, graph: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"square": (output - graph["y"]).square().mean()}


X = torch.linspace(-1, 1, 8)
DATA = [{"x": X, "y": 2 * X}]
CONFIG = FitConfig(epochs=6, learning_rate=0.1, weight_decay=0.0)


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 40))
def test_packing_keeps_the_order_and_the_limit(sizes: list[int], limit: int) -> None:
    order = list(range(len(sizes)))[::-1]
    batches = list(pack_by_size(order, sizes, limit))
    assert [number for batch in batches for number in batch] == order
    assert all(sum(sizes[number] for number in batch) <= limit or len(batch) == 1 for batch in batches)
    # no batch could have taken the first item of the next one
    for before, after in itertools.pairwise(batches):
        assert sum(sizes[number] for number in before) + sizes[after[0]] > limit


def test_a_course_in_pieces_ends_where_a_whole_one_ends(tmp_path: Path) -> None:
    whole, parts = Line(), Line()
    config = replace(CONFIG, schedule="constant")
    Course(tmp_path / "whole").fit(whole, DATA, val=DATA, config=config)
    Course(tmp_path / "parts").fit(Line(), DATA, val=DATA, config=replace(config, epochs=2))
    result = Course(tmp_path / "parts", resume=True).fit(parts, DATA, val=DATA, config=config)
    assert result.stopped_by == "epochs"
    assert parts.slope.item() == whole.slope.item() != 0.0
    assert (tmp_path / "parts" / "log.csv").read_text().count("\n") == 7


def test_a_course_that_runs_out_of_time_says_so(tmp_path: Path) -> None:
    result = Course(tmp_path, minutes=1e-9).fit(Line(), DATA, val=DATA, config=CONFIG)
    assert result.stopped_by != "epochs"
    assert any(tmp_path.glob("checkpoint*"))


def test_resume_without_a_checkpoint_starts_at_the_beginning(tmp_path: Path) -> None:
    assert Course(tmp_path / "new", resume=True).fit(Line(), DATA, val=DATA, config=CONFIG).epochs == 6


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_minutes_must_be_positive(minutes: float) -> None:
    with pytest.raises(InputError, match="minutes"):
        Course(Path("runs"), minutes=minutes)


def test_the_options_make_the_course() -> None:
    parser = training_parser("gnnlib.toy", "Train a toy.", ["small", "base"], runs="runs/toy")
    chosen = parser.parse_args(["--preset", "base", "--out", "x/toy", "--seed", "4", "--minutes", "2.5", "--resume"])
    course = Course.from_options(chosen, chosen.preset)
    assert course == Course(Path("runs/toy/base-4"), seed=4, minutes=2.5, resume=True)
    with pytest.raises(SystemExit):
        parser.parse_args(["--preset", "huge", "--out", "x"])


def test_a_card_names_command_seed_and_sources(caplog: pytest.LogCaptureFixture) -> None:
    card = new_card(
        Path("folder/toy"),
        purpose="toy",
        command="python -m gnnlib.toy --preset small",
        data="none",
        seed=3,
        seconds=12.34,
        metrics={"mae": 1 / 3},
    )
    assert card.name == "toy"
    assert card.command == "python -m gnnlib.toy --preset small --seed 3 --out folder/toy"
    assert (card.seconds, card.metrics) == (12.3, {"mae": 0.3333})
    assert card.machine and card.date and card.commit
    with caplog.at_level("INFO", logger="gnnlib"):
        assert tell_card(card) == 0
        assert tell_card(None) == 0
    assert "mae: 0.3333" in caplog.text
    assert "--resume" in caplog.text

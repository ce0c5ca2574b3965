from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.style import COLOURS, CYCLE, RC, SEQUENTIAL, new_axes, styled

# Vienot, Brettel and Mollon (1999): linear RGB as seen without long-wave (protan) or middle-wave (deutan) cones
PROTAN = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTAN = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("cones", [np.eye(3), PROTAN, DEUTAN], ids=["all", "protan", "deutan"])
def test_first_colours_of_lines_stay_apart_in_every_eye(cones: np.ndarray) -> None:
    seen = [np.clip(cones @ linear(colour), 0.0, 1.0) ** (1.0 / 2.2) for colour in CYCLE[:4]]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.25


def test_each_meaning_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_scores_grow_darker_and_never_lighter() -> None:
    shades = plt.get_cmap(SEQUENTIAL)(np.linspace(0.0, 1.0, 64))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(shades) < 0.0).all()


def test_style_holds_inside_the_context_only() -> None:
    before = dict(plt.rcParams)
    with styled():
        assert plt.rcParams["legend.frameon"] == RC["legend.frameon"]
    assert dict(plt.rcParams) == before


def test_palette_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        COLOURS["answer"] = "red"  # type: ignore[index]


def test_axes_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match="must be 3d axes"):
        new_axes(plt.subplots()[1], projection="3d")
    assert new_axes(projection="3d").name == "3d"

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein.plotting import (
    plot_distance_map,
    plot_lddt,
    plot_ramachandran,
    plot_secondary_structure,
    plot_superposition,
    view3d,
)
from gnnlib.heads.protein.samples import load_sample
from gnnlib.heads.protein.torsions import torsions


def test_the_map_shows_distances_and_contacts() -> None:
    structure = load_sample("hairpin")
    distance = np.linalg.norm(structure.ca[:, None] - structure.ca[None], axis=2)
    ax = structure.plot()
    assert np.allclose(ax.images[0].get_array(), distance)
    dots = set(zip(*(np.asarray(part, dtype=int) - 1 for part in ax.lines[0].get_data()), strict=True))
    i, j = np.nonzero((distance <= 8.0) & (np.abs(np.subtract.outer(range(16), range(16))) >= 4))
    assert dots == set(zip(i.tolist(), j.tolist(), strict=True))


def test_two_maps_share_the_square() -> None:
    structure = load_sample("hairpin")
    given = np.full((16, 16), 20.0)
    shown = np.asarray(plot_distance_map(given, other=structure).images[0].get_array())
    assert (shown[np.tril_indices(16, -1)] == 20.0).all(), "rows count upwards: above the diagonal"
    assert shown[4, 5] == pytest.approx(np.linalg.norm(structure.ca[5] - structure.ca[4]))
    with pytest.raises(InputError, match="16; found 30"):
        plot_distance_map(structure, other=load_sample("helix"))


def test_ramachandran_has_a_dot_for_every_residue_with_both_torsions() -> None:
    structure = load_sample("domain")
    ax = plot_ramachandran(structure)
    assert sum(len(part.get_offsets()) for part in ax.collections) == 193
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["helix", "strand", "coil"]
    plain = torsions(structure).plot()
    assert len(plain.collections[0].get_offsets()) == 193


def test_elements_are_drawn_where_they_stand() -> None:
    ax = plot_secondary_structure("CCHHHHCCEEEC", residue_numbers=np.arange(11, 23))
    helix, strand = ax.patches
    assert helix.get_x() == pytest.approx(12.5)
    assert helix.get_width() == pytest.approx(4.0)
    assert strand.get_extents().width > 0
    assert ax.get_xlim() == (10, 23)


def test_quality_is_drawn_along_the_chain() -> None:
    ax = plot_lddt([0.9, np.nan, 0.4], truth=[1.0, 0.5, 0.5])
    assert np.array_equal(ax.lines[-1].get_ydata(), [0.9, np.nan, 0.4], equal_nan=True)
    assert len(ax.get_legend().get_texts()) == 2
    with pytest.raises(InputError, match=r"shape \[L\]"):
        plot_lddt(np.ones((2, 2)))
    with pytest.raises(InputError, match=r"shape \[3\]"):
        plot_lddt([1.0, 1.0, 1.0], truth=[1.0])


def test_a_turned_model_lies_on_its_native() -> None:
    native = load_sample("hairpin")
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ax = plot_superposition(native.ca @ turn.T + 50.0, native)
    assert ax.get_title(loc="left") == "RMSD 0.00 Å"
    first, second = (np.stack(line.get_data_3d()) for line in ax.lines if len(line.get_data_3d()[0]) == 16)
    assert np.allclose(first, second, atol=1e-6)
    with pytest.raises(InputError, match="as many residues"):
        plot_superposition(native, load_sample("helix"))


def test_given_axes_are_used() -> None:
    _, ax = plt.subplots()
    assert plot_lddt([0.5, 0.6], ax=ax) is ax
    assert plot_secondary_structure("HHHH", ax=ax) is ax
    with pytest.raises(InputError, match="3"):
        plot_superposition(load_sample("hairpin"), ax=ax)


def test_the_view_holds_the_structure() -> None:
    pytest.importorskip("py3Dmol")
    page = view3d(load_sample("hairpin"), b_factors=np.linspace(0.0, 1.0, 16))._make_html()
    assert "ATOM" in page
    assert "rwb" in page

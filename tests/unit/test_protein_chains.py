"""The loader of the training chains."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.heads.protein.chains import STATES8, chains_folder, load_chains, state_indices

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_chains = pytest.mark.skipif(
    not (MIRROR / "protein" / "chains_backbone.npz").is_file(),
    reason=f"no protein chains below {MIRROR}; name a mirror of the data in GNNLIB_DATA",
)


def write_files(folder: Path) -> None:
    columns = {
        "ids": np.array(["a", "b", "c"]),
        "source": np.array(["x", "x", "y"]),
        "offsets": np.array([0, 2, 5, 6]),
        "seq": np.frombuffer(b"MKVAGX", np.uint8),
        "ss8": np.frombuffer(b"PH-ECS", np.uint8),
        "resnum": np.arange(1, 7, dtype=np.int32),
        "cluster30": np.arange(3),
        "resolution": np.array([0.0, 1.5, 2.0], np.float32),
        "o_rebuilt": np.array([True, False, False]),
        "split": np.array(["train", "val", "excluded"]),
    }
    xyz = np.arange(6 * 5 * 3, dtype=np.float32).reshape(6, 5, 3)
    np.savez(folder / "chains_backbone.npz", xyz=xyz, **columns)
    np.savez(folder / "chains_ca_only.npz", xyz=xyz[:, 1:2], **columns)


def test_chains_are_cut_at_their_offsets_and_polyproline_is_coil(tmp_path: Path) -> None:
    write_files(tmp_path)
    first, second = load_chains(["train", "val"], folder=tmp_path)
    assert (first.name, first.sequence, first.states8, first.o_rebuilt) == ("a", "MK", "CH", True)
    assert (second.name, second.sequence, second.states8) == ("b", "VAG", "-EC")
    assert second.ca[0].tolist() == [33.0, 34.0, 35.0]
    assert np.isnan(first.resolution_angstrom) and second.resolution_angstrom == 1.5
    assert second.structure().residue_numbers.tolist() == [3, 4, 5]


def test_ca_only_chains_have_nan_for_every_other_atom(tmp_path: Path) -> None:
    write_files(tmp_path)
    (chain,) = load_chains("val", atoms="ca", folder=tmp_path)
    assert chain.ca[0].tolist() == [33.0, 34.0, 35.0]
    assert np.isnan(chain.coords_angstrom[:, [0, 2, 3, 4]]).all()
    assert chain.structure().is_ca_only


def test_excluded_chains_cannot_be_loaded(tmp_path: Path) -> None:
    write_files(tmp_path)
    with pytest.raises(InputError, match="train, val, test, ts50, found 'excluded'"):
        load_chains("excluded", folder=tmp_path)


def test_a_missing_folder_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"chains_backbone.npz.*GNNLIB_DATA"):
        chains_folder(tmp_path / "nowhere")


def test_states_and_indices_are_inverse_to_each_other() -> None:
    assert state_indices(STATES8).tolist() == list(range(8))
    assert state_indices("P- x").tolist() == [-1] * 4


@needs_chains
def test_shipped_splits_share_no_cluster_and_have_the_recorded_sizes() -> None:
    folder = MIRROR / "protein"
    splits = {name: load_chains(name, folder=folder) for name in ("train", "val", "test", "ts50")}
    assert {name: len(chains) for name, chains in splits.items()} == {
        "train": 1965,
        "val": 278,
        "test": 283,
        "ts50": 52,
    }
    train = {chain.cluster for chain in splits["train"]} | {
        c.cluster for c in load_chains("train", atoms="ca", folder=folder)
    }
    for name in ("val", "test", "ts50"):
        assert train.isdisjoint(chain.cluster for chain in splits[name])

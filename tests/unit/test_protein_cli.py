from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from gnnlib.cli.protein import app, demo
from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.samples import load_sample, sample_path

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str):
    return CliRunner().invoke(app, [str(word) for word in arguments])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_graph_writes_an_edge_a_row(tmp_path: Path) -> None:
    from gnnlib.heads.protein.graph import residue_graph

    out = tmp_path / "edges.csv"
    done = run("graph", sample_path("hairpin"), sample_path("dimer"), "--knn", "4", "--out", out)
    assert done.exit_code == 0, done.output
    rows = table(out)
    graph = residue_graph(load_sample("hairpin"), knn=4)
    assert sum("hairpin" in row["file"] for row in rows) == graph.num_edges
    assert any(row["kinds"].endswith("disulfide") for row in rows)
    first = rows[0]
    assert float(first["distance_angstrom"]) == pytest.approx(float(graph.edge_length[0]), abs=1e-3)
    assert first["to_residue"].startswith("A/")


def test_ss_writes_a_residue_a_row(tmp_path: Path) -> None:
    out = tmp_path / "states.csv"
    assert run("ss", "helix", "damaged", "--out", out).exit_code == 0
    rows = table(out)
    assert len(rows) == 30 + 88
    assert {row["state3"] for row in rows[1:29]} == {"H"}
    inserted = next(row for row in rows if row["insertion_code"])
    assert (inserted["number"], inserted["residue"], inserted["letter"]) == ("52", "MSE", "M")


def test_the_table_goes_to_stdout_by_default() -> None:
    done = run("ss", "hairpin")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("file,chain,number")
    assert len(lines) == 17


def test_assess_scores_models_against_a_native(tmp_path: Path) -> None:
    native = load_sample("bundle")
    random = np.random.default_rng(0)
    models = []
    for place, size in enumerate((0.0, 1.0)):
        moved = native.coords_angstrom + random.normal(0.0, size, native.coords_angstrom.shape)
        models.append(tmp_path / f"model{place}.pdb")
        type(native).from_arrays(moved, native.sequence).to_pdb(models[-1])
    done = run(
        "assess", *models, "--native", sample_path("bundle"), "--out", tmp_path / "scores.csv",
        "--residues", tmp_path / "residues.csv", "--pdb", tmp_path / "scored",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    perfect, noisy = table(tmp_path / "scores.csv")
    assert float(perfect["tm_score"]) == pytest.approx(1.0)
    assert float(perfect["rmsd_angstrom"]) == pytest.approx(0.0, abs=1e-3)
    assert 1.0 < float(noisy["rmsd_angstrom"]) < 2.5
    assert len(table(tmp_path / "residues.csv")) == 2 * 92
    scored = read_structure(tmp_path / "scored" / "model1.pdb").b_factors
    kept = [float(row["lddt"]) for row in table(tmp_path / "residues.csv")[92:]]
    assert np.allclose(scored, kept, atol=0.0051)


def test_fold_writes_structures_from_distances(tmp_path: Path) -> None:
    ca = load_sample("hairpin").ca
    distances = np.linalg.norm(ca[:, None] - ca[None], axis=2)
    np.save(tmp_path / "one.npy", distances)
    np.savetxt(tmp_path / "two.csv", distances, delimiter=",")
    done = run(
        "fold", tmp_path / "one.npy", tmp_path / "two.csv", "--folder", tmp_path / "models", "--out", tmp_path / "f.csv"
    )
    assert done.exit_code == 0, done.output
    assert [row["residues"] for row in table(tmp_path / "f.csv")] == ["16", "16"]
    for name in ("one", "two"):
        folded = read_structure(tmp_path / "models" / f"{name}.pdb").ca
        found = np.linalg.norm(folded[:, None] - folded[None], axis=2)
        assert np.abs(found - distances).max() < 0.5


@pytest.mark.parametrize("text", ["1,2\nx,0\n", ""])
def test_fold_names_files_that_hold_no_matrix(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    done = run("fold", tmp_path / "bad.csv", "--folder", tmp_path)
    assert isinstance(done.exception, InputError)
    assert "bad.csv" in str(done.exception)


def test_fasta_files_give_every_sequence(tmp_path: Path) -> None:
    from gnnlib.cli.protein_inputs import fold_inputs

    (tmp_path / "two.fasta").write_text(">first one\nMKV\nLLA\n>second\nGG\n")
    found = list(fold_inputs(str(tmp_path / "two.fasta")))
    assert [(name, sequence) for name, sequence, _ in found] == [("first", "MKVLLA"), ("second", "GG")]
    (tmp_path / "none.fasta").write_text(">empty\n")
    with pytest.raises(InputError, match="no sequence"):
        list(fold_inputs(str(tmp_path / "none.fasta")))


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.pdb").write_text("hello\n")
    out = tmp_path / "states.csv"
    done = run("ss", tmp_path / "bad.pdb", tmp_path / "absent.pdb", "helix", "--out", out)
    assert isinstance(done.exception, InputError)
    assert "2 of 3 files" in str(done.exception)
    assert len(table(out)) == 30
    assert "bad.pdb:1" in done.stderr
    assert "absent.pdb" in done.stderr


def test_a_single_bad_file_raises_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "bad.pdb").write_text("hello\n")
    assert isinstance(run("ss", tmp_path / "bad.pdb").exception, FileFormatError)
    assert isinstance(run("ss", tmp_path / "absent.pdb").exception, FileNotFoundError)


def test_a_table_cannot_go_where_there_is_no_folder(tmp_path: Path) -> None:
    assert isinstance(run("ss", "helix", "--out", tmp_path / "no" / "x.csv").exception, InputError)


def test_help_is_quick_and_names_the_commands() -> None:
    done = run("--help")
    assert all(word in done.output for word in ("graph", "ss", "assess", "fold", "design"))
    assert isinstance(app, typer.Typer)


def test_the_demonstration_writes_its_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(tmp_path)
    shown = capsys.readouterr().out
    assert "195" in shown
    for name in ("protein_map.png", "protein_states.png", "protein_fold.png", "protein_fold.pdb"):
        assert (tmp_path / name).stat().st_size > 1000
        assert name in shown
    assert "matplotlib" in sys.modules


def test_a_sequence_is_folded_with_its_reliability(tmp_path: Path) -> None:
    from gnnlib.encoder import list_weights

    if "protein-sequence" not in list_weights():
        pytest.skip("the weights protein-sequence are not shipped")
    (tmp_path / "one.fasta").write_text(">one\nMKVLAAGIVGLLLAQWKEMKV\n")
    done = run("fold", tmp_path / "one.fasta", "--folder", tmp_path, "--out", tmp_path / "f.csv")
    assert done.exit_code == 0, done.output
    row = table(tmp_path / "f.csv")[0]
    assert row["remark"].startswith("reliability 0.")
    assert read_structure(row["file"]).sequence == "MKVLAAGIVGLLLAQWKEMKV"

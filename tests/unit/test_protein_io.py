from __future__ import annotations

import gzip
import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError
from gnnlib.heads.protein.io import (
    iterate_structures,
    read_models,
    read_structure,
    read_structures,
    write_structure,
)
from gnnlib.heads.protein.reading.atoms import decimals
from gnnlib.heads.protein.reading.shards import ShardCache
from gnnlib.heads.protein.samples import load_sample, sample_path

if TYPE_CHECKING:
    from pathlib import Path

SERIAL = itertools.count(1)
BOTH = pytest.mark.parametrize("reader", ["fast", "biopython"])


def atom(
    name: str,
    residue: str = "ALA",
    number: int = 1,
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    chain: str = "A",
    altloc: str = " ",
    icode: str = " ",
    occupancy: float = 1.0,
    record: str = "ATOM",
) -> str:
    x, y, z = xyz
    return (
        f"{record:<6}{next(SERIAL):5d}  {name:<3}{altloc}{residue:>3} {chain}{number:4d}{icode}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{10.0:6.2f}"
    )


def backbone(number: int, residue: str = "ALA", *, x: float | None = None, **options) -> list[str]:
    start = 3.8 * number if x is None else x
    places = {"N": (start - 1.2, 0.5, 0.0), "CA": (start, 0.0, 0.0), "C": (start + 1.3, 0.6, 0.0)}
    return [atom(name, residue, number, place, **options) for name, place in places.items()]


def pdb(tmp_path: Path, *lines: str | list[str]) -> Path:
    path = tmp_path / "case.pdb"
    flat = [line for part in lines for line in ([part] if isinstance(part, str) else part)]
    path.write_text("\n".join(flat) + "\n")
    return path


@BOTH
def test_alternative_positions_follow_occupancy_and_the_first_on_ties(tmp_path: Path, reader: str) -> None:
    lines = [
        atom("CA", number=1, xyz=(0, 0, 0), altloc="A", occupancy=0.3),
        atom("CA", number=1, xyz=(1, 0, 0), altloc="B", occupancy=0.7),
        atom("CA", number=2, xyz=(3.8, 0, 0), altloc="A", occupancy=0.5),
        atom("CA", number=2, xyz=(4.8, 0, 0), altloc="B", occupancy=0.5),
        atom("O", number=2, xyz=(9, 9, 9), altloc="B", occupancy=0.9),
        atom("C", number=2, xyz=(5, 1, 0)),
    ]
    structure = read_structure(pdb(tmp_path, lines), reader=reader)
    assert structure.ca.tolist() == [[1, 0, 0], [3.8, 0, 0]]
    assert structure.coords_angstrom[1, 2].tolist() == [5, 1, 0]
    assert structure.coords_angstrom[1, 3].tolist() == [9, 9, 9], "an atom with the other position only is not lost"
    assert [note.reason for note in structure.report.altlocs] == [
        "positions A 0.30, B 0.70; took B",
        "positions A 0.50, B 0.50; took A",
    ]


@pytest.mark.parametrize(("reader", "interleaved"), [("fast", False), ("fast", True), ("biopython", False)])
def test_a_residue_with_two_names_is_one_node(tmp_path: Path, reader: str, interleaved: bool) -> None:
    # Biopython loses the second name of interleaved rows
    first = [
        atom("N", "SER", 2, (6.4, 0.5, 0), altloc="A", occupancy=0.4),
        atom("CA", "SER", 2, (7.6, 0, 0), altloc="A", occupancy=0.4),
    ]
    second = [
        atom("N", "THR", 2, (6.5, 0.5, 0), altloc="B", occupancy=0.6),
        atom("CA", "THR", 2, (7.7, 0, 0), altloc="B", occupancy=0.6),
    ]
    rows = [row for pair in zip(first, second, strict=True) for row in pair] if interleaved else first + second
    structure = read_structure(pdb(tmp_path, backbone(1), rows), reader=reader)
    assert structure.sequence == "AT"
    assert structure.coords_angstrom[1, :2].tolist() == [[6.5, 0.5, 0], [7.7, 0, 0]]
    assert [note.name for note in structure.report.dropped] == ["SER"]


@BOTH
def test_insertion_codes_make_other_residues(tmp_path: Path, reader: str) -> None:
    path = pdb(tmp_path, backbone(1), backbone(1, "GLY", icode="A", x=7.6), backbone(1, "VAL", icode="B", x=11.4))
    structure = read_structure(path, reader=reader)
    assert structure.sequence == "AGV"
    assert structure.insertion_codes.tolist() == ["", "A", "B"]
    assert structure.residue_numbers.tolist() == [1, 1, 1]


@BOTH
def test_modified_and_unknown_residues_are_mapped_and_told(tmp_path: Path, reader: str) -> None:
    path = pdb(tmp_path, backbone(1, "MSE", record="HETATM"), backbone(2), backbone(3, "QQQ"))
    structure = read_structure(path, reader=reader)
    assert structure.sequence == "MAX"
    assert structure.residue_names.tolist() == ["MSE", "ALA", "QQQ"]
    assert [note.reason for note in structure.report.mapped] == [
        "modified residue, read as M",
        "unknown residue, read as X",
    ]


@BOTH
def test_water_ions_and_ligands_are_counted_not_kept(tmp_path: Path, reader: str) -> None:
    path = pdb(
        tmp_path,
        backbone(1),
        backbone(2),
        atom("O", "HOH", 100, record="HETATM"),
        atom("O", "HOH", 101, record="HETATM"),
        "HETATM    9 CA    CA A 102       9.000   9.000   9.000  1.00 10.00          CA",
        backbone(200, "GLU", x=50.0, record="HETATM"),
    )
    structure = read_structure(path, reader=reader)
    assert structure.sequence == "AA"
    assert structure.report.ignored == {"HOH": 2, "CA": 1}
    assert [note.number for note in structure.report.dropped] == [200], "a free amino acid is a ligand"


def test_a_bonded_modified_residue_at_the_end_is_kept(tmp_path: Path) -> None:
    tail = [
        atom("N", "SEP", 2, (6.2, 0.7, 0), record="HETATM"),
        atom("CA", "SEP", 2, (7.6, 0, 0), record="HETATM"),
        atom("C", "SEP", 2, (8.9, 0.6, 0), record="HETATM"),
    ]
    assert read_structure(pdb(tmp_path, backbone(1), tail)).sequence == "AS"


@BOTH
def test_a_residue_without_ca_is_dropped_and_told(tmp_path: Path, reader: str) -> None:
    path = pdb(tmp_path, backbone(1), [atom("N", number=2), atom("C", number=2)], backbone(3))
    structure = read_structure(path, reader=reader)
    assert structure.residue_numbers.tolist() == [1, 3]
    assert "A ALA 2: it has no CA atom" in str(structure.report.dropped[0])
    assert len(structure.report.gaps) == 1


def test_an_atom_that_stands_twice_counts_once(tmp_path: Path) -> None:
    path = pdb(tmp_path, backbone(1), atom("CA", number=1, xyz=(9, 9, 9)), backbone(2))
    structure = read_structure(path)
    assert structure.ca[0].tolist() == [3.8, 0, 0]
    assert structure.num_residues == 2
    assert [note.number for note in structure.report.repaired] == [1]


def test_segment_names_stand_for_blank_chains(tmp_path: Path) -> None:
    lines = [
        f"{line:<72}{name}" for name in ("PROA", "PROB") for line in backbone(1, chain=" ") + backbone(2, chain=" ")
    ]
    assert read_structure(pdb(tmp_path, lines)).chains == ("PROA", "PROB")
    same = [f"{line:<72}1ABC" for line in backbone(1, chain=" ") + backbone(2, chain=" ")]
    assert read_structure(pdb(tmp_path, same)).chains == ("",), "an entry code of an old file is no chain"


def test_columns_behind_the_coordinates_are_optional(tmp_path: Path) -> None:
    path = pdb(tmp_path, [line[:54] for line in backbone(1)], [f"{line:<72}1ABC 123" for line in backbone(2)])
    structure = read_structure(path)
    assert structure.num_residues == 2
    assert np.isnan(structure.b_factors[0])
    assert structure.b_factors[1] == 10.0


def test_line_ends_of_other_systems_do_not_matter(tmp_path: Path) -> None:
    text = sample_path("bundle").read_bytes()
    (tmp_path / "dos.pdb").write_bytes(text.replace(b"\n", b"\r\n"))
    assert np.array_equal(read_structure(tmp_path / "dos.pdb").ca, load_sample("bundle").ca)
    cif = sample_path("domain").read_bytes()
    (tmp_path / "dos.cif").write_bytes(cif.replace(b"\n", b"\r\n"))
    assert np.array_equal(read_structure(tmp_path / "dos.cif").ca, load_sample("domain").ca)


def test_gzip_is_found_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "bundle.pdb").write_bytes(gzip.compress(sample_path("bundle").read_bytes()))
    assert read_structure(tmp_path / "bundle.pdb").num_residues == 92


@BOTH
def test_models_are_counted_and_chosen(reader: str) -> None:
    path = sample_path("ensemble")
    models = read_models(path, reader=reader)
    assert len(models) == 3
    assert [model.report.model for model in models] == [1, 2, 3]
    assert np.array_equal(read_structure(path, model=2, reader=reader).ca, models[1].ca)
    assert not np.array_equal(models[0].ca, models[1].ca)
    with pytest.raises(InputError, match=r"1 \.\. 3.*found 4"):
        read_structure(path, model=4, reader=reader)


def test_models_that_are_not_closed_are_told_apart(tmp_path: Path) -> None:
    path = pdb(tmp_path, "MODEL        1", backbone(1), backbone(2), "MODEL        2", backbone(1))
    assert [model.num_residues for model in read_models(path)] == [2, 1]
    path = pdb(tmp_path, "MODEL        1", backbone(1), "ENDMDL", backbone(1), backbone(2), "END")
    assert [model.num_residues for model in read_models(path)] == [1, 2]
    only = pdb(tmp_path, "MODEL        1", backbone(1), "ENDMDL", "END")
    assert read_structure(only).report.num_models == 1


def test_chains_can_be_chosen() -> None:
    path = sample_path("dimer")
    assert read_structure(path, chains="B").chains == ("B",)
    assert read_structure(path, chains=["A", "B"]).num_residues == 32
    with pytest.raises(InputError, match=r"\['A', 'B'\], found \['C'\]"):
        read_structure(path, chains=["C"])


def test_hybrid_numbers_follow_9999(tmp_path: Path) -> None:
    lines = [line[:22] + "A000" + line[26:] for line in backbone(1)]
    assert read_structure(pdb(tmp_path, lines)).residue_numbers.tolist() == [10_000]


@pytest.mark.parametrize("layout", ["ragged", "quoted", "shuffled", "pairs"])
def test_mmcif_may_have_any_layout(tmp_path: Path, layout: str) -> None:
    text = sample_path("domain").read_text()
    head, _, rest = text.partition("_atom_site.group_PDB")
    body = ("_atom_site.group_PDB" + rest).splitlines()
    names = [line.strip() for line in body if line.startswith("_atom_site.")]
    rows = [line.split() for line in body if line.startswith("ATOM")]
    expected = load_sample("domain").ca
    if layout == "ragged":
        lines = [" ".join(row) for row in rows]
    elif layout == "quoted":
        lines = [f'"{row[0]}"   ' + " ".join(f"'{word}'" for word in row[1:]) for row in rows]
        lines[3] = "# a comment\n" + lines[3].replace(" ", "\n", 1)
    elif layout == "shuffled":
        order = np.random.default_rng(0).permutation(len(names))
        names = [names[i] for i in order]
        lines = [" ".join(row[i] for i in order) for row in rows]
    else:
        row = next(row for row in rows if "CA" in row)
        pairs = "\n".join(f"{name} {value}" for name, value in zip(names, row, strict=True))
        (tmp_path / "one.cif").write_text(f"data_one\n{pairs}\n#\n")
        assert np.array_equal(read_structure(tmp_path / "one.cif").ca, expected[:1])
        return
    (tmp_path / "other.cif").write_text(head + "\n".join([*names, *lines, "#", ""]))
    found = read_structure(tmp_path / "other.cif")
    assert np.array_equal(found.ca, expected)
    assert found.sequence == load_sample("domain").sequence


def test_numbers_are_read_like_floats() -> None:
    texts = [
        "  12.500",
        "-123.456",
        "   0.001",
        "    -.25",
        "12      ",
        "+1.0",
        "",
        "1.2.3",
        "1-2",
        "nan",
        "1e5",
        "- 1.000",
    ]
    block = np.array([list(text.ljust(8).encode()) for text in texts], dtype=np.uint8)
    values, is_number = decimals(block)
    for text, value, good in zip(texts, values, is_number, strict=True):
        try:
            expected = float(text) if text not in {"nan", "1e5"} else None
        except ValueError:
            expected = None
        assert good == (expected is not None), text
        assert not good or value == expected, text


def test_many_files_are_read_in_order_with_and_without_processes(tmp_path: Path) -> None:
    paths = [sample_path(name) for name in ("bundle", "helix", "domain")] * 4
    alone = read_structures(paths)
    together = read_structures(paths, n_jobs=2)
    assert [s.name for s in together] == [s.name for s in alone]
    assert all(np.array_equal(a.ca, b.ca) for a, b in zip(alone, together, strict=True))
    with pytest.raises(InputError, match="n_jobs"):
        read_structures(paths, n_jobs=0)


def test_bad_files_are_raised_or_handed_over(tmp_path: Path) -> None:
    bad = pdb(tmp_path, "REMARK nothing")
    with pytest.raises(FileFormatError, match="ATOM"):
        read_structures([sample_path("helix"), bad])
    found = dict(iterate_structures([bad, tmp_path / "absent.pdb", sample_path("helix")]))
    assert isinstance(found[bad], FileFormatError)
    assert isinstance(found[tmp_path / "absent.pdb"], FileNotFoundError)
    assert found[sample_path("helix")].num_residues == 30


def test_the_cache_gives_back_what_was_read_until_a_file_changes(tmp_path: Path, monkeypatch) -> None:
    import gnnlib.heads.protein.io as reading

    file = tmp_path / "x.pdb"
    file.write_bytes(sample_path("damaged").read_bytes())
    paths = [file, sample_path("dimer")]
    first = read_structures(paths, cache=tmp_path / "cache")
    monkeypatch.setattr(reading, "read_structure", lambda path: pytest.fail(f"{path} was read again"))
    again = read_structures(paths, cache=tmp_path / "cache")
    monkeypatch.undo()
    for a, b in zip(first, again, strict=True):
        assert a.report == b.report
        assert a.to_dict() == b.to_dict()
    write_structure(load_sample("helix"), file)
    assert read_structures(paths, cache=tmp_path / "cache")[0].num_residues == 30
    assert len(ShardCache(tmp_path / "cache")) == 3


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    read_structures([sample_path("helix")], cache=tmp_path)
    shard = next(tmp_path.glob("shard-*.npz"))
    shard.write_bytes(b"PK broken")
    with pytest.raises(FileFormatError, match="shard is damaged"):
        read_structures([sample_path("helix")], cache=tmp_path)
    (tmp_path / "index.json").write_text("[1]")
    with pytest.raises(FileFormatError, match="index of the cache is damaged"):
        read_structures([sample_path("helix")], cache=tmp_path)

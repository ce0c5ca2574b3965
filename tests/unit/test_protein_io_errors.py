from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gnnlib.errors import FileFormatError, InputError, MissingFileError
from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.problem import Structure, as_structure
from gnnlib.heads.protein.reading.writing import write_structure
from gnnlib.heads.protein.samples import load_sample, sample_path

if TYPE_CHECKING:
    from pathlib import Path

LINE = "ATOM      2  CA  ALA A   1       1.000   2.000   3.000  1.00  0.00           C  "


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x00\x01\x02" * 50, "binary file"),
        (b"\xde\x00'\xabmmtfVersion\xa5", "MMTF"),
        (b"\x83\xa7version\xa50.3.0\xa7encoder\xa3abc\xaadataBlocks\x91\x00", "BinaryCIF"),
        (b"<?xml version='1.0'?><x/>", "XML"),
        (b">seq\nMKV\n", "FASTA"),
        (b"hello world\n", "PDB or mmCIF file is needed"),
        (b"HEADER    NOTHING\nEND\n", "no ATOM or HETATM line"),
        (b"data_x\nloop_\n_struct.id\n1\n", "no _atom_site category"),
        (b"\x1f\x8b\x08\x00garbage", "gzip file is damaged"),
    ],
)
def test_files_that_hold_no_structure_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.pdb"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=said) as caught:
        read_structure(path)
    assert str(caught.value).startswith(str(path))


def test_a_cut_off_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.pdb.gz"
    path.write_bytes(gzip.compress(sample_path("bundle").read_bytes())[:-500])
    with pytest.raises(FileFormatError, match="cut off"):
        read_structure(path)


def test_a_file_that_is_not_there_is_named_with_those_like_it(tmp_path: Path) -> None:
    (tmp_path / "absent1.pdb").write_bytes(sample_path("helix").read_bytes())
    for read in (read_structure, as_structure):
        with pytest.raises(MissingFileError, match=r"no file .*absent\.pdb.*like it are absent1\.pdb") as caught:
            read(str(tmp_path / "absent.pdb"))
        assert isinstance(caught.value, FileNotFoundError)
        assert isinstance(caught.value, InputError)
    with pytest.raises(MissingFileError, match=r"the folder .*none does not exist"):
        read_structure(tmp_path / "none" / "absent.pdb")


def _pdb(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "case.pdb"
    path.write_text("REMARK\n" + "\n".join(lines) + "\n")
    return path


def test_a_cut_off_line_names_its_number(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"case.pdb:3: the line is cut off.*it has 45"):
        read_structure(_pdb(tmp_path, LINE, LINE[:45]))


@pytest.mark.parametrize("text", ["     nan", "     inf", "   1,000", "        ", "   x.000", "********"])
def test_bad_coordinates_name_line_chain_and_residue(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileFormatError, match=r"case.pdb:3: coordinate y of residue ALA A 1 must be a finite number"):
        read_structure(_pdb(tmp_path, LINE, LINE[:38] + text + LINE[46:]))


def test_bad_residue_numbers_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r":2: columns 23-26 hold the residue number, found ' x1 '"):
        read_structure(_pdb(tmp_path, LINE[:22] + " x1 " + LINE[26:]))


def test_a_file_without_protein_says_what_it_holds(tmp_path: Path) -> None:
    water = "HETATM    1  O   HOH A   1       1.000   2.000   3.000  1.00  0.00           O  "
    with pytest.raises(FileFormatError, match="no amino acid among 1 HOH"):
        read_structure(_pdb(tmp_path, water))
    with pytest.raises(FileFormatError, match=r"1 amino acid\(s\) without a CA atom"):
        read_structure(_pdb(tmp_path, LINE.replace(" CA ", " N  ")))


def test_unusual_but_good_numbers_are_read(tmp_path: Path) -> None:
    path = _pdb(tmp_path, LINE[:30] + "  12.5     -.25" + "    3.00 " + LINE[54:])
    assert read_structure(path).ca.tolist() == [[12.5, -0.25, 3.0]]


@pytest.fixture
def cif() -> list[str]:
    return sample_path("domain").read_text().splitlines()


def _cif(tmp_path: Path, lines: list[str]) -> Path:
    path = tmp_path / "case.cif"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_cut_off_mmcif_row_names_its_line(tmp_path: Path, cif: list[str]) -> None:
    last = max(i for i, line in enumerate(cif) if line.startswith("ATOM"))
    path = _cif(tmp_path, [*cif[:last], cif[last][:30]])
    with pytest.raises(FileFormatError, match=rf"case.cif:{last + 1}: .*last row holds \d+ words"):
        read_structure(path)


def test_a_mmcif_file_without_a_needed_column_is_named(tmp_path: Path, cif: list[str]) -> None:
    path = _cif(tmp_path, [line.replace("_atom_site.Cartn_z", "_atom_site.other") for line in cif])
    with pytest.raises(FileFormatError, match="no column cartn_z"):
        read_structure(path)


def test_a_mmcif_loop_without_rows_is_named(tmp_path: Path, cif: list[str]) -> None:
    path = _cif(tmp_path, [line for line in cif if not line.startswith("ATOM")])
    with pytest.raises(FileFormatError, match="holds no atom"):
        read_structure(path)


def test_bad_mmcif_numbers_name_line_and_residue(tmp_path: Path, cif: list[str]) -> None:
    place = next(i for i, line in enumerate(cif) if line.startswith("ATOM") and " CA " in line)
    words = cif[place].split()
    column = [line.strip() for line in cif if line.startswith("_atom_site.")].index("_atom_site.Cartn_y")
    broken = cif.copy()
    broken[place] = cif[place].replace(words[column], "?".ljust(len(words[column])))
    with pytest.raises(FileFormatError, match=rf"case.cif:{place + 1}: coordinate y of residue \w+ A 1 .*'\?'"):
        read_structure(_cif(tmp_path, broken))


def test_an_unknown_reader_is_refused() -> None:
    with pytest.raises(InputError, match="'fast' or 'biopython'"):
        read_structure(sample_path("helix"), reader="gemmi")


def test_files_that_cannot_hold_a_structure_are_refused(tmp_path: Path) -> None:
    helix = load_sample("helix")
    with pytest.raises(InputError, match=r"ends in .pdb"):
        write_structure(helix, tmp_path / "x.txt")
    long_chain = Structure.from_arrays(np.zeros((1, 3)), chain_ids="LONG")
    with pytest.raises(InputError, match="one letter a chain"):
        write_structure(long_chain, tmp_path / "x.pdb")
    write_structure(long_chain, tmp_path / "x.cif")
    assert read_structure(tmp_path / "x.cif").chains == ("LONG",)
    with pytest.raises(InputError, match="residue numbers"):
        write_structure(Structure.from_arrays(np.zeros((1, 3)), residue_numbers=[12345]), tmp_path / "x.pdb")
    with pytest.raises(InputError, match="coordinates"):
        write_structure(np.full((1, 3), -5000.0), tmp_path / "x.pdb")
    with pytest.raises(InputError, match="B column"):
        write_structure(helix, tmp_path / "x.pdb", b_factors=np.full(30, 5000.0))
    with pytest.raises(InputError, match=r"shape \[30\]"):
        write_structure(helix, tmp_path / "x.pdb", b_factors=[1.0])
    with pytest.raises(InputError, match="stands twice"):
        write_structure(Structure.from_arrays(np.zeros((2, 3)), residue_numbers=[1, 1]), tmp_path / "x.pdb")


def test_five_thousand_residues_are_read_and_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ca = np.cumsum(random.normal(size=(5000, 3)), axis=0).round(3)
    write_structure(Structure.from_arrays(ca, "ACDEFGHIKL" * 500), tmp_path / "big.pdb")
    big = read_structure(tmp_path / "big.pdb")
    assert big.num_residues == 5000
    assert np.array_equal(big.ca, ca)

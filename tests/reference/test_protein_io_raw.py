"""The awkward public files: each gives the residues that Biopython and gemmi find, or a named error.

Residues without a CA atom, ligands and second names of one residue are differences of definition; they are listed here
one by one.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.errors import FileFormatError
from gnnlib.heads.protein.io import read_bytes, read_structure

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
FILES = sorted((MIRROR / "protein" / "raw").glob("*/*.gz"))

pytestmark = pytest.mark.skipif(
    not FILES, reason=f"no structure files below {MIRROR}; name a mirror of the data in GNNLIB_DATA"
)

# Files without a protein that has CA atoms, and what the error says.
NO_PROTEIN = {
    "1A8O.mmtf.gz": "MMTF",
    "1gbt.bcif.gz": "BinaryCIF",
    "3jqh.bcif.gz": "BinaryCIF",
    "1aki.bcif.gz": "BinaryCIF",
    "1l2y.bcif.gz": "BinaryCIF",
    "1MOM_min.cif.gz": "no _atom_site category",
    "4Q9R_min.cif.gz": "no _atom_site category",
    "1SSU_mod.cif.gz": "2 amino acid",
    "1SSU_mod.pdb.gz": "2 amino acid",
    "d256ba_.ent.gz": "no ATOM",
    "header.pdb.gz": "no ATOM",
    "ions.pdb.gz": "2 MG",
    "hetatm.pdb.gz": "1 LIG",
    "4gxy.pdb.gz": "66 G",
    "4p5j.pdb.gz": "no amino acid",
}

# Residues of the protein in the first model, as Biopython counts those with CA (`Bio.PDB` 1.88), except:
# 3mht 327 (S-adenosyl-homocysteine is a ligand), 1tw7 198 (two chains by segment name, which Biopython merges into 99).
COUNTS = {
    "1A7G.cif.gz": 82, "1A8O.cif.gz": 70, "1A8O.pdb.gz": 70, "1AS5.cif.gz": 24, "1GBT.cif.gz": 223,
    "1LCD.cif.gz": 51, "1LCD.pdb.gz": 51, "2BEG.pdb.gz": 130, "2OFG.cif.gz": 106, "2XHE.pdb.gz": 786,
    "2n0n_M1.pdb.gz": 11, "3JQH.cif.gz": 23, "4CUP.cif.gz": 115, "4ZHL.cif.gz": 257, "6WQA.cif.gz": 391,
    "7DDO.pdb.gz": 791, "a_structure.cif.gz": 70, "a_structure.pdb.gz": 1, "disordered.pdb.gz": 6,
    "occupancy.pdb.gz": 1, "1aki.cif.gz": 129, "1aki.pdb.gz": 129, "1dix.pdb.gz": 208, "1f2n.pdb.gz": 590,
    "1gya.pdb.gz": 105, "1igy.cif.gz": 1294, "1igy.pdb.gz": 1294, "1k6p.pdb.gz": 198, "1l2y.cif.gz": 20,
    "1l2y.pdb.gz": 20, "1ncb.cif.gz": 824, "1o1z.pdb.gz": 226, "2axd.pdb.gz": 76, "2d0f.pdb.gz": 637,
    "3o5r.pdb.gz": 128, "3wip.pdb.gz": 2023, "4i39.cif.gz": 125, "4zxb.cif.gz": 1601, "5eil.pdb.gz": 476,
    "5h73.pdb.gz": 363, "5ugo.pdb.gz": 326, "5zng.pdb.gz": 141, "7gsa.cif.gz": 284, "altloc.cif.gz": 1,
    "res_ids.cif.gz": 3, "1ACB_r_b.pdb.gz": 241, "1ACB_r_u.pdb.gz": 245, "1AHW_r_u.pdb.gz": 428,
    "1ATN_r_b.pdb.gz": 372, "1VFB_r_b.pdb.gz": 223, "1hv4.pdb.gz": 1148, "1stp.cif.gz": 121, "2rfk.pdb.gz": 461,
    "3hdb.pdb.gz": 420, "cif_6flr.cif.gz": 741, "mmcif_7cth.cif.gz": 2157, "pdb1ejg.pdb.gz": 46,
    "pdb1tw7_step3_charmm2namd.pdb.gz": 198, "pdb1ubi.pdb.gz": 76, "pdb1ubi_ca.pdb.gz": 76,
    "pdb2gb1_truncated.pdb.gz": 28, "pdb2k39_ca.pdb.gz": 76, "pdb3mht.pdb.gz": 327, "pdb5fc2_sep_modres.pdb.gz": 1,
    "pdb6flr.pdb.gz": 741, "pdb7pbl.pdb.gz": 1918, "pdb_modres_ncaa.pdb.gz": 1,
}  # fmt: skip

# Large files take Biopython seconds: a few stand for all in the comparison residue by residue.
SLOW = {"1gya", "3wip", "4zxb", "mmcif_7cth", "pdb7pbl", "cif_6flr", "pdb6flr", "pdb2k39_ca", "1hv4", "2axd", "1l2y",
        "2XHE", "7DDO", "1f2n", "2d0f", "5eil", "1ncb"}  # fmt: skip

readable = pytest.mark.parametrize(
    "path", [path for path in FILES if path.name not in NO_PROTEIN], ids=lambda p: p.name
)


def test_every_file_is_accounted_for() -> None:
    assert {path.name for path in FILES} == set(NO_PROTEIN) | set(COUNTS)


@pytest.mark.parametrize("path", [path for path in FILES if path.name in NO_PROTEIN], ids=lambda p: p.name)
def test_files_without_protein_give_a_named_error(path: Path) -> None:
    with pytest.raises(FileFormatError, match=NO_PROTEIN[path.name]) as caught:
        read_structure(path)
    assert path.name in str(caught.value)


@readable
def test_every_residue_is_found(path: Path) -> None:
    assert read_structure(path).num_residues == COUNTS[path.name]


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in FILES
        if p.name not in NO_PROTEIN
        and p.name.split(".")[0] not in SLOW
        and "tw7" not in p.name
        and p.name != "1igy.cif.gz"
    ],
    ids=lambda p: p.name,
)
def test_biopython_gives_the_same_structure(path: Path) -> None:
    fast, slow = read_structure(path), read_structure(path, reader="biopython")
    for name in ("sequence", "chain_ids", "residue_numbers", "insertion_codes", "residue_names"):
        assert np.array_equal(getattr(fast, name), getattr(slow, name)), name
    for name in ("coords_angstrom", "sulfurs", "b_factors"):
        assert np.allclose(getattr(fast, name), getattr(slow, name), atol=1e-3, equal_nan=True), name
    assert fast.report.ignored == slow.report.ignored
    assert fast.report.num_models == slow.report.num_models
    if not path.name.startswith("pdb1ejg"):  # Biopython loses the second names of its two residues
        assert [note.name for note in fast.report.dropped] == [note.name for note in slow.report.dropped]


@readable
def test_gemmi_finds_the_same_residues(path: Path) -> None:
    gemmi = pytest.importorskip("gemmi")
    text = read_bytes(path).decode("latin-1")
    if ".cif" in path.name:
        entry = gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())
    else:
        entry = gemmi.read_pdb_string(text, max_line_length=72)  # text in columns 73-80 of old files
    carbon = gemmi.Element("C")
    found = {}
    for chain in entry[0]:
        for residue in chain.first_conformer():
            ca = residue.find_atom("CA", "*", carbon)
            if ca:
                key = (chain.name, residue.seqid.num, residue.seqid.icode.strip())
                found.setdefault(key, (residue.name, ca.pos.tolist(), residue.het_flag))
    ours = read_structure(path)
    if "tw7" in path.name:  # gemmi does not take the segment name for a blank chain: chains merge
        assert len(found) == 99
        return
    keys = [
        (str(chain), int(number), str(icode))
        for chain, number, icode in zip(ours.chain_ids, ours.residue_numbers, ours.insertion_codes, strict=True)
    ]
    extra = {key: found[key][0] for key in found.keys() - set(keys)}
    # a ligand with the atoms of an amino acid; the methyl carbon of an acetyl cap named CA
    assert set(extra.values()) <= {"pdb3mht": {"SAH"}, "1ATN_r_b": {"ACE"}}.get(path.name.split(".")[0], set())
    assert set(keys) <= set(found)
    special = {(n.chain, n.number, n.insertion_code) for n in (*ours.report.altlocs, *ours.report.repaired)}
    for key, name, position in zip(keys, ours.residue_names, ours.ca, strict=True):
        if key not in special:
            assert found[key][0] == name, key
            assert np.allclose(found[key][1], position, atol=1e-3), key


def test_copies_of_an_entry_in_two_formats_agree() -> None:
    folder = MIRROR / "protein" / "raw"
    for name in ("biotite/1igy", "biotite/1aki", "biopython/1A8O", "biopython/1LCD"):
        one, two = read_structure(folder / f"{name}.pdb.gz"), read_structure(folder / f"{name}.cif.gz")
        assert one.sequence == two.sequence
        assert np.array_equal(one.coords_angstrom, two.coords_angstrom, equal_nan=True)
        assert np.array_equal(one.insertion_codes, two.insertion_codes)

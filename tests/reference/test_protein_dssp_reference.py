"""The own DSSP against the program: eight states and PPII, residue by residue.

`protein_mkdssp.json` holds what mkdssp said about the TS50 files and the raw files, with the command line; ``?`` stands
for residues that it does not list. Files with alternate locations may differ by a few residues, since the program and the
reader choose differently; the share of equal residues counts them.
"""

import json
import os
from pathlib import Path

import pytest

from gnnlib.heads.protein.dssp import assign_dssp
from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.secondary import secondary_structure

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
STORED = json.loads((Path(__file__).parent / "protein_mkdssp.json").read_text())["states"]
needs_data = pytest.mark.skipif(
    not (MIRROR / "protein").is_dir(),
    reason=f"no protein files below {MIRROR}; name a mirror of the data in GNNLIB_DATA",
)


def equal_and_compared(folder):
    equal = compared = 0
    for name, wanted in STORED.items():
        if not name.startswith(folder):
            continue
        structure = read_structure(MIRROR / "protein" / name)
        found = assign_dssp(structure.coords_angstrom, structure.segment, structure.sequence, ppii=True)
        assert len(found) == len(wanted), name
        known = [(a, b) for a, b in zip(found, wanted, strict=True) if b != "?"]
        compared += len(known)
        equal += sum(a == b for a, b in known)
    return equal, compared


@needs_data
def test_every_residue_of_ts50_has_the_state_of_mkdssp():
    equal, compared = equal_and_compared("ts50")
    assert compared > 6800
    assert equal == compared


@needs_data
def test_raw_files_agree_with_mkdssp():
    equal, compared = equal_and_compared("raw")
    assert compared > 15_000
    assert equal / compared >= 0.997


@needs_data
def test_chains_together_form_strands_that_they_lack_alone():
    whole = read_structure(MIRROR / "protein" / "raw" / "biotite" / "1k6p.pdb.gz")  # a dimer with a shared sheet
    together = secondary_structure(whole).states8
    alone = "".join(secondary_structure(whole.chain(name)).states8 for name in whole.chains)
    assert together.count("E") > alone.count("E")

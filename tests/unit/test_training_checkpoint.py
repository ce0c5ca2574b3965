from __future__ import annotations

import json
import os
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file

from gnnlib.errors import InputError, WeightsError
from gnnlib.training import load_checkpoint, save_checkpoint

TENSORS = {"a": torch.randn(3, 4), "step": torch.tensor(7.0), "ids": torch.arange(5), "empty": torch.zeros(0, 2)}
STATE = {"epoch": 3, "best": 0.1 + 0.2, "rows": [{"x": 1e-300}], "name": "ä", "inf": float("inf")}


def test_everything_comes_back_exactly(tmp_path):
    path = tmp_path / "deep" / "er" / "run.ckpt"
    save_checkpoint(path, TENSORS, STATE)
    tensors, state = load_checkpoint(path)
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_shared_and_strided_tensors_are_stored(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    save_checkpoint(tmp_path / "c", {"a": base, "b": base, "t": base.t(), "part": base[:, 1]}, {})
    tensors, _ = load_checkpoint(tmp_path / "c")
    assert torch.equal(tensors["t"], base.t())
    assert torch.equal(tensors["part"], torch.tensor([1.0, 4.0]))
    assert torch.equal(tensors["a"], tensors["b"])


def test_the_file_is_plain_safetensors_with_json_in_its_header(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, TENSORS, STATE)
    assert torch.equal(load_file(path)["a"], TENSORS["a"])
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert json.loads(json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]["gnnlib"]) == STATE


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 40, 0.5, -1])
def test_a_truncated_checkpoint_is_a_weights_error(tmp_path, keep):
    path = tmp_path / "c"
    save_checkpoint(path, TENSORS, STATE)
    data = path.read_bytes()
    size = int(len(data) * keep) if isinstance(keep, float) else keep
    path.write_bytes(data[:size])
    with pytest.raises(WeightsError, match="is truncated or damaged"):
        load_checkpoint(path)


def test_other_files_are_no_checkpoints(tmp_path):
    with pytest.raises(WeightsError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(WeightsError, match="there is no checkpoint"):
        load_checkpoint(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "weights")
    with pytest.raises(WeightsError, match="it is no checkpoint"):
        load_checkpoint(tmp_path / "weights")
    save_file({"a": torch.zeros(1)}, tmp_path / "odd", metadata={"gnnlib": "{"})
    with pytest.raises(WeightsError, match="truncated or damaged"):
        load_checkpoint(tmp_path / "odd")


def test_a_failed_write_leaves_the_old_checkpoint_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "c"
    save_checkpoint(path, TENSORS, {"epoch": 1})

    def full_disk(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(WeightsError, match=r"cannot write .*No space left"):
        save_checkpoint(path, TENSORS, {"epoch": 2})
    assert load_checkpoint(path).state == {"epoch": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


def test_a_new_checkpoint_replaces_the_old_one_and_is_readable_by_others(tmp_path):
    path = tmp_path / "c"
    for epoch in (1, 2):
        save_checkpoint(path, {}, {"epoch": epoch})
    assert load_checkpoint(path).state == {"epoch": 2}
    (tmp_path / "plain").write_text("x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_state_must_be_plain(tmp_path):
    with pytest.raises(InputError, match="plain values only"):
        save_checkpoint(tmp_path / "c", {}, {"model": object()})
    assert not (tmp_path / "c").exists()

from __future__ import annotations

import math

import pytest

from gnnlib.errors import FileFormatError, InputError
from gnnlib.training import FitConfig, ReinforceConfig


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": -1}, "`epochs` must be an integer >= 0, found -1"),
        ({"epochs": True}, "`epochs` must be an integer >= 0, found True"),
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be an integer >= 1"),
        ({"patience": 2.5}, "`patience` must be an integer >= 1"),
        ({"checkpoint_every": 0}, "`checkpoint_every`"),
        ({"num_workers": -1}, "`num_workers`"),
        ({"warmup_steps": -1}, "`warmup_steps`"),
        ({"learning_rate": 0.0}, "`learning_rate` must be a finite number strictly between 0 and inf, found 0.0"),
        ({"learning_rate": math.nan}, "`learning_rate`"),
        ({"learning_rate": "fast"}, "`learning_rate`"),
        ({"final_rate": 1.5}, r"`final_rate` must be a finite number in \[0, 1\], found 1.5"),
        ({"weight_decay": -0.1}, "`weight_decay`"),
        ({"clip_norm": 0.0}, "`clip_norm`"),
        ({"ema_decay": 1.0}, "`ema_decay` must be a finite number strictly between 0 and 1"),
        ({"min_delta": -1.0}, "`min_delta`"),
        ({"betas": (0.9,)}, "`betas` must be two numbers"),
        ({"betas": (0.9, 1.0)}, "`betas`"),
        ({"schedule": "step"}, "`schedule` must be one of cosine, linear, constant; found 'step'"),
        ({"mode": "maximum"}, "`mode` must be one of min, max"),
        ({"monitor": ""}, "`monitor` must name"),
        ({"shuffle": 1}, "`shuffle` must be true or false, found 1"),
        ({"amp": "bf16"}, "`amp` must be true or false"),
        ({"loss_weights": {"edge": -1.0}}, r"`loss_weights\['edge'\]`"),
        ({"loss_weights": [1.0]}, "`loss_weights` must map names to numbers"),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        FitConfig(**change)


def test_an_infinite_clip_norm_switches_clipping_off():
    assert FitConfig(clip_norm=math.inf).clip_norm == math.inf


def test_a_config_is_a_value():
    assert FitConfig(loss_weights={"a": 1}) == FitConfig(loss_weights={"a": 1.0})
    assert hash(FitConfig()) == hash(FitConfig())
    assert ReinforceConfig(epochs=2) != ReinforceConfig(epochs=3)
    with pytest.raises(AttributeError):
        FitConfig().epochs = 3


def test_reinforce_has_its_own_settings():
    with pytest.raises(InputError, match="`baseline` must be one of shared, leave_one_out, none; found 'greedy'"):
        ReinforceConfig(baseline="greedy")
    with pytest.raises(InputError, match="`entropy_weight`"):
        ReinforceConfig(entropy_weight=-1.0)
    with pytest.raises(InputError, match="`epochs`"):
        ReinforceConfig(epochs=-1)


def write(folder, text):
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_settings_come_from_a_file(tmp_path):
    path = write(
        tmp_path,
        'epochs = 3\nlearning_rate = 1\nbetas = [0.8, 0.99]\nschedule = "linear"\nclip_norm = inf\n'
        "[loss_weights]\nedge = 2\n",
    )
    expected = FitConfig(
        epochs=3,
        learning_rate=1.0,
        betas=(0.8, 0.99),
        schedule="linear",
        clip_norm=math.inf,
        loss_weights={"edge": 2.0},
    )
    assert FitConfig.from_file(path) == expected
    assert FitConfig.from_file(str(path)) == expected


def test_settings_may_lie_in_a_table(tmp_path):
    path = write(tmp_path, '[data]\nsize = 3\n[policy]\nbaseline = "leave_one_out"\nentropy_weight = 0.5\n')
    assert ReinforceConfig.from_file(path, "policy") == ReinforceConfig(baseline="leave_one_out", entropy_weight=0.5)
    with pytest.raises(FileFormatError, match=r"there is no table \[polic\]; did you mean 'policy'\?"):
        ReinforceConfig.from_file(path, "polic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 0.1", r"run.toml: unknown setting 'learning_rat'; did you mean 'learning_rate'\?"),
        ("zzz = 0.1", "unknown setting 'zzz'; valid names: amp, batch_size"),
        ("baseline = 'shared'", "unknown setting 'baseline'"),
        ("epochs = 'many'", "run.toml: `epochs` must be an integer >= 0, found 'many'"),
        ("epochs = ", "run.toml: not a TOML file"),
        ("learning_rate = nan", "`learning_rate` must be a finite number"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, text, message):
    with pytest.raises(FileFormatError, match=message):
        FitConfig.from_file(write(tmp_path, text))


def test_a_missing_or_binary_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the settings .*none.toml"):
        FitConfig.from_file(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="not a TOML file"):
        FitConfig.from_file(tmp_path / "b.toml")

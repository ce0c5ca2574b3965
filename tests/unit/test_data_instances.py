"""The instances that come with the library: complete, unchanged, and what their cards say."""

import tomllib

import numpy as np
import pytest

from gnnlib.data import folder, instances, list_instances, load_instance
from gnnlib.data.shipped import shipped_text, write_shipped
from gnnlib.errors import FileFormatError, GnnlibError, InputError
from gnnlib.heads.combinatorial.tsp.io import read_tsplib
from gnnlib.heads.combinatorial.tsp.problem import as_tsp

DATASETS = folder.datasets_folder()
SIZES = [100, 200, 500, 1000, 2000, 5000, 10000]


def test_all_promised_instances_are_listed():
    assert list_instances() == [*(f"uniform_{n}" for n in SIZES), *(f"clustered_{n}" for n in SIZES), "capitals"]


@pytest.mark.parametrize("name", list_instances())
def test_an_instance_loads_as_its_name_says(name):
    instance = load_instance(name)
    assert instance.name == name
    assert instance.num_cities == (195 if name == "capitals" else int(name.split("_")[1]))
    problem = as_tsp(instance)
    assert problem.is_integral
    assert problem.num_cities == instance.num_cities


@pytest.mark.parametrize("name", [name for name in list_instances() if load_instance(name).path])
def test_the_shipped_file_is_what_the_catalogue_makes(name):
    instance = load_instance(name)
    text, checksum = shipped_text(DATASETS, name)
    assert instance.path.read_text() == text
    with (DATASETS / "instances.toml").open("rb") as file:
        assert tomllib.load(file)[name]["sha256"] == checksum


@pytest.mark.parametrize("name", [name for name in list_instances() if load_instance(name).path])
def test_the_shipped_file_is_proper_tsplib(name):
    instance = load_instance(name)
    problem = read_tsplib(instance.path)
    assert np.array_equal(problem.coords, instance.coords)
    assert (problem.name, problem.metric, problem.comment) == (name, instance.metric, instance.comment)


def test_files_are_shipped_up_to_a_thousand_cities_and_stay_small():
    assert load_instance("uniform_1000").path.is_file()
    assert load_instance("uniform_2000").path is None
    assert sum(path.stat().st_size for path in DATASETS.rglob("*") if path.is_file()) < 500_000


def test_there_is_no_python_among_the_data():
    assert not list(DATASETS.rglob("*.py"))


def test_every_folder_has_a_card_with_origin_licence_and_purpose():
    for place in DATASETS.iterdir():
        if place.is_dir():
            card = (place / "card.md").read_text()
            assert all(word in card for word in ("**Origin**", "**Licence**", "**For**")), place


def test_writing_the_shipped_files_again_changes_nothing(tmp_path):
    (tmp_path / "capitals").mkdir()
    for name in ("instances.toml", "capitals/capitals.csv"):
        (tmp_path / name).write_bytes((DATASETS / name).read_bytes())
    write_shipped(tmp_path)
    for path in tmp_path.rglob("*.tsp"):
        assert path.read_bytes() == (DATASETS / path.relative_to(tmp_path)).read_bytes()
    assert len(list(tmp_path.rglob("*.tsp"))) == 9


def test_random_instances_lie_on_their_grid():
    for name in ("uniform_10000", "clustered_10000"):
        coords = load_instance(name).coords
        assert np.array_equal(coords, np.floor(coords))
        assert coords.min() >= 0
        assert coords.max() <= 999_999


def test_capitals_are_distinct_places_in_the_right_quarters_of_the_globe():
    capitals = load_instance("capitals")
    latitude, longitude = capitals.coords.T
    assert len(set(capitals.labels)) == len(set(capitals.table["country"])) == 195
    assert len(np.unique(capitals.coords, axis=0)) == 195
    assert np.abs(latitude).max() < 65  # Reykjavik
    assert latitude.min() > -42  # Wellington
    assert np.abs(longitude).max() < 180
    minutes = np.abs(capitals.coords - np.trunc(capitals.coords)) * 100
    assert minutes.max() < 59.5
    quarter = dict(zip(capitals.labels, zip(latitude > 0, longitude > 0, strict=True), strict=True))
    expected = {"Canberra": (False, True), "Lima": (False, False), "Tokyo": (True, True), "Ottawa": (True, False)}
    assert {city: quarter[city] for city in expected} == expected


@pytest.mark.parametrize(
    ("start", "end", "kilometres"),
    [
        ("Paris", "London", 344),
        ("Rome", "Vatican City", 3),
        ("Kinshasa", "Brazzaville", 7),
        ("Berlin", "Moscow", 1608),
        ("Tokyo", "Beijing", 2097),
        ("Canberra", "Wellington", 2327),
        ("Washington", "Ottawa", 733),
        ("Buenos Aires", "Montevideo", 203),
        ("Cairo", "Nairobi", 3530),
        ("New Delhi", "Islamabad", 685),
        ("Apia", "Suva", 1146),
        ("Madrid", "Lisbon", 503),
        ("Helsinki", "Tallinn", 82),
        ("Singapore", "Jakarta", 886),
    ],
)
def test_capitals_are_as_far_apart_as_on_a_map(start, end, kilometres):
    capitals = load_instance("capitals")
    i, j = capitals.labels.index(start), capitals.labels.index(end)
    found = as_tsp(capitals).distances(np.array([i]), np.array([j]))[0]
    assert found == pytest.approx(kilometres, rel=0.02, abs=4)


def test_an_unknown_instance_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="there is no instance 'uniform_1001'; did you mean 'uniform_100"):
        load_instance("uniform_1001")
    with pytest.raises(InputError, match="`list_instances\\(\\)` names all"):
        load_instance("zzz")


def test_changed_coordinates_are_noticed(monkeypatch):
    monkeypatch.setattr(instances, "read_coords", lambda path: np.zeros((100, 2)))
    with pytest.raises(GnnlibError, match="differ from the stored checksum; restore"):
        load_instance("uniform_100")
    monkeypatch.setattr(instances, "make_coords", lambda entry: np.zeros((2000, 2)))
    with pytest.raises(GnnlibError, match="this numpy draws other random numbers"):
        load_instance("uniform_2000")


def test_a_cut_file_is_noticed(tmp_path):
    text = load_instance("uniform_100").path.read_text()
    (tmp_path / "cut.tsp").write_text(text[: len(text) // 2])
    with pytest.raises(FileFormatError, match="the file is damaged"):
        instances.read_coords(tmp_path / "cut.tsp")


def test_an_instance_prints_short():
    assert repr(load_instance("uniform_100")) == "Instance(name='uniform_100', num_cities=100, metric='EUC_2D')"

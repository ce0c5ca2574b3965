"""The registry: complete entries, the local mirror first, checksums always, clear errors."""

import hashlib
import os
import re
from pathlib import Path

import pooch
import pytest

from gnnlib.data import dataset, fetch, list_datasets, registry
from gnnlib.data.folder import datasets_folder
from gnnlib.errors import FileFormatError, GnnlibError, InputError

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
CONTENT = b"NAME : toy\n"


@pytest.fixture
def toy(monkeypatch):
    """Put one small data set into the registry."""
    files = tuple(
        registry.DataFile(name, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), f"sub/{name}")
        for name in ("a.tsp", "b.tsp")
    )
    entry = registry.Dataset(
        "toy", "t", "p", "o", "https://github.com/owner/toys", "abc123", "recorded", "MIT", False, "far/toy", files
    )
    monkeypatch.setattr(registry, "_registry", lambda: {"toy": entry})
    monkeypatch.delenv("GNNLIB_DATA", raising=False)
    return entry


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    place = tmp_path / "mirror" / "far" / "toy"
    place.mkdir(parents=True)
    for name in ("a.tsp", "b.tsp"):
        (place / name).write_bytes(CONTENT)
    monkeypatch.setenv("GNNLIB_DATA", str(tmp_path / "mirror"))
    return place


@pytest.fixture
def downloads(monkeypatch):
    """Replace the network by a list of addresses asked for; each gives `CONTENT`."""
    asked = []

    class Downloader:
        def __init__(self, progressbar=False):
            pass

        def __call__(self, url, output_file, pooch):
            asked.append(url)
            Path(output_file).write_bytes(CONTENT)

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    return asked


def test_every_entry_says_what_whose_and_how():
    names = [entry.name for entry in list_datasets()]
    assert len(set(names)) == len(names) >= 7
    for entry in list_datasets():
        assert entry.title
        assert entry.purpose
        assert entry.origin
        assert entry.licence
        assert entry.repository.startswith("https://github.com/")
        assert re.fullmatch(r"[0-9a-f]{12,40}", entry.commit)
        assert entry.address in {"recorded", "unknown"}
        assert isinstance(entry.non_commercial, bool)
        assert entry.size == sum(file.size for file in entry.files) > 0
        assert (datasets_folder() / entry.name / "card.md").is_file()
        for file in entry.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert entry.url(file) == (
                f"https://raw.githubusercontent.com/{entry.repository[19:]}/{entry.commit}/{file.path}"
            )


def test_data_without_a_clear_licence_are_marked():
    marked = {entry.name for entry in list_datasets() if entry.non_commercial}
    assert {"tsplib", "tsplib-tours", "national"} <= marked
    assert "uniform-paper" not in marked


@pytest.mark.skipif(not (MIRROR / "combinatorial").is_dir(), reason=f"no data below {MIRROR}; set GNNLIB_DATA")
@pytest.mark.parametrize("name", [entry.name for entry in list_datasets()])
def test_the_registered_checksums_are_those_of_the_mirror(name, monkeypatch):
    if not all((MIRROR / dataset(name).folder / file.name).is_file() for file in dataset(name).files):
        pytest.skip(f"the mirror {MIRROR} does not hold all of {name}")
    monkeypatch.setenv("GNNLIB_DATA", str(MIRROR))
    place = fetch(name)
    assert place == MIRROR / dataset(name).folder
    for file in dataset(name).files:
        assert (place / file.name).stat().st_size == file.size


def test_the_mirror_comes_first(toy, mirror, downloads):
    assert fetch("toy") == mirror
    assert fetch("toy/b.tsp") == mirror / "b.tsp"
    assert downloads == []


def test_a_changed_file_of_the_mirror_is_an_error_not_a_download(toy, mirror, downloads):
    (mirror / "b.tsp").write_bytes(b"other")
    with pytest.raises(FileFormatError, match=r"b\.tsp: the SHA-256 must be .*, found .*; restore the file"):
        fetch("toy")
    assert fetch("toy/a.tsp") == mirror / "a.tsp"
    assert downloads == []


def test_what_the_mirror_lacks_is_downloaded_once(toy, mirror, downloads, tmp_path):
    (mirror / "b.tsp").unlink()
    for _ in range(2):
        place = fetch("toy", cache=tmp_path / "cache")
        assert place == tmp_path / "cache" / "toy"
        assert sorted(path.name for path in place.iterdir()) == ["a.tsp", "b.tsp"]
    base = "https://raw.githubusercontent.com/owner/toys/abc123/sub/"
    assert downloads == [base + "a.tsp", base + "b.tsp"]


def test_a_single_file_is_downloaded_alone(toy, downloads, tmp_path):
    assert fetch("toy/a.tsp", cache=tmp_path) == tmp_path / "toy" / "a.tsp"
    assert len(downloads) == 1


def test_a_download_with_another_checksum_is_refused(toy, downloads, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "CONTENT", b"changed upstream")
    with pytest.raises(FileFormatError, match="the download is not the registered file"):
        fetch("toy", cache=tmp_path)
    assert not (tmp_path / "toy" / "a.tsp").exists()


def test_a_failing_network_names_the_way_without_one(toy, tmp_path, monkeypatch):
    class Offline:
        def __init__(self, progressbar=False):
            pass

        def __call__(self, url, output_file, pooch):
            raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "HTTPDownloader", Offline)
    with pytest.raises(GnnlibError, match=r"could not download .*no route to host.*GNNLIB_DATA"):
        fetch("toy", cache=tmp_path)


def test_data_without_a_known_address_need_a_mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("GNNLIB_DATA", str(tmp_path))
    with pytest.raises(GnnlibError, match=r"no download address is known for 'tsplib-tours'.*GNNLIB_DATA"):
        fetch("tsplib-tours")


def test_a_mirror_that_is_no_folder_is_an_error(toy, monkeypatch, tmp_path):
    monkeypatch.setenv("GNNLIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="GNNLIB_DATA must name a folder"):
        fetch("toy")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tsplip", "there is no data set 'tsplip'; did you mean 'tsplib'"),
        ("zzz", "known are tsplib, "),
        ("tsplib/berlin25.tsp", "has no file 'berlin25.tsp'; did you mean 'berlin52.tsp'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name, message):
    with pytest.raises(InputError, match=message):
        fetch(name)

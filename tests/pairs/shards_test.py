"""Names in a manifest or a marker are data: no file outside the set is touched."""

import dataclasses
import json
import os

import pytest

from tf_student.pairs import manifests, shard_index, shards, writer
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError

PLANNED = shards.plan(PairsConfig(pairs=4, held_out_pairs=2, shard_pairs=4))
WRITTEN = [{**dataclasses.asdict(s), "sha256": "ab", "size": 5} for s in PLANNED]


def test_planned_shards_are_parsed():
    parsed = list(shards.parse(WRITTEN, PLANNED))
    assert [(s.name, s.sha256, s.size) for s in parsed] == [
        ("pairs-train.tfrecord-00000-of-00001", "ab", 5),
        ("pairs-held_out.tfrecord-00000-of-00001", "ab", 5),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../outside"},
        {"name": "/outside"},
        {"name": "pairs-train.tfrecord-00000-of-00001/../../outside"},
        {"name": "pairs-train.tfrecord-00000-of-00002"},
        {"name": ""},
        {"name": None},
        {"split": "held_out"},
        {"first_index": 1},
        {"first_index": -1},
        {"pairs": 3},
        {"pairs": 10**400},
        {"sha256": None},
        {"sha256": ["ab"]},
        {"size": "5"},
        {"size": True},
        {"size": 5.0},
        {"path": "../outside"},
    ],
)
def test_other_shards_are_refused(change):
    with pytest.raises(InputError):
        list(shards.parse([{**WRITTEN[0], **change}, WRITTEN[1]], PLANNED))


@pytest.mark.parametrize(
    "values", [None, {}, [], WRITTEN[:1], WRITTEN[::-1], [*WRITTEN, WRITTEN[0]]]
)
def test_another_list_of_shards_is_refused(values):
    with pytest.raises(InputError):
        list(shards.parse(values, PLANNED))


@pytest.fixture
def outside(tmp_path):
    """A file beside the pair set, of the size that a manifest may state."""
    path = tmp_path / "outside"
    path.write_text("precious")
    return path


def _craft(directory, name, **changes):
    path = os.path.join(directory, "manifest.json")
    with open(path) as file:
        values = json.load(file)
    values["shards"][0].update(name=name, **changes)
    with open(path, "w") as file:
        json.dump(values, file)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_crafted_manifest_removes_and_replaces_nothing(
    write, plan, make_sampler, outside, contents, absolute
):
    directory = write()
    name = str(outside) if absolute else "../outside"
    _craft(directory, name, size=1)
    before = contents(directory)
    calls = [
        lambda: write(),
        lambda: shard_index.adopt(directory, plan()),
        lambda: shard_index.forget(directory, plan(), [name]),
        lambda: writer.finish(directory, plan()),
        lambda: PairSet(directory),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"manifest.json is damaged: a shard must"):
            call()
    assert outside.read_text() == "precious"
    assert contents(directory) == before


@pytest.mark.parametrize("name", ["../outside", "manifest.json", ""])
def test_only_shards_of_the_set_are_forgotten(write, plan, outside, contents, name):
    directory = write()
    before = contents(directory)
    with pytest.raises(InputError, match="has no shard called"):
        shard_index.forget(directory, plan(), [name])
    assert outside.read_text() == "precious"
    assert contents(directory) == before


@pytest.fixture
def unfinished(plan, make_sampler, tmp_path):
    directory = tmp_path / "pairs"
    writer.write_pairs(str(directory), plan(), make_sampler(), batch=3, num_workers=2)
    return directory


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../outside"},
        {"name": "pairs-train.tfrecord-00001-of-00003"},
        {"pairs": 1},
        {"size": None},
    ],
)
def test_a_crafted_marker_is_named(unfinished, plan, make_sampler, outside, change):
    path = unfinished / "completed" / f"{plan().shards[0].name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError) as error:
        writer.write_pairs(str(unfinished), plan(), make_sampler(), batch=3)
    assert str(error.value).startswith(f"{path} is damaged: ")
    assert str(error.value).endswith("Remove it to re-generate the shard.")
    assert outside.read_text() == "precious"


def test_markers_of_other_names_count_nothing_and_stay(
    unfinished, plan, make_sampler, outside
):
    marker = {**WRITTEN[0], "name": "../outside"}
    strange = unfinished / "completed" / "other.json"
    strange.write_text(json.dumps(marker))
    (unfinished / "completed" / "notes").write_text("the user's")
    assert shard_index.count(str(unfinished)) == 3
    manifest = writer.write_pairs(str(unfinished), plan(), make_sampler(), batch=3)
    assert manifest.complete
    assert sorted(os.listdir(unfinished / "completed")) == ["notes", "other.json"]
    assert outside.read_text() == "precious"


def test_what_a_linked_folder_of_markers_holds_stays(
    unfinished, plan, make_sampler, tmp_path
):
    elsewhere = tmp_path / "elsewhere"
    (unfinished / "completed").rename(elsewhere)
    (elsewhere / "precious").write_text("the user's")
    (unfinished / "completed").symlink_to(elsewhere)
    assert writer.write_pairs(str(unfinished), plan(), make_sampler(), batch=3).complete
    assert os.listdir(elsewhere) == ["precious"]


@pytest.mark.parametrize("name", ["exp[1]", "exp*", "exp?", "~", "a\nb", "é"])
def test_a_directory_may_have_any_name(write, contents, tmp_path, name):
    write("exp1")
    half = tmp_path / "exp1" / "pairs-train.tfrecord-00000-of-00003.tmp-0123abcd"
    half.write_text("of another run")
    directory = write(name)
    assert manifests.read(directory).complete
    assert half.exists()
    half.unlink()
    assert contents(directory) == contents(tmp_path / "exp1")
    assert len(list(PairSet(directory).held_out())) == 5

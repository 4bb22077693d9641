import dataclasses
import json
import os
import re

import numpy as np
import pytest

from tests.tiny_run import RUN, TINY
from tf_student.data import datasets, grids
from tf_student.data.data_config import DataConfig
from tf_student.evaluation import extractors, frechet, statistics
from tf_student.evaluation.evaluate import evaluate
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


def _evaluate(demo_run, directory, pairs=None, **changes):
    system = dataclasses.replace(TINY, **changes)
    parts = demo_run.teacher, str(pairs or demo_run.pairs), demo_run.student
    return evaluate(str(directory), *parts, system, RUN)


def test_evaluation_is_written_as_json(demo_run):
    with open(demo_run / "evaluation.json") as file:
        values = json.load(file)
    # The demo's second run measures the times anew.
    for name, measured in dataclasses.asdict(demo_run.evaluation)["networks"].items():
        found = values["networks"][name]["scores"]["FID"]["mean"]
        np.testing.assert_allclose(found, measured["scores"]["FID"]["mean"], rtol=1e-3)
    assert (values["samples"], values["repeats"]) == (50, 1)
    assert (values["real"], values["real_count"]) == ("digits", 1797)


def test_network_calls_are_counted(demo_run):
    calls = {name: m.calls for name, m in demo_run.evaluation.networks.items()}
    assert calls == {"teacher": 3, "student": 1}


def test_times_are_measured(demo_run):
    measured = demo_run.evaluation.networks
    assert 0 < measured["student"].milliseconds < measured["teacher"].milliseconds


def test_teachers_fid_is_that_of_its_stored_images(demo_run):
    extractor = extractors.load("digits", devices.make_strategy())
    stored = list(PairSet(demo_run.pairs).images().take(50).as_numpy_iterator())
    fid = frechet.distance(
        extractor.extract([datasets.digits()[0]]).statistics,
        extractor.extract([np.stack(stored)]).statistics,
    )
    found = demo_run.evaluation.networks["teacher"].scores["FID"].mean
    np.testing.assert_allclose(found, fid, rtol=1e-4)


def test_teacher_samples_where_there_are_too_few_stored_images(demo_run, tmp_path):
    more = EvaluateConfig(samples=40, repeats=2, extractor="digits")
    evaluation = _evaluate(demo_run, tmp_path, evaluate=more)
    scores = evaluation.networks["teacher"].scores["FID"]
    assert np.isfinite(scores.mean) and scores.std > 0


def test_missing_extractor_is_refused_and_nothing_changes(demo_run, tmp_path):
    absent = EvaluateConfig(samples=40, extractor=str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"Received: extractor=.*absent"):
        _evaluate(demo_run, tmp_path, evaluate=absent)
    assert list(tmp_path.iterdir()) == []


def test_missing_student_is_named(demo_run, tmp_path):
    parts = demo_run.teacher, demo_run.pairs, str(tmp_path / "student")
    with pytest.raises(InputError, match=r"student holds no config.json"):
        evaluate(str(tmp_path / "out"), *parts, TINY, RUN)
    assert list(tmp_path.iterdir()) == []


def test_stored_image_with_a_flipped_bit_names_its_shard(
    demo_run, copied_pairs, tmp_path
):
    name = "pairs-train.tfrecord-00000-of-00002"
    data = bytearray((copied_pairs / name).read_bytes())
    data[200] ^= 1
    (copied_pairs / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is damaged"):
        _evaluate(demo_run, tmp_path / "out", copied_pairs)
    # Cached features alone, which are true.
    assert os.listdir(tmp_path / "out") == ["features"]


def test_unreadable_real_image_is_named(demo_run, tmp_path):
    folder = tmp_path / "real"
    folder.mkdir()
    grids.write_png(folder / "a.png", np.zeros([8, 8, 1], np.uint8))
    (folder / "b.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"b.png is not a readable image"):
        _evaluate(demo_run, tmp_path / "out", data=DataConfig(str(folder)))


def test_page_shows_pairs_of_the_same_noise_and_neighbours(demo_run):
    with open(demo_run / "evaluation.html") as file:
        page = file.read()
    for caption in (
        "teacher (upper rows) and student (lower rows) on the same noise",
        "the pairs with the most distant features",
        "Samples of the student (left) and their nearest real images",
    ):
        assert caption in page
    assert len(re.findall('src="data:image/png;base64,', page)) == 3
    names = ["neighbours.png", "same_noise.png", "worst_pairs.png"]
    assert sorted(os.listdir(demo_run / "evaluation")) == names


def test_networks_are_compared_on_held_out_noise(demo_run):
    assert demo_run.evaluation.same_noise.pairs == TINY.pairs.held_out_pairs
    found = demo_run.evaluation.same_noise
    assert 0 < found.l1 <= found.l2 < 255
    assert -1 <= found.ssim <= 1 and 0 <= found.cosine <= 2


def test_fid_between_the_networks_is_that_of_their_statistics(demo_run):
    teacher, student = (
        statistics.load(demo_run / f"statistics/{name}.npz")
        for name in ("teacher", "student")
    )
    found = frechet.distance(teacher, student)
    np.testing.assert_allclose(demo_run.evaluation.between.mean, found, rtol=1e-4)


def test_fewer_images_than_dimensions_are_told_of(demo_run):
    # 50 images, 64 features.
    assert any("50 images for 64 feature" in w for w in demo_run.evaluation.warnings)
    assert "covariance lacks rank" in demo_run.evaluation.table()

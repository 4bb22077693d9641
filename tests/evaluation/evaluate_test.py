import dataclasses
import json
import os
import re

import numpy as np
import pytest

from tests.tiny_run import RUN, TINY
from tf_student.data import datasets, grids
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import extractors, frechet, statistics
from tf_student.evaluation.evaluate import evaluate
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError

_OPTIONS = {"real": TINY.data, "sampler": TINY.sampler, "run": RUN}
_SMALL = EvaluateConfig(samples=20, repeats=1, extractor="digits", same_noise=8)


def _evaluate(demo_run, directory, pairs=None, config=TINY.evaluate, **changes):
    return evaluate(
        demo_run.teacher,
        demo_run.student,
        str(directory),
        pairs=str(pairs or demo_run.pairs),
        config=config,
        **{**_OPTIONS, **changes},
    )


def _scores(evaluation):
    """Everything but the times."""
    return {
        name: (measured.scores, measured.calls)
        for name, measured in evaluation.networks.items()
    }


def test_evaluation_is_written_as_json(demo_run):
    with open(demo_run / "evaluation.json") as file:
        values = json.load(file)
    for name, measured in dataclasses.asdict(demo_run.evaluation)["networks"].items():
        written = values["networks"][name]["scores"]["FID"]["mean"]
        expected = measured["scores"]["FID"]["mean"]
        np.testing.assert_allclose(written, expected, rtol=1e-3)
    assert (values["samples"], values["repeats"]) == (50, 1)
    assert (values["real"], values["real_count"]) == ("digits", 1797)


def test_network_calls_are_counted(demo_run):
    calls = {name: m.calls for name, m in demo_run.evaluation.networks.items()}
    assert calls == {"teacher": 3, "student": 1, "matched": 1}


def test_times_are_measured(demo_run):
    for measured in demo_run.evaluation.networks.values():
        assert measured.milliseconds > 0


def test_teachers_fid_is_that_of_its_stored_images(demo_run):
    extractor = extractors.load("digits", devices.make_strategy())
    stored = list(PairSet(demo_run.pairs).images().take(50).as_numpy_iterator())
    fid = frechet.distance(
        extractor.extract([datasets.digits()[0]]).statistics,
        extractor.extract([np.stack(stored)]).statistics,
    )
    actual = demo_run.evaluation.networks["teacher"].scores["FID"].mean
    np.testing.assert_allclose(actual, fid, rtol=1e-4)


def test_teacher_samples_ranges_that_are_not_stored(demo_run, tmp_path):
    more = EvaluateConfig(samples=40, repeats=2, extractor="digits")
    evaluation = _evaluate(demo_run, tmp_path, config=more)
    scores = evaluation.networks["teacher"].scores["FID"]
    assert np.isfinite(scores.mean) and scores.std > 0


def test_objects_and_directories_give_the_same_figures(demo_run):
    teacher, student = Teacher.load(demo_run.teacher), Student.load(demo_run.student)
    pairs = PairSet(demo_run.pairs)
    objects = evaluate(teacher, student, pairs=pairs, config=_SMALL, **_OPTIONS)
    directories = evaluate(
        demo_run.teacher,
        demo_run.student,
        pairs=demo_run.pairs,
        config=_SMALL,
        **_OPTIONS,
    )
    assert _scores(objects) == _scores(directories)
    assert objects.same_noise == directories.same_noise


def test_nothing_is_written_without_a_directory(demo_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(demo_run.directory.rglob("*"))
    evaluate(demo_run.teacher, demo_run.student, config=_SMALL, **_OPTIONS)
    assert list(tmp_path.iterdir()) == []
    assert sorted(demo_run.directory.rglob("*")) == before


def test_real_images_may_be_a_name_or_a_config(demo_run, tmp_path):
    path = str(tmp_path / "real.npz")
    np.savez(path, datasets.digits()[0][:70])
    by_name, by_config = (
        evaluate(
            demo_run.teacher,
            demo_run.student,
            real=real,
            config=_SMALL,
            sampler=TINY.sampler,
            run=RUN,
        )
        for real in (path, DataConfig(path))
    )
    assert (by_name.real, by_name.real_count) == (path, 70)
    assert _scores(by_name) == _scores(by_config)


def test_printing_shows_the_table(demo_run):
    lines = str(demo_run.evaluation).splitlines()
    assert lines[0].split() == ["teacher", "student", "matched"]
    assert lines[1].startswith("FID ")
    assert str(demo_run.evaluation) == demo_run.evaluation.table()


def _stored_images(demo_run, monkeypatch, **changes):
    """How many stored images an evaluation reads."""
    count = []

    def images(self):
        count.append(1)
        return read(self)

    read = PairSet.images
    monkeypatch.setattr(PairSet, "images", images)
    options = {"pairs": demo_run.pairs, **_OPTIONS, **changes}
    evaluation = evaluate(demo_run.teacher, demo_run.student, config=_SMALL, **options)
    # Networks are compared on stored held-out pairs, or on as many others.
    assert evaluation.same_noise.pairs == 8
    return len(count)


def test_stored_images_of_the_same_sampler_are_used(demo_run, monkeypatch):
    assert _stored_images(demo_run, monkeypatch) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"pairs": None},
        {"pairs": "/nowhere"},
        {"sampler": SamplerConfig("uniform", 2)},
        {"run": dataclasses.replace(RUN, dtype="bfloat16")},
    ],
)
def test_other_stored_images_are_not_used(demo_run, monkeypatch, changes):
    assert _stored_images(demo_run, monkeypatch, **changes) == 0


def test_missing_extractor_is_an_error_and_nothing_is_written(demo_run, tmp_path):
    absent = EvaluateConfig(samples=40, extractor=str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"Received: extractor=.*absent"):
        _evaluate(demo_run, tmp_path, config=absent)
    assert list(tmp_path.iterdir()) == []


def test_missing_student_is_named(demo_run, tmp_path):
    message = r"student must be a run's directory. Received: .* without config.json"
    with pytest.raises(InputError, match=message):
        evaluate(
            demo_run.teacher,
            str(tmp_path / "student"),
            str(tmp_path / "out"),
            pairs=demo_run.pairs,
            config=TINY.evaluate,
            **_OPTIONS,
        )
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
    # Only cached features, which are correct.
    assert os.listdir(tmp_path / "out") == ["features"]


def test_unreadable_real_image_is_named(demo_run, tmp_path):
    folder = tmp_path / "real"
    folder.mkdir()
    grids.write_png(str(folder / "a.png"), np.zeros([8, 8, 1], np.uint8))
    (folder / "b.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"b.png is not a readable image"):
        _evaluate(demo_run, tmp_path / "out", real=DataConfig(str(folder)))


def test_page_shows_pairs_of_the_same_noise_and_neighbours(demo_run):
    with open(demo_run / "evaluation.html") as file:
        page = file.read()
    for caption in (
        "teacher (upper rows) and student (lower rows) on the same noise",
        "the pairs with the most distant features",
        "Samples of the matched student (left) and their nearest real images",
    ):
        assert caption in page
    assert len(re.findall('src="data:image/png;base64,', page)) == 3
    names = ["neighbours.png", "same_noise.png", "worst_pairs.png"]
    assert sorted(os.listdir(demo_run / "evaluation")) == names


def test_networks_are_compared_on_held_out_noise(demo_run):
    assert demo_run.evaluation.same_noise.pairs == TINY.pairs.held_out_pairs
    similarity = demo_run.evaluation.same_noise
    assert 0 < similarity.l1 <= similarity.l2 < 255
    assert -1 <= similarity.ssim <= 1 and 0 <= similarity.cosine <= 2


def test_fid_between_the_networks_is_that_of_their_statistics(demo_run):
    teacher, student = (
        statistics.load(demo_run / f"statistics/{name}.npz")
        for name in ("teacher", "student")
    )
    expected = frechet.distance(teacher, student)
    np.testing.assert_allclose(demo_run.evaluation.between.mean, expected, rtol=1e-4)


def test_fewer_images_than_dimensions_are_warned_of(demo_run):
    # 50 images, 64 features.
    assert any("50 images for 64 feature" in w for w in demo_run.evaluation.warnings)
    assert "covariance lacks rank" in demo_run.evaluation.table()

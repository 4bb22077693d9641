"""A system with classes, from the teacher to the exported model."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import tf_student as ts
from tests.tiny_run import RUN, TINY, DemoRun
from tf_student.data import datasets
from tf_student.demo import run_demo
from tf_student.diffusion import inputs, noise
from tf_student.evaluation.verify_teacher import verify_teacher
from tf_student.models.draw import draw_interpolations, draw_samples
from tf_student.models.draw_config import InterpolateConfig, SampleConfig
from tf_student.pairs import records
from tf_student.pairs.make_pairs import online_pairs
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.serving import metadata
from tf_student.serving.class_signatures import ANY
from tf_student.training.reporter import read_metrics

CLASSES = 10
SYSTEM = dataclasses.replace(
    TINY,
    unet=dataclasses.replace(TINY.unet, classes=CLASSES, label_dropout=0.2),
    sampler=dataclasses.replace(TINY.sampler, guidance=2.0),
    evaluate=dataclasses.replace(TINY.evaluate, samples=1000),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("classes")
    return DemoRun(directory, run_demo(str(directory), preset=SYSTEM, run=RUN))


@pytest.fixture(scope="module")
def teacher(run):
    return ts.Teacher.load(run.teacher)


@pytest.fixture(scope="module")
def student(run):
    return ts.Student.load(run.student)


def test_teacher_learns_from_the_labels(run, teacher):
    table = teacher.unet.class_table.embeddings.numpy()
    assert table.shape == (CLASSES + 1, 32)
    start = ts.UNet(SYSTEM.unet).class_table.embeddings.numpy()
    # The null class, in the last row, has learned from the examples without a label.
    assert (np.abs(table - start).max(axis=1) > 0).all()


def test_label_of_an_image_is_drawn_from_seed_and_index(teacher, student):
    drawn = inputs.labels(5, noise.EVALUATION + np.arange(6), CLASSES).numpy()
    for network in (teacher, student):
        given = network.generate if network is student else network.sample
        np.testing.assert_array_equal(given(6, 5), given(6, 5, labels=drawn.tolist()))
        other = given(6, 5, labels=(CLASSES - 1 - drawn).tolist())
        assert not np.array_equal(given(6, 5), other)


def test_guidance_and_its_absence_differ(teacher):
    drawn = inputs.batch(1, range(3), (8, 8, 1), CLASSES)
    guided, plain = (
        teacher.sampler(dataclasses.replace(SYSTEM.sampler, guidance=g))(drawn)
        for g in (20.0, 1.0)
    )
    assert np.abs(guided - plain).max() > 1e-3
    assert teacher.network_calls(SYSTEM.sampler) == 6


def test_pairs_store_labels_that_the_teacher_samples_again(run, teacher):
    pairs = ts.PairSet(run.pairs)
    shard = pairs.manifest.split("train")[0]
    (z, labels), images = next(iter(pairs.train(seed=0, start=0).batch(8)))
    generator = teacher.generator(
        tf.distribute.get_strategy(), pairs.manifest.sampler, RUN
    )
    again = generator((z.numpy(), labels.numpy()))
    # Another batch rounds differently.
    assert np.abs(again.astype(int) - images.numpy().astype(int)).max() <= 1
    for serialized in tf.data.TFRecordDataset(f"{run.pairs}/{shard.name}").take(5):
        pair = records.decode(serialized, pairs.manifest)
        assert pair["label"] == inputs.label(0, pair["index"], CLASSES)


def test_other_programs_read_the_labels(run):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(run.pairs)
    assert builder.info.features["label"].num_classes == CLASSES
    for pair in builder.as_dataset("train").take(3):
        assert pair["label"] == inputs.label(0, pair["index"], CLASSES).numpy()


def test_pairs_on_demand_are_the_stored_ones(run, teacher):
    online = online_pairs(teacher, config=SYSTEM.pairs, sampler=SYSTEM.sampler, run=RUN)
    stored = ts.PairSet(run.pairs).train(seed=3, start=2).take(5)
    for one, other in zip(online.train(seed=3, start=2).take(5), stored, strict=True):
        (z, label), image = one
        (stored_z, stored_label), stored_image = other
        np.testing.assert_array_equal(z, stored_z)
        assert label == stored_label
        assert np.abs(image.numpy().astype(int) - stored_image).max() <= 1
    online.close()


def test_student_starts_at_the_teachers_estimate_of_the_image(teacher):
    student = ts.Student.from_teacher(teacher)
    z, labels = inputs.batch(1, range(3), (8, 8, 1), CLASSES)
    last = tf.fill([3], teacher.diffusion.timesteps - 1)
    expected = z - teacher.unet(z, last, labels)
    np.testing.assert_allclose(student((z, labels)), expected, atol=1e-6)


def test_fit_takes_pairs_with_labels(run, teacher):
    student = ts.Student.from_teacher(teacher)
    student.compile("sgd", "mae")
    pairs = ts.PairSet(run.pairs)
    history = student.fit(pairs.dataset(16), epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_evaluation_tells_whether_the_classes_are_right(run):
    scores = run.evaluation.networks["matched"].scores
    assert 0 <= scores["class accuracy"].mean <= 1
    # Classes are farther from each other than all images together.
    assert scores["intra-class FID"].mean > scores["FID"].mean
    names = [row[0] for row in run.evaluation.rows()]
    assert "class accuracy" in names and "intra-class FID" in names


def test_verification_uses_the_labels_of_real_images(run, teacher, tmp_path):
    found = verify_teacher(teacher, str(tmp_path), real="digits", run=RUN)
    assert all(np.isfinite(v) for v in found.losses.values())


def test_rows_of_a_grid_are_classes(run, student, tmp_path):
    config = SampleConfig(labels=(3, 7))
    draw_samples(None, student, str(tmp_path), config=config, run=RUN)
    files = sorted((tmp_path / "samples" / "student").glob("*.png"))
    assert len(files) == 32
    expected = student.generate(32, labels=[3] * 16 + [7] * 16)
    for number in (0, 15, 16, 31):
        image = tf.io.decode_png(files[number].read_bytes())
        np.testing.assert_array_equal(image, expected[number])


def test_interpolation_keeps_the_class_of_a_row(student, tmp_path):
    config = InterpolateConfig(rows=2, columns=3, labels=(4,))
    draw_interpolations(student, str(tmp_path), config=config, run=RUN)
    assert (tmp_path / "interpolation.png").exists()


def test_exported_model_takes_labels(run, student):
    matched = ts.Student.load(run.matched)
    version = run / "export/1"
    assert metadata.read(version).classes == CLASSES
    signatures = tf.saved_model.load(version).signatures
    seed = tf.constant(7, tf.int64)

    def sample(*labels):
        return signatures["sample"](seed=seed, labels=tf.constant(labels))["images"]

    np.testing.assert_array_equal(sample(ANY, ANY), matched.generate(2, 7))
    expected = matched.generate(2, 7, labels=[2, 5])
    np.testing.assert_array_equal(sample(2, 5), expected)
    z = noise.normal(7, noise.EVALUATION + np.arange(2), (8, 8, 1))
    drawn = signatures["serving_default"](noise=z, labels=tf.constant([2, 5]))
    np.testing.assert_array_equal(drawn["images"], expected)
    pngs = signatures["png"](seed=seed, labels=tf.constant([2, 5]))["png"]
    np.testing.assert_array_equal(tf.io.decode_png(pngs[1]), expected[1])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([10], "[`labels` must be -1 to 9. Received:] [10]"),
        ([-2, 3], "[`labels` must be -1 to 9. Received:] [-2]"),
        ([], "rows. Received:] [0]"),
    ],
)
def test_exported_model_refuses_labels(run, labels, expected):
    sample = tf.saved_model.load(run / "export/1").signatures["sample"]
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        sample(seed=tf.constant(7, tf.int64), labels=tf.constant(labels, tf.int32))
    assert expected in str(error.value)


def test_guidance_needs_a_null_class(tmp_path):
    config = dataclasses.replace(SYSTEM.unet, label_dropout=0.0)
    expected = "`guidance` must be 1 for a network without"
    with pytest.raises(InputError, match=expected):
        ts.Teacher(ts.UNet(config)).sampler(SYSTEM.sampler)
    with pytest.raises(InputError, match=expected):
        ts.train_teacher(str(tmp_path / "a"), unet=config, sampler=SYSTEM.sampler)
    assert not (tmp_path / "a").exists()


def test_student_of_another_number_of_classes_is_not_compared(teacher, student):
    other = ts.Teacher(ts.UNet(TINY.unet))
    with pytest.raises(InputError, match="`student` must have the teacher's classes"):
        ts.evaluate(other, student, real="digits", config=SYSTEM.evaluate, run=RUN)


def test_accumulated_gradients_are_those_of_the_batch(tmp_path):
    """Rows of the table that several examples share are added up before the norm."""
    train = dataclasses.replace(SYSTEM.teacher, steps=1)
    log = dataclasses.replace(SYSTEM.log, log_every=1, evaluate_every=2)
    options = {"data": SYSTEM.data, "unet": SYSTEM.unet, "train": train, "log": log}
    norms, tables = [], []
    for parts in (1, 4):
        directory, run = str(tmp_path / str(parts)), RunConfig(accumulate=parts)
        network = ts.train_teacher(directory, run=run, **options).unet
        line = next(v for v in read_metrics(directory) if "gradient_norm" in v)
        norms.append(line["gradient_norm"])
        tables.append(network.class_table.embeddings.numpy())
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    np.testing.assert_allclose(*tables, atol=1e-5)


def test_real_images_need_as_many_classes(tmp_path):
    images = datasets.digits()[0]
    np.savez(tmp_path / "plain.npz", images=images)
    np.savez(tmp_path / "two.npz", images=images[:4], labels=[0, 1, 1, 0])
    for name, expected in {
        "plain": "plain.npz must have labels: an .npz file in the array `labels`",
        "two": "Expected: 2, received: classes=10.",
    }.items():
        with pytest.raises(InputError) as error:
            ts.train_teacher(
                str(tmp_path / "run"),
                data=ts.DataConfig(str(tmp_path / f"{name}.npz")),
                unet=SYSTEM.unet,
                train=SYSTEM.teacher,
                run=RUN,
            )
        assert expected in str(error.value)

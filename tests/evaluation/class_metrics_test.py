import numpy as np
import pytest

from tf_student.evaluation import metrics
from tf_student.evaluation.class_metrics import ACCURACY, INTRA_FID, ClassReference
from tf_student.evaluation.features import Features

CLASSES, DIMENSIONS = 3, 4


def _features(labels, seed=0, wrong=0, shift=0.0):
    """Features around the class; the logits of the first `wrong` images are others."""
    labels = np.asarray(labels)
    seen = labels.copy()
    seen[:wrong] = (seen[:wrong] + 1) % CLASSES
    rng = np.random.default_rng(seed)
    activations = rng.normal(size=(len(labels), DIMENSIONS)) + 10.0 * labels[:, None]
    return Features(
        (activations + shift).astype(np.float32),
        np.eye(CLASSES, dtype=np.float32)[seen],
    )


LABELS = np.arange(60) % CLASSES


@pytest.fixture
def reference():
    return ClassReference(_features(LABELS), CLASSES, lambda: LABELS)


def test_accuracy_is_the_share_of_images_in_their_class(reference):
    values = reference.measure(_features(LABELS, wrong=6), LABELS)
    assert values[ACCURACY] == (0.9, None)


def test_intra_class_fid_is_the_mean_over_the_classes(reference):
    same = reference.measure(_features(LABELS), LABELS)[INTRA_FID][0]
    moved = reference.measure(_features(LABELS, shift=2.0), LABELS)[INTRA_FID][0]
    assert same == pytest.approx(0.0, abs=1e-6)
    # Each class moves by 2 in each of 4 dimensions, and the covariances stay.
    assert moved == pytest.approx(4 * 2.0**2, rel=1e-4)
    values = reference.measure(_features(LABELS, shift=2.0), LABELS)
    of_classes = [values[f"FID, class {k}"][0] for k in range(CLASSES)]
    assert of_classes == pytest.approx([16.0] * CLASSES, rel=1e-4)
    # Images of swapped classes have the FID of other images, not of all together.
    swapped = (LABELS + 1) % CLASSES
    assert reference.measure(_features(LABELS), swapped)[INTRA_FID][0] > 100


def test_few_images_of_a_class_leave_no_fid(reference):
    labels = np.array([0] * 20 + [1] * 20 + [2] * DIMENSIONS)
    values = reference.measure(_features(labels), labels)
    assert list(values) == [ACCURACY, "FID, class 0", "FID, class 1"]


def test_a_score_that_a_range_lacks_is_not_reported(reference):
    few = np.array([0] * 20 + [1] * 20 + [2] * DIMENSIONS)
    ranges = [reference.measure(_features(x), x) for x in (LABELS, few)]
    shared = [ACCURACY, "FID, class 0", "FID, class 1"]
    assert list(metrics.summarize(ranges)) == shared
    assert list(metrics.summarize(ranges[::-1])) == shared


def test_an_extractor_of_other_classes_gives_no_accuracy():
    """As many outputs as classes do not make it a classifier of them."""
    real = _features(LABELS, wrong=len(LABELS))
    reference = ClassReference(real, CLASSES, lambda: LABELS)
    assert ACCURACY not in reference.measure(_features(LABELS), LABELS)


def test_without_labels_of_real_images_nothing_is_measured():
    reference = ClassReference(_features(LABELS), CLASSES, None)
    assert reference.measure(_features(LABELS), LABELS) == {}

"""An evaluation, and FID's Inception with random weights."""

import numpy as np
import pytest

from tests.convert import torch_writer


@pytest.fixture(scope="session")
def inception_state():
    """Random weights by PyTorch's names that keep activations of the order of 1."""
    from tf_student.evaluation import inception, inception_weights

    rng = np.random.default_rng(0)
    shapes = {v.path: tuple(v.shape) for v in inception.build().variables}
    state = {}
    for row in inception_weights.table():
        (name,), shape = row.theirs, shapes[row.ours]
        value = rng.normal(size=shape).astype(np.float32)
        if name.endswith(("conv.weight", "fc.weight")):
            value *= np.sqrt(2 / np.prod(shape[:-1]))
            value = value.transpose(
                len(shape) - 1, len(shape) - 2, *range(len(shape) - 2)
            )
        elif name.endswith("running_var"):
            value = np.exp(0.3 * value)
        elif name.endswith("bn.weight"):
            value = 1 + 0.2 * value
        else:
            value *= 0.2
        state[name] = np.ascontiguousarray(value)
    return state


@pytest.fixture(scope="session")
def write_torch_file():
    """Writes arrays by name as a file of PyTorch; returns its path."""

    def write(path, arrays):
        state_dict = torch_writer.state_dict(arrays)
        torch_writer.write_archive(path, state_dict, arrays.values())
        return str(path)

    return write


@pytest.fixture(scope="session")
def inception_file(inception_state, write_torch_file, tmp_path_factory):
    counters = {
        name.replace("running_var", "num_batches_tracked"): np.int64([0])
        for name in inception_state
        if name.endswith("running_var")
    }
    path = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    return write_torch_file(path, {**inception_state, **counters})


@pytest.fixture(scope="session")
def inception_model(inception_file):
    from tf_student.evaluation import inception_weights

    return inception_weights.load(inception_file)


@pytest.fixture
def evaluation():
    """Figures of a teacher and a student."""
    from tf_student.evaluation.metrics import Score
    from tf_student.evaluation.result import Evaluation, Measured
    from tf_student.evaluation.similarity import Similarity

    def measured(fid, calls, milliseconds):
        kid = Score(0.25, 0, error=0.0123)
        scores = {"FID": Score(fid, 0.5), "KID": kid, "IS": Score(8, 0)}
        return Measured(scores, calls, milliseconds)

    return Evaluation(
        real="images <of> mine & yours",
        real_count=1797,
        half_split_fid=2.25,
        extractor="digits",
        samples=10_000,
        repeats=3,
        networks={
            "teacher": measured(2.0, 20, 1.5),
            "student": measured(3.0, 1, 0.0625),
        },
        preparation="resized",
        between=Score(1.5, 0.25),
        same_noise=Similarity(5, 3.0, 4.0, 31.0, 0.9, 0.01),
        warnings=("Limited.",),
    )

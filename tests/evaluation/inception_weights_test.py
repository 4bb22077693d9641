import numpy as np
import pytest

from tests.tolerances import assert_close
from tf_student.evaluation import (
    extractors,
    inception_preprocessing,
    inception_weights,
)
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


def test_names_are_those_of_the_file():
    names = {name for row in inception_weights.table() for name in row.theirs}
    assert len(names) == 94 * 5 + 2
    assert {
        "Conv2d_1a_3x3.conv.weight",
        "Conv2d_4a_3x3.bn.running_mean",
        "Mixed_5b.branch5x5_2.conv.weight",
        "Mixed_6a.branch3x3dbl_3.bn.bias",
        "Mixed_6e.branch7x7dbl_5.conv.weight",
        "Mixed_7a.branch7x7x3_4.bn.weight",
        "Mixed_7c.branch3x3dbl_3b.bn.running_var",
        "Mixed_7c.branch_pool.conv.weight",
        "fc.bias",
    } <= names


def test_a_missing_and_a_surplus_tensor_are_named(
    inception_state, write_torch_file, tmp_path
):
    small = {name: inception_state[name] for name in list(inception_state)[:10]}
    small["AuxLogits.fc.bias"] = np.zeros(3, np.float32)
    message = r"missing: .* and 459 more; unexpected: AuxLogits.fc.bias"
    with pytest.raises(InputError, match=message):
        inception_weights.load(write_torch_file(tmp_path / "other.pth", small))


def test_extractor_gives_features_and_logits_without_their_bias(
    inception_file, inception_state, inception_model
):
    strategy = devices.make_strategy(["CPU:0"])
    extractor = extractors.load(inception_file, strategy, device_batch=2)
    images = np.random.default_rng(2).integers(0, 256, [2, 8, 8, 3]).astype(np.uint8)
    activations, logits = extractor.run(images)
    inputs = inception_preprocessing.tf1(images)
    expected, _ = inception_model(inputs, training=False)
    assert_close(activations, expected)
    assert_close(logits, activations @ inception_state["fc.weight"].T)
    assert extractor.name == "pt_inception.pth (tf1)"
    assert extractor.identity.startswith("sha256:")
    assert extractor.identity.endswith(" tf1")

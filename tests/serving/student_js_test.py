"""The noise that JavaScript draws, in Node.js."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import inputs, interpolation, noise
from tf_student.serving import web

_MODULE = Path(web.__file__).parent / "page" / "student.js"
_SEEDS = (0, 7, 2**32 + 5, 2**63 - 1)
_VALUES = [
    -2.0,
    -1.0,
    1 / 127.5 - 1,
    2.5 / 127.5 - 1,
    3.5 / 127.5 - 1,
    0.0,
    0.3,
    1.0,
    9.0,
]

_SCRIPT = """
import * as student from "./student.mjs";
const [seeds, values] = JSON.parse(process.argv[2]);
const first = 2n ** 41n;
const of = (draw) => seeds.map((seed) => draw(BigInt(seed)));
const ten = [...Array(10).keys()].map(BigInt);
const [from, to] = [student.normals(7n, first, 192), student.normals(8n, first, 192)];
console.log(JSON.stringify({
  philox: [
    student.philox([0, 0, 0, 0], [0, 0]),
    student.philox(Array(4).fill(0xffffffff), Array(2).fill(0xffffffff)),
    student.philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                   [0xa4093822, 0x299f31d0])],
  words: of((seed) => [...student.randomWords(seed, first + 3n, 1003)]),
  normals: of((seed) => ten.map((i) => [...student.normals(seed, first + i, 193)])),
  labels: of((seed) => ten.map((i) => student.label(seed, first + i, 10))),
  slerp: [0, 0.25, 1].map((weight) => [...student.slerp(from, to, weight)]),
  bytes: values.map((value) => student.toByte(Math.fround(value))),
}));
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """What the module draws, by the names in the script."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    folder = tmp_path_factory.mktemp("node")
    # Older versions of Node.js take only .mjs for a module.
    shutil.copy(_MODULE, folder / "student.mjs")
    (folder / "script.mjs").write_text(_SCRIPT)
    given = json.dumps([[str(seed) for seed in _SEEDS], _VALUES])
    done = subprocess.run(
        [node, str(folder / "script.mjs"), given], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_philox_gives_the_known_answers(drawn):
    # Of Random123, kat_vectors: philox4x32 with 10 rounds.
    assert [[f"{word:08x}" for word in block] for block in drawn["philox"]] == [
        ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"],
        ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"],
        ["d16cfe09", "94fdcceb", "5001e420", "24126ea1"],
    ]


def test_random_words_are_those_of_tensorflow(drawn):
    for seed, words in zip(_SEEDS, drawn["words"], strict=True):
        key = tf.constant([seed, noise.EVALUATION + 3], tf.int64)
        expected = tf.random.stateless_uniform(
            [1003], key, None, None, tf.uint32, alg="philox"
        )
        assert words == expected.numpy().tolist()


def test_normal_numbers_are_those_of_tensorflow(drawn):
    indices = noise.EVALUATION + np.arange(10)
    for seed, normals in zip(_SEEDS, drawn["normals"], strict=True):
        difference = np.abs(np.array(normals) - noise.normal(seed, indices, (193,)))
        # The last bit of a logarithm, a sine or a cosine.
        assert difference.max() < 5e-7
        assert (difference > 0).mean() < 0.03


def test_labels_are_those_of_tensorflow(drawn):
    indices = noise.EVALUATION + np.arange(10)
    for seed, labels in zip(_SEEDS, drawn["labels"], strict=True):
        assert labels == inputs.labels(seed, indices, 10).numpy().tolist()


def test_slerp_is_that_of_the_library(drawn):
    ends = [noise.normal(seed, [noise.EVALUATION], (192,))[0] for seed in (7, 8)]
    expected = interpolation.slerp(*ends, tf.constant([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(drawn["slerp"], expected, atol=2e-6)


def test_values_are_rounded_like_those_of_the_library(drawn):
    assert drawn["bytes"] == images.to_uint8(tf.constant(_VALUES)).numpy().tolist()

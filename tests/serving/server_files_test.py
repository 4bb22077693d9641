"""Files for ModelServer, written or shown, as the server's own messages read them."""

import dataclasses
import random
import re
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format

from tests.serving import portable_models, server_messages
from tf_student.serving import metadata, rollout, versions, warmup
from tf_student.serving.class_signatures import ServedClasses
from tf_student.serving.model_list import ModelList, first_list
from tf_student.serving.signatures import ServedModel

pytest.importorskip(
    "tensorflow_serving.config.model_server_config_pb2",
    reason="the extra `serving` is not installed",
)

ROOT = Path(__file__).parents[2]
_SHAPE, _LIMIT, _CLASSES = (8, 8, 3), 20, 4


def read(text: str, name: str) -> ModelList:
    """The list that ModelServer reads, of which everything else is checked."""
    (model,) = server_messages.model_list(text).model_config_list.config
    assert (model.name, model.base_path) == (name, f"/models/{name}")
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.WhichOneof("policy_choice") == "specific"
    listed = tuple(model.model_version_policy.specific.versions)
    return ModelList(listed, dict(model.version_labels))


@pytest.mark.parametrize("seed", range(5))
def test_every_list_of_exports_and_rollouts(seed):
    chance, existing = random.Random(seed), [1]
    listed = first_list(existing)
    for _ in range(60):
        if chance.random() < 0.5:
            existing.append(existing[-1] + chance.choice([1, 1, 7, 10**12]))
            listed = listed.with_exports(existing)
        else:
            listed = listed.rolled_out()
        name = "".join(chance.choices("aZ09_-", k=chance.randint(1, 9)))
        assert read(listed.text(name), name) == listed


def test_files_of_the_commands(tmp_path):
    base = str(tmp_path)
    for number in (1, 2, 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "saved_model.pb").touch()
        metadata.write(str(folder), _about("digits"))
        versions.write_settings(base, "digits", _LIMIT)
        before = read((tmp_path / "models.config").read_text(), "digits")
        rollout.roll_out(base)
        after = read((tmp_path / "models.config").read_text(), "digits")
        assert before.rolled_out() == after == versions.read_list(base)
    assert after == ModelList((2, 3), {"stable": 2, "canary": 3})
    settings = server_messages.batching((tmp_path / "batching.config").read_text())
    assert settings.max_batch_size.value == _LIMIT


@pytest.mark.parametrize(("limit", "size"), [(2, 2), (16, 16), (64, 64), (1024, 64)])
def test_batching_parameters(tmp_path, limit, size):
    (tmp_path / "1").mkdir()
    versions.write_settings(str(tmp_path), "digits", limit)
    text = (tmp_path / "batching.config").read_text()
    settings = server_messages.batching(text)
    fields = {field.name: value.value for field, value in settings.ListFields()}
    assert fields == {
        "max_batch_size": size,
        "batch_timeout_micros": 2000,
        "max_enqueued_batches": 100,
        "num_batch_threads": 2,
    }
    assert settings.IsInitialized()


@pytest.mark.parametrize(
    "text", ["max_batch_size: 16", "batch_size { value: 16 }", "max_batch_size {"]
)
def test_a_wrong_file_is_no_message(text):
    with pytest.raises(text_format.ParseError):
        server_messages.batching(text)


# Warm-up requests.


def _about(name, classes=0):
    return dataclasses.replace(
        portable_models.ABOUT,
        name=name,
        image_shape=_SHAPE,
        max_count=_LIMIT,
        classes=classes,
    )


def _served(classes):
    if classes:
        return ServedClasses(lambda both: both[0], [], _SHAPE, _LIMIT, classes)
    return ServedModel(lambda z: z, [], _SHAPE, _LIMIT)


@pytest.mark.parametrize("classes", [0, _CLASSES])
def test_warm_up_requests_fit_the_signatures(tmp_path, classes):
    from tensorflow_serving.apis import prediction_log_pb2

    functions = _served(classes).signatures()
    warmup.write(str(tmp_path), _about("digits", classes), list(functions), (1, 4))
    (path,) = tmp_path.rglob("tf_serving_warmup_requests")
    asked = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "digits"
        function = functions[request.model_spec.signature_name]
        inputs = {
            name: tf.make_ndarray(value) for name, value in request.inputs.items()
        }
        assert set(inputs) == {spec.name for spec in function.input_signature}
        (output,) = function(**inputs).values()
        asked.append((request.model_spec.signature_name, len(output)))
    # An interpolation has two images at least.
    smallest = {"interpolate": 2}
    assert asked == [(n, c) for n in functions for c in (smallest.get(n, 1), 4)]


# The documentation.


def _shown():
    """The blocks of the pages, by a name."""
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.M | re.S)
        found |= {f"{page.name}-{i}": block for i, block in enumerate(blocks)}
    return found


MODELS = {n: t for n, t in _shown().items() if "model_config_list" in t}
BATCHING = {n: t for n, t in _shown().items() if "max_batch_size" in t}


@pytest.mark.parametrize("name", MODELS)
def test_lists_of_the_documentation(name):
    third = ModelList((2, 3), {"stable": 2, "canary": 3})
    assert read(MODELS[name], "digits") == third
    written = third.text("digits").splitlines(keepends=True)
    assert MODELS[name] == "".join(x for x in written if not x.startswith("#"))


@pytest.mark.parametrize("name", BATCHING)
def test_batching_parameters_of_the_documentation(name, tmp_path):
    (tmp_path / "1").mkdir()
    versions.write_settings(str(tmp_path), "digits", 1024)
    written = (tmp_path / "batching.config").read_text()
    shown = server_messages.batching(BATCHING[name])
    assert shown == server_messages.batching(written)


def test_the_documentation_shows_both():
    assert (len(MODELS), len(BATCHING)) == (1, 1)

"""Feature extractors that are SavedModels, among them TF-GAN's Inception of TF Hub."""

from collections.abc import Callable

import tensorflow as tf

from tf_student.evaluation import inception_preprocessing
from tf_student.evaluation.feature_network import OUTPUTS, FeatureNetwork, Network, flat
from tf_student.evaluation.inception_preprocessing import SIZE
from tf_student.runtime.errors import InputError, first_line

TFGAN_INCEPTION = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"


def load(name: str, handle: str, identity: str) -> FeatureNetwork:
    """Loads a SavedModel with TF-GAN's outputs `pool_3` and `logits`.

    TensorFlow runs whatever operations the model holds, which can read and write files.
    Load only what you trust.

    Args:
        name: for reports and messages.
        handle: the path of a SavedModel, or an address that TF Hub knows.
        identity: of the extractor.

    Raises:
        InputError: if it cannot be loaded, or has other inputs or outputs.
    """
    import tensorflow_hub as hub

    try:
        module = hub.load(handle)
    # A download can raise anything; tensorflow_hub has no exception of its own.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"The extractor {name} could not be loaded ({reason}). Set `extractor` to "
            f"the path of a local copy of {handle}, or set TFHUB_CACHE_DIR to a cache "
            "that holds it."
        ) from error
    outputs = module if callable(module) else module.signatures.get("serving_default")
    if outputs is None:
        raise InputError(
            f"{name} must be callable or have the signature serving_default."
        )
    return FeatureNetwork(name, identity, _named_outputs(name, module, outputs))


def _named_outputs(name: str, module: object, outputs: Callable) -> Network:
    """The network of a function from 299x299 images to a dictionary of outputs."""
    spec = tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)
    try:
        function = tf.function(outputs, autograph=False).get_concrete_function(spec)
        structure = function.structured_outputs
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} must take float32 images [n, 299, 299, 3]: {first_line(error)}"
        ) from error
    if not isinstance(structure, dict) or not set(OUTPUTS) <= structure.keys():
        raise InputError(f"{name} must have the outputs pool_3 and logits.")

    def network(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The graph refers to variables that live only as long as the module.
        assert module is not None
        values = outputs(inception_preprocessing.tfgan(images))
        activations, logits = (flat(values[key], images) for key in OUTPUTS)
        return activations, logits

    return network

"""TF-GAN's evaluation functions, imported without the rest of TF-GAN.

TF-GAN 2.1 imports `tf.estimator`, which TensorFlow has removed, in its top package. Its
evaluation modules do not need it. This module registers empty packages in place of the
packages above them, with the search paths of the real ones.
"""

import importlib
import importlib.util
import sys
import types
import warnings

_PACKAGES = ("tensorflow_gan", "tensorflow_gan.python")


def _import_metrics() -> types.ModuleType:
    spec = importlib.util.find_spec("tensorflow_gan")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "Evaluation needs TF-GAN: pip install 'tensorflow-gan>=2.1,<2.2'."
        )
    path = next(iter(spec.submodule_search_locations))
    for name in _PACKAGES:
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [path]
            sys.modules[name] = package
        path = f"{path}/python"
    try:
        with warnings.catch_warnings():
            # TensorFlow Hub imports the deprecated pkg_resources.
            warnings.simplefilter("ignore", UserWarning)
            return importlib.import_module(
                "tensorflow_gan.python.eval.classifier_metrics"
            )
    except ImportError as error:
        raise ImportError(
            "TF-GAN's evaluation modules could not be imported. tf-student supports "
            f"TF-GAN 2.1 with tensorflow-probability and tf-keras. Cause: {error}"
        ) from error


classifier_metrics = _import_metrics()

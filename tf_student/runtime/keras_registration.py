"""Lets Keras load this library's models after `import tf_student`.

`keras.models.load_model` looks up custom classes in a registry, which their modules
fill when they are imported. `import tf_student` imports neither TensorFlow nor Keras.
Therefore it registers placeholders as soon as Keras is imported; a placeholder imports
the real class when Keras uses it.
"""

import importlib
from collections.abc import Callable
from typing import Any

import wrapt

PACKAGE = "tf_student"
# The models that users save, and their modules, which register all layers.
_MODELS = {"Student": "tf_student.models.student", "UNet": "tf_student.models.unet"}
# The functions that a compiled model stores by name.
_FUNCTIONS = {"distillation_loss": "tf_student.diffusion.losses"}


def register_on_import() -> None:
    """Registers the models with Keras, now or as soon as Keras is imported."""
    wrapt.register_post_import_hook(_register, "keras")


def _register(keras: Any) -> None:
    placeholders: dict[str, Any] = {n: _model(n, m) for n, m in _MODELS.items()}
    placeholders |= {n: _function(n, m) for n, m in _FUNCTIONS.items()}
    for name, placeholder in placeholders.items():
        if keras.saving.get_registered_object(f"{PACKAGE}>{name}") is None:
            keras.saving.register_keras_serializable(PACKAGE, name)(placeholder)


def _function(name: str, module: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    return call


def _model(name: str, module: str) -> type:
    def from_config(cls: type, config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"from_config": classmethod(from_config), "get_config": None})

"""tf-student: one-step generators distilled from diffusion models.

    import tf_student as ts

    teacher = ts.Teacher.from_pretrained("hf:google/ddpm-cifar10-32")
    pairs = ts.make_pairs(teacher, "runs/a/pairs", count=1_024_000)
    student = ts.distill(teacher, pairs, "runs/a/student")
    student = ts.match_distribution(teacher, student, "runs/a/matched")
    images = student.generate(16, seed=7)

Names are imported when they are first used, and TensorFlow with them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tf_student.runtime import onednn
from tf_student.runtime.keras_registration import register_on_import
from tf_student.runtime.version import __version__

# For type checkers and editors.
if TYPE_CHECKING:
    from tf_student.architecture.unet_config import UNetConfig as UNetConfig
    from tf_student.data.data_config import DataConfig as DataConfig
    from tf_student.demo import run_demo as run_demo
    from tf_student.diffusion.diffusion_config import (
        DiffusionConfig as DiffusionConfig,
    )
    from tf_student.diffusion.diffusion_config import (
        SamplerConfig as SamplerConfig,
    )
    from tf_student.diffusion.losses import distillation_loss as distillation_loss
    from tf_student.evaluation.compare import compare as compare
    from tf_student.evaluation.evaluate import evaluate as evaluate
    from tf_student.evaluation.evaluation_config import (
        EvaluateConfig as EvaluateConfig,
    )
    from tf_student.evaluation.evaluation_config import (
        VerifyConfig as VerifyConfig,
    )
    from tf_student.evaluation.image_quality import ImageQuality as ImageQuality
    from tf_student.evaluation.result import Evaluation as Evaluation
    from tf_student.evaluation.verify_teacher import verify_teacher as verify_teacher
    from tf_student.models.convert import convert_weights as convert_weights
    from tf_student.models.draw import (
        draw_interpolations as draw_interpolations,
    )
    from tf_student.models.draw import (
        draw_samples as draw_samples,
    )
    from tf_student.models.draw_config import (
        InterpolateConfig as InterpolateConfig,
    )
    from tf_student.models.draw_config import (
        SampleConfig as SampleConfig,
    )
    from tf_student.models.student import Student as Student
    from tf_student.models.teacher import Teacher as Teacher
    from tf_student.models.unet import UNet as UNet
    from tf_student.pairs.make_pairs import (
        check_pairs as check_pairs,
    )
    from tf_student.pairs.make_pairs import (
        import_pairs as import_pairs,
    )
    from tf_student.pairs.make_pairs import (
        make_pairs as make_pairs,
    )
    from tf_student.pairs.make_pairs import (
        online_pairs as online_pairs,
    )
    from tf_student.pairs.pairs_config import (
        EngineConfig as EngineConfig,
    )
    from tf_student.pairs.pairs_config import (
        PairsConfig as PairsConfig,
    )
    from tf_student.pairs.reader import PairSet as PairSet
    from tf_student.presets.systems import Preset as Preset
    from tf_student.presets.systems import get_preset as get_preset
    from tf_student.runtime.errors import (
        DivergedError as DivergedError,
    )
    from tf_student.runtime.errors import (
        InputError as InputError,
    )
    from tf_student.runtime.run_config import RunConfig as RunConfig
    from tf_student.runtime.run_directory import RunDirectory as RunDirectory
    from tf_student.serving.export import export as export
    from tf_student.serving.export_config import ExportConfig as ExportConfig
    from tf_student.training.distill import distill as distill
    from tf_student.training.match_config import MatchConfig as MatchConfig
    from tf_student.training.match_distribution import (
        match_distribution as match_distribution,
    )
    from tf_student.training.train_teacher import train_teacher as train_teacher
    from tf_student.training.training_config import (
        DistillConfig as DistillConfig,
    )
    from tf_student.training.training_config import (
        LogConfig as LogConfig,
    )
    from tf_student.training.training_config import (
        TrainConfig as TrainConfig,
    )

_NAMES = {
    "architecture.unet_config": ("UNetConfig",),
    "data.data_config": ("DataConfig",),
    "demo": ("run_demo",),
    "diffusion.diffusion_config": ("DiffusionConfig", "SamplerConfig"),
    "diffusion.losses": ("distillation_loss",),
    "evaluation.compare": ("compare",),
    "evaluation.evaluate": ("evaluate",),
    "evaluation.evaluation_config": ("EvaluateConfig", "VerifyConfig"),
    "evaluation.image_quality": ("ImageQuality",),
    "evaluation.result": ("Evaluation",),
    "evaluation.verify_teacher": ("verify_teacher",),
    "models.convert": ("convert_weights",),
    "models.draw": ("draw_interpolations", "draw_samples"),
    "models.draw_config": ("InterpolateConfig", "SampleConfig"),
    "models.student": ("Student",),
    "models.teacher": ("Teacher",),
    "models.unet": ("UNet",),
    "pairs.make_pairs": ("check_pairs", "import_pairs", "make_pairs", "online_pairs"),
    "pairs.pairs_config": ("EngineConfig", "PairsConfig"),
    "pairs.reader": ("PairSet",),
    "presets.systems": ("Preset", "get_preset"),
    "runtime.errors": ("DivergedError", "InputError"),
    "runtime.run_config": ("RunConfig",),
    "runtime.run_directory": ("RunDirectory",),
    "serving.export": ("export",),
    "serving.export_config": ("ExportConfig",),
    "training.distill": ("distill",),
    "training.match_config": ("MatchConfig",),
    "training.match_distribution": ("match_distribution",),
    "training.train_teacher": ("train_teacher",),
    "training.training_config": ("DistillConfig", "LogConfig", "TrainConfig"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


onednn.use_by_default()
register_on_import()

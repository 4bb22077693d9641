"""Exports a student in the formats that are one file."""

import dataclasses
import os

import tensorflow as tf

from tf_student.runtime.errors import InputError
from tf_student.serving import (
    litert,
    onnx,
    portable,
    portable_verification,
    versions,
)
from tf_student.serving.export_config import ExportConfig
from tf_student.serving.metadata import Metadata
from tf_student.serving.signatures import ServedModel
from tf_student.serving.verification import Verification
from tf_student.serving.version_writer import Fill

_CONVERT = {"litert": litert.convert, "onnx": onnx.convert}
# Packages that a format needs always, and for the verification.
_PACKAGES = {
    "litert": ((), litert.RUNTIME),
    "onnx": (onnx.CONVERTER, onnx.RUNTIME),
}


def check(form: str, config: ExportConfig, *, teacher: bool) -> None:
    """Checks what can be known before a network is loaded.

    Raises:
        InputError: if the network is a teacher, or a package is missing.
    """
    if teacher:
        raise InputError(
            f"`network` must be a student for {form}: a teacher's sampler needs "
            "TensorFlow. Received: network=teacher."
        )
    converter, runtime = _PACKAGES[form]
    portable.check_installed(form, converter + runtime * config.verify)


def layout(about: Metadata, form: str, config: ExportConfig) -> portable.Layout:
    """What the file of a format will hold.

    Raises:
        InputError: if the format cannot hold the weights or the batch.
    """
    held = portable.Layout(about, config.batch)
    portable.check_size(held, form)
    return held


@dataclasses.dataclass(frozen=True)
class PortableFile:
    """A file of a format, to be written.

    Attributes:
        form: name of the format.
        layout: of the file.
        model: the network in float32.
        verify: whether to compare the file with the network.
        results: gets the result of the comparison, by the name of the format.
    """

    form: str
    layout: portable.Layout
    model: ServedModel
    verify: bool
    results: dict[str, Verification]

    @property
    def name(self) -> str:
        """The name of the file in the version's directory."""
        return versions.last_file(self.form, self.layout.about.name)

    def fill(self) -> Fill:
        """A function that writes the file into a directory and verifies it."""

        def fill(directory: str) -> None:
            path = os.path.join(directory, self.name)
            with tf.io.gfile.GFile(path, "wb") as file:
                file.write(_CONVERT[self.form](self.model, self.layout))
            if self.verify:
                self.results[self.form] = portable_verification.verify(
                    path, self.form, self.layout, self.model.generate
                )

        return fill

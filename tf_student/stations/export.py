"""Station 6: a SavedModel for TF Serving."""

from tf_student import model_directory
from tf_student.serving import export as serving


def export(directory: str, student_directory: str) -> None:
    """Exports the best student; `directory` must not exist yet."""
    serving.export(model_directory.load_student(student_directory), directory)

"""The models and the address of the gallery, as a config."""

import dataclasses

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class GalleryConfig:
    """The models that the page shows, and the address at which it is served.

    Example:

    >>> GalleryConfig(port=0, max_images=16).host
    '127.0.0.1'
    """

    student_model: str = option(
        "",
        "The student's SavedModel, or a directory of its versions; empty for "
        "<work_dir>/export.",
        path=True,
    )
    matched_model: str = option(
        "",
        "The matched student's SavedModel, or a directory of its versions; empty for "
        "<work_dir>/export_matched, if it exists.",
        path=True,
    )
    teacher_model: str = option(
        "",
        "The teacher's SavedModel, or a directory of its versions; empty for "
        "<work_dir>/export_teacher, if it exists.",
        path=True,
    )
    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(
        8008, "Port to listen on; 0 for any free port.", minimum=0, maximum=65535
    )
    trusted_hosts: str = option(
        "",
        "Other host names, separated by commas, that browsers may use for the page.",
        advanced=True,
    )
    max_images: int = option(
        32,
        "Largest number of images in a request; the models may have lower limits.",
        minimum=2,
        maximum=10_000,
        advanced=True,
    )

    def __post_init__(self):
        check(self)
        if not self.host:
            refuse("host", "be an address", self.host)

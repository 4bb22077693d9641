"""What the page shows, and to whom."""

import dataclasses

from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class GalleryConfig:
    """A page in the browser, and the models behind it."""

    student_model: str = option(
        "",
        "The student's SavedModel, or a directory of its versions; "
        "empty: <work_dir>/export.",
    )
    teacher_model: str = option(
        "", "The teacher's; empty: <work_dir>/export_teacher, if it is there."
    )
    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(8008, "Port to listen on; 0: any free one.", minimum=0)
    trusted_hosts: str = option(
        "", "Further names, by commas, under which browsers may reach the page."
    )
    max_images: int = option(
        32,
        "Images that one request may ask for, if the models allow so many.",
        minimum=2,
    )

    def __post_init__(self):
        check(self)
        if self.port > 65535:
            refuse("port", "be at most 65535", self.port)
        if not self.host:
            refuse("host", "be an address", self.host)

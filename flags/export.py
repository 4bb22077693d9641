"""Writes the student as a SavedModel that stock TF Serving runs.

tf-student export --preset=digits
"""

from absl import flags
from tf_student.flags import config_flags, launch

config_flags.define_common("student", "export")


def main() -> None:
    """Exports, or says what the export would take."""
    system, directory = config_flags.preset(), config_flags.directory("export")
    if flags.FLAGS.dry_run:
        costs = launch.import_quietly("tf_student.costs")
        count = costs.parameters(system.unet)
        cost = {"parameters": count, "bytes on disk (about)": 4 * count}
        launch.print_cost(f"export the student to {directory}", cost)
        return
    station = launch.import_quietly("tf_student.stations.export")
    station.export(directory, config_flags.directory("student"))
    print(f"The SavedModel is in {directory}.")


if __name__ == "__main__":
    launch.run(main)

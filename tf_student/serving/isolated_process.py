"""A program that uses an exported model in a process without this package.

    python -I -S isolated_process.py REQUEST.json

`verification` runs it with a path that has only the directory `site` of the request. It
imports nothing from this package, and fails if this package can be imported.

The request is a JSON object:

- `site`: directory of the installed packages.
- `directory`: of the SavedModel.
- `inputs`: by signature, an .npz file of its inputs.
- `library`: shared library of an op to load first, or null.
- `commands`: whether to use `saved_model_cli` too.
- `results`: .npz file to write: the first output of each signature under its name, and
  with `commands` the outputs of `saved_model_cli` as `show` and `run`.
"""

import contextlib
import io
import json
import sys


def main(path: str) -> None:
    """Runs a request and writes its results."""
    with open(path) as file:
        request = json.load(file)
    sys.path.insert(0, request["site"])
    _check_that_this_package_is_absent()
    import tensorflow as tf

    if request["library"]:
        tf.load_op_library(request["library"])
    results = _run_in_session(tf, request["directory"], request["inputs"])
    if request["commands"]:
        results |= _run_commands(request)
    import numpy as np

    np.savez(request["results"], **results)


def _check_that_this_package_is_absent() -> None:
    try:
        import tf_student
    except ModuleNotFoundError:
        return
    sys.exit(f"tf_student must not be importable. Received: {tf_student.__file__}.")


def _run_in_session(tf, directory: str, inputs: dict) -> dict:
    """The first output of each signature, through the loader of TensorFlow 1."""
    import numpy as np

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], directory)
        results = {}
        for name, path in inputs.items():
            signature = graph.signature_def[name]
            (output,) = signature.outputs.values()
            with np.load(path) as values:
                feeds = {signature.inputs[k].name: values[k] for k in values}
            results[name] = session.run(output.name, feeds)
        return results


def _run_commands(request: dict) -> dict:
    """The output of `saved_model_cli show` and the images of `saved_model_cli run`."""
    import os

    import numpy as np

    place = ["--dir", request["directory"]]
    shown = _run_command("show", *place, "--all")
    run = ["run", *place, "--tag_set", "serve", "--signature_def", "sample"]
    values = request["inputs"]["sample"]
    with np.load(values) as arrays:
        inputs = ";".join(f"{name}={values}[{name}]" for name in arrays)
    folder = os.path.dirname(request["results"])
    _run_command(*run, "--inputs", inputs, "--outdir", folder, "--overwrite")
    return {"show": shown, "run": np.load(os.path.join(folder, "images.npy"))}


def _run_command(*arguments: str) -> str:
    from tensorflow.python.tools import saved_model_cli

    sys.argv = ["saved_model_cli", *arguments]
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        saved_model_cli.main()
    return output.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])

"""A program that uses an exported model as someone without this package does.

    python -I -S isolated_process.py REQUEST.json

`verification` runs it, isolated, where only `site` is on the path. It imports nothing
of this package and checks that nobody could.
"""

import contextlib
import io
import json
import sys


def main(path: str) -> None:
    """Does what the request asks and leaves its results where it says."""
    with open(path) as file:
        request = json.load(file)
    sys.path.insert(0, request["site"])
    _must_be_alone()
    import tensorflow as tf

    if request["library"]:
        tf.load_op_library(request["library"])
    results = _through_a_session(tf, request["directory"], request["inputs"])
    if request["commands"]:
        results |= _by_command(request)
    import numpy as np

    np.savez(request["results"], **results)


def _must_be_alone() -> None:
    try:
        import tf_student
    except ModuleNotFoundError:
        return
    sys.exit(f"tf_student is not to be found here, and is: {tf_student.__file__}")


def _through_a_session(tf, directory: str, inputs: dict) -> dict:
    """The first output of each signature, through version 1's loader, a server's."""
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
        # Strings are bytes objects, which an archive does not hold.
        return {
            name: np.frombuffer(b"".join(value), np.uint8)
            if value.dtype == object
            else value
            for name, value in results.items()
        }


def _by_command(request: dict) -> dict:
    """What `saved_model_cli show` says, and the images that its `run` leaves."""
    import os

    import numpy as np

    place = ["--dir", request["directory"]]
    shown = _command("show", *place, "--all")
    run = ["run", *place, "--tag_set", "serve", "--signature_def", "sample"]
    inputs = f"seed={request['inputs']['sample']}[seed]"
    inputs += f";count={request['inputs']['sample']}[count]"
    folder = os.path.dirname(request["results"])
    _command(*run, "--inputs", inputs, "--outdir", folder, "--overwrite")
    return {"show": shown, "run": np.load(os.path.join(folder, "images.npy"))}


def _command(*arguments: str) -> str:
    from tensorflow.python.tools import saved_model_cli

    sys.argv = ["saved_model_cli", *arguments]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        saved_model_cli.main()
    return said.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])

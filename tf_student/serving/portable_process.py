"""A program that draws images with the runtime of a format, without this package.

    python -I -S portable_process.py REQUEST.json

`portable_verification` runs it with a path that has only the directory `site` of the
request. It imports neither this package nor TensorFlow.

The request is a JSON object:

- `site`: directory of the installed packages.
- `format`: `litert` or `onnx`.
- `file`: the model.
- `inputs`: an .npz file of the inputs by name.
- `results`: .npz file to write, with the output `images`.
"""

import json
import sys


def main(path: str) -> None:
    """Runs a request and writes its results."""
    with open(path) as file:
        request = json.load(file)
    sys.path.insert(0, request["site"])
    _check_that_this_package_is_absent()
    import numpy as np

    with np.load(request["inputs"]) as arrays:
        inputs = dict(arrays)
    run = {"litert": _run_litert, "onnx": _run_onnx}[request["format"]]
    images = run(request["file"], inputs)
    if "tensorflow" in sys.modules:
        sys.exit("TensorFlow must not be needed.")
    np.savez(request["results"], images=images)


def _check_that_this_package_is_absent() -> None:
    try:
        import tf_student
    except ModuleNotFoundError:
        return
    sys.exit(f"tf_student must not be importable. Received: {tf_student.__file__}.")


def _run_litert(path: str, inputs: dict):
    """The images by LiteRT's interpreter, which resizes the batch if it is free."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    return interpreter.get_signature_runner()(**inputs)["images"]


def _run_onnx(path: str, inputs: dict):
    """The images by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    return session.run(["images"], inputs)[0]


if __name__ == "__main__":
    main(sys.argv[1])

import ctypes
import platform
import subprocess
import sys

import pytest

from tf_student.runtime import allocator

# Prints, after each step, whether glibc calls mmap for a block. A process of its own
# has no freed blocks of this size.
_PROGRAM = """
import ctypes
import tensorflow as tf
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig

class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keep"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
libc.mallinfo2.restype = Mallinfo2

def show(size):
    before = libc.mallinfo2().hblks
    block = libc.malloc(size)
    print(libc.mallinfo2().hblks > before)
    libc.free(block)

def generate():
    signature = tf.TensorSpec([], tf.int32)
    next(iter(tf.data.Dataset.from_generator(lambda: iter([3]), None, None,
                                             output_signature=signature)))

generate()
show(20 * 2**20)
devices.open_devices(RunConfig())
show(20 * 2**20)
show(64 * 2**20)
generate()
show(20 * 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_blocks_below_32_mib_are_kept_once_devices_are_open():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    changed, *after = done.stdout.split()
    assert after == ["False", "True", "False"]
    if sys.version_info[:2] == (3, 11):
        # Otherwise TensorFlow has been mended, and this module can go.
        assert changed == "True"


def test_another_c_library_is_not_an_error(monkeypatch):
    class Other:
        pass

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Other())
    allocator.keep_large_blocks.__wrapped__()

"""The op and its CPU kernels as a library that a program links in."""

# As in cc/build.py: kernels select the instruction set at run time.
COPTS = [
    "-std=c++17",
    "-O3",
    "-DNDEBUG",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
]

def group_norm_silu_library(name, deps, **kwargs):
    """Defines the library.

    Args:
      name: of the target.
      deps: TensorFlow's headers, and its code where the program has none of it yet.
      **kwargs: handed on to cc_library.
    """
    native.cc_library(
        name = name,
        srcs = native.glob(
            [
                "cc/kernels/*.cc",
                "cc/kernels/*.h",
                "cc/ops/*.cc",
            ],
            exclude = [
                "cc/kernels/*.cu.cc",
                "cc/kernels/*cuda*",
                "cc/kernels/check_*",
            ],
        ),
        copts = COPTS,
        deps = deps,
        # Ops register themselves, so that nothing refers to their symbols.
        alwayslink = True,
        linkstatic = True,
        **kwargs
    )

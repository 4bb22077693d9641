"""tf-student: one-step generators distilled from diffusion models."""

import pathlib

__version__ = "0.1.0"

# In a clone the package's other folders lie beside this one.
_CLONE = pathlib.Path(__file__).parents[1]
if (_CLONE / "flags" / "launch.py").exists():
    __path__.append(str(_CLONE))

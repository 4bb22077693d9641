import pytest

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import from_dict, to_dict


def test_to_dict_holds_json_values_alone():
    values = to_dict(UNetConfig())
    assert values["width_multipliers"] == [1, 2, 2, 2]
    assert {type(value) for value in values.values()} <= {int, float, str, bool, list}


def test_from_dict_names_what_it_does_not_know():
    with pytest.raises(InputError) as error:
        from_dict(SamplerConfig, {"calls": 5, "eta": 0})
    assert str(error.value) == (
        "SamplerConfig has no option named eta; the file was written by another "
        "version."
    )

import pytest

from tf_student.data.data_config import DataConfig
from tf_student.runtime.errors import InputError


def test_an_empty_dataset_is_an_error():
    with pytest.raises(InputError) as error:
        DataConfig("")
    assert str(error.value) == (
        "`dataset` must be a name or a path. Received: dataset=''."
    )

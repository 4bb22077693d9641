import pytest

from tf_student.gallery.gallery_config import GalleryConfig
from tf_student.runtime.errors import InputError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": 65536}, "`port` must be at most 65535"),
        ({"port": -1}, "port=-1"),
        ({"host": ""}, "`host` must be an address"),
        ({"max_images": 1}, "max_images=1"),
    ],
)
def test_wrong_value_is_named(values, message):
    with pytest.raises(InputError) as raised:
        GalleryConfig(**values)
    assert message in str(raised.value)


def test_gallery_listens_only_on_this_machine_by_default():
    assert GalleryConfig().host == "127.0.0.1"

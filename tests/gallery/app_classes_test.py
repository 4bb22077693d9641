import pytest

from tests.gallery.fake_model import FakeModel
from tf_student.gallery import app

BASE = "http://localhost:8008"


@pytest.fixture
def models():
    return {"student": FakeModel()}


@pytest.fixture
def client(models):
    page = app.make_app(models, hosts=["localhost"], max_images=8)
    return page.test_client()


@pytest.mark.parametrize(("query", "label"), [("", -1), ("&label=9", 9)])
def test_a_model_with_classes_draws_the_chosen_one(client, models, query, label):
    models["student"].classes = 10
    path = f"/sample?model=student&seed=7&count=2{query}"
    assert client.get(path, base_url=BASE).status_code == 200
    path = f"/interpolate?model=student&seed_a=1&seed_b=2&steps=3{query}"
    assert client.get(path, base_url=BASE).status_code == 200
    assert models["student"].calls == [
        ("sample", 7, 2, label),
        ("interpolate", 1, 2, 3, label),
    ]


@pytest.mark.parametrize(
    ("classes", "label", "expected"),
    [
        (10, "10", "`label` must be an integer from 0 to 9. Received: label='10'."),
        (10, "-1", "`label` must be an integer from 0 to 9. Received: label='-1'."),
        (0, "0", "`label` must not be given for a model without classes."),
    ],
)
def test_a_class_that_does_not_exist(client, models, classes, label, expected):
    models["student"].classes = classes
    path = f"/sample?model=student&seed=7&count=2&label={label}"
    answer = client.get(path, base_url=BASE)
    assert (answer.status_code, answer.json) == (400, {"error": expected})

import dataclasses

from tf_student.evaluation.metrics import Score
from tf_student.evaluation.result import Measured


def test_terminal_table_has_the_same_figures(evaluation):
    lines = evaluation.table().splitlines()
    assert lines[0].split() == ["teacher", "student"]
    assert lines[1].split() == "FID 2.000 ± 0.500 3.000 ± 0.500".split()
    assert lines[-3].split() == "ms per image 1.500 0.062".split()
    assert len({len(line) for line in lines[:-2]}) == 1
    assert lines[-1].startswith("FID(student) / FID(teacher) = 1.500.")


def test_a_comparison_names_its_source_and_has_only_its_own_rows(evaluation):
    scores = {"FID": Score(2.0, 0.0)}
    comparison = dataclasses.replace(
        evaluation,
        networks={"source": Measured(scores, images="samples/")},
        real_count=0,
        half_split_fid=None,
        between=None,
        same_noise=None,
        warnings=(),
    )
    assert comparison.rows() == [("", "source"), ("FID", "2.000 ± 0.000")]
    assert comparison.verdict() == "source is samples/."
    assert "an unknown number of real images" in comparison.protocol()


def test_printing_shows_the_table(evaluation):
    assert str(evaluation) == evaluation.table()


def test_networks_may_have_different_rows(evaluation):
    both = Measured({"FID": Score(1.0, 0.0), "KID": Score(0.5, 0.0, error=0.0)})
    networks = {"a": both, "b": Measured({"FID": Score(2.0, 0.0)}, calls=3)}
    rows = dataclasses.replace(evaluation, networks=networks).rows()
    assert rows == [
        ("", "a", "b"),
        ("FID", "1.000 ± 0.000", "2.000 ± 0.000"),
        ("KID", "0.500 ± 0.000", ""),
        ("KID: standard error", "0", ""),
        ("network calls", "", "3"),
    ]

"""Wrong input: one clear line, exit code 2, and nothing changed."""

import shutil
import subprocess

import pytest

from tests.flags import commands, conftest
from tests.flags.commands import fork


def _is_one_line(finished, command, *parts):
    assert finished.code == 2, finished.err
    assert finished.err.count("\n") == 1 and finished.err.endswith("\n"), finished.err
    assert finished.err.startswith(f"tf-student {command}: ")
    for part in parts:
        assert part in finished.err


@pytest.mark.parametrize(
    ("command", "flag", "message"),
    [
        ("teacher", "--steps=many", "flag --steps=many"),
        ("teacher", "--steps=0", "`steps` must be at least 1. Received: steps=0."),
        ("teacher", "--dtype=float8", "float32|bfloat16|float16"),
        ("teacher", "--width_multipliers=1,x", "integers separated by commas"),
        ("teacher", "--groups=5", "groups=5, channels=32"),
        ("teacher", "--image_size=9", "`image_size` must be divisible by 4"),
        ("teacher", "--learning_rate=nan", "Received: learning_rate=nan"),
        ("distill", "--distance=l3", "l1|l2"),
        ("distill", "--decay_steps=5000", "must fit into `steps`"),
        ("distill", "--calls=5", "`calls` can be set only with `online`"),
        ("pairs", "--pairs=-1", "Received: pairs=-1"),
        ("sample", "--preset=imagenet", "`preset` must be one of: cifar10, "),
        ("sample", "--presets=digits", "Unknown command line flag 'presets'"),
        ("export", "--steps=5", "Unknown command line flag 'steps'"),
        ("evaluate", "--samples=1", "`samples` must be at least 2"),
        ("evaluate", "--resize=area", "tf1|pytorch_fid"),
        ("evaluate", "--against=digits", "`source` must be given with `against`"),
        ("evaluate", "--source=/nowhere", "`source` must exist. Received: source=/no"),
        ("export", "--max_count=1", "be 0, or at least 2 for an interpolation"),
        (
            "export",
            "--format=litert,tflite",
            "`format` must be one or several of",
        ),
        ("export", "--name=a/b", "`name` must have only letters, digits, _ and -"),
        ("export", "--dtype=int8", "float32, bfloat16, float16 for saved_model. Rec"),
        ("client", "--count=0", "`count` must be at least 1. Received: count=0."),
        ("client", "--server=localhost:8501", "server='localhost:8501'"),
        ("client", "--preset=faces", "`preset` must be one of: cifar10, "),
        ("rollout", "--server=grpc://host:8500", "must begin with http:// or https://"),
        ("rollout", "--server=http://host:many", "server='http://host:many'"),
        ("rollout", "--ca_file=/a.pem", "must be empty for a server without TLS"),
        ("rollout", "--no_wait", "`export_dir` must hold versions of a model"),
        ("rollout", "--preset=faces", "`preset` must be one of: cifar10, "),
        ("gallery", "--port=99999", "`port` must be at most 65535"),
        ("gallery", "--student_model=/nowhere", "/nowhere has no SavedModel"),
        ("evaluate", "digits", "unexpected argument 'digits'; flags begin with --"),
        ("evaluate", "--flagfile=/nowhere.flags", "/nowhere.flags"),
        ("evaluate", "--source=no/where", "`source` must exist. Received: source=no/w"),
        ("teacher", "--dataset=/nowhere", "`dataset` must be an existing folder"),
        ("teacher", "--dataset=./here", "`dataset` must be an existing folder"),
        ("teacher", "--data_dir=s3://a/b", "s3:// cannot be opened. Of remote paths"),
        ("teacher", "--teacher_dir=hdfs://a/b", "those of gs:// can"),
        ("teacher", "--teacher_dir=/nowhere/a[1]", "no '[1]' in its path"),
        ("distill", "--student_dir=https://a/b", "https:// cannot be opened"),
        ("convert", "--from=https://a/b", "https:// cannot be opened"),
        ("evaluate", "--source=/no\nwhere", "source=/no\\nwhere"),
        ("teacher", "--seed=9223372036854775808", "`seed` must be at most 92233720368"),
        ("teacher", "--blocks_per_level=1000000000", "`blocks_per_level` must be at m"),
        ("teacher", "--image_size=1000000000", "`image_size` must be at most 8192"),
        ("teacher", "--base_width=65536", "`base_width` must lead to at most 65536"),
        ("pairs", "--pairs=1000000000000", "`pairs` must be at most 10000000000"),
        ("pairs", "--device_batch=100000000", "`device_batch` must be at most 1048576"),
        ("evaluate", "--repeats=1000000000", "`repeats` must be at most 1000"),
        ("interpolate", "--rows=1000000", "`rows` must be at most 1000"),
        ("interpolate", "--columns=1000000", "`columns` must be at most 1000"),
    ],
)
def test_wrong_flag(tmp_path, command, flag, message):
    finished = fork(command, f"--work_dir={tmp_path}/work", flag)
    _is_one_line(finished, command, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flag", ["--pairs=1000000000000", "--num_workers=10000000000", "--calls=10000000"]
)
def test_a_plan_has_the_same_bounds(tmp_path, flag):
    finished = fork("pairs", "--dry_run", f"--work_dir={tmp_path}/work", flag)
    _is_one_line(finished, "pairs", "must be at most", flag.removeprefix("--"))
    assert finished.seconds < 20


def test_unknown_command():
    finished = subprocess.run(
        [commands.LAUNCHER, "train"], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        "tf-student: unknown command 'train'; expected one of teacher, "
        "convert, verify-teacher, pairs, distill, match, sample, interpolate, "
        "evaluate, export, rollout, client, gallery, demo, doctor\n"
    )


@pytest.fixture(scope="module")
def spoiled(chain, tmp_path_factory):
    """A folder of inputs that each have one fault."""
    folder = tmp_path_factory.mktemp("spoiled")
    cut = folder / "cut"
    shutil.copytree(chain.work / "pairs", cut)
    shard = cut / "pairs-train.tfrecord-00003-of-00018"
    shard.write_bytes(shard.read_bytes()[:-7])
    flipped = folder / "flipped"
    shutil.copytree(chain.work / "pairs", flipped)
    shard = flipped / "pairs-held_out.tfrecord-00001-of-00002"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes(data)
    (folder / "file").write_text("a regular file")
    return folder


@pytest.fixture(scope="module")
def refused(chain, pool, spoiled, contents):
    """How each run ended, and the chain's files before and after them all."""
    work = f"--work_dir={chain.work}"
    student = f"--student_dir={spoiled}/student"
    # Four terabytes.
    huge = ("--pairs=10000000000", "--shard_pairs=10000000", "--store_noise")
    runs = {
        "other_configuration": (
            "teacher",
            work,
            *conftest.TEACHER,
            "--learning_rate=0.5",
        ),
        "truncated": (
            "distill",
            work,
            *conftest.DISTILL,
            student,
            f"--pairs_dir={spoiled}/cut",
        ),
        "flipped": (
            "distill",
            work,
            *conftest.DISTILL,
            student,
            f"--pairs_dir={spoiled}/flipped",
        ),
        "two_sources": ("distill", work, "--online", f"--pairs_dir={spoiled}/cut"),
        "extractor": ("evaluate", work, f"--extractor={spoiled}/absent"),
        "disk": (
            "pairs",
            work,
            f"--pairs_dir={spoiled}/huge",
            *huge,
        ),
        "below_a_file": ("teacher", f"--work_dir={spoiled}/file", *conftest.TEACHER),
        "unwritable": (
            "interpolate",
            "--work_dir=/proc/nowhere",
            f"--student_dir={chain.work}/student",
        ),
        "no_teacher": ("pairs", f"--work_dir={spoiled}/nothing"),
        "version": ("export", work, "--version=1"),
        "no_student": ("export", f"--work_dir={spoiled}/nothing", "--verify"),
    }
    before = contents(chain.work)
    futures = {k: pool.submit(fork, *v) for k, v in runs.items()}
    finished = {name: future.result() for name, future in futures.items()}
    return finished, before, contents(chain.work)


@pytest.mark.parametrize(
    ("name", "command", "message"),
    [
        ("other_configuration", "teacher", "Received: learning_rate=0.5"),
        ("truncated", "distill", "cut/pairs-train.tfrecord-00003-of-00018 is missing"),
        ("two_sources", "distill", "`pairs_dir` must not be set with `online`"),
        ("extractor", "evaluate", "/absent."),
        ("disk", "pairs", "bytes free, received: "),
        ("below_a_file", "teacher", "/file is not a directory"),
        ("unwritable", "interpolate", "/proc/nowhere"),
        ("no_teacher", "pairs", "nothing/teacher must be a run's directory"),
        ("version", "export", "must not exist yet in "),
        ("no_student", "export", "nothing/student must be a run's directory"),
    ],
)
def test_wrong_input(refused, name, command, message):
    _is_one_line(refused[0][name], command, message)


def test_damage_found_while_training(refused):
    finished = refused[0]["flipped"]
    assert finished.code == 2
    # The progress bar is there already.
    *_, last = finished.err.splitlines()
    assert last.startswith("tf-student distill: ")
    assert "pairs-held_out.tfrecord-00001-of-00002 is damaged" in last
    assert "Traceback" not in finished.err


def test_nothing_changed(refused):
    _, before, after = refused
    assert sorted(before) == sorted(after)
    assert [name for name in before if before[name] != after[name]] == []


def test_nothing_appeared(refused, spoiled):
    assert not {"huge", "nothing"} & {path.name for path in spoiled.iterdir()}
    assert (spoiled / "file").read_text() == "a regular file"

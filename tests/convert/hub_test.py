"""Which files of a repository on the Hub are downloaded."""

import fnmatch

import pytest

from tf_student.convert import hub

huggingface_hub = pytest.importorskip("huggingface_hub")

STEM = "unet/diffusion_pytorch_model"


@pytest.fixture
def download(tmp_path, monkeypatch):
    """Downloads from a repository of given files; returns the names that it has."""

    def run(names, weights=""):
        def snapshot(name, allow_patterns):
            assert name == "owner/name"
            for file in names:
                if any(fnmatch.fnmatch(file, p) for p in allow_patterns):
                    path = tmp_path / file
                    path.parent.mkdir(exist_ok=True)
                    path.touch()
            return str(tmp_path)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
        assert hub.download("hf:owner/name", weights) == str(tmp_path)
        files = (p for p in tmp_path.rglob("*") if p.is_file())
        return sorted(str(path.relative_to(tmp_path)) for path in files)

    return run


@pytest.mark.parametrize(
    ("names", "weights", "expected"),
    [
        (
            [f"{STEM}.safetensors", f"{STEM}.fp16.safetensors", "README.md"],
            "",
            [f"{STEM}.safetensors"],
        ),
        ([f"{STEM}.fp16.bin", "image.png"], "", [f"{STEM}.fp16.bin"]),
        (
            [f"{STEM}.bin", f"{STEM}.non_ema.bin"],
            "non_ema",
            [f"{STEM}.bin", f"{STEM}.non_ema.bin"],
        ),
        (
            [f"{STEM}-00001-of-00002.bin", f"{STEM}.bin.index.json"],
            "",
            [f"{STEM}-00001-of-00002.bin", f"{STEM}.bin.index.json"],
        ),
        (["unet/config.json", "model.pt"], "", ["unet/config.json"]),
    ],
)
def test_variants_are_downloaded_only_if_they_are_read(
    download, names, weights, expected
):
    assert download(names, weights) == expected

"""`models.config`: the versions that a server loads, and their labels.

A server that runs reads the file again and again. It assigns the labels of a new file
before it loads its versions, and refuses the whole file if a label would move to a
version that is not loaded; then it also keeps the old versions. So a file must never
move a label to a version that it lists for the first time.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping

LABELS = ("stable", "canary")

_PENDING = """\
# The newest version has no label yet: `tf-student rollout` moves the labels once the
# server has loaded it.
"""
_ONE_VERSION = """\
# The model has one version. The next export adds its own, and `tf-student rollout`
# gives it the label `canary`.
"""
_TEXT = """\
# For `tensorflow_model_server --model_config_file`. `tf-student export` and `tf-student
# rollout` overwrite it. A server that starts needs, for the labels,
# --allow_version_labels_for_unavailable_models=true.
{note}model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{
      specific {{
{versions}
      }}
    }}
{labels}
  }}
}}
"""
_LABEL = """\
    version_labels {{
      key: "{label}"
      value: {version}
    }}"""
_PARSED_VERSION = re.compile(r"\bversions\s*:\s*(\d{1,19})\b", re.ASCII)
_PARSED_LABEL = re.compile(
    r'\bversion_labels\s*{\s*key\s*:\s*"([\w.-]+)"\s*,?\s*value\s*:\s*(\d{1,19})\s*}',
    re.ASCII,
)


@dataclasses.dataclass(frozen=True)
class ModelList:
    """The versions that a server loads, and their labels.

    Attributes:
        versions: in ascending order.
        labels: numbers of versions by label.

    Example:

    >>> first = first_list([1])
    >>> second = first.with_exports([1, 2])
    >>> second
    ModelList(versions=(1, 2), labels={'stable': 1})
    >>> second.rolled_out()
    ModelList(versions=(1, 2), labels={'stable': 1, 'canary': 2})
    """

    versions: tuple[int, ...]
    labels: Mapping[str, int]

    def with_exports(self, existing: Collection[int]) -> "ModelList":
        """The list after an export: the labels do not change.

        It has the last two existing versions, those with labels, and the one that was
        the newest before, so that the server has a recent version while it loads.

        Args:
            existing: versions in the model's directory, also the new one; any others
                leave the list.
        """
        labels = {k: v for k, v in self.labels.items() if v in existing}
        listed = [version for version in self.versions if version in existing]
        kept = {*labels.values(), *listed[-1:], *sorted(existing)[-2:]}
        return ModelList(tuple(sorted(kept)), labels)

    def rolled_out(self) -> "ModelList":
        """The list after a rollout, for a server that has loaded the last two versions.

        The older one of these is `stable` and the newer one `canary`; a single version
        is `stable`. Other labels stay where they are. Versions without a label leave
        the list.
        """
        others = {k: v for k, v in self.labels.items() if k not in LABELS}
        labels = dict(zip(LABELS, self.versions[-2:], strict=False)) | others
        return ModelList(tuple(sorted(set(labels.values()))), labels)

    def text(self, name: str) -> str:
        """The content of `models.config` for a model of this name."""
        note = _ONE_VERSION if len(self.versions) == 1 else ""
        return _TEXT.format(
            note=note if self == self.rolled_out() else _PENDING,
            name=name,
            versions="\n".join(f"        versions: {v}" for v in self.versions),
            labels="\n".join(
                _LABEL.format(label=label, version=version)
                for label, version in self.labels.items()
            ),
        )


def first_list(existing: Collection[int]) -> ModelList:
    """The list where there was none: the last two versions; the first is `stable`."""
    last = tuple(sorted(existing)[-2:])
    return ModelList(last, dict(zip(LABELS[:1], last, strict=False)))


def parse(text: str) -> ModelList:
    """Reads the content of `models.config`."""
    text = re.sub("#.*", "", text)
    labels = {label: int(number) for label, number in _PARSED_LABEL.findall(text)}
    versions = sorted({int(number) for number in _PARSED_VERSION.findall(text)})
    return ModelList(tuple(versions), labels)

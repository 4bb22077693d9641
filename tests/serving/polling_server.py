"""A server that refuses configurations as ModelServer does."""

import dataclasses

from tf_student.serving import model_list


@dataclasses.dataclass
class PollingServer:
    """The rules of ModelServer's ServerCore::ReloadConfig, for one model.

    Labels come first. A label that another version has, or any label where the flag for
    unavailable versions is not set, can only move to a version that is available.
    Otherwise the server refuses the whole configuration, and loads nothing.
    """

    available: set = dataclasses.field(default_factory=set)
    loading: set = dataclasses.field(default_factory=set)
    labels: dict = dataclasses.field(default_factory=dict)
    refused: int = 0

    def poll(self, text):
        listed = model_list.parse(text)
        for label, version in listed.labels.items():
            moves = self.labels.get(label, version) != version
            if moves and version not in self.available:
                self.refused += 1
                return
        self.labels = dict(listed.labels)
        self.available &= set(listed.versions)
        self.loading = set(listed.versions) - self.available

    def load(self):
        self.available |= self.loading
        self.loading = set()

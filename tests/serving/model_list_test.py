"""Successive configurations, and a server that refuses them as ModelServer does."""

import random

import pytest
from google.protobuf import text_format

from tests.serving.polling_server import PollingServer
from tf_student.serving import model_list
from tf_student.serving.model_list import ModelList


def test_the_server_refuses_what_jams_a_real_one():
    server = PollingServer()
    server.poll(ModelList((1, 2), {"stable": 1, "canary": 2}).text("digits"))
    server.load()
    server.poll(ModelList((2, 3), {"stable": 2, "canary": 3}).text("digits"))
    assert (server.refused, server.available, server.loading) == (1, {1, 2}, set())
    server.poll(ModelList((1, 2, 3), {"stable": 1, "canary": 2}).text("digits"))
    server.load()
    server.poll(ModelList((2, 3), {"stable": 2, "canary": 3}).text("digits"))
    assert (server.refused, server.available) == (1, {2, 3})


def _first(*existing):
    return model_list.first_list(existing)


def test_first_export_needs_no_rollout():
    assert _first(4) == ModelList((4,), {"stable": 4}) == _first(4).rolled_out()
    assert _first(4, 5, 9) == ModelList((5, 9), {"stable": 5})


def test_exports_and_rollouts():
    listed = _first(1).with_exports([1, 2])
    assert listed == ModelList((1, 2), {"stable": 1})
    listed = listed.rolled_out()
    assert listed == ModelList((1, 2), {"stable": 1, "canary": 2})
    listed = listed.with_exports([1, 2, 3])
    assert listed == ModelList((1, 2, 3), {"stable": 1, "canary": 2})
    listed = listed.rolled_out()
    assert listed == ModelList((2, 3), {"stable": 2, "canary": 3})
    assert listed.rolled_out() == listed


def test_exports_without_rollouts_do_not_pile_up():
    listed = _first(1).with_exports([1, 2]).rolled_out()
    for number in range(3, 20):
        listed = listed.with_exports(range(1, number + 1))
        assert listed.labels == {"stable": 1, "canary": 2}
        assert {1, 2, number - 1, number} == set(listed.versions)
    assert listed.rolled_out() == ModelList((18, 19), {"stable": 18, "canary": 19})


def test_removed_versions_leave_the_list():
    listed = ModelList((2, 3), {"stable": 2, "canary": 3}).with_exports([3, 4])
    assert listed == ModelList((3, 4), {"canary": 3})
    assert ModelList((1,), {"stable": 1}).with_exports([2]) == ModelList((2,), {})


def test_an_older_version_is_listed():
    listed = _first(5).with_exports([3, 5])
    assert listed == ModelList((3, 5), {"stable": 5})
    assert listed.rolled_out() == ModelList((3, 5), {"stable": 3, "canary": 5})


def test_other_labels_stay():
    listed = ModelList((1, 2), {"stable": 1, "canary": 2, "paper": 1})
    listed = listed.with_exports([1, 2, 3]).rolled_out()
    assert listed == ModelList((1, 2, 3), {"stable": 2, "canary": 3, "paper": 1})


@pytest.mark.parametrize("seed", range(20))
def test_no_server_ever_refuses(seed):
    """Exports, rollouts, polls, loads and restarts in any order.

    A rollout happens when every server has loaded the versions that it labels, as
    `tf-student rollout` waits for.
    """
    chance = random.Random(seed)
    existing, listed = [1], _first(1)
    servers = [PollingServer(), PollingServer()]
    rollouts = 0
    for _ in range(1000):
        (event,) = chance.choices(
            ["export", "rollout", "poll", "load", "restart"], [1, 3, 6, 6, 1]
        )
        server = chance.choice(servers)
        if event == "export":
            existing.append(max(existing) + 1)
            listed = listed.with_exports(existing)
        elif event == "rollout":
            after = listed.rolled_out()
            if all(set(after.versions) <= server.available for server in servers):
                rollouts += after != listed
                listed = after
        elif event == "poll":
            server.poll(listed.text("digits"))
        elif event == "load":
            server.load()
        elif chance.random() < 0.1:
            servers[servers.index(server)] = PollingServer()
        assert [server.refused for server in servers] == [0, 0]
        # A label always has its version where the server has loaded anything.
        if not server.loading and server.available:
            assert set(server.labels.values()) <= server.available
    assert rollouts > 5


@pytest.mark.parametrize(
    "listed",
    [
        ModelList((4,), {"stable": 4}),
        ModelList((4, 5, 2**63 - 1), {"stable": 4, "canary": 5}),
        ModelList((2,), {}),
    ],
)
def test_text_is_read_again(listed):
    assert model_list.parse(listed.text("digits")) == listed


def test_comments_are_not_read():
    text = "# versions: 7\nversions: 1 # versions: 9\n  # versions: 8\n"
    assert model_list.parse(text).versions == (1,)
    assert model_list.parse("") == ModelList((), {})


def test_comments_say_what_is_next():
    assert "has one version" in _first(1).text("digits")
    pending = _first(1).with_exports([1, 2])
    assert "`tf-student rollout` moves the labels once" in pending.text("digits")
    done = pending.rolled_out().text("digits")
    assert "one version" not in done and "has no label yet" not in done


def test_text_is_the_servers_own_message():
    """The protocol's package has only a part of the server's messages."""
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = ModelList((1, 2), {"stable": 1, "canary": 2}).text("digits")
    parsed = text_format.Parse(text, config.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    assert (model.name, model.base_path) == ("digits", "/models/digits")
    assert list(model.model_version_policy.specific.versions) == [1, 2]
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}

"""Uploads a finished network to the Hugging Face Hub, with a model card."""

import os
import re
import tempfile
from typing import Any

import tensorflow as tf

from tf_student.convert import diffusers_folder, hub, model_card
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.runtime import files
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import refuse
from tf_student.runtime.run_directory import RunDirectory

_LICENCE = re.compile(r"[a-z0-9.\-]{0,60}")
# The configs of `config.json` that say how a network was trained. Others hold paths.
_OPTIONS = ("distill", "match", "train")
_SCORES = ("FID", "KID", "IS", "precision", "recall")


def publish(
    source: str, model: Teacher | Student, target: str, *, licence: str = ""
) -> None:
    """Uploads a network as a folder for diffusers, with a card as its README.

    Args:
        source: the run directory of the network.
        model: the network.
        target: `hf:owner/name`; the repository is created if it does not exist.
        licence: of the weights, by the Hub's name such as `cc-by-4.0`.

    Raises:
        InputError: if the name is none of the Hub's, diffusers cannot hold the network,
            or the upload fails.
    """
    repository = hub.repository(target)
    if not _LICENCE.fullmatch(licence):
        refuse("license", "be a name such as mit or cc-by-4.0", licence)
    variables = model.unet.named_variables()
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "network")
        diffusers_folder.write(
            folder,
            model.unet.config,
            model.diffusion,
            lambda path: variables[path].numpy(),
        )
        card = _card(source, model, repository, licence)
        with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as file:
            file.write(model_card.text(card))
        hub.upload(folder, repository)


def _card(
    source: str, model: Teacher | Student, repository: str, licence: str
) -> model_card.Card:
    run = RunDirectory.open(source)
    origin = run.values.get("origin", {})
    return model_card.Card(
        repository=repository,
        network=run.network,
        unet=model.unet.config,
        diffusion=model.diffusion,
        parameters=model.unet.count_params(),
        licence=licence,
        made_by=f"{run.command} of tf-student {run.values['tf_student']}",
        origin={
            **{name: str(value) for name, value in origin.items() if value},
            "weights": model.unet.fingerprint(),
        },
        options={name: run.values[name] for name in _OPTIONS if name in run.values},
        figures=_figures(source),
    )


def _figures(source: str) -> list[list[str]]:
    """The figures of an evaluation beside the run, unless the weights are newer."""
    work = os.path.dirname(os.path.normpath(source))
    path, weights = (
        os.path.join(*parts)
        for parts in ((work, "evaluation.json"), (source, "model.keras"))
    )
    stat = tf.io.gfile.stat
    if not tf.io.gfile.exists(path) or stat(path).mtime_nsec < stat(weights).mtime_nsec:
        return []
    try:
        return _rows(files.read_object(path))
    # Damaged, or of another version: the card has no figures.
    except (InputError, AttributeError, KeyError, TypeError, ValueError):
        return []


def _rows(evaluation: dict[str, Any]) -> list[list[str]]:
    networks = evaluation["networks"]
    shown = [
        name
        for name in _SCORES
        if all(name in network["scores"] for network in networks.values())
    ]
    rows = [["network", "calls", *shown]]
    for name, network in networks.items():
        means = [f"{float(network['scores'][s]['mean']):.3f}" for s in shown]
        rows.append([name, str(int(network["calls"])), *means])
    return rows

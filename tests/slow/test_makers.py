"""Whole runs of the tools: every contestant of the benchmark, a pretraining that is interrupted."""

import pytest
from test_bench import SCRIPTS, check_contestant, tiny_pictures  # noqa: F401
from test_tools import RECIPE, tiny_imagenet  # noqa: F401

from helpers.runtime import seed_everything
from tools.bench import protocol
from tools.provenance import pretrain_backbone


@pytest.mark.parametrize("task", protocol.TASKS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_contestant_prints_the_lines_of_the_protocol(script, task, tiny_pictures):  # noqa: F811
    check_contestant(script, task, tiny_pictures)


def test_an_interrupted_pretraining_goes_on_to_the_same_weights(
    tiny_imagenet,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pretrain_backbone.pretrain(tiny_imagenet, whole, **RECIPE)

    def interrupt(rows, path):
        if len(rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_backbone, "write_log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pretrain_backbone.pretrain(tiny_imagenet, parts, **RECIPE)
    seed_everything(99)
    pretrain_backbone.pretrain(tiny_imagenet, parts, **RECIPE)
    name = "resnet18_tiny_imagenet.safetensors"
    assert (whole / name).read_bytes() == (parts / name).read_bytes()
    assert (whole / "log.csv").read_text() == (parts / "log.csv").read_text()
    for other in ({"lr": 0.1}, {"seed": 1}):
        with pytest.raises(ValueError, match="was begun with"):
            pretrain_backbone.pretrain(tiny_imagenet, parts, **RECIPE | other)

"""Kills at random moments, while a run trains or writes; `make test-slow` runs them."""

import random
import time

import pytest
import stand_ins
import torch
from test_checkpoint import in_file, prepare, same, train


def train_slowly(path):
    """Train in a child process, with a pause in each batch, so that kills hit there, too."""
    torch.set_num_threads(1)
    parts = prepare()
    parts[0].register_buffer("ballast", torch.arange(500_000.0))  # so that writing takes a while
    parts[0].register_forward_hook(lambda *_: time.sleep(0.001))
    train(*parts, num_epochs=1000, checkpoint=path)


@pytest.mark.parametrize("seed", range(12))
def test_killed_at_any_moment_a_training_goes_on_to_the_same_result(seed, tmp_path):
    torch.set_num_threads(1)
    path, whole_path = tmp_path / "checkpoint.pt", tmp_path / "whole.pt"
    with stand_ins.child(train_slowly, path) as process:
        while not path.exists():
            assert process.is_alive()
            time.sleep(0.005)
        time.sleep(random.Random(seed).uniform(0, 0.15))
    done = len(in_file(path)["results"]["history"]["lr"])
    for options in ({"checkpoint": whole_path}, {"checkpoint": path, "resume": path}):
        parts = prepare()
        parts[0].register_buffer("ballast", torch.arange(500_000.0))
        train(*parts, num_epochs=done + 1, **options)
    assert same(in_file(whole_path), in_file(path))

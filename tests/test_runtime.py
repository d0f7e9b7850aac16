"""The right machine, and random numbers that can be had again."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler

from helpers.runtime import (
    get_device,
    preserve_rng_state,
    random_states,
    seed_everything,
    set_random_states,
)


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_an_accelerator_is_used_where_there_is_one(monkeypatch, kind):
    def current_accelerator(check_available=False):
        return torch.device(kind)

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current_accelerator)
    assert get_device() == torch.device(kind)


def test_an_accelerator_that_is_not_available_is_not_used(monkeypatch):
    """PyTorch was built for one, but this machine has none."""

    def current_accelerator(check_available=False):
        return None if check_available else torch.device("cuda")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current_accelerator)
    assert get_device() == torch.device("cpu")


def draw():
    return random.random(), torch.rand(2).tolist()


def test_a_seed_gives_the_same_numbers_again():
    drawn = []
    for seed in (1, 1, 2):
        seed_everything(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))


def test_random_numbers_go_on_where_they_stood():
    states = random_states()
    drawn = draw()
    assert draw() != drawn
    set_random_states(states)
    assert draw() == drawn


def test_random_numbers_are_kept_also_when_looking_fails():
    """Of all that a loader may draw from, its own generator and its sampler's among them."""
    own, samplers = torch.Generator(), torch.Generator()
    sampler = RandomSampler(range(5), generator=samplers)
    loader = DataLoader(range(5), 2, sampler=sampler, generator=own)

    def draw_all():
        drawn = [torch.rand(2, generator=generator).tolist() for generator in (own, samplers)]
        return *draw(), np.random.rand(), *drawn

    with pytest.raises(RuntimeError, match="in between"), preserve_rng_state(loader):
        drawn = draw_all()
        raise RuntimeError("in between")
    assert draw_all() == drawn
    assert all(one != other for one, other in zip(draw_all(), drawn, strict=True))


@pytest.mark.parametrize(
    ("variables", "seconds", "shown"),
    [({}, 6, True), ({}, 4, False), ({"TQDM_DISABLE": "1"}, 6, False)],
)
def test_a_bar_shows_after_five_seconds_unless_it_is_disabled(variables, seconds, shown):
    program = """
import time
now = [0.0]
time.time = lambda: now[0]
from helpers.runtime import progress
for _ in progress(range(10), "epochs"):
    now[0] += SECONDS / 10
""".replace("SECONDS", str(seconds))
    environment = {k: v for k, v in os.environ.items() if k != "TQDM_DISABLE"} | variables
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert ("epochs" in done.stderr) == shown

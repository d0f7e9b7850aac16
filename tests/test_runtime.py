"""The right machine, and random numbers that can be had again."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler

from helpers.runtime import atomic_write, get_device, preserve_rng_state, seed_everything


def test_an_accelerator_is_used_where_there_is_one(monkeypatch):
    """PyTorch may be built for one that this machine has not."""
    for here, expected in ((torch.device("mps"), "mps"), (None, "cpu")):

        def current_accelerator(check_available=False, here=here):
            return here if check_available else torch.device("cuda")

        monkeypatch.setattr(torch.accelerator, "current_accelerator", current_accelerator)
        assert get_device() == torch.device(expected)


def draw():
    return random.random(), torch.rand(2).tolist()


def test_a_seed_gives_the_same_numbers_again():
    drawn = []
    for seed in (1, 1, 2):
        seed_everything(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))


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


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("old", "new"):
        with atomic_write(path) as aside:
            assert aside.parent == tmp_path and aside != path
            aside.write_text(text)
        assert path.read_text() == text
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "new" and [*tmp_path.iterdir()] == [path]

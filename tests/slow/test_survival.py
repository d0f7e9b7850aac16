"""Lotteries: kills at random moments, and many corruptions; `make test-slow` runs them.

Kills at each step of the writing are in tests/test_checkpoint.py.
"""

import random
import time

import stand_ins
import test_checkpoint
import torch
from test_checkpoint import (
    assert_goes_on,
    assert_made_anew,
    make_features,
    posix,
    prepare_large,
    train,
)


def train_slowly(path):
    """Train in a child process, with a pause in each batch, so that kills hit there, too."""
    torch.set_num_threads(1)
    parts = prepare_large()
    parts[0].register_forward_hook(lambda *_: time.sleep(0.001))
    train(*parts, num_epochs=1000, checkpoint=path)


@posix
def test_killed_at_any_moment_a_training_goes_on_to_the_same_result(tmp_path):
    """35 kills: while it computes, while it writes."""
    moments, in_the_middle, reference = random.Random(0), 0, {}
    for attempt in range(35):
        path = tmp_path / f"{attempt}" / "checkpoint.pt"
        path.parent.mkdir()
        with stand_ins.child(train_slowly, path) as process:
            while not path.exists():
                assert process.is_alive()
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.15))
        in_the_middle += bool([*path.parent.glob("*.unfinished")])
        assert_goes_on(path, 1, reference)
    print(f"{in_the_middle} of 35 killed while the checkpoint was being written")


@posix
def test_killed_at_any_moment_features_are_whole_or_made_anew(tmp_path):
    """35 kills of the writing of 4 MB."""
    moments, in_the_middle = random.Random(1), 0
    expected = make_features(tmp_path / "other")
    for attempt in range(35):
        folder = tmp_path / f"{attempt}"
        with stand_ins.child(make_features, folder) as process:
            while process.is_alive() and not folder.exists():
                time.sleep(0.002)
            process.join(moments.uniform(0, 0.05))
        in_the_middle += bool([*folder.glob("*.unfinished")])
        assert_made_anew(folder, expected)
    print(f"{in_the_middle} of 35 killed while features were being written")


def test_300_corruptions_of_a_checkpoint(tmp_path):
    test_checkpoint.test_a_corrupted_checkpoint_is_never_loaded_and_changes_nothing(tmp_path, 300)


def test_200_corruptions_of_features(tmp_path):
    test_checkpoint.test_corrupted_features_are_never_used(tmp_path, 200)

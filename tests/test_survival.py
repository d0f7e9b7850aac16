"""Training and features that survive kills, interrupts, full disks and damaged files."""

import copy
import math
import os
import random
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from helpers import data, features
from helpers.features import cached_features
from helpers.files import is_whole, writing_whole
from helpers.metrics import History
from helpers.pictures import Pictures
from helpers.runtime import seed_everything
from helpers.training import fit

CPU, EPOCHS = torch.device("cpu"), 5


@pytest.fixture(autouse=True)
def one_thread():
    """As in the children: with more threads, sums may differ in the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.02),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.1),
}
SCHEDULERS = {
    "none": lambda optimizer: None,
    "steps": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2),
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS),
}


class Noise(v2.Transform):
    """Draws from Python's random numbers and from PyTorch's, as augmentations do."""

    def transform(self, inputs, params):
        return inputs + random.random() * torch.rand(1)


def prepare(optimizer, scheduler, seed=0, own_generator=True):
    """Return what `fit` needs, as a script would make it anew: all random, augmented, shuffled."""
    seed_everything(seed)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(27, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(8, 3),
    )  # fmt: skip
    pictures = torch.rand(14, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    examples = Pictures(pictures, [i % 3 for i in range(14)], Noise(), v2.Identity())
    generator = torch.Generator().manual_seed(seed) if own_generator else None
    train = DataLoader(examples, 4, shuffle=True, generator=generator)
    val = DataLoader(TensorDataset(pictures, torch.tensor(examples.labels)), 4)
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    return model, train, val, optimizer, SCHEDULERS[scheduler](optimizer)


def train(model, train_loader, val_loader, optimizer, scheduler, num_epochs=EPOCHS, **options):
    return fit(
        model, train_loader, val_loader, nn.CrossEntropyLoss(), optimizer, CPU,
        num_epochs=num_epochs, scheduler=scheduler, verbose=False, **options,
    )  # fmt: skip


def assert_same(one, other):
    """Compare anything made of tensors, numbers and containers, to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, yours in zip(one, other, strict=True):
            assert_same(mine, yours)
    elif isinstance(one, History):
        assert_same(vars(one) | {"seconds": None}, vars(other) | {"seconds": None})
    else:
        assert one == other


def states(parts):
    model, _, _, optimizer, scheduler = parts
    return [part.state_dict() for part in (model, optimizer, scheduler) if part is not None]


@pytest.mark.parametrize("own_generator", [True, False], ids=["own", "global"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_training_is_the_uninterrupted_one(optimizer, scheduler, own_generator, tmp_path):
    """18 of them, stopped after one to four of five epochs."""
    path = tmp_path / "checkpoint.pt"
    whole = prepare(optimizer, scheduler, own_generator=own_generator)
    history = train(*whole)
    stop = 1 + len(optimizer + scheduler) % 4
    train(*prepare(optimizer, scheduler, own_generator=own_generator),
          num_epochs=stop, checkpoint=path)  # fmt: skip
    resumed = prepare(optimizer, scheduler, seed=7, own_generator=own_generator)
    random.random(), torch.rand(3)  # the new process is anywhere else
    again = train(*resumed, checkpoint=path, resume=path)
    assert_same(history, again)
    assert_same(states(whole), states(resumed))


def test_two_runs_of_a_seed_are_the_same_and_two_seeds_are_not():
    found = []
    for seed in (0, 0, 1):
        parts = prepare("SGD", "cosine", seed=seed)
        train(*parts, num_epochs=2)
        found.append(states(parts))
    assert_same(found[0], found[1])
    assert not torch.equal(found[0][0]["1.weight"], found[2][0]["1.weight"])


def train_slowly(path):
    """Train in a child process, with a pause in each batch, so that kills hit."""
    torch.set_num_threads(1)
    model, train_loader, val_loader, optimizer, scheduler = prepare("Adam", "cosine")
    model.register_forward_hook(lambda *_: time.sleep(0.002))
    train(model, train_loader, val_loader, optimizer, scheduler, num_epochs=1000, checkpoint=path)


def test_killed_at_any_moment_a_training_goes_on_to_the_same_result(tmp_path):
    """35 kills: while it computes, while it writes."""
    moments, in_the_middle = random.Random(0), 0
    for attempt in range(35):
        path = tmp_path / f"{attempt}" / "checkpoint.pt"
        path.parent.mkdir()
        with stand_ins.child(train_slowly, path):
            while not path.exists():
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.15))
        leftovers = [other for other in path.parent.iterdir() if other != path]
        in_the_middle += bool(leftovers)
        assert is_whole(path)
        parts = prepare("Adam", "cosine", seed=9)
        history = train(*parts, resume=path, num_epochs=1)  # no epoch more: what there is
        epochs = len(history.lr)
        whole = prepare("Adam", "cosine")
        again = train(*whole, num_epochs=epochs)
        assert_same(history, again)
        assert_same(states(whole), states(parts))
    print(f"{in_the_middle} of 35 killed while the checkpoint was being written")


def make_features(folder):
    """Write the features of 40 pictures; about as long as it takes to write a few megabytes."""
    torch.set_num_threads(1)
    batches = ((torch.full((500, 1024), float(i)), torch.zeros(500)) for i in range(4))
    features.write_features(Path(folder) / "key.npy", (2000, 1024), batches)


def test_killed_at_any_moment_features_are_whole_or_made_anew(tmp_path):
    """35 kills of the writing of 8 MB."""
    moments, whole = random.Random(1), 0
    with stand_ins.child(make_features, tmp_path / "first") as process:
        process.join()
    start = time.monotonic()
    with stand_ins.child(make_features, tmp_path / "second") as process:
        process.join()
    longest = time.monotonic() - start
    for attempt in range(35):
        folder = tmp_path / f"{attempt}"
        with stand_ins.child(make_features, folder) as process:
            process.join(moments.uniform(0, longest))
        path = folder / "key.npy"
        assert is_whole(path) == path.exists(), "half a file lies in its place"
        whole += path.exists()
        make_features(folder)
        assert is_whole(path)
        assert np.load(path, mmap_mode="r")[:, 0].tolist() == [
            i for i in range(4) for _ in range(500)
        ]
    print(f"{35 - whole} of 35 killed before the file was in its place")


def corrupt(content, numbers):
    """Return the bytes with a bit flipped, cut, grown or with halves swapped."""
    way = numbers.randrange(4)
    position = numbers.randrange(len(content))
    if way == 0:
        flipped = bytes([content[position] ^ 1 << numbers.randrange(8)])
        return content[:position] + flipped + content[position + 1 :]
    if way == 1:
        return content[:position]
    if way == 2:
        return content + numbers.randbytes(1 + position % 50)
    half = len(content) // 2
    return content[half:] + content[:half]


def test_a_corrupted_checkpoint_is_never_loaded_and_changes_nothing(tmp_path):
    """300 corruptions."""
    path = tmp_path / "checkpoint.pt"
    train(*prepare("Adam", "cosine"), num_epochs=2, checkpoint=path)
    content, numbers = path.read_bytes(), random.Random(2)
    parts = prepare("Adam", "cosine", seed=3)
    before = copy.deepcopy(states(parts))
    drawn = torch.get_rng_state(), random.getstate()
    for _ in range(300):
        path.write_bytes(corrupt(content, numbers))
        with pytest.raises(ValueError, match=r"is damaged, or no checkpoint of `fit`"):
            train(*parts, resume=path)
    assert_same(before, states(parts))
    assert torch.equal(drawn[0], torch.get_rng_state()) and drawn[1] == random.getstate()


def test_a_checkpoint_of_another_network_changes_nothing(tmp_path):
    path = tmp_path / "checkpoint.pt"
    model, train_loader, val_loader, _, _ = prepare("SGD", "none")
    model[5] = nn.Linear(8, 4)  # the first layers fit, the last one doesn't
    train(model, train_loader, val_loader, OPTIMIZERS["SGD"](model.parameters()), None,
          num_epochs=1, checkpoint=path)  # fmt: skip
    parts = prepare("SGD", "none", seed=5)
    before = parts[0][1].weight.clone()
    with pytest.raises(ValueError, match=r"(?s)training of another kind: .*size mismatch"):
        train(*parts, resume=path)
    assert torch.equal(parts[0][1].weight, before)


def test_corrupted_features_are_never_used(tmp_path):
    """200 corruptions."""

    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten, self.fc = nn.Flatten(), nn.Linear(192, 2)

        def forward(self, inputs):
            return self.fc(self.flatten(inputs))

    pictures = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    examples = Pictures(pictures, [0, 1, 0, 1, 0], v2.Identity(), data.normalize())
    loader, model, numbers = DataLoader(examples, 2), Backbone(), random.Random(3)
    expected = cached_features(model, loader, CPU, folder=tmp_path).tensors[0].clone()
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for _ in range(200):
        path.unlink()  # it may still be mapped
        path.write_bytes(corrupt(content, numbers))
        assert not is_whole(path)
        found = cached_features(model, loader, CPU, folder=tmp_path).tensors[0]
        assert torch.equal(found, expected) and is_whole(path)


@pytest.mark.parametrize("when", ["training", "evaluation", "first epoch"])
def test_an_interrupted_training_keeps_history_and_best_weights(when, tmp_path, capsys):
    path = tmp_path / "checkpoint.pt"
    model, train_loader, val_loader, optimizer, scheduler = prepare("SGD", "none")
    calls = []
    stop = {"first epoch": 2, "training": 8 * 3 + 2, "evaluation": 8 * 3 + 6}[when]

    def interrupt(*_):
        calls.append(1)  # four batches of training and four of validation make an epoch
        if len(calls) == stop:
            raise KeyboardInterrupt

    hook = model.register_forward_hook(interrupt)
    history = train(model, train_loader, val_loader, optimizer, scheduler, checkpoint=path)
    hook.remove()
    done = 0 if when == "first epoch" else 3
    assert len(history.lr) == len(history.val_accuracy) == done
    out = capsys.readouterr().out
    assert f"interrupted in epoch {done + 1}: history and weights are of those before it" in out
    whole = prepare("SGD", "none")
    if done:
        assert is_whole(path)
        train(*whole, num_epochs=done)
    assert_same(whole[0].state_dict(), model.state_dict())


def test_after_a_nan_the_model_has_its_best_weights(tmp_path):
    model, train_loader, val_loader, optimizer, scheduler = prepare("SGD", "none")
    calls = []

    def spoil(_, inputs, output):
        calls.append(1)
        return output * math.nan if len(calls) == 8 * 2 + 3 else output

    hook = model.register_forward_hook(spoil)
    with pytest.raises(FloatingPointError, match="nan in batch 3") as caught:
        train(model, train_loader, val_loader, optimizer, scheduler)
    assert "epoch 3, at a learning rate of 0.1" in caught.value.__notes__[0]
    hook.remove()
    whole = prepare("SGD", "none")
    train(*whole, num_epochs=2)
    assert_same(whole[0].state_dict(), model.state_dict())


def on_a_small_disk(path, answers):
    """Train, then extract features, where no file may have more than 3,000 bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    torch.set_num_threads(1)
    with pytest.warns(UserWarning, match="no checkpoint of epoch 3"):
        history = train(*prepare("Adam", "cosine"), checkpoint=path, resume=path, num_epochs=3)
    with pytest.raises(OSError), writing_whole(path.with_name("features.npy")) as file:
        file.write(bytes(4000))
    answers.put(len(history.lr))


def test_a_full_disk_loses_nothing_that_was_there(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(*prepare("Adam", "cosine"), num_epochs=2, checkpoint=path)
    earlier = path.read_bytes()
    answers = stand_ins.PROCESSES.Queue()
    with stand_ins.child(on_a_small_disk, path, answers) as process:
        assert answers.get(timeout=60) == 3
        process.join()
        assert process.exitcode == 0
    assert path.read_bytes() == earlier and [*tmp_path.iterdir()] == [path]


def test_what_a_kill_has_left_goes_after_an_hour(tmp_path):
    path = tmp_path / "a.npy"
    old, new, other = (
        tmp_path / f"{name}.unfinished" for name in ("a.npy.1", "a.npy.2", "b.npy.3")
    )
    for leftover in (old, new, other):
        leftover.write_text("half")
    long_ago = time.time() - 4000

    for leftover in (old, other):
        os.utime(leftover, (long_ago, long_ago))
    with suppress(RuntimeError), writing_whole(path):
        raise RuntimeError
    assert {*tmp_path.iterdir()} == {new, other}

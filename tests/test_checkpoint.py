"""Training and features that survive kills, interrupts, full disks and damaged files.

Kills at random moments are in tests/slow."""

import copy
import io
import math
import os
import pickle
import random
import signal
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import stand_ins
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Subset, TensorDataset, WeightedRandomSampler
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.transforms import v2

from helpers import checkpoint, data, runtime
from helpers.checkpoint import is_whole, read_checkpoint, writing_whole
from helpers.features import cached_features
from helpers.metrics import History
from helpers.pictures.dataset import Pictures
from helpers.runtime import seed_everything
from helpers.training import TrainingInterrupted, fit

CPU, EPOCHS = torch.device("cpu"), 5
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL or limits of POSIX")


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
    "one cycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=EPOCHS
    ),
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


def assert_same_checkpoints(one, other):
    """Compare all that two files hold: the last weights and the best, random numbers, history."""
    states = read_checkpoint(one), read_checkpoint(other)
    for state in states:
        assert state["results"]["history"].pop("seconds")
    assert_same(*states)


@pytest.mark.parametrize("own_generator", [True, False], ids=["own", "global"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_training_is_the_uninterrupted_one(optimizer, scheduler, own_generator, tmp_path):
    """24 of them, stopped after one to four of five epochs."""
    path, whole_path = tmp_path / "checkpoint.pt", tmp_path / "whole.pt"
    whole = prepare(optimizer, scheduler, own_generator=own_generator)
    history = train(*whole, checkpoint=whole_path)
    stop = 1 + len(optimizer + scheduler) % 4
    train(*prepare(optimizer, scheduler, own_generator=own_generator),
          num_epochs=stop, checkpoint=path)  # fmt: skip
    resumed = prepare(optimizer, scheduler, seed=7, own_generator=own_generator)
    random.random(), torch.rand(3)  # the new process is anywhere else
    again = train(*resumed, checkpoint=path, resume=path)
    assert_same(history, again)
    assert_same(states(whole), states(resumed))
    assert_same_checkpoints(whole_path, path)


def test_the_best_weights_of_before_the_break_are_those_of_the_end(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(*prepare("SGD", "none"), num_epochs=3, checkpoint=path)
    state = read_checkpoint(path)
    state["results"]["history"]["val_accuracy"][0] = 2.0  # no later epoch comes up to the first
    for weights in state["results"]["best_weights"].values():
        weights.fill_(7)
    write_checkpoint(state, path)
    parts = prepare("SGD", "none", seed=1)
    history = train(*parts, num_epochs=6, resume=path)
    assert history.best_epoch == 1 and len(history.lr) == 6
    assert all((weights == 7).all() for weights in parts[0].state_dict().values())


def write_checkpoint(state, path):
    content = io.BytesIO()
    torch.save(state, content)
    with writing_whole(path) as file:
        file.write(content.getvalue())


def test_random_numbers_of_an_accelerator_are_kept_too(monkeypatch):
    """A stand-in for one: none is needed."""
    accelerator = SimpleNamespace(state=torch.tensor([1], dtype=torch.uint8))
    accelerator.get_rng_state = lambda: accelerator.state
    accelerator.set_rng_state = lambda state: setattr(accelerator, "state", state)
    monkeypatch.setattr(runtime, "get_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch, "get_device_module", lambda _: accelerator)
    kept = runtime.random_states()
    accelerator.state = None
    runtime.set_random_states(kept)
    assert accelerator.state.tolist() == [1]
    accelerator.state = None
    del kept["cuda"]  # written where there was none
    runtime.set_random_states(kept)
    assert accelerator.state is None


def train_a_resnet(path, seed):
    """Train a small ResNet on augmented pictures for two epochs; keep its last weights."""
    torch.set_num_threads(2)
    seed_everything(seed)
    pictures = torch.randint(256, (2, 14, 3, 40, 40), dtype=torch.uint8,
                             generator=torch.Generator().manual_seed(1))  # fmt: skip
    labels = [i % 2 for i in range(14)]
    crop = v2.Compose([v2.RandomResizedCrop(32), v2.RandomHorizontalFlip()])
    loaders = data.make_loaders(
        Pictures(pictures[0], labels, crop, data.normalize()),
        Pictures(pictures[1], labels, v2.CenterCrop(32), data.normalize()),
        None, class_names=["0", "1"], batch_size=4, seed=seed,
    )  # fmt: skip
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=2)
    train(model, loaders.train, loaders.val, OPTIMIZERS["SGD"](model.parameters()), None,
          num_epochs=2, checkpoint=path)  # fmt: skip


def test_two_processes_train_the_same_network_and_another_seed_another_one(tmp_path):
    found = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        with stand_ins.child(train_a_resnet, tmp_path / name, seed) as process:
            process.join()
        found.append(read_checkpoint(tmp_path / name)["parts"]["model"])
    assert_same(found[0], found[1])
    assert not torch.equal(found[0]["conv1.weight"], found[2]["conv1.weight"])


def prepare_large():
    """As `prepare`, with a file of some megabytes, so that writing takes a while.

    Its schedule has no end: a fast machine trains for many epochs before it is killed.
    """
    parts = prepare("Adam", "steps")
    parts[0].register_buffer("ballast", torch.arange(500_000.0))
    return parts


def train_to_the_kill(path, point):
    """Train in a child process that kills itself in the third epoch."""
    torch.set_num_threads(1)
    parts = prepare_large()
    if point == "in an epoch":
        kill_at_call(8 * 2 + 3, point, parts[0])
    else:
        kill_at_call(3, point)
    train(*parts, checkpoint=path)


def kill_at_call(number, point, model=None):
    """Let this process kill itself at the `number`th time that it comes to a point."""
    calls = []

    def count(*_):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def killing(function, after=False):
        def wrapper(*arguments):
            if not after:
                count()
            function(*arguments)
            if after:
                count()

        return wrapper

    if point == "in an epoch":
        model.register_forward_hook(count)
    elif point == "in the file":
        sha256 = checkpoint.hashlib.file_digest  # all is written but the digest
        checkpoint.hashlib.file_digest = lambda *arguments: (count(), sha256(*arguments))[1]
    elif point == "before it is on the disk":
        checkpoint.os.fsync = killing(os.fsync)
    else:
        checkpoint.os.replace = killing(os.replace, after=point == "in its place")


IN_WRITING = ["in the file", "before it is on the disk", "before its place", "in its place"]


def assert_goes_on(path, epochs_more, reference):
    """Go on from a checkpoint twice: as it stands, and for some epochs more."""
    assert is_whole(path)
    done = len(read_checkpoint(path)["results"]["history"]["lr"])
    for num_epochs in (done, done + epochs_more):
        if num_epochs not in reference:
            whole = prepare_large()
            reference[num_epochs] = train(*whole, num_epochs=num_epochs), states(whole)
        parts = prepare_large()
        random.random(), torch.rand(3)
        history = train(*parts, num_epochs=num_epochs, checkpoint=path, resume=path)
        assert_same(reference[num_epochs], (history, states(parts)))
    return done


@posix
@pytest.mark.parametrize("point", ["in an epoch", *IN_WRITING])
def test_killed_at_the_worst_moments_a_training_goes_on_to_the_same_result(point, tmp_path):
    """5 kills, in the third epoch or while its checkpoint is being written."""
    path = tmp_path / "checkpoint.pt"
    with stand_ins.child(train_to_the_kill, path, point) as process:
        process.join()
        assert process.exitcode == -signal.SIGKILL
    left = {"in an epoch": 0, "in its place": 0}.get(point, 1)
    assert len([*tmp_path.glob("*.unfinished")]) == left
    assert assert_goes_on(path, 2, {}) == (3 if point == "in its place" else 2)


class Backbone(nn.Module):
    """Gives the pixels themselves, 3,072 features a picture."""

    def __init__(self):
        super().__init__()
        self.flatten, self.fc = nn.Flatten(), nn.Linear(3 * 32 * 32, 2, bias=False)

    def forward(self, inputs):
        return self.fc(self.flatten(inputs))


def make_features(folder, point=None, num_pictures=300):
    """Return the features of some pictures, 4 MB, which come from `folder` if they are there."""
    torch.set_num_threads(1)
    if point is not None:
        kill_at_call(1, point)
    pictures = torch.arange(num_pictures * 3072).reshape(-1, 3, 32, 32).to(torch.uint8)
    examples = Pictures(pictures, [0] * num_pictures, v2.Identity(), data.normalize())
    return cached_features(Backbone(), DataLoader(examples, 50), CPU, folder=folder).tensors[0]


def assert_made_anew(folder, expected):
    """Whatever a kill has left: the next run gives the features, and keeps them."""
    for path in folder.glob("*.npy"):
        assert is_whole(path), "half a file lies in its place"
    assert torch.equal(make_features(folder), expected)
    (path,) = folder.glob("*.npy")
    assert is_whole(path)


@posix
@pytest.mark.parametrize("point", IN_WRITING)
def test_killed_at_the_worst_moments_features_are_whole_or_made_anew(point, tmp_path):
    """4 kills."""
    with stand_ins.child(make_features, tmp_path / "killed", point) as process:
        process.join()
        assert process.exitcode == -signal.SIGKILL
    left = 0 if point == "in its place" else 1
    assert len([*(tmp_path / "killed").glob("*.unfinished")]) == left
    assert_made_anew(tmp_path / "killed", make_features(tmp_path / "other"))


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


def test_a_corrupted_checkpoint_is_never_loaded_and_changes_nothing(tmp_path, count=20):
    """A corruption of each kind, and more."""
    path = tmp_path / "checkpoint.pt"
    train(*prepare("Adam", "cosine"), num_epochs=2, checkpoint=path)
    content, numbers = path.read_bytes(), random.Random(2)
    parts = prepare("Adam", "cosine", seed=3)
    before = copy.deepcopy(states(parts))
    drawn = torch.get_rng_state(), random.getstate()
    for _ in range(count):
        path.write_bytes(corrupt(content, numbers))
        with pytest.raises(ValueError, match=r"is damaged, or no checkpoint of `fit`"):
            train(*parts, resume=path)
    assert_same(before, states(parts))
    assert torch.equal(drawn[0], torch.get_rng_state()) and drawn[1] == random.getstate()


SCHEDULES = {
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5),
    "falling plateau": lambda o: lr_scheduler.ReduceLROnPlateau(
        o, patience=0, factor=0.5, threshold=10, threshold_mode="abs"
    ),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, [1, 3]),
    "numpy": lambda o: lr_scheduler.LambdaLR(o, lambda e: np.cos(e / 10)),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "warm-up": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=2), lr_scheduler.StepLR(o, 1)], [2]
    ),
}


def set_up(make_schedule=None, lr=0.1, momentum=0.9, batch_size=4, count=14):
    """As `prepare`, with settings that a reader may change between two runs."""
    model, train_loader, val_loader, _, _ = prepare("SGD", "none")
    pictures = Subset(train_loader.dataset, range(count))
    shuffling = torch.Generator().manual_seed(0)
    train_loader = DataLoader(pictures, batch_size, shuffle=True, generator=shuffling)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    scheduler = make_schedule(optimizer) if make_schedule else None
    return model, train_loader, val_loader, optimizer, scheduler


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_longer_training_goes_on_to_what_an_uninterrupted_one_gives(make, tmp_path):
    """With NumPy's numbers for rates, too."""
    path, lr = tmp_path / "checkpoint.pt", np.logspace(-1, -3, 3)[0]
    whole = set_up(make, lr)
    history = train(*whole, num_epochs=6)
    train(*set_up(make, lr), num_epochs=3, checkpoint=path)
    resumed = set_up(make, lr)
    assert_same(history, train(*resumed, num_epochs=6, resume=path))
    assert_same(whole[0].state_dict(), resumed[0].state_dict())


def cosine(T_max):
    return lambda o: lr_scheduler.CosineAnnealingLR(o, T_max)


def decay(rate):
    return lambda o: lr_scheduler.LambdaLR(o, lambda epoch: rate**epoch)


def table(rates):
    return lambda o: lr_scheduler.LambdaLR(o, lambda epoch: rates[epoch])


CHANGED = {  # what is changed before going on, and what is said of it
    "longer cosine": ((cosine(3),), (cosine(6),), {}, "T_max of scheduler 0 was 3, is 6"),
    "rate": ((), (), {"lr": 0.05}, "lr of optimizer group 0 was 0.1, is 0.05"),
    "rate under a schedule": (
        (cosine(3),), (cosine(3),), {"lr": 0.05}, "lr of optimizer group 0 was 0.1, is 0.05",
    ),
    "momentum": ((), (), {"momentum": 0.5}, "momentum of optimizer group 0 was 0.9, is 0.5"),
    "batch": ((), (), {"batch_size": 7}, "batch size was 4, is 7"),
    "pictures": ((), (), {"count": 12}, "number of training examples was 14, is 12"),
    "schedule": ((cosine(3),), (), {}, "scheduler was CosineAnnealingLR, is not there"),
    "function": ((decay(0.9),), (decay(0.8),), {}, "function 0 of scheduler 0 was"),
    "table": ((table([1, 0.5, 0.2, 0.1]),), (table([1, 0.5, 0.2, 0.3]),), {}, "function 0 of"),
    "milestone": (
        (lambda o: lr_scheduler.SequentialLR(o, [decay(1)(o), decay(0.5)(o)], [1]),),
        (lambda o: lr_scheduler.SequentialLR(o, [decay(1)(o), decay(0.5)(o)], [2]),),
        {}, "_milestones of scheduler 0 was",
    ),
    "rate under a plateau": (
        (SCHEDULES["falling plateau"],), (SCHEDULES["falling plateau"],), {"lr": 0.05},
        "lr of optimizer group 0 was 0.1, is 0.05",
    ),
    "inner schedule": (
        (lambda o: lr_scheduler.SequentialLR(o, [decay(1)(o), cosine(5)(o)], [1]),),
        (lambda o: lr_scheduler.SequentialLR(o, [decay(1)(o), cosine(7)(o)], [1]),),
        {}, "T_max of scheduler 2 was 5, is 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "changes", "said"), CHANGED.values(), ids=CHANGED)
def test_a_training_with_other_settings_does_not_go_on(before, after, changes, said, tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(*set_up(*before), num_epochs=3, checkpoint=path)
    parts = set_up(*after, **changes)
    kept = copy.deepcopy(states(parts))
    with pytest.raises(ValueError, match=f"set up otherwise: .*{said}"):
        train(*parts, num_epochs=6, resume=path)
    assert_same(kept, states(parts))


def test_a_sampler_with_numbers_of_its_own_goes_on_too(tmp_path):
    def parts():
        model, train_loader, val_loader, optimizer, _ = set_up()
        drawing = torch.Generator().manual_seed(3)
        sampler = WeightedRandomSampler([1.0] * 14, 14, generator=drawing)
        return model, DataLoader(train_loader.dataset, 4, sampler=sampler), val_loader, optimizer

    path, whole = tmp_path / "checkpoint.pt", parts()
    history = train(*whole, None, num_epochs=4)
    train(*parts(), None, num_epochs=2, checkpoint=path)
    resumed = parts()
    assert_same(history, train(*resumed, None, num_epochs=4, resume=path))
    assert_same(whole[0].state_dict(), resumed[0].state_dict())


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(*set_up(), num_epochs=3, checkpoint=path)
    with pytest.raises(ValueError, match="holds 3 epochs, more than num_epochs=2"):
        train(*set_up(), num_epochs=2, resume=path)
    assert len(train(*set_up(), num_epochs=3, resume=path).lr) == 3


def test_after_an_interrupt_the_same_objects_go_on(tmp_path):
    """In a notebook one may call `fit` again, and nothing else."""
    path, whole = tmp_path / "checkpoint.pt", set_up(cosine(5))
    history = train(*whole, num_epochs=5)
    parts = set_up(cosine(5))
    calls = []

    def interrupt(*_):
        calls.append(1)
        if len(calls) == 8 * 2 + 3:
            raise KeyboardInterrupt

    handle = parts[0].register_forward_hook(interrupt)
    with pytest.raises(TrainingInterrupted):
        train(*parts, num_epochs=5, checkpoint=path)
    handle.remove()
    assert_same(history, train(*parts, num_epochs=5, checkpoint=path, resume=path))
    assert_same(whole[0].state_dict(), parts[0].state_dict())


def test_what_could_not_be_read_back_is_refused_in_the_first_epoch(tmp_path):
    path, parts = tmp_path / "checkpoint.pt", set_up()
    parts[3].param_groups[0]["note"] = pytest.approx(1)  # any object
    with pytest.raises(ValueError, match=r"can't hold \S+: only numbers, texts, tensors"):
        train(*parts, num_epochs=3, checkpoint=path)
    assert not [*tmp_path.iterdir()]


def write_wide(path):
    model, train_loader, val_loader, _, _ = prepare("SGD", "none")
    model[5] = nn.Linear(8, 4)  # the first layers fit, the last one doesn't
    train(model, train_loader, val_loader, OPTIMIZERS["SGD"](model.parameters()), None,
          num_epochs=1, checkpoint=path)  # fmt: skip


def write_head_only(path):
    model, train_loader, val_loader, _, _ = prepare("SGD", "none")
    train(model, train_loader, val_loader, OPTIMIZERS["SGD"](model[5].parameters()), None,
          num_epochs=1, checkpoint=path)  # fmt: skip


def writes(*of_what, **options):
    return lambda path: train(*prepare(*of_what, **options), num_epochs=2, checkpoint=path)


def write_newer(path):
    writes("SGD", "none")(path)
    write_checkpoint({"format": 99, "parts": read_checkpoint(path)["parts"]}, path)


def write_features_file(path):
    make_features(path.parent, num_pictures=1)
    (file,) = path.parent.glob("*.npy")
    file.rename(path)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def write_evil(path):
    write_checkpoint({"format": 2, "settings": Evil(str(path.parent / "evil"))}, path)


def write_evil_pickle(path):
    with writing_whole(path) as file:
        file.write(pickle.dumps(Evil(str(path.parent / "evil"))))


OTHERS = {
    "wide": (write_wide, r"(?s)of another model or optimizer.*size mismatch"),
    "head": (write_head_only, r"of another model or optimizer.*parameter group"),
    "optimizer": (
        writes("Adam", "none"),
        r"set up otherwise: optimizer was Adam, is SGD; lr of opt.* 0 was 0.02, is 0.1",
    ),
    "scheduler": (
        writes("SGD", "steps"),
        r"scheduler was StepLR, is not there; step_size of sch.* was 2, is not",
    ),
    "shuffling": (
        writes("SGD", "none", own_generator=False),
        r"number of generators in the loader was 0, is 1. Set",
    ),
    "newer": (write_newer, r"has the format 99, not 2, so another version of this code wrote it"),
    "features": (write_features_file, r"is damaged, or no checkpoint of `fit`"),
    "evil": (write_evil, r"can't hold \w+.mkdir: only numbers"),
    "evil pickle": (write_evil_pickle, r"is damaged, or no checkpoint of `fit`"),
    "old": (lambda path: torch.save({"model": {}}, path), r"is damaged, or no checkpoint"),
    "empty": (lambda path: path.touch(), r"is damaged, or no checkpoint of `fit`"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_another_kind_is_named_and_changes_nothing(other, tmp_path):
    path = tmp_path / "checkpoint.pt"
    write, message = OTHERS[other]
    write(path)
    parts = prepare("SGD", "none", seed=5)
    train(*parts, num_epochs=1)  # so that the optimizer has a state
    before = copy.deepcopy(states(parts))
    drawn = torch.get_rng_state(), random.getstate(), parts[1].generator.get_state()
    with pytest.raises(ValueError, match=message):
        train(*parts, resume=path)
    assert_same(before, states(parts))
    after = torch.get_rng_state(), random.getstate(), parts[1].generator.get_state()
    assert_same(drawn, after)
    assert not (tmp_path / "evil").exists()


def test_corrupted_features_are_never_used(tmp_path, count=20):
    """A corruption of each kind, and more."""
    expected, numbers = make_features(tmp_path, num_pictures=1).clone(), random.Random(3)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for _ in range(count):
        path.unlink()  # it may still be mapped
        path.write_bytes(corrupt(content, numbers))
        assert not is_whole(path)
        found = make_features(tmp_path, num_pictures=1)
        assert torch.equal(found, expected) and is_whole(path)


@pytest.mark.parametrize(
    ("when", "done"), {"first epoch": 0, "training": 3, "evaluation": 3, "checkpoint": 4}.items()
)
def test_an_interrupted_training_keeps_history_and_best_weights(when, done, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    parts = prepare("SGD", "none")
    calls = []
    stop = {"first epoch": 2, "training": 8 * 3 + 2, "evaluation": 8 * 3 + 6, "checkpoint": 4}[when]

    def interrupt(*_):
        calls.append(1)  # four batches of training and four of validation make an epoch
        if len(calls) == stop:
            raise KeyboardInterrupt

    if when == "checkpoint":
        monkeypatch.setattr(os, "fsync", interrupt)
    else:
        parts[0].register_forward_hook(interrupt)
    with pytest.raises(TrainingInterrupted, match=f"stopped after {done} epochs") as caught:
        train(*parts, checkpoint=path)
    history, stop = caught.value.history, 0
    assert len(history.lr) == len(history.val_accuracy) == done

    whole, whole_path = prepare("SGD", "none"), tmp_path / "whole.pt"
    if done:
        whole_history = train(*whole, num_epochs=done)
        assert_same(whole_history, history)
        train(*prepare("SGD", "none"), num_epochs=3, checkpoint=whole_path)
        assert_same_checkpoints(whole_path, path)  # it holds three epochs
    assert_same(whole[0].state_dict(), parts[0].state_dict())
    modes = [[module.training for module in model.modules()] for model in (whole[0], parts[0])]
    assert modes[0] == modes[1]
    assert not [*tmp_path.glob("*.unfinished")]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_after_a_loss_that_is_no_number_nothing_good_is_lost(loss, tmp_path):
    path, whole_path = tmp_path / "checkpoint.pt", tmp_path / "whole.pt"
    parts = prepare("SGD", "none")
    calls = []

    def spoil(_, inputs, output):
        calls.append(1)
        return output - torch.tensor([0, loss, loss]) if len(calls) == 8 * 2 + 3 else output

    parts[0].register_forward_hook(spoil)
    with pytest.raises(FloatingPointError, match=f"is {loss} in batch 3: lower the") as caught:
        train(*parts, checkpoint=path)
    assert "epoch 3, at a learning rate of 0.1" in caught.value.__notes__[0]
    whole = prepare("SGD", "none")
    train(*whole, num_epochs=2, checkpoint=whole_path)
    assert_same(whole[0].state_dict(), parts[0].state_dict())
    assert_same_checkpoints(whole_path, path)


def on_a_small_disk(path, features_folder, answers):
    """Train, then extract features, where no file may have more than 3,000 bytes."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    torch.set_num_threads(1)
    with pytest.warns(UserWarning, match=r"no checkpoint of epoch 3 \(.*; training goes on"):
        history = train(*prepare("Adam", "cosine"), checkpoint=path, resume=path, num_epochs=3)
    with pytest.warns(UserWarning, match="features can't be kept in"):
        found = make_features(features_folder)
    answers.put((vars(history) | {"seconds": None}, found.double().sum().item()))


@posix
def test_a_full_disk_loses_nothing_that_was_there(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(*prepare("Adam", "cosine"), num_epochs=2, checkpoint=path)
    earlier = path.read_bytes()
    assert len(earlier) > 3000
    answers = stand_ins.PROCESSES.Queue()
    with stand_ins.child(on_a_small_disk, path, tmp_path / "features", answers) as process:
        process.join()
        assert process.exitcode == 0
        history, total = answers.get(timeout=60)
    assert path.read_bytes() == earlier and {*tmp_path.iterdir()} == {path, tmp_path / "features"}
    assert not [*(tmp_path / "features").iterdir()]
    whole = train(*prepare("Adam", "cosine"), num_epochs=3)
    assert_same(vars(whole) | {"seconds": None}, history)
    assert total == make_features(tmp_path / "other").double().sum().item()


def test_what_a_kill_has_left_goes_after_an_hour(tmp_path):
    names = ("a.npy.0123abcd", "a.npy.4567abcd", "b.npy.89abcdef", "c.npy", "notes.npy.notahex1")
    old, new, other, *foreign = (tmp_path / f"{name}.unfinished" for name in names)
    for leftover in (old, new, other, *foreign):
        leftover.write_text("half")
    long_ago = time.time() - 4000

    for leftover in (old, other, *foreign):
        os.utime(leftover, (long_ago, long_ago))
    with suppress(RuntimeError), writing_whole(tmp_path / "a.npy"):
        raise RuntimeError
    assert {*tmp_path.iterdir()} == {new, *foreign}  # it may belong to a process that writes


@posix
def test_a_file_may_be_read_by_whom_other_files_may(tmp_path):
    before = os.umask(0o022)
    try:
        with writing_whole(tmp_path / "a.npy") as file:
            file.write(b"all")
    finally:
        os.umask(before)
    assert (tmp_path / "a.npy").stat().st_mode & 0o777 == 0o644

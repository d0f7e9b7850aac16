"""Training that goes on after a break, to the last bit; and files that are none of its."""

import pickle
import random
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, lr_scheduler
from torch.utils._pytree import tree_flatten
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from torchvision.transforms import v2

from helpers import checkpoint
from helpers.checkpoint import load_checkpoint, save_checkpoint
from helpers.pictures.dataset import Pictures
from helpers.runtime import seed_everything
from helpers.training import fit

CPU = torch.device("cpu")
momentum = partial(SGD, lr=0.1, momentum=0.9)
falling = partial(lr_scheduler.ReduceLROnPlateau, patience=0, factor=0.5, threshold=10)


class Noise(v2.Transform):
    """Draws from Python's random numbers and from PyTorch's, as augmentations do."""

    def transform(self, inputs, params):
        return inputs + random.random() * torch.rand(1)


def prepare(make_optimizer=None, make_scheduler=None, order="own", num_classes=3, seed=0):
    """Return what `fit` needs, as a script would make it anew.

    Dropout, BatchNorm, random crops, two groups of parameters, shuffling, a short last batch.
    """
    seed_everything(seed)
    layers = [nn.Linear(27, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)]
    model = nn.Sequential(nn.Flatten(), *layers, nn.Linear(8, num_classes))
    pictures = torch.rand(14, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    examples = Pictures(pictures, [i % 3 for i in range(14)], Noise(), v2.Identity())
    own = torch.Generator().manual_seed(seed)
    shuffled = {
        "own": {"shuffle": True, "generator": own},
        "global": {"shuffle": True},
        "sampler": {"sampler": WeightedRandomSampler([1.0] * 14, 14, generator=own)},
    }
    train = DataLoader(examples, 4, **shuffled[order])
    val = DataLoader(TensorDataset(pictures, torch.tensor(examples.labels)), 4)
    head, rest = model[-1].parameters(), model[1:-1].parameters()
    groups = [{"params": head, "lr": 0.05}, {"params": rest}]
    optimizer = (make_optimizer or momentum)(groups)
    return model, train, val, optimizer, make_scheduler and make_scheduler(optimizer)


def train(model, train_loader, val_loader, optimizer, scheduler, num_epochs=5, **options):
    options |= {"num_epochs": num_epochs, "scheduler": scheduler, "verbose": False}
    return fit(model, train_loader, val_loader, nn.CrossEntropyLoss(), optimizer, CPU, **options)


def same(one, other):
    """Tell whether two structures of tensors and numbers are equal to the last bit."""
    (values, form), (others, other_form) = tree_flatten(one), tree_flatten(other)
    pairs = zip(values, others, strict=True)
    equal = (torch.equal(x, y) if torch.is_tensor(x) else x == y for x, y in pairs)
    return form == other_form and all(equal)


def in_file(path):
    """Return all that a file holds, but how long the epochs took."""
    state = torch.load(path, weights_only=True)
    assert state["results"]["history"].pop("seconds")
    return state


def warming(optimizer):
    begin = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=2)
    return lr_scheduler.SequentialLR(optimizer, [begin, lr_scheduler.StepLR(optimizer, 1)], [2])


RUNS = {
    "plain": (momentum, None, "own"),
    "global": (lambda groups: AdamW(groups, lr=0.02), falling, "global"),
    "sampler": (momentum, warming, "sampler"),
    "one cycle": (momentum, lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=5), "own"),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_resumed_training_is_the_uninterrupted_one(run, tmp_path):
    path, whole_path = tmp_path / "checkpoint.pt", tmp_path / "whole.pt"
    whole = prepare(*run)
    history = train(*whole, checkpoint=whole_path)
    train(*prepare(*run), num_epochs=2, checkpoint=path)
    resumed = prepare(*run, seed=7)  # in a new process, all is somewhere else
    again = train(*resumed, checkpoint=path, resume=str(path))
    assert (history.train_loss, history.val_loss) == (again.train_loss, again.val_loss)
    assert history.lr == again.lr and same(whole[0].state_dict(), resumed[0].state_dict())
    assert same(in_file(whole_path), in_file(path))


def test_the_best_weights_of_before_the_break_are_those_of_the_end(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(*prepare(), num_epochs=3, checkpoint=path)
    state = torch.load(path, weights_only=True)
    state["results"]["history"]["val_accuracy"][0] = 2.0  # no later epoch comes up to the first
    for weights in state["results"]["best_weights"].values():
        weights.fill_(7)
    torch.save(state, path)
    parts = prepare(seed=1)
    history = train(*parts, num_epochs=6, resume=path)
    assert history.best_epoch == 1 and len(history.lr) == 6
    assert all((weights == 7).all() for weights in parts[0].state_dict().values())


def test_random_numbers_of_an_accelerator_are_saved_too(tmp_path, monkeypatch):
    """A stand-in for one: none is needed."""
    parts, loader = {"model": nn.Linear(2, 2)}, DataLoader(range(3))
    save_checkpoint(tmp_path / "cpu.pt", parts, loader)
    accelerator = SimpleNamespace(state=torch.tensor([1], dtype=torch.uint8))
    accelerator.get_rng_state = lambda: accelerator.state
    accelerator.set_rng_state = lambda state: setattr(accelerator, "state", state)
    monkeypatch.setattr(checkpoint, "get_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch, "get_device_module", lambda _: accelerator)
    save_checkpoint(tmp_path / "cuda.pt", parts, loader, log=[1, "two"])
    accelerator.state = None
    load_checkpoint(tmp_path / "cpu.pt", parts, loader)  # written where there was none
    assert accelerator.state is None
    assert load_checkpoint(tmp_path / "cuda.pt", parts, loader) == {"log": [1, "two"]}
    assert accelerator.state.tolist() == [1]


def cosine(num_epochs):
    return prepare(None, partial(lr_scheduler.CosineAnnealingLR, T_max=num_epochs))


def written_by(*arguments, **options):
    def write(path):
        train(*prepare(*arguments, **options), num_epochs=1, checkpoint=path)
        return path.read_bytes()

    return write


OTHERS = {
    "network": written_by(num_classes=4),
    "optimizer": written_by(lambda groups: SGD(groups[:1], lr=0.1)),
    "schedule": written_by(None, warming),
    "order": written_by(order="global"),
    "weights": lambda path: torch.save(prepare()[0].state_dict(), path),
    "cut": lambda path: path.write_bytes(written_by()(path)[:-2000]),
}


@pytest.mark.parametrize("write", OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_kind_is_named(write, tmp_path):
    path = tmp_path / "checkpoint.pt"
    write(path)
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged, or no checkpoint of this"):
        train(*prepare(), resume=path)


def test_a_missing_file_and_one_of_more_epochs_are_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*train once with checkpoint="):
        train(*prepare(), resume=path)
    train(*cosine(5), checkpoint=path)
    with pytest.raises(ValueError, match="holds 5 epochs, not 2 or fewer"):
        train(*cosine(5), num_epochs=2, resume=path)
    assert len(train(*cosine(5), num_epochs=5, resume=path).lr) == 5
    with pytest.raises(ValueError, match="the schedule ended after 5 steps"):  # the file's own
        train(*cosine(8), num_epochs=8, resume=path)


def test_what_could_not_be_read_back_is_refused_and_the_earlier_file_stays(tmp_path):
    path, parts = tmp_path / "checkpoint.pt", prepare()
    train(*parts, num_epochs=1, checkpoint=path)
    earlier = path.read_bytes()
    parts[3].param_groups[0]["note"] = pytest.approx(1)  # any object
    with pytest.raises(pickle.UnpicklingError):
        train(*parts, num_epochs=2, checkpoint=path)
    assert path.read_bytes() == earlier and [*tmp_path.iterdir()] == [path]

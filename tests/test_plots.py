"""Figures show the pixels that went in, and say what they should."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import save_picture
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from helpers import data, plots
from helpers.metrics import History


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def loaders(tmp_path):
    """Five validation pictures: an odd number; the largest label last."""
    for first, split in ((10, "train"), (0, "val")):
        for i, name in enumerate(["a/1", "a/2", "a/3", "b/1", "b/2"], first):
            save_picture(tmp_path / split / f"{name}.png", width=32, height=32, seed=i)
    return data.image_folders(tmp_path, size=32, batch_size=2)


class Fixed(nn.Module):
    """A network that gives the same logits whatever it is shown."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, inputs):
        return self.logits.expand(len(inputs), -1)


def shown_pixels(ax):
    return np.asarray(ax.images[0].get_array())


@pytest.mark.parametrize("normalized", [True, False])
def test_imshow_restores_pixels_from_the_loaders_own_statistics(normalized):
    loaders = data.cifar10(edition="rendered", normalized=normalized)
    image, _ = loaders.val.dataset[7]
    ax = plots.imshow(image, loaders.mean, loaders.std)
    original = loaders.val.dataset.pictures[7].permute(1, 2, 0).numpy() / 255
    np.testing.assert_allclose(shown_pixels(ax), original, atol=1 / 255)


def test_imshow_restores_pixels_of_a_photo_folder(loaders, tmp_path):
    uncropped = data.Pictures(
        loaders.val.dataset.pictures, loaders.val.dataset.labels, v2.Identity(), data.normalize()
    )
    ax = plots.imshow(uncropped[3][0], loaders.mean, loaders.std)
    original = np.array(Image.open(tmp_path / "val" / "b" / "1.png")) / 255
    np.testing.assert_allclose(shown_pixels(ax), original, atol=1 / 255)


def test_imshow_draws_on_the_axes_given_and_takes_tensors_with_gradients():
    _, (left, right) = plt.subplots(1, 2)
    image = torch.zeros(3, 4, 4, requires_grad=True)
    assert plots.imshow(image, data.MEAN, data.STD, title="bee", ax=left) is left
    assert left.get_title() == "bee" and not right.images


def test_show_batch_names_the_classes(loaders):
    axes = plots.show_batch(loaders, split="val", num_images=2)
    assert [ax.get_title() for ax in axes] == ["a", "a"]


@pytest.mark.parametrize("num_images", [1, 3, 5, 7])
def test_visualize_model_takes_any_number_of_pictures(loaders, cpu, num_images):
    axes = plots.visualize_model(Fixed([1.0, 0.0]), loaders, cpu, num_images=num_images)
    shown = min(num_images, 5)
    assert len(axes) == shown and len(plt.gcf().axes) == shown


def test_visualize_model_says_what_is_predicted_and_what_is_true(loaders, cpu):
    model = Fixed([1.0, 0.0])
    model.train()
    axes = plots.visualize_model(model, loaders, cpu, num_images=5)
    assert axes[0].get_title() == "✓ a 73%\ntrue: a"
    assert axes[4].get_title() == "✗ a 73%\ntrue: b"
    assert axes[0].title.get_color() != axes[4].title.get_color()
    for ax, (image, _) in zip(axes, loaders.val.dataset, strict=True):
        np.testing.assert_allclose(
            shown_pixels(ax), plots.restore(image, data.MEAN, data.STD), atol=1e-6
        )
    assert model.training


def test_visualize_model_shows_mistakes_first_when_asked(loaders, cpu):
    axes = plots.visualize_model(Fixed([1.0, 0.0]), loaders, cpu, num_images=2, wrong_first=True)
    assert [ax.get_title().endswith("true: b") for ax in axes] == [True, True]


def test_visualize_model_refuses_pictures_that_change(loaders, cpu):
    with pytest.raises(ValueError, match="show split="):
        plots.visualize_model(Fixed([1.0, 0.0]), loaders, cpu, split="train")


def test_plot_history_draws_both_curves_and_the_best_epoch():
    history = History([0.9, 0.5], [0.4, 0.6], [0.8, 0.7], [0.7, 0.6], [0.1, 0.1], [1.0, 1.0])
    loss, accuracy = plots.plot_history(history, label="frozen")
    val, train, best = accuracy.lines
    assert list(val.get_ydata()) == [0.7, 0.6] and list(train.get_ydata()) == [0.4, 0.6]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (1, 0.7)
    assert [text.get_text() for text in accuracy.get_legend().texts] == ["frozen"]
    assert "nats" in loss.get_ylabel() and accuracy.get_xlabel() == "epoch"
    plots.plot_history(history, (loss, accuracy), label="again")
    assert len(accuracy.lines) == 6


def test_plot_confusion_counts_true_classes_in_rows():
    labels = torch.tensor([0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 1, 1, 1, 1])
    ax = plots.plot_confusion(predicted, labels, ["ant", "bee"])
    np.testing.assert_array_equal(shown_pixels(ax), [[1, 2], [0, 2]])
    assert {text.get_text() for text in ax.texts} == {"0", "1", "2"}

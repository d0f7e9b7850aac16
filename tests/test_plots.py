"""Figures show the pixels that went in, say what they should, and change no training."""

import itertools
import random

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from sklearn.metrics import confusion_matrix
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from helpers import data, plots
from helpers.metrics import History

HISTORY = History([0.9, 0.5], [0.4, 0.6], [0.8, 0.7], [0.7, 0.6], [0.1, 0.1], [1.0, 1.0])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def shown_pixels(ax):
    return np.asarray(ax.images[0].get_array())


def test_imshow_restores_pixels_from_the_loaders_own_statistics():
    """And draws on the axes given, in gray where there is one channel."""
    _, (left, right) = plt.subplots(1, 2)
    for normalized in (True, False):
        loaders = data.cifar10(edition="rendered", normalized=normalized)
        image = loaders.val.dataset[7][0].requires_grad_()
        ax = plots.imshow(image, loaders.mean, loaders.std, title="bee", ax=left)
        original = loaders.val.dataset.pictures[7].permute(1, 2, 0).numpy() / 255
        np.testing.assert_allclose(ax.images[-1].get_array(), original, atol=1 / 255)
    assert ax is left and left.get_title() == "bee" and not right.images
    gray = torch.linspace(0, 1, 12).reshape(1, 3, 4)
    plots.imshow((gray - 0.4) / 0.3, (0.4,), (0.3,), ax=right)
    expected = gray.expand(3, 3, 4).permute(1, 2, 0)
    np.testing.assert_allclose(shown_pixels(right), expected, atol=1e-6)
    for size, interpolation in ((96, "none"), (160, "antialiased")):  # "none": the very pixels
        ax = plots.imshow(torch.zeros(3, size, size), data.MEAN, data.STD)
        assert ax.images[-1].get_interpolation() == interpolation


class Reader(nn.Module):
    """A network that tells from the color of a picture's corner what to say, and how surely."""

    def forward(self, inputs):
        return inputs[:, :2, 0, 0]


def flat_pictures(logits):
    """Pictures of one color each, made so that `Reader` gives these logits for them."""
    colors = torch.nn.functional.pad(torch.tensor(logits), (0, 1))
    return colors[:, :, None, None].expand(-1, 3, 4, 4).contiguous()


def by_hand(val, **options):
    """Loaders that somebody made without this book's functions."""
    loader = DataLoader(val, 2, **options)
    return data.Loaders(loader, loader, None, ["a", "b"], (0.0,) * 3, (1.0,) * 3)


def test_the_most_confident_mistakes_come_first(cpu):
    """Of seven pictures, in batches of two, four are mistakes; the first is not the surest."""
    logits = [[0.2, 0], [0.9, 0], [0, 0.3], [0, 0.8], [0.6, 0], [0, 0.4], [0.7, 0]]
    labels = [1, 0, 0, 0, 1, 1, 1]
    loaders = by_hand(TensorDataset(flat_pictures(logits), torch.tensor(labels)))
    odds = np.exp(np.array(logits))
    sure, said = (odds.max(1) / odds.sum(1)), odds.argmax(1)
    wrong = np.flatnonzero(said != labels)
    order = [*wrong[np.argsort(-sure[wrong])], *np.flatnonzero(said == labels)]
    assert order[:5] == [3, 6, 4, 2, 0]
    cases = (9, order, True), (3, order[:3], True), (3, [0, 1, 2], False)
    for num_images, expected, wrong_first in cases:
        model = Reader().train()
        options = {"num_images": num_images, "wrong_first": wrong_first}
        axes = plots.visualize_model(model, loaders, cpu, **options)
        assert len(axes) == len(plt.gcf().axes) == len(expected) and model.training
        for ax, i in zip(axes, expected, strict=True):
            mark, color = ("✗", plots.WRONG) if i in wrong else ("✓", plots.RIGHT)
            title = f"{mark} {'ab'[said[i]]} {100 * sure[i]:.0f} %\ntrue: {'ab'[labels[i]]}"
            assert (ax.get_title(), ax.title.get_color()) == (title, color)
            assert not ax.title.get_parse_math()  # a class may be called $5 or $6
            np.testing.assert_allclose(shown_pixels(ax)[0, 0, :2], logits[i], rtol=1e-6)


class Noisy(TensorDataset):
    """Pictures that are a little darker or lighter each time one looks."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image * torch.empty(1).uniform_(0.2, 1), label


@pytest.mark.parametrize("wrong_first", [False, True])
def test_a_picture_and_its_title_belong_together(cpu, wrong_first):
    """Also where the loader shuffles, and where pictures change: these very ones were judged."""
    logits = [[i / 10, 0] if i % 3 else [0, i / 10] for i in range(1, 10)]
    labels = torch.arange(1, 10) % 2
    options = {"split": "train", "num_images": 9, "wrong_first": wrong_first}
    loaders = by_hand(Noisy(flat_pictures(logits), labels), shuffle=True)
    for ax in plots.visualize_model(Reader(), loaders, cpu, **options):
        a, b, _ = shown_pixels(ax)[0, 0]
        said, sure = ("a", a) if a > b else ("b", b)
        assert f" {said} {100 / (1 + np.exp(-sure)):.0f} %" in ax.get_title()
    whole = by_hand(TensorDataset(flat_pictures(logits), labels), shuffle=True)
    axes = plots.visualize_model(Reader(), whole, cpu, **options)
    seen = [round(10 * shown_pixels(ax)[0, 0].max()) for ax in axes]
    assert sorted(seen) == list(range(1, 10)) != seen
    assert [ax.get_title()[-1] for ax in axes] == ["ab"[i % 2] for i in seen]


def test_a_split_that_is_not_there_and_one_with_nothing_to_show_are_named(cpu):
    loaders = by_hand(TensorDataset(torch.zeros(2, 3, 4, 4), torch.arange(2)))
    for look in (
        plots.show_batch,
        lambda *args, **options: plots.visualize_model(Reader(), *args, cpu, **options),
    ):
        with pytest.raises(ValueError, match="no test split: show split='val' or 'train'"):
            look(loaders, split="test")
        with pytest.raises(ValueError, match="no picture to show"):
            look(loaders, num_images=0)


def random_everywhere(image):
    """An augmentation that draws from all three sources of random numbers."""
    return image + 100 * torch.rand(1) + 10 * random.random() + np.random.rand()


LOOKS = {
    "show_batch": lambda loaders, cpu: plots.show_batch(loaders),
    "visualize_model": lambda loaders, cpu: plots.visualize_model(
        Reader(), loaders, cpu, split="train", wrong_first=True
    ),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looking_changes_no_training(cpu, look):
    """Batches and crops of an epoch, with a look before it and without, are the same bits."""
    images = torch.randint(256, (7, 3, 8, 8)).float()
    pictures = data.Pictures(images, [0, 1] * 3 + [0], random_everywhere, v2.Identity())

    def epoch(looks):
        torch.manual_seed(4), random.seed(4), np.random.seed(4)
        sets = {"train": pictures, "val": pictures}
        loaders = data.make_loaders(sets, ["a", "b"], 2, 4, data.MEAN, data.STD)
        if looks:
            look(loaders, cpu)
        return [tensor for batch in loaders.train for tensor in batch]

    assert all(map(torch.equal, epoch(False), epoch(True)))


def test_show_batch_shows_the_batch_that_training_gets_next():
    """Shuffled and augmented, of the second epoch too."""
    pictures = Noisy(torch.rand(7, 3, 8, 8), torch.arange(7) % 2)
    sets = {"train": pictures, "val": pictures}
    loaders = data.make_loaders(sets, ["a", "b"], 4, 0, data.MEAN, data.STD)
    for _ in range(2):
        axes = plots.show_batch(loaders)
        inputs, labels = next(iter(loaders.train))
        assert [ax.get_title() for ax in axes] == ["ab"[label] for label in labels]
        for ax, image in zip(axes, inputs, strict=True):
            restored = plots.restore(image, data.MEAN, data.STD)
            np.testing.assert_allclose(shown_pixels(ax), restored, atol=1e-6)


NAMES = {
    "long": ["American_Staffordshire_terrier", "German short-haired pointer (male)"],
    "wide": ["アメリカン・スタッフォードシャー・テリア", "大斑啄木鳥"],
}


@pytest.mark.filterwarnings("ignore:Glyph")  # there is no font for them here, only boxes
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("class_names", NAMES.values(), ids=NAMES)
def test_titles_overlap_nothing_and_are_legible(cpu, look, class_names):
    pictures = TensorDataset(torch.rand(8, 3, 9, 9), torch.arange(8) % 2)
    loader = DataLoader(pictures, 8)
    loaders = data.Loaders(loader, loader, None, class_names, (0.0,) * 3, (1.0,) * 3)
    axes = look(loaders, cpu)
    figure = plt.gcf()
    figure.canvas.draw()
    assert figure.get_figwidth() == 5
    assert min(ax.title.get_fontsize() for ax in axes) >= 10
    titles = [ax.title.get_window_extent() for ax in axes]
    pictures = [ax.images[0].get_window_extent() for ax in axes]
    assert all(picture.width > figure.bbox.width / 4.5 for picture in pictures)
    for one, other in itertools.combinations(titles, 2):
        assert not one.overlaps(other)
        assert one.y0 != other.y0 or abs(one.x0 - other.x0) > min(one.width, other.width) + 4
    assert not any(title.overlaps(picture) for title in titles for picture in pictures)
    for ax in axes:  # broken, and nothing left out
        said = "".join(ax.get_title().replace("_", " ").split())
        assert any("".join(name.replace("_", " ").split()) in said for name in class_names)


def test_plot_history_draws_both_curves_and_the_best_epoch():
    _, (loss, accuracy) = plt.subplots(2, sharex=True)
    assert [*plots.plot_history(HISTORY, (loss, accuracy))] == [loss, accuracy]
    assert len(plt.get_fignums()) == 1
    loss, accuracy = plots.plot_history(HISTORY)
    for ax, train_values, val_values in (
        (loss, HISTORY.train_loss, HISTORY.val_loss),
        (accuracy, HISTORY.train_accuracy, HISTORY.val_accuracy),
    ):
        val, train, best = ax.lines
        assert list(val.get_ydata()) == val_values and val.get_linestyle() == "-"
        assert list(train.get_ydata()) == train_values and train.get_linestyle() == "--"
        assert (best.get_xdata()[0], best.get_ydata()[0]) == (1, val_values[0])
        assert val.get_color() == train.get_color() == best.get_color()
    assert "nats" in loss.get_ylabel() and accuracy.get_xlabel() == "epoch"
    accuracy.figure.canvas.draw()
    ticks = {text.get_text() for text in accuracy.get_yticklabels()}
    assert {"40.0%", "60.0%"} <= ticks
    assert loss.get_window_extent().y0 > accuracy.get_window_extent().y1  # one above the other
    loss.set_xlim(0, 7)
    assert accuracy.get_xlim() == (0, 7)


@pytest.mark.parametrize("num_runs", [0, 2, 4])
def test_the_legend_of_a_history_explains_all_and_hides_nothing(num_runs):
    """Runs first, three in a row, in the order of drawing; then lines and dot, once."""
    labels, axes = ["frozen", "fine-tuned", "from scratch", "leaky"][:num_runs], None
    for label in labels or [""]:
        axes = plots.plot_history(HISTORY, axes, label=label)
    loss, accuracy = axes
    accuracy.figure.canvas.draw()
    legend = accuracy.get_legend()
    texts = [text for text in legend.texts if text.get_text().strip()]
    rows = {}
    for text in sorted(texts, key=lambda text: text.get_window_extent().x0):
        rows.setdefault(round(text.get_window_extent().y0 / 4), []).append(text.get_text())
    *runs, keys = [rows[y] for y in sorted(rows, reverse=True)]
    assert [*itertools.chain(*runs)] == labels and all(len(row) <= 3 for row in runs)
    assert keys == ["validation", "training", "best epoch (kept)"]
    keys = {t.get_text(): k for t, k in zip(legend.texts, legend.get_lines(), strict=True)}
    drawn = [line.get_color() for line in accuracy.lines[::3]]
    assert [keys[label].get_color() for label in labels] == drawn[:num_runs]
    assert keys["validation"].get_linestyle() == "-" and keys["training"].get_linestyle() == "--"
    best = keys["best epoch (kept)"]
    assert (best.get_linestyle(), best.get_marker()) == ("None", "o")
    box = legend.get_window_extent()
    assert not box.overlaps(accuracy.get_window_extent())
    assert not box.overlaps(accuracy.xaxis.label.get_window_extent())
    assert box.y0 >= 0 and loss.get_legend() is None
    assert box.width < 5.2 * accuracy.figure.dpi


def some_answers(num_classes, num_examples=60):
    """Labels, and answers that err more often upwards than downwards."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, num_examples)
    predicted = np.minimum(labels + rng.integers(0, 3, num_examples), num_classes - 1)
    return torch.from_numpy(predicted), torch.from_numpy(labels)


def test_plot_confusion_counts_true_classes_in_rows():
    predicted, labels = some_answers(4)
    ax = plots.plot_confusion(predicted, labels, ["ant", "bee", "cat", "dog"])
    expected = confusion_matrix(labels, predicted)
    assert (expected != expected.T).any() and (expected != expected[::-1]).any()
    np.testing.assert_array_equal(shown_pixels(ax), expected)
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {(j, i): str(expected[i, j]) for i in range(4) for j in range(4)}
    for axis, name in ((ax.xaxis, "predicted class"), (ax.yaxis, "true class")):
        assert axis.get_label_text() == name
        assert list(axis.get_ticklocs()) == [0, 1, 2, 3]
        assert [text.get_text() for text in axis.get_ticklabels()] == ["ant", "bee", "cat", "dog"]
    assert ax.yaxis_inverted() and not ax.xaxis_inverted()  # the first row on top, as in a table


CONFUSED = {
    "two": ["ants", "bees"],
    "two long ones": ["great spotted woodpecker", "small black garden ant"],
    "thirty": [f"the class number {i}" for i in range(30)],
}


def contrast(color, ground):
    """The ratio that the Web Content Accessibility Guidelines define: 1 to 21, and 4.5 is good."""
    rgb = np.array([to_rgb(color), to_rgb(ground)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    darker, lighter = sorted(linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    return lighter / darker


@pytest.mark.parametrize("class_names", CONFUSED.values(), ids=CONFUSED)
def test_plot_confusion_is_legible(class_names):
    """Each count within its cell and told from its ground; each name ends at its own tick."""
    n = len(class_names)
    ax = plt.figure(figsize=(3, 3)).gca()
    assert plots.plot_confusion(*some_answers(n, 20_000), class_names, ax) is ax
    ax.figure.canvas.draw()
    cell = ax.get_window_extent().width / n
    for text in ax.texts:
        (x, y), box = ax.transData.transform(text.get_position()), text.get_window_extent()
        assert max(x - box.x0, box.x1 - x) < cell / 2 and max(y - box.y0, box.y1 - y) < cell / 2
        assert text.get_fontsize() >= 5
        ground = ax.images[0].to_rgba([int(text.get_text())])[0]
        assert contrast(text.get_color(), ground) > 4
    names = ax.get_xticklabels()
    if names[0].get_rotation() == 0:
        boxes = [name.get_window_extent() for name in names]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    else:  # slanted: the upper right corner is below the tick
        for place, name in enumerate(names):
            x, _ = ax.transData.transform((place, 0))
            assert abs(name.get_window_extent().x1 - x) < max(cell / 2, 10)
    assert (names[0].get_rotation() == 0) == (max(map(len, class_names)) < 6)

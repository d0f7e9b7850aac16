"""What moves on a page: each setting is what the same function gives, and that is right."""

import base64
import copy
import csv
import io
import itertools
import json
import re
import statistics
from datetime import UTC, datetime
from importlib import import_module
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from conftest import save_picture
from PIL import Image
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestCentroid
from torch import nn
from torch.utils.data import TensorDataset
from torchvision import transforms as v1

from helpers import data, explorers
from helpers.explorers import films, form, pieces
from helpers.models import build, head_of, resnet18
from helpers.runtime import seed_everything
from tools.provenance import measure_crops, render_ants_bees
from tools.provenance.raytrace import Picture

CPU = torch.device("cpu")
chances, depth, feature_map, random_crops, stages, upload = (  # the package has functions so named
    import_module(f"helpers.explorers.{name}")
    for name in ("luck", "unfreeze", "labels", "crops", "layers", "own_picture")
)


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    """Twelve pictures to learn from and seven to ask about, of 64 pixels: the classes differ."""
    root, seed = tmp_path_factory.mktemp("pictures"), 0
    for split, count in (("train", 6), ("val", 4)):
        for shift, name in enumerate(("dark", "light")):
            for i in range(count - (split == "val" and name == "light")):
                path = root / split / name / f"{i}.png"
                save_picture(path, width=64, height=64, seed=(seed := seed + 1))
                with Image.open(path) as image:
                    image.point(lambda value, shift=shift: value // 2 + 120 * shift).save(path)
    return data.image_folders(root, size=64, batch_size=4, augment=False)


@pytest.fixture(scope="module")
def model():
    seed_everything(0)
    return resnet18(2)


def parsed(movable):
    return BeautifulSoup(movable.to_html(), "html.parser")


def views(page):
    """Return every view by its setting; the one that shows first."""
    shown = page.select_one(".view")
    others = {
        script["data-setting"]: BeautifulSoup(script.string, "html.parser")
        for script in page.select("script[data-setting]")
    }
    assert all(script["type"] == "text/html" for script in page.select("script"))
    return {shown["data-setting"]: shown} | others


def answer(page):
    return BeautifulSoup(page.select_one("script.answer").string, "html.parser").get_text()


def buttons(fieldset):
    return [label.get_text() for label in fieldset.find_all("label")]


# ---- the form ------------------------------------------------------------------------------------


@pytest.fixture
def explorer():
    return form.Explorer(
        "Which <one>?",
        ("a & b", "c"),
        {"side": ("left", "right"), "number": tuple(range(8))},
        lambda side, number: f"<p>{side} {number}</p>",
        start=(1, 2),
        answer="It is <i>c</i>.",
        in_words="<p>all</p>",
        shared="<style>.x{}</style>",
    )


def test_a_page_holds_every_setting_and_shows_the_first(explorer):
    page = parsed(explorer)
    found = views(page)
    sides, numbers = ("left", "right"), range(8)
    assert {key: view.get_text() for key, view in found.items()} == {
        f"{i} {j}": f"{sides[i]} {j}" for i, j in itertools.product((0, 1), numbers)
    }
    assert next(iter(found)) == "1 2" and len(page.select(".view")) == 1
    assert len(page.find_all("style")) == 1


def test_a_page_asks_first_and_escapes_what_is_plain_text(explorer):
    page = parsed(explorer)
    guess, side = page.find_all("fieldset")
    assert guess["class"] == ["guess"] and guess.legend.get_text() == "Which <one>?"
    assert buttons(guess) == ["a & b", "c"] and not guess.select("[checked]")
    assert buttons(side) == ["left", "right"]
    assert [button["value"] for button in side.select("[checked]")] == ["1"]
    assert answer(page) == "It is c." and not page.select_one(".said").contents


def test_many_options_are_a_slider_with_its_text(explorer):
    (control,) = parsed(explorer).select("label.slider")
    slider = control.find("input")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "7", "2")
    assert slider["aria-valuetext"] == control.select_one(".at").get_text() == "2"
    assert json.loads(slider["data-texts"]) == [str(n) for n in range(8)]


def test_a_notebook_asks_first_then_computes_what_the_page_stores(explorer):
    calls = []
    inner, explorer.show = explorer.show, lambda *args: calls.append(args) or inner(*args)
    question, guess, sure, explored = explorer.widget().children
    said, side, number, shown, words = explored.children
    assert "Which &lt;one&gt;?" in question.value and "<style>" in question.value
    assert guess.value is None and sure.disabled and explored.layout.display == "none"
    assert shown.value == "<p>right 2</p>" and calls == [("right", 2)]
    guess.value = "c"
    guess.value = "a & b"
    assert not sure.disabled and explored.layout.display == "none"
    sure.click()
    assert guess.disabled and sure.disabled
    assert explored.layout.display is None
    assert "<b>a &amp; b</b>" in said.value and "It is <i>c</i>." in said.value
    side.index, number.index = 0, 7
    assert shown.value == "<p>left 7</p>" and calls[-1] == ("left", 7)
    assert "<p>all</p>" in words.value


def test_a_cell_gives_a_widget_and_a_stored_one_the_page(explorer, monkeypatch):
    view = "application/vnd.jupyter.widget-view+json"
    for movable in (explorer, form.Film("step", {"1": "<p>a</p>", "2": "<p>b</p>"}, "<p>all</p>")):
        monkeypatch.delenv("EXPLORERS", raising=False)
        bundle = movable._repr_mimebundle_()
        assert view in bundle and "text/html" not in bundle
        monkeypatch.setenv("EXPLORERS", "page")
        bundle = movable._repr_mimebundle_()
        assert bundle["text/html"] == movable.to_html() and view not in bundle


def test_a_film_shows_the_frame_of_its_slider():
    film = form.Film("step", {"1": "<p>a</p>", "2": "<p>b</p>", "3": "<p>c</p>"}, "<p>all</p>")
    row, shown, words = film.widget().children
    assert "<p>all</p>" in words.value
    play, slider = row.children
    assert (play.max, play.value, shown.value) == (2, 0, "<p>a</p>")
    assert not play.playing and not play.repeat
    slider.index = 2
    assert shown.value == "<p>c</p>"
    page = parsed(film)
    assert {key: v.get_text() for key, v in views(page).items()} == {"0": "a", "1": "b", "2": "c"}
    assert page.select_one(".view")["data-setting"] == page.select_one("input")["value"] == "2"
    assert page.button.get_text() == "Play" and page.button["aria-label"] == "Play: step"


def test_a_chart_is_an_svg_within_its_page_and_small():
    html = chances.show("2 points", "150", 1)
    image = BeautifulSoup(html, "html.parser").img
    kind, content = image["src"].split(",", 1)
    svg = unquote(content)
    assert kind == "data:image/svg+xml" and ElementTree.fromstring(svg).tag.endswith("svg")
    assert "35.6 %" in image["alt"] and "truly 82 %" in svg and len(html) < 11_000


def test_a_chart_shortens_coordinates_and_no_text():
    figure, ax = plt.subplots()
    ax.plot([0, 1 / 3], [0, 2 / 3])
    ax.set_yticks([0.125], ["0.125"])
    svg = unquote(BeautifulSoup(pieces.chart(figure, "x"), "html.parser").img["src"])
    assert ">0.125<" in svg
    path = next(p for p in re.findall(r"d='([^']*)'", svg) if p.count("L") == 1 and "z" not in p)
    assert not re.search(r"\.\d{3}", path)


def test_a_picture_is_what_the_network_sees(loaders):
    image = loaders.val.dataset[0][0]
    html = pieces.picture(pieces.to_image(image, loaders), 'a "b" <c>', 64)
    figure = BeautifulSoup(html, "html.parser")
    assert figure.figcaption.get_text() == 'a "b" <c>'
    encoded = figure.img["src"].split(",", 1)[1]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as shown:
        seen = np.asarray(shown.convert("RGB"), dtype=float)
    mean, std = (np.array(v)[:, None, None] for v in (loaders.mean, loaders.std))
    expected = 255 * (image.numpy() * std + mean).transpose(1, 2, 0)
    assert seen.shape == (64, 64, 3) and abs(seen.mean() - expected.mean()) < 4


def test_pictures_are_chosen_from_first_to_last():
    assert pieces.spread(7, 3) == [0, 3, 6] and pieces.spread(2, 5) == [0, 1]
    assert len(set(pieces.spread(100, 60))) == 60


def test_a_point_of_a_map_has_its_place_and_its_picture():
    images = pieces.PointPictures([Image.new("RGB", (9, 9), color) for color in ("red", "blue")])
    html = images.point(1, 0.25, 0.5, "a <b>", 7, marked=True)
    point = BeautifulSoup(html, "html.parser").span
    assert point["style"] == "left:25.0%;bottom:50.0%" and point["tabindex"] == "0"
    assert point["class"] == ["point", "class-2", "marked"] and point["aria-label"] == "a <b>"
    assert point.span["style"] == "background-position:-72px 0"
    assert images.name in images.style and point.span["class"] == [images.name]
    other = BeautifulSoup(images.point(2, 0, 0, "", 0, marked=False), "html.parser").span
    assert other["tabindex"] == "-1" and other["class"] == ["point", "class-0"]


# ---- the six -------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 5])
def test_the_best_of_epochs_has_the_distribution_of_a_maximum(epochs):
    right = np.arange(51)
    expected = np.diff(stats.binom.cdf(right, 50, 0.8) ** epochs, prepend=0)
    np.testing.assert_allclose(chances.best_counts(0.8, 50, epochs), expected, atol=1e-12)


def test_the_chance_of_a_flip_is_that_of_all_pairs():
    worse, better = (stats.binom.pmf(np.arange(51), 50, p) for p in (0.8, 0.85))
    pairs = sum(worse[a] * better[b] for a in range(51) for b in range(a + 1))
    assert chances.chance_of_flip(0.05, 50, 1) == pytest.approx(pairs, abs=1e-12)
    best = np.diff(stats.binom.cdf(np.arange(51), 50, 0.8) ** 20, prepend=0)
    pairs = sum(best[a] * better[b] for a in range(51) for b in range(a + 1))
    assert chances.chance_of_flip(0.05, 50, 20) == pytest.approx(pairs, abs=1e-12)
    assert chances.chance_of_flip(0.02, 150, 20) > chances.chance_of_flip(0.02, 150, 1)
    assert chances.chance_of_flip(0.0, 500, 1) > 0.5 > chances.chance_of_flip(0.05, 500, 1)


def test_luck_says_what_it_calculates():
    page = parsed(explorers.luck())
    assert len(views(page)) == len(chances.GAINS) * len(chances.COUNTS) * len(chances.TRIES)
    shown = page.select_one(".view")
    chance = f"{100 * chances.chance_of_flip(0.02, 150, 1):.1f} %"
    assert chance in shown.get_text() and chance in answer(page)


class Sure(nn.Module):
    """Says of picture i of the loader what a table says, whatever it shows."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.seen = nn.Parameter(torch.tensor(logits)), 0

    def forward(self, inputs):
        self.seen += len(inputs)
        return self.logits[self.seen - len(inputs) : self.seen]


def test_mistakes_counts_answers_and_mistakes(loaders):
    # Four dark and three light: sure and right, sure and wrong, unsure and right, ...
    share = [0.97, 0.03, 0.6, 0.95, 0.04, 0.5, 0.2]  # of dark; half each counts as dark
    logits = [[np.log(p), np.log(1 - p)] for p in share]
    explorer = explorers.mistakes(Sure(logits), loaders, CPU)
    page = parsed(explorer)
    rows = {row.td.get_text(): [int(td.get_text()) for td in row.find_all("td")[1:]]
            for row in page.select("tbody tr")}  # fmt: skip
    assert (
        rows["50 %"] == [7, 2]
        and rows["60 %"] == [6, 1]
        and rows["90 %"] == [4, 1]
        and rows["95 %"][1] == 1
    )
    assert rows["99 %"] == [0, 0]
    found = views(page)
    texts = [found[str(i)].get_text() for i in range(9)]
    assert "It answers 7 of 7 pictures, 2 of them wrongly." in texts[0]
    assert "says light, 97.0\u00a0%; is dark" in texts[0]
    assert len(found["0"].select("figure")) == 2
    assert not found["7"].select("figure")


def test_a_probe_reads_what_scikit_learn_reads():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    torch.manual_seed(0)
    labels_ = torch.arange(90) % 3
    means = torch.randn(90, 5) * 3 + 7
    means[:, 0] += 4 * labels_
    train, asked = slice(0, 60), slice(60, 90)
    found = stages.probe(means[train], labels_[train], means[asked], labels_[asked])
    scaler = StandardScaler().fit(means[train])
    regression = LogisticRegression(C=1 / (0.01 * 60), max_iter=1000)
    regression.fit(scaler.transform(means[train]), labels_[train])
    expected = regression.score(scaler.transform(means[asked]), labels_[asked])
    assert found == pytest.approx(expected, abs=0.034)


def test_the_nearest_point_in_the_same_direction():
    means = torch.tensor([[1.0, 0], [0, 1], [5, 0.1], [1, 1], [-1, 0], [0.9, 0.2]])
    assert stages.nearest(means, 0) == [2, 5, 3, 1]


def test_layers_shows_each_stage_of_each_picture(model, loaders):
    page = parsed(explorers.layers(model, loaders.train, loaders, CPU))
    found = views(page)
    assert len(found) == len(stages.NODES) * stages.NUM_PICTURES
    sides = ["16 × 16", "16 × 16", "8 × 8", "4 × 4", "2 × 2"]
    for i, side in enumerate(sides):
        view = found[f"{i} 1"]
        assert side in view.get_text()
        assert len(view.select("img")) == 1 + stages.NUM_MAPS + stages.NUM_NEIGHBORS
    best = answer(page)
    shares = {row.td.get_text(): float(row.find_all("td")[1].get_text().rstrip("%"))
              for row in page.select("tbody tr")}  # fmt: skip
    assert max(shares, key=shares.get) in best


def test_the_nearest_average_is_scikit_learn_s():
    torch.manual_seed(0)
    classes = torch.arange(60) % 3
    features, asked = torch.randn(60, 4) + classes[:, None], torch.randn(30, 4) + 1
    known = TensorDataset(features, classes)
    expected = NearestCentroid().fit(features.numpy(), classes.numpy()).predict(asked.numpy())
    found = feature_map.nearest_average(known, TensorDataset(asked), 20, seed=3)
    assert found.tolist() == expected.tolist()
    few = {
        tuple(feature_map.nearest_average(known, TensorDataset(asked), 2, seed).tolist())
        for seed in range(5)
    }
    assert len(few) > 1


def test_the_plane_is_that_of_the_principal_components():
    torch.manual_seed(0)
    features = torch.randn(40, 6) * torch.tensor([5.0, 3, 1, 1, 1, 1])
    found = pieces.plane(features).T
    for mine, other in zip(found, PCA(2).fit_transform(features).T, strict=True):
        assert abs(np.corrcoef(mine, other)[0, 1]) == pytest.approx(1, abs=1e-4)


def test_labels_marks_the_mistakes_and_says_the_share(model, loaders):
    explorer = explorers.labels({"one": model, "two": model}, loaders.train, loaders, CPU)
    page = parsed(explorer)
    assert list(explorer.controls.values()) == [["one", "two"], ["2", "5", "all"]]
    for view in views(page).values():
        assert len(view.select(".map .point")) == 7
        for point in view.select(".map .point"):
            true, called = point["aria-label"].split(", called ")
            assert ("marked" in point["class"]) == (true != called)
    shown = views(page)["0 2"]
    share = 1 - len(shown.select(".marked")) / 7
    assert f"{100 * share:.1f} %" in shown.get_text()
    assert explorer.show("one", "5") == explorer.show("two", "5")


def test_labels_puts_a_ring_around_each_mistake(model, loaders, monkeypatch):
    always_dark = torch.zeros(7, dtype=torch.int64)  # four of seven are
    monkeypatch.setattr(feature_map, "nearest_average", lambda *_: always_dark)
    page = parsed(explorers.labels({"one": model}, loaders.train, loaders, CPU))
    for view in views(page).values():
        marked = [point["aria-label"] for point in view.select(".map .marked")]
        assert marked == ["light, called dark"] * 3
        assert "57.1 %" in view.get_text()


def test_crops_show_what_the_scale_says(loaders):
    explorer = explorers.crops(loaders)
    page = parsed(explorer)
    assert len(page.select_one(".view").select("img")) == random_crops.NUM_CROPS
    whole = explorer.show("100 %", explorer.controls["Example"][0])
    images = {image["src"] for image in BeautifulSoup(whole, "html.parser").select("img")}
    assert len(images) == 1  # all of the picture each time
    with random_crops.FILE.open() as file:
        shares = [float(row[random_crops.COLUMNS[1]]) for row in csv.DictReader(file)]
    assert len(shares) == len(random_crops.SCALES) and sorted(shares) == shares and shares[-1] == 1
    assert f"{100 * shares[0]:.1f} %" in answer(page)
    before = torch.get_rng_state()
    explorer.show("8 %", explorer.controls["Example"][0])
    assert torch.equal(before, torch.get_rng_state())  # looking changes no training


def test_crops_are_measured_as_they_are_drawn_for_training():
    whole, corner = torch.ones(80, 80, dtype=torch.bool), torch.zeros(80, 80, dtype=torch.bool)
    corner[:2, :2] = True
    # Of a full mask, a crop holds as much as its area: as torchvision's older transform draws it.
    draws = [v1.RandomResizedCrop.get_params(whole[None], (0.08, 1), (3 / 4, 4 / 3))
             for _ in range(2000)]  # fmt: skip
    expected = np.mean([height * width >= 0.5 * 80**2 for _, _, height, width in draws])
    share = measure_crops.share_that_hold([whole] * 20, 0.08)
    assert share == pytest.approx(expected, abs=0.06)
    assert measure_crops.share_that_hold([corner] * 20, 0.08) < 0.5
    assert measure_crops.share_that_hold([whole, corner], 1.0) == 1


def test_an_unseen_insect_keeps_its_text_and_throws_its_shadow():
    picture = Picture("train", "bees", 3, 0)
    seen, unseen = (render_ants_bees.scene(picture, seen=seen) for seen in (True, False))
    assert "no_image" not in seen and unseen.count("no_image") >= 1
    assert "no_shadow" not in unseen
    stripped = re.sub(r"union \{\n(?=union)|\nno_image \}", "", unseen)
    assert stripped == re.sub(r"union \{\n(?=union)", "", seen)


def test_unfreeze_shows_all_settings_with_the_same_seeds():
    runs = depth.read()
    settings = {(run["stage"], run["rate"], run["mode"]) for run in runs}
    expected = {
        (stage, str(rate), mode)
        for stage, rate, mode in itertools.product(depth.STAGES, depth.RATES, depth.MODES)
        if stage != "the head" or rate == depth.RATES[0]
    }
    seeds = {run["seed"] for run in runs}
    assert settings == expected and len(runs) == len(seeds) * len(expected) and len(seeds) >= 2
    page = parsed(explorers.unfreeze())
    setting = {"stage": "stage 3 and up", "rate": "0.008", "mode": "evaluation mode"}
    mine = [float(run["test accuracy"]) for run in runs if setting.items() <= run.items()]
    view = views(page)["2 1 1"].get_text()
    low, high, middle = (
        f"{100 * value:.1f} %" for value in (min(mine), max(mine), statistics.mean(mine))
    )
    assert f"{middle} ({low} to {high}, {len(seeds)} seeds)" in view


def test_lost_runs_are_told_and_not_chosen(monkeypatch):
    runs = [
        {"stage": stage, "rate": str(rate), "mode": mode, "seed": seed, "test accuracy": "0.9",
         "seconds": "10", "validation accuracies": "0.5 0.8"}
        for stage, rate, mode in itertools.product(depth.STAGES, depth.RATES, depth.MODES)
        for seed in "01"
    ]  # fmt: skip
    for run in runs:
        if run["stage"] == "everything":
            run["validation accuracies"] = "0.9 0.9"  # best, but lost with one seed
            if run["seed"] == "1":
                run["test accuracy"] = run["seconds"] = run["validation accuracies"] = ""
        if run["stage"] == "stage 2 and up" and run["mode"] == "evaluation mode":
            run["validation accuracies"] = "0.85 0.5"
    monkeypatch.setattr(depth, "read", lambda: runs)
    page = parsed(explorers.unfreeze())
    assert "stage 2 and up, with a rate of 0.002 and BatchNorm in evaluation mode" in answer(page)
    shown = views(page)["5 0 0"].get_text()
    assert "90.0 % with one seed; training failed with 1 of 2 seeds" in shown
    assert depth.draw([run | {"test accuracy": ""} for run in runs], "x") == ""


def test_a_stage_trains_from_its_first_layer_on():
    from helpers.models import unfreeze_from

    names = {name.split(".")[0] for name, _ in resnet18(2).named_parameters()}
    order = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert names == set(order)
    for first in depth.STAGES.values():
        model = resnet18(2, freeze=True)
        unfreeze_from(model, first)
        trained = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
        assert trained == set(order[order.index(first) :])


# ---- films ---------------------------------------------------------------------------------------


def test_the_schedule_says_the_rates():
    found = views(parsed(explorers.schedule()))
    frames = [found[str(i)].img for i in range(len(found))]  # an epoch each
    half = 50 * (1 + np.cos(np.pi * 8 / films.NUM_EPOCHS))
    assert f"half a cosine, {half:.1f} %; steps, 10.0 %" in frames[8]["alt"]
    assert len(frames) == 25
    assert "half a cosine, 100.0 %; steps, 100.0 %" in frames[0]["alt"]


def test_drift_is_that_of_the_running_means_and_leaves_the_model_alone(model, loaders):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    film = explorers.drift(model, loaders.train, CPU, "layer4.1.bn2")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    found = views(parsed(film))
    frames = [found[str(i)].img["alt"] for i in range(len(found))]
    assert len(frames) == 4 and " 0.00 deviations" in frames[0]
    norm = copy.deepcopy(model).train()
    with torch.no_grad():
        for inputs, _ in loaders.train:
            norm(inputs)
    start, end = (m.layer4[1].bn2 for m in (model, norm))
    moved = ((end.running_mean - start.running_mean).abs() / start.running_var.sqrt()).median()
    assert f" {moved:.2f} deviations" in frames[-1]


def test_the_boundary_ends_between_two_clouds():
    torch.manual_seed(0)
    labels_ = torch.arange(60) % 2
    features = torch.randn(60, 10)
    features[:, 3] += 8 * labels_
    film = explorers.boundary(TensorDataset(features, labels_), ["a", "b"])
    found = views(parsed(film))
    alts = [found[str(i)].img["alt"] for i in range(len(found))]
    third = TensorDataset(torch.cat([features, 9 + features]), torch.cat([labels_, labels_ + 2]))
    assert explorers.boundary(third, ["a", "b", "c", "d"]).frames == film.frames
    assert len(alts) == 16 and alts[-1].startswith("100.0 % of all 60")
    many = TensorDataset(features.repeat(5, 1), labels_.repeat(5))
    drawn = unquote(explorers.boundary(many, ["a", "b"]).frames["0"]).count("<use xlink:href='#m")
    assert drawn == films.MOST_POINTS + 2  # and the legend's


# ---- own pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
def test_the_mean_of_the_votes_with_the_biases_is_the_logit_beside_the_others(name):
    seed_everything(0)
    model = build(name, 3)
    inputs = torch.randn(1, 3, 96, 96)
    maps, _ = upload.maps_and_logits(model, inputs)
    with torch.no_grad():
        expected = model.eval()(inputs)[0]
        bias = head_of(model).bias
        for label in range(3):
            votes = upload.class_votes(model, maps, label)
            score = votes.mean() + bias[label] - bias.mean()
            assert votes.shape == (3, 3)
            less = expected[label] - expected.mean()
            torch.testing.assert_close(score, less, rtol=1e-4, atol=1e-5)


def test_a_network_whose_features_are_no_averages_shows_no_votes(loaders):
    seed_everything(0)
    model = build("vit_tiny_patch16_224", 2, weights=None)
    maps, logits = upload.maps_and_logits(model, torch.randn(1, 3, 224, 224))
    assert maps is None and logits.shape == (2,)


def hand_over(widget, name, content):
    button, shown = widget.children
    button.set_trait(
        "value",
        (
            {
                "name": name,
                "type": "",
                "size": len(content),
                "content": memoryview(content),
                "last_modified": datetime.now(UTC),
            },
        ),
    )
    return shown.value


def test_an_own_picture_gets_its_answer_and_a_bad_file_its_reason(model, loaders, tmp_path):
    widget = explorers.OwnPicture(model, loaders, CPU).widget()
    save_picture(tmp_path / "mine.png", width=90, height=50)
    answer = hand_over(widget, "mine.png", (tmp_path / "mine.png").read_bytes())
    assert "with a probability of" in answer and answer.count("<img") == 2
    refused = hand_over(widget, "<b>notes</b>.jpg", b"no picture at all")
    assert "&lt;b&gt;notes&lt;/b&gt;.jpg: no picture" in refused and "<img" not in refused
    assert "/tmp" not in refused


def test_below_the_threshold_it_is_none_of_them(model, loaders):
    page = parsed(explorers.OwnPicture(model, loaders, CPU, threshold=1.0))
    assert page.b.get_text().startswith("None of them: ")
    assert page.b.get_text().endswith(" Below 100.0 %, the threshold, it is none of them.")
    said = parsed(explorers.OwnPicture(model, loaders, CPU)).b.get_text()
    assert said.split(",")[0] in loaders.class_names

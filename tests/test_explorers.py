"""What moves on a page: each setting is what the same function gives, and that is right."""

import base64
import copy
import csv
import io
import json
import re
import statistics
from datetime import UTC, datetime
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
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

from helpers import data, explorers
from helpers.explorers import films, pieces
from helpers.explorers.crops import FILE, NUM_CROPS
from helpers.explorers.form import Control, Explorer, Film
from helpers.explorers.labels import nearest_average
from helpers.explorers.layers import NODES, NUM_MAPS, NUM_NEIGHBORS, nearest, probe
from helpers.explorers.luck import best_counts, chance_of_flip
from helpers.explorers.own_picture import class_votes, maps_and_logits
from helpers.explorers.unfreeze import draw, read
from helpers.models import build, head_of, resnet18, unfreeze_from
from helpers.runtime import seed_everything
from tools.measure import measure_unfreeze

CPU = torch.device("cpu")


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
    return Explorer(
        question="Which <one>?",
        guesses=("a & b", "c"),
        controls=[Control("side", ("left", "right"), 1), Control("number", range(8), 2)],
        show=lambda side, number: f"<p>{side} {number}</p>",
        answer="It is <i>c</i>.",
        in_words="<p>all</p>",
        shared="<style>.x{}</style>",
    )


def test_a_page_asks_first_and_holds_every_setting(explorer):
    page = parsed(explorer)
    assert len(page.find_all("style")) == 1 and len(page.select(".view")) == 1
    guess, side = page.find_all("fieldset")
    assert guess["class"] == ["guess"] and guess.legend.get_text() == "Which <one>?"
    assert buttons(guess) == ["a & b", "c"] and not guess.select("[checked]")
    assert answer(page) == "It is c." and not page.select_one(".said").contents
    assert buttons(side) == ["left", "right"]
    assert [button["value"] for button in side.select("[checked]")] == ["1"]
    (number,) = page.select("label.slider")  # as there are many options
    slider = number.find("input")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "7", "2")
    assert slider["aria-valuetext"] == number.select_one(".at").get_text() == "2"
    assert json.loads(slider["data-texts"]) == [str(n) for n in range(8)]
    found = views(page)
    assert next(iter(found)) == "1 2"  # the one in view
    assert {key: view.get_text() for key, view in found.items()} == {
        f"{i} {j}": f"{('left', 'right')[i]} {j}" for i in (0, 1) for j in range(8)
    }


def test_a_notebook_asks_first_then_computes_what_the_page_stores(explorer):
    question, guess, sure, explored = explorer.widget().children
    said, form = explored.children
    side, number, shown, words = form.children
    assert "Which &lt;one&gt;?" in question.value and "<style>" in question.value
    assert guess.value is None and sure.disabled and explored.layout.display == "none"
    assert shown.value == "<p>right 2</p>" and "<p>all</p>" in words.value
    assert (side.description, number.description) == ("side", "number")
    guess.value = "c"
    guess.value = "a & b"
    assert not sure.disabled and explored.layout.display == "none"
    sure.click()
    assert guess.disabled and sure.disabled and explored.layout.display is None
    assert "<b>a &amp; b</b>" in said.value and "It is <i>c</i>." in said.value
    side.index, number.index = 0, 7
    assert shown.value == "<p>left 7</p>"


def test_a_film_shows_the_frame_of_its_slider():
    film = Film("step", {"1": "<p>a</p>", "2": "<p>b</p>", "3": "<p>c</p>"}, "<p>all</p>")
    play, form = film.widget().children
    slider, shown, words = form.children
    assert (play.max, play.value, shown.value) == (2, 0, "<p>a</p>") and "<p>all</p>" in words.value
    assert not play.playing and not play.repeat
    slider.index = 2
    assert shown.value == "<p>c</p>"
    page = parsed(film)
    assert {key: v.get_text() for key, v in views(page).items()} == {"0": "a", "1": "b", "2": "c"}
    assert page.select_one(".view")["data-setting"] == page.select_one("input")["value"] == "2"
    assert page.button.get_text() == "Play" and page.button["aria-label"] == "Play: step"


def test_a_cell_gives_a_widget_and_a_stored_one_the_page(explorer, monkeypatch):
    view = "application/vnd.jupyter.widget-view+json"
    for movable in (explorer, Film("step", {"1": "<p>a</p>", "2": "<p>b</p>"}, "<p>all</p>")):
        monkeypatch.delenv("EXPLORERS", raising=False)
        bundle = movable._repr_mimebundle_()
        assert view in bundle and "text/html" not in bundle
        monkeypatch.setenv("EXPLORERS", "page")
        bundle = movable._repr_mimebundle_()
        assert bundle["text/html"] == movable.to_html() and view not in bundle


def test_a_chart_is_an_svg_with_short_coordinates_and_whole_texts():
    figure, ax = plt.subplots()
    ax.plot([0, 1 / 3], [0, 2 / 3])
    ax.set_yticks([0.125], ["0.125"])
    image = BeautifulSoup(pieces.chart(figure, 'says "a"'), "html.parser").img
    kind, content = image["src"].split(",", 1)
    svg = unquote(content)
    assert kind == "data:image/svg+xml" and ElementTree.fromstring(svg).tag.endswith("svg")
    assert image["alt"] == 'says "a"' and ">0.125<" in svg
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


# ---- the explorers -------------------------------------------------------------------------------


def test_luck_counts_the_chances_of_the_best_of_several_tries():
    right = np.arange(51)
    once, better = (stats.binom(50, p) for p in (0.8, 0.85))
    for tries in (1, 20):
        best = np.diff(once.cdf(right) ** tries, prepend=0)
        np.testing.assert_allclose(best_counts(0.8, 50, tries), best, atol=1e-12)
        pairs = sum(best[a] * better.pmf(b) for a in right for b in range(a + 1))
        assert chance_of_flip(0.05, 50, tries) == pytest.approx(pairs, abs=1e-12)
    assert chance_of_flip(0.0, 500, 1) > 0.5 > chance_of_flip(0.05, 500, 1)
    luck = explorers.luck()
    gains, counts, tries = (control.options for control in luck.controls)
    chance = f"{100 * chance_of_flip(0.02, 150, 1):.1f} %"
    assert chance in luck.answer and chance in luck.show("2 points", "150", 1)
    assert luck.in_words.count("<tr>") == 1 + len(gains) * len(counts) * len(tries)


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
    rows = {
        row.td.get_text(): [int(td.get_text()) for td in row.find_all("td")[1:]]
        for row in page.select("tbody tr")
    }
    assert rows["50 %"] == [7, 2] and rows["60 %"] == [6, 1] and rows["90 %"] == [4, 1]
    assert rows["95 %"][1] == 1 and rows["99 %"] == [0, 0]
    found = views(page)
    texts = [found[str(i)].get_text() for i in range(9)]
    assert "It answers 7 of 7 pictures, 2 of them wrongly." in texts[0]
    assert "says light, 97.0\u00a0%; is dark" in texts[0]
    assert len(found["0"].select("figure")) == 2
    assert not found["7"].select("figure")


def test_a_probe_and_its_neighbors():
    labels = torch.arange(90) % 3
    means = torch.randn(90, 5) * 3 + 7
    means[:, 0] += 4 * labels
    train, asked = slice(0, 60), slice(60, 90)
    scaler = StandardScaler().fit(means[train])
    regression = LogisticRegression(C=1 / (0.01 * 60), max_iter=1000)
    regression.fit(scaler.transform(means[train]), labels[train])
    expected = regression.score(scaler.transform(means[asked]), labels[asked])
    found = probe(means[train], labels[train], means[asked], labels[asked])
    assert found == pytest.approx(expected, abs=0.034)
    means = torch.tensor([[1.0, 0], [0, 1], [5, 0.1], [1, 1], [-1, 0], [0.9, 0.2]])
    assert nearest(means, 0) == [2, 5, 3, 1]


def test_layers_shows_each_stage_of_each_picture(model, loaders):
    page = parsed(explorers.layers(model, loaders.train, loaders, CPU))
    found = views(page)
    assert len(found) == len(NODES) * 3
    sides = ["16 × 16", "16 × 16", "8 × 8", "4 × 4", "2 × 2"]
    for i, side in enumerate(sides):
        view = found[f"{i} 1"]
        assert side in view.get_text()
        assert len(view.select("img")) == 1 + NUM_MAPS + NUM_NEIGHBORS
    best = answer(page)
    shares = {
        row.td.get_text(): float(row.find_all("td")[1].get_text().rstrip("%"))
        for row in page.select("tbody tr")
    }
    assert max(shares, key=shares.get) in best


def test_the_nearest_average_and_the_plane_are_scikit_learn_s():
    classes = torch.arange(60) % 3
    features, asked = torch.randn(60, 4) + classes[:, None], torch.randn(30, 4) + 1
    known, asked = TensorDataset(features, classes), TensorDataset(asked)
    expected = NearestCentroid().fit(features.numpy(), classes.numpy())
    assert nearest_average(known, asked, 20, 3).tolist() == expected.predict(asked[:][0]).tolist()
    assert len({tuple(nearest_average(known, asked, 2, seed).tolist()) for seed in range(5)}) > 1
    assert pieces.spread(7, 3) == [0, 3, 6] and pieces.spread(2, 5) == [0, 1]
    features = torch.randn(40, 6) * torch.tensor([5.0, 3, 1, 1, 1, 1])
    for mine, other in zip(pieces.plane(features).T, PCA(2).fit_transform(features).T, strict=True):
        assert abs(np.corrcoef(mine, other)[0, 1]) == pytest.approx(1, abs=1e-4)


def test_labels_marks_the_mistakes_and_says_the_share(model, loaders):
    explorer = explorers.labels({"one": model, "two": model}, loaders.train, loaders, CPU)
    page = parsed(explorer)
    assert [c.options for c in explorer.controls] == [["one", "two"], ["2", "5", "all"]]
    for view in views(page).values():
        assert len(view.select(".map .point")) == 7
        for point in view.select(".map .point"):
            true, called = point["aria-label"].split(", called ")
            assert ("marked" in point["class"]) == (true != called)
    shown = views(page)["0 2"]
    share = 1 - len(shown.select(".marked")) / 7
    assert f"{100 * share:.1f} %" in shown.get_text()
    assert explorer.show("one", "5") == explorer.show("two", "5")


def test_crops_show_what_the_scale_says(loaders):
    explorer = explorers.crops(loaders)
    scales, examples = (control.options for control in explorer.controls)
    with FILE.open() as file:
        rows = [list(map(float, row)) for row in list(csv.reader(file))[1:]]
    assert scales == [f"{100 * scale:.0f} %" for scale, _ in rows]
    assert f"{100 * rows[0][1]:.1f} %" in explorer.answer
    state = torch.get_rng_state()
    views = [explorer.show(scale, examples[0]) for scale in (scales[0], "100 %")]
    assert torch.equal(state, torch.get_rng_state())  # looking changes no training
    assert f" {100 * rows[0][1]:.1f} %" in views[0]
    small, whole = (re.findall('src="([^"]*)"', view) for view in views)
    assert len(small) == len(whole) == NUM_CROPS
    assert len(set(small)) > 1 == len(set(whole))  # all of the picture each time


def test_unfreeze_shows_the_runs_that_are_measured():
    explorer, runs = explorers.unfreeze(), read()
    stages, rates, modes = (control.options for control in explorer.controls)
    assert stages == list(measure_unfreeze.STAGES) and modes == list(measure_unfreeze.MODES)
    assert rates == [str(rate) for rate in measure_unfreeze.RATES]
    seeds = {run["seed"] for run in runs}
    assert len(runs) == len(seeds) * len(modes) * (1 + 5 * len(rates)) and len(seeds) >= 2
    setting = {"stage": "stage 3 and up", "rate": "0.008", "mode": "evaluation mode"}
    mine = [float(run["test accuracy"]) for run in runs if setting.items() <= run.items()]
    low, high, mean = (f"{100 * f(mine):.1f} %" for f in (min, max, statistics.mean))
    text = f"{mean} ({low} to {high}, {len(seeds)} seeds)"
    assert text in explorer.show(*setting.values()) and text in explorer.in_words
    head = [explorer.show("the head", rate, modes[0]) for rate in rates]
    assert head[0] == head[1] == head[2] and "plays no part" in head[0]


def test_lost_runs_are_told_and_not_chosen(monkeypatch):
    runs = read()
    for run in runs:
        run |= {"test accuracy": "0.9", "seconds": "10", "validation accuracies": "0.5 0.8"}
        if run["stage"] == "everything":
            run["validation accuracies"] = "0.9 0.9"  # the best, but lost with one seed
            if run["seed"] == "1":
                run["test accuracy"] = run["seconds"] = run["validation accuracies"] = ""
        if run["stage"] == "stage 2 and up" and run["mode"] == "evaluation mode":
            run["validation accuracies"] = "0.85 0.5"
    monkeypatch.setitem(explorers.unfreeze.__globals__, "read", lambda: runs)
    explorer = explorers.unfreeze()
    best = "stage 2 and up, with a rate of 0.002 and BatchNorm in evaluation mode"
    assert best in explorer.answer
    shown = explorer.show("everything", "0.002", "training mode")
    assert "2 seeds); training failed with 1 of 3 seeds" in shown
    assert draw([run | {"test accuracy": ""} for run in runs], "x") == ""


def test_a_stage_trains_from_its_first_layer_on():
    order = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    for first in measure_unfreeze.STAGES.values():
        model = resnet18(2, weights=None, freeze=True)
        unfreeze_from(model, first)
        trained = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
        assert trained == set(order[order.index(first) :])


# ---- films ---------------------------------------------------------------------------------------


def frames_of(film):
    return [film.show(name) for name in film.controls[0].options]


def test_the_schedule_says_the_rates_of_torch_s_schedulers():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=films.NUM_EPOCHS)
    steps = torch.optim.lr_scheduler.StepLR(other, step_size=7, gamma=0.1)
    frames = frames_of(explorers.schedule())
    assert len(frames) == films.NUM_EPOCHS
    for frame in frames:
        first, second = (100 * s.get_last_lr()[0] for s in (cosine, steps))
        assert f"half a cosine, {first:.1f} %; steps, {second:.1f} %." in frame
        for moved in (optimizer, cosine, other, steps):
            moved.step()


def test_drift_is_that_of_the_running_means_and_leaves_the_model_alone(model, loaders):
    before = copy.deepcopy(model.state_dict())
    frames = frames_of(explorers.drift(model, loaders.train, CPU, "layer4.1.bn2"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert len(frames) == 4 and " 0.00 deviations" in frames[0]
    moved = copy.deepcopy(model).train()
    with torch.no_grad():
        for inputs, _ in loaders.train:
            moved(inputs)
    start, end = (m.layer4[1].bn2 for m in (model, moved))
    means = ((end.running_mean - start.running_mean).abs() / start.running_var.sqrt()).median()
    assert f" {means:.2f} deviations" in frames[-1]


def test_the_boundary_ends_between_two_clouds_of_which_some_points_are_drawn():
    labels, features = torch.arange(300) % 2, torch.randn(300, 10)
    features[:, 3] += 8 * labels
    frames = frames_of(explorers.boundary(TensorDataset(features, labels), ["a", "b"]))
    assert len(frames) == 16 and "100.0 % of all 300" in frames[-1]
    drawn = unquote(frames[0]).count("<use xlink:href='#m")
    assert drawn == films.MOST_POINTS + 2  # and the legend's
    four = TensorDataset(torch.cat([features, 9 + features]), torch.cat([labels, labels + 2]))
    assert frames_of(explorers.boundary(four, ["a", "b", "c", "d"])) == frames


# ---- own pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
def test_the_mean_of_the_votes_with_the_biases_is_the_logit_beside_the_others(name):
    model, inputs = build(name, 3), torch.randn(1, 3, 96, 96)
    maps, _ = maps_and_logits(model, inputs)
    with torch.no_grad():
        expected = model.eval()(inputs)[0]
        bias = head_of(model).bias
        for label in range(3):
            votes = class_votes(model, maps, label)
            assert votes.shape == (3, 3)
            score = votes.mean() + bias[label] - bias.mean()
            expected_score = expected[label] - expected.mean()
            torch.testing.assert_close(score, expected_score, rtol=1e-4, atol=1e-5)


def test_a_network_whose_features_are_no_averages_shows_no_votes():
    model = build("vit_tiny_patch16_224", 2, weights=None)
    maps, logits = maps_and_logits(model, torch.randn(1, 3, 224, 224))
    assert maps is None and logits.shape == (2,)


def hand_over(widget, name, content):
    button, shown = widget.children
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    button.set_trait("value", (file | {"last_modified": datetime.now(UTC)},))
    return shown.value


def test_an_own_picture_gets_its_answer_and_a_bad_file_its_reason(model, loaders, tmp_path):
    widget = explorers.OwnPicture(model, loaders, CPU).widget()
    save_picture(tmp_path / "mine.png", width=90, height=50)
    answer = hand_over(widget, "mine.png", (tmp_path / "mine.png").read_bytes())
    assert "with a probability of" in answer and answer.count("<img") == 2
    refused = hand_over(widget, "<b>notes</b>.jpg", b"no picture at all")
    assert "&lt;b&gt;notes&lt;/b&gt;.jpg: no picture" in refused and "<img" not in refused
    assert "/tmp" not in refused
    said = parsed(explorers.OwnPicture(model, loaders, CPU)).b.get_text()
    assert said.split(",")[0] in loaders.class_names
    said = parsed(explorers.OwnPicture(model, loaders, CPU, threshold=1.0)).b.get_text()
    assert said.startswith("None of them: ")
    assert said.endswith(" Below 100.0 %, the threshold, it is none of them.")

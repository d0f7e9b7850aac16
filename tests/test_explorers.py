"""What moves on a page: each setting is what the same function gives, and that is right."""

import copy
import csv
import json
import re
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import mean
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
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

from helpers import data, explorers
from helpers.explorers import films, pieces, stored
from helpers.explorers.crops import FILE, NUM_CROPS
from helpers.explorers.form import Control, Explorer, Film
from helpers.explorers.layers import NODES, NUM_MAPS, NUM_NEIGHBORS, nearest, probe
from helpers.explorers.luck import best_counts, chance_of_flip
from helpers.explorers.own_picture import class_votes, maps_and_logits
from helpers.explorers.unfreeze import read
from helpers.models import build, head_of, resnet18
from tools.measure import measure_unfreeze

CPU = torch.device("cpu")
soup = partial(BeautifulSoup, features="html.parser")


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    """Twelve pictures to learn from and seven to ask about, of 64 pixels: the classes differ."""
    root, counts = tmp_path_factory.mktemp("pictures"), {"train": (6, 6), "val": (4, 3)}
    for split, (dark, light) in counts.items():
        for i in range(dark + light):
            path = root / split / ("dark" if i < dark else "light") / f"{i}.png"
            pixels = save_picture(path, width=64, height=64, seed=i + 100 * len(split))
            Image.fromarray(pixels // 2 + (0 if i < dark else 120)).save(path)
    return data.image_folders(root, size=64, batch_size=4, augment=False)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return resnet18(2)


def views(page):
    """Return the text of every view by its setting; first that of the one in view."""
    found = page.select("[data-setting]")
    return {view["data-setting"]: soup(view.string).get_text() for view in found}


def rows_of(explorer):
    """Return the table of an explorer's words, by the first cell of each row."""
    rows = soup(explorer.in_words).select("tbody tr")
    return {row.td.get_text(): [td.get_text() for td in row.find_all("td")[1:]] for row in rows}


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
    page = soup(explorer.to_html())
    assert len(page.find_all("style")) == 1 and len(page.select(".view")) == 1
    guess, side = page.find_all("fieldset")
    assert guess["class"] == ["guess"] and guess.legend.get_text() == "Which <one>?"
    assert [label.get_text() for label in guess("label")] == ["a & b", "c"]
    assert [label.get_text() for label in side("label")] == ["left", "right"]
    assert not guess.select("[checked]") and side.select_one("[checked]")["value"] == "1"
    assert page.select_one(".answer").string == "It is <i>c</i>." and not page.select(".said > *")
    (number,) = page.select("label.slider")  # as there are many options
    slider = number.find("input")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "7", "2")
    assert slider["aria-valuetext"] == number.select_one(".at").get_text() == "2"
    assert json.loads(slider["data-texts"]) == [str(n) for n in range(8)]
    assert next(iter(views(page))) == "1 2"  # the one in view
    sides = enumerate(("left", "right"))
    assert views(page) == {f"{i} {j}": f"{side} {j}" for i, side in sides for j in range(8)}
    assert all(script["type"] == "text/html" for script in page.select("script"))


def test_a_notebook_asks_first_then_computes_what_the_page_stores(explorer):
    question, guess, sure, explored = explorer.widget().children
    said, form = explored.children
    side, number, shown, words = form.children
    assert "Which &lt;one&gt;?" in question.value and "<style>" in question.value
    assert guess.value is None and sure.disabled and explored.layout.display == "none"
    assert shown.value == "<p>right 2</p>" and "<p>all</p>" in words.value
    assert (side.description, number.description) == ("side", "number")
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
    page = soup(film.to_html())
    assert views(page) == {"0": "a", "1": "b", "2": "c"}
    assert page.select_one(".view")["data-setting"] == page.select_one("input")["value"] == "2"
    assert page.button.get_text() == "Play" and page.button["aria-label"] == "Play: step"


def test_a_chart_is_an_svg_with_short_coordinates_and_whole_texts():
    figure, ax = plt.subplots()
    ax.plot([0, 1 / 3], [0, 2 / 3])
    ax.set_yticks([0.125], ["0.125"])
    image = soup(pieces.chart(figure, 'says "a"')).img
    kind, content = image["src"].split(",", 1)
    svg = unquote(content)
    assert kind == "data:image/svg+xml" and ElementTree.fromstring(svg).tag.endswith("svg")
    assert image["alt"] == 'says "a"' and ">0.125<" in svg
    path = next(p for p in re.findall(r"d='([^']*)'", svg) if p.count("L") == 1 and "z" not in p)
    assert not re.search(r"\.\d{3}", path)


def test_a_picture_is_what_the_network_sees(loaders):
    image = loaders.val.dataset[0][0]
    shown = pieces.to_image(image, loaders)
    mean, std = (np.array(v)[:, None, None] for v in (loaders.mean, loaders.std))
    expected = 255 * (image.numpy() * std + mean).transpose(1, 2, 0)
    assert np.abs(np.asarray(shown, dtype=float) - expected).max() < 0.51
    figure = soup(pieces.picture(shown, 'a "b" <c>', 32))
    assert figure.figcaption.get_text() == 'a "b" <c>' and figure.img["width"] == "32"
    assert figure.img["src"].startswith("data:image/webp;base64,")


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
    chance = f" {100 * chance_of_flip(0.02, 150, 1):.1f} % of such"
    assert chance in luck.answer and chance in luck.show("2 points", "150", 1)
    assert luck.in_words.count("<tr>") == 1 + np.prod([len(c.options) for c in luck.controls])


def test_mistakes_counts_answers_and_mistakes(loaders, monkeypatch):
    # Four dark and three light: sure and right, sure and wrong, unsure and right, ...
    share = [0.97, 0.03, 0.6, 0.95, 0.04, 0.5, 0.2]  # of dark; half each counts as dark
    sure = nn.Identity()
    sure.forward = lambda _: torch.tensor([[np.log(p), np.log(1 - p)] for p in share])
    explorer = explorers.mistakes(sure, loaders, CPU)
    rows = rows_of(explorer)
    assert rows["50 %"] == ["7", "2"] and rows["60 %"] == ["6", "1"] and rows["90 %"] == ["4", "1"]
    assert rows["95 %"][1] == "1" and rows["99 %"] == ["0", "0"]
    view = explorer.show("50 %")
    assert "It answers 7 of 7 pictures, 2 of them wrongly." in view and view.count("<figure") == 2
    assert "says light, 97.0\u00a0%; is dark" in view and "<figure" not in explorer.show("99 %")
    monkeypatch.setattr(sys.modules["helpers.explorers.mistakes"], "MOST_SHOWN", 1)
    assert "2 of them wrongly. The surest 1 of these:" in explorer.show("50 %")


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
    explorer = explorers.layers(model, loaders.train, loaders, CPU)
    _, pictures = (control.options for control in explorer.controls)
    for name, side in zip(NODES, (16, 16, 8, 4, 2), strict=True):
        view = explorer.show(name, pictures[1])
        assert f"{side} × {side}" in view
        assert view.count("<img") == 1 + NUM_MAPS + NUM_NEIGHBORS
    shares = {name: float(share.rstrip("%")) for name, (share,) in rows_of(explorer).items()}
    assert max(shares, key=shares.get) in explorer.answer


def test_the_plane_is_scikit_learn_s():
    assert pieces.spread(7, 3) == [0, 3, 6] and pieces.spread(2, 5) == [0, 1]
    features = torch.randn(40, 6) * torch.tensor([5.0, 3, 1, 1, 1, 1])
    for mine, other in zip(pieces.plane(features).T, PCA(2).fit_transform(features).T, strict=True):
        assert abs(np.corrcoef(mine, other)[0, 1]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["labels", "strategies"])
def test_stored_runs_are_shown_as_the_store_has_them(name):
    explorer, rows = getattr(explorers, name)(), stored.read(name)
    for kind, option, _ in rows:
        mine = {r: mean(s) for (k, o, r), s in rows.items() if (k, o) == (kind, option)}
        best = max(mine, key=mine.get)
        told = f"Highest on average: {best}, {100 * mine[best]:.1f} %"
        assert told in soup(explorer.show(kind, option)).get_text()
    measured = next(iter(reversed(rows.values())))  # against the book's own store
    with (Path(__file__).parent.parent / "book" / "runs.csv").open() as file:
        assert {f"{share:.5g}" for share in measured} <= {row[6] for row in csv.reader(file)}


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
    low, high, mean = (f"{100 * f(mine):.1f} %" for f in (min, max, np.mean))
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


def frames_of(film):
    return [film.show(name) for name in film.controls[0].options]


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


def test_the_mean_of_the_votes_with_the_biases_is_the_logit_beside_the_others():
    for name in ("resnet18", "tf_efficientnet_lite0"):
        model, inputs = build(name, 3).eval(), torch.randn(1, 3, 96, 96)
        maps, _ = maps_and_logits(model, inputs)
        expected, bias = model(inputs)[0].detach(), head_of(model).bias.detach()
        for label in range(3):
            votes = class_votes(model, maps, label)
            score = votes.mean() + bias[label] - bias.mean()
            others = expected[label] - expected.mean()
            assert votes.shape == (3, 3)
            torch.testing.assert_close(score, others, rtol=1e-4, atol=1e-5)
    model = build("vit_tiny_patch16_224", 3, weights=None)  # its features are no averages of maps
    maps, logits = maps_and_logits(model, torch.randn(1, 3, 224, 224))
    assert maps is None and logits.shape == (3,)


def test_an_own_picture_gets_its_answer_and_a_bad_file_its_reason(model, loaders, tmp_path):
    button, shown = explorers.OwnPicture(model, loaders, CPU).widget().children

    def hand_over(name, content):
        file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
        button.set_trait("value", (file | {"last_modified": datetime.now(UTC)},))
        return shown.value

    save_picture(tmp_path / "mine.png", width=90, height=50)
    answer = hand_over("mine.png", (tmp_path / "mine.png").read_bytes())
    assert "with a probability of" in answer and answer.count("<img") == 2
    refused = hand_over("<b>notes</b>.jpg", b"no picture at all")
    assert "&lt;b&gt;notes&lt;/b&gt;.jpg: no picture" in refused and "/tmp" not in refused
    said = soup(explorers.OwnPicture(model, loaders, CPU, threshold=1.0).to_html()).b.get_text()
    assert said.startswith("None of them: ")
    assert said.endswith(" Below 100.0 %, the threshold, it is none of them.")


def test_a_temperature_makes_a_head_less_sure_and_changes_no_answer():
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(60, 3), torch.randint(3, (60,))
    explorer = explorers.reliability(logits, labels, 1.7)
    temperatures, limits = (control.options for control in explorer.controls)
    assert list(temperatures) == ["0.5", "1", "1.70, fitted", "2", "4"]
    probabilities = softmax(logits.double().numpy() / 1.7, axis=1)
    given = probabilities.max(axis=1) >= 0.7
    right = (probabilities.argmax(axis=1) == labels.numpy())[given].mean()
    said = soup(explorer.shown([2, list(limits).index("70 %")])).get_text()
    assert f"{100 * probabilities.max(axis=1).mean():.1f} % sure" in said
    assert f"answers {100 * given.mean():.1f} %" in said and f"{100 * right:.1f} % of these" in said
    answered = {soup(explorer.shown([i, 0])).get_text().split(",")[0] for i in range(5)}
    assert len(answered) == 1

"""The page "Teach it yourself": what it computes is what PyTorch computes, and it stays within."""

import base64
import hashlib
import io
import json
import re
from urllib.parse import urlsplit

import numpy as np
import pytest
import safetensors.numpy
import torch
from browsing import axe_finds_nothing, other_hosts
from conftest import ROOT
from PIL import Image
from playwright.sync_api import expect
from scipy.stats import binomtest
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision.transforms import v2

from book._ext import backbone, in_page
from helpers.data import image_folders, statistics
from helpers.features import extract_features
from helpers.models import build
from helpers.pictures.decode import open_picture

SCRIPTS = ROOT / "book" / "static" / "served" / "teach"
TENSORFLOW = ROOT / "book" / "static" / "served" / "tensorflow"
PICTURES = ROOT / "helpers" / "embedded" / "ants_bees"


def test_the_page_loads_every_script_in_its_order_and_all_texts_stand_in_one(site):
    text = (site / "book" / "teach_yourself.html").read_text("utf8")
    assert re.findall(r'src="\.\./_static/teach/(\w+)\.js', text) == [*in_page.SCRIPTS]
    assert {path.stem for path in SCRIPTS.glob("*.js")} == {*in_page.SCRIPTS}
    for path in SCRIPTS.glob("*.js"):
        code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", path.read_text("utf8"))
        prose = re.findall(r"""["'`][A-Z][a-z]+ [a-z ]+""", code)
        assert "use strict" in code and (prose == [] or path.stem == "strings"), path.name
    other = (site / "book" / "welcome.html").read_text("utf8")
    assert "_static/teach" not in other and "Content-Security-Policy" not in other
    rows = re.findall(r"\| `([\w.-]+)` \| `(\w{64})` \|", (TENSORFLOW / "README.md").read_text())
    assert len(rows) == 3
    for name, digest in rows:
        assert hashlib.sha256((TENSORFLOW / name).read_bytes()).hexdigest() == digest


# ---- help with the browser -----------------------------------------------------------------------


@pytest.fixture
def taught(page, addresses, request):
    """Open the page, from a folder if nobody says how; wait until the first head is trained."""
    way = getattr(request, "param", "file")
    page.goto(f"{addresses[way]}/book/teach_yourself.html")
    wait_for_head(page)
    yield page
    assert page.errors == []
    assert {urlsplit(url).scheme for url in page.asked} <= {way, "data", "blob"}


def wait_for_head(page):
    page.wait_for_function("() => globalThis.Teach?.state?.result")


def retrained(page, act):
    """Do something, and wait until another head is trained."""
    page.evaluate("Teach.state.result = null")
    act()
    wait_for_head(page)


MOVE = "(slider, value) => {slider.value = value; slider.dispatchEvent(new Event('input'))}"
ANSWER = "Teach.predict(Teach.state.head, Teach.state.asked.features)"
LAST = "Teach.state.result.points.at(-1)"  # after the last step
BLOB = "const blob = (text) => new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);"


def move(page, label, value):
    retrained(page, lambda: page.get_by_label(label).evaluate(MOVE, value))


def in_base64(content):
    return base64.b64encode(content).decode()


def file_of(pixels, kind=np.uint8, form="PNG", **options):
    content = io.BytesIO()
    Image.fromarray(pixels.astype(kind)).save(content, form, **options)
    return content.getvalue()


def picture_of(color, width=90, height=70, seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 90, (height, width, 3)) + color
    return file_of(pixels.clip(0, 255), **options)


def drop(page, target, files):
    """Drop files, each a name and its bytes, onto an element."""
    page.locator(target).evaluate(
        f"""(target, files) => {{{BLOB}
            const dropped = new DataTransfer();
            for (const [name, text] of files) dropped.items.add(new File([blob(text)], name));
            target.dispatchEvent(new DragEvent("drop", {{ dataTransfer: dropped, bubbles: true }}));
        }}""",
        [[name, in_base64(content)] for name, content in files],
    )


def add(page, k, names, color=(90, 90, 90)):
    """Drop a picture for each of the names onto the card of the class `k`."""
    files = [(name, picture_of(color, seed=i)) for i, name in enumerate(names)]
    drop(page, f"#teach .category[data-label='{k}']", files)


def choose_files(page, button, files):
    """Open the choice of files by keyboard."""
    with page.expect_file_chooser() as chooser:
        button.press("Space")
    chooser.value.set_files(files)


def status_of(page, which="first"):
    return getattr(page.locator("#teach .status"), which)


# ---- the numbers ---------------------------------------------------------------------------------


def test_features_votes_and_answers_are_those_of_pytorch(taught, cpu):
    """Compare every eighth picture of both splits; the packed features; and one answer's votes."""
    model = build(backbone.NAME, 2).eval()
    loaders = image_folders(PICTURES, size=in_page.SIZE, augment=False, **statistics(model))
    expected, paths = [], []
    for split in ("val", "test"):
        pictures = loaders.split(split).dataset
        some = DataLoader(Subset(pictures, range(0, len(pictures), 8)), 16)
        expected.append(extract_features(model, some, cpu).tensors[0])
        paths += sorted(PICTURES.glob(f"{split}/*/*"))[::8]
    found, packed = taught.evaluate(
        f"""async (pictures) => {{{BLOB}
            const backbone = await Teach.loadBackbone(() => {{}});
            const run = async (file) => {{
                const input = Teach.normalize(await Teach.look(file, 160));
                return [...(await backbone.run(input, 160)).features];
            }};
            const [found, packed] = [[], []];
            for (const picture of pictures) found.push(await run(blob(picture)));
            for (const p of Teach.state.pictures.filter((_, i) => i % 61 === 0))
                packed.push([await run(p.file), [...p.features[160]]]);
            return [found, packed];
        }}""",
        [in_base64(path.read_bytes()) for path in paths],
    )
    torch.testing.assert_close(torch.tensor(found), torch.cat(expected), atol=1e-3, rtol=0)
    computed, stored = np.array(packed).swapaxes(0, 1)
    assert len(computed) == 7 and np.abs(computed - stored).max() < 4e-3  # stored with 16 bits
    names = taught.evaluate("Teach.state.pictures.map((p) => [p.label, p.name.slice(0, 3)])")
    assert all(("ant", "bee")[label] == name for label, name in names)

    taught.locator("#teach .thumb").first.click()
    expect(taught.locator("#teach .answer")).to_contain_text("sure")
    votes = taught.evaluate("Teach.vote(Teach.state.head, Teach.state.asked.map, 0)")
    logits = np.log(taught.evaluate(ANSWER))  # but for what is the same in both
    assert len(votes["cells"]) == 25
    assert votes["logit"] == pytest.approx(logits[0] - logits[1], abs=1e-4)
    said = taught.locator("#teach").inner_text()
    sums = re.search(r"votes is (\S+)\. With the bias, (\S+), this is (\S+), rounded", said)
    mean, bias, logit = (float(text.replace("\u2212", "-")) for text in sums.groups())
    assert mean + bias == pytest.approx(logit, abs=0.011)


def with_torch(features, labels, lr, steps, decay):
    head = nn.Linear(features.shape[1], 3).double()
    nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    optimizer = torch.optim.SGD(head.parameters(), lr, momentum=0.9, weight_decay=decay)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(features), labels).backward()
        optimizer.step()
    return head


def test_the_head_is_that_of_torch_sgd_and_its_interval_wilsons(taught):
    features = torch.randn(31, 40, dtype=torch.float64)
    labels = torch.arange(31) % 3
    for lr, steps, decay in ((0.01, 200, 1e-3), (1.0, 30, 0.1)):
        settings = {"lr": lr, "steps": steps, "decay": decay}
        head = with_torch(features, labels, **settings)
        found = taught.evaluate(
            """async ({ features, labels, ...settings }) => {
                const own = await Teach.products(features, features, async () => {});
                const [held, heldLabels] = [own, labels].map((list) => list.slice(0, 7));
                const options = { own, held, labels, heldLabels, numClasses: 3 };
                let last;
                for (last of Teach.train({ ...options, ...settings }));
                const { weight, bias } = Teach.toHead(last, features);
                const map = Float32Array.from(features.slice(0, 9).flat()); // nine cells
                const vote = Teach.vote({ weight, bias }, map, 2).logit;
                return [weight.map((row) => [...row]), [...bias], last.point.held, vote];
            }""",
            {"features": features.tolist(), "labels": labels.tolist(), **settings},
        )
        logits = head(features[:9].mean(0))
        vote = logits[2] - logits[:2].mean()
        expected = [head.weight, head.bias, head(features[:7]).softmax(1), vote]
        for mine, values in zip(found, expected, strict=True):
            mine = torch.tensor(mine, dtype=torch.float64)
            torch.testing.assert_close(mine, values.detach(), atol=1e-6, rtol=1e-6)
    for right, n in ((0, 4), (140, 153), (153, 153)):
        low, high = taught.evaluate("([p, n]) => Teach.wilson(p, n)", [right / n, n])
        exact = binomtest(right, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_pictures_are_upright_on_white_and_small_however_large(taught):
    """Compare with the notebooks' way to open a picture."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter
    wide = picture_of((60, 0, 90), 300, 200, form="JPEG", exif=exif, quality=95)
    large = file_of(np.broadcast_to(np.linspace(0, 255, 7300), (5500, 7300)))  # 40 megapixels
    y, x = np.indices((80, 80))
    see_through = file_of(np.dstack([3 * x, 2 * y, x + y, 255 * (x > 40)]))
    crop = v2.Compose([v2.Resize(183), v2.CenterCrop(160)])
    for content in (wide, see_through, large):
        expected = crop(open_picture(io.BytesIO(content), 10**6)).permute(1, 2, 0).numpy()
        look = f"async (text) => {{{BLOB} return [...await Teach.look(blob(text), 160)]}}"
        found = taught.evaluate(look, in_base64(content))
        difference = np.abs(np.array(found).reshape(160, 160, 3) - expected.astype(int))
        assert difference.max() <= (content is not wide)


# ---- the page ------------------------------------------------------------------------------------


def test_from_a_server_it_trains_at_once_and_asks_no_other_host(page, addresses):
    page.route("**/data/backbone-3.js", lambda route: route.abort())
    page.goto(f"{addresses['http']}/book/teach_yourself.html")
    wait_for_head(page)
    text = page.locator("#teach").inner_text()
    assert "of 153 held-out pictures" in text and "200 steps on 244 pictures" in text
    assert page.evaluate(f"{LAST}.heldRight") > 0.9
    assert not any("backbone-1" in url for url in page.asked)  # nobody has needed it yet
    assert page.errors == [] and other_hosts(page, urlsplit(addresses["http"]).netloc) == []

    page.locator("#teach .thumb").first.click()
    expect(page.locator("#teach .answer")).to_contain_text("data/backbone-3.js did not load")
    page.unroute("**/data/backbone-3.js")  # and it can be tried again
    page.locator("#teach .thumb").first.click()
    expect(page.locator("#teach .answer")).to_contain_text("sure")

    refused = page.evaluate("fetch('https://example.org').then(() => false, () => true)")
    assert refused and any("Content Security Policy" in error for error in page.errors)


EXPERIMENTS = {  # what each sets up
    "few": "source === 'book' && Teach.state.result.learned.length === 2",
    "shuffled": "source === 'book' && document.querySelectorAll('#teach .tick input')[1].checked",
    "background": "source === 'lit' && Teach.state.pictures.length === 80",
    "stranger": "asked.picture.name === 'airplane'",
    "own": "source === 'own'",
}


def test_sliders_buttons_and_experiments_do_what_they_say(taught):
    learned = "Teach.state.result.learned.map((p) => p.name)"
    move(taught, "labeled pictures of each class", 3)
    before = taught.evaluate(learned)
    assert len(before) == 6
    retrained(taught, lambda: taught.get_by_role("button", name="Draw other pictures").click())
    assert taught.evaluate(learned) != before
    retrained(taught, lambda: taught.get_by_role("button", name="Reset all settings").click())
    assert len(taught.evaluate(learned)) == 244
    move(taught, "steps", 0)
    assert taught.evaluate(f"{LAST}.loss") == pytest.approx(np.log(2), abs=1e-9)
    taught.get_by_label("weight decay").evaluate("slider => slider.value = 1")
    taught.get_by_label("steps").evaluate("slider => slider.value = 400")
    taught.get_by_label("learning rate").evaluate(MOVE, 1)
    expect(taught.locator("#teach .warning")).to_contain_text("became too large")

    for name, expected in EXPERIMENTS.items():
        taught.get_by_label("steps").evaluate(MOVE, 5)
        box = taught.locator(f"#experiment-{name}")
        title = box.locator(".admonition-title").inner_text()
        box.get_by_role("button", name="Set it up").click()
        expect(status_of(taught)).to_contain_text(f"Set up: {title}")
        assert status_of(taught).locator("a").get_attribute("href") == f"#experiment-{name}"
        assert taught.evaluate(f"Teach.state.{expected}"), name
        steps = taught.get_by_label("steps").input_value()
        assert steps == ("5" if name == "own" else "200"), name
        if name == "shuffled":  # learned by heart
            move(taught, "steps", 400)
            assert taught.evaluate(f"{LAST}.right") > 0.9
            assert 0.3 < taught.evaluate(f"{LAST}.heldRight") < 0.75
        if name == "background":  # a light gives the answer away
            assert taught.evaluate(f"{LAST}.heldRight") == 1
            retrained(taught, lambda: taught.get_by_label("Swap the light").check())
            assert taught.evaluate(f"{LAST}.heldRight") < 0.7
        if name == "stranger":
            expect(taught.locator("#teach .answer")).to_contain_text("sure")
            taught.get_by_label("Say “neither”").evaluate(MOVE, 99)
            expect(taught.locator("#teach .answer")).to_contain_text("Neither")


def test_own_pictures_in_three_classes_by_keyboard(taught, tmp_path):
    taught.locator("#teach fieldset input").first.focus()
    taught.keyboard.press("ArrowLeft")  # from the first of three to the last: my own
    expect(taught.locator("#teach .category")).to_have_count(2)
    taught.get_by_role("button", name="One more class").press("Enter")
    colors = {"red": (160, 0, 0), "<b>mug</b>": (0, 160, 0), "blue": (0, 0, 160)}
    for k, (name, color) in enumerate(colors.items()):
        field = taught.get_by_label(f"Name of class {k + 1}")
        field.click()
        field.press("Control+A")
        taught.keyboard.type(name)
        expect(field).to_be_focused()
        paths = [tmp_path / f"{k} {i}.png" for i in range(8)]
        for i, path in enumerate(paths):
            path.write_bytes(picture_of(color, seed=i))
        choose_files(taught, taught.get_by_label("Add pictures to").nth(k), paths)
        card = taught.locator("#teach .category").nth(k)
        expect(card).to_contain_text("6 to learn from, 2 held out")
    wait_for_head(taught)
    assert "of 6 held-out pictures" in taught.locator("#teach").inner_text()
    assert taught.evaluate(f"{LAST}.heldRight") == 1
    slider = taught.get_by_label("steps")
    slider.focus()
    retrained(taught, lambda: taught.keyboard.press("ArrowRight"))
    assert slider.get_attribute("aria-valuetext") == "205"
    choose_files(taught, taught.get_by_label("Choose a photo"), tmp_path / "1 3.png")
    expect(taught.locator("#teach .answer")).to_contain_text("“<b>mug</b>”")
    axe_finds_nothing(taught)

    taught.get_by_role("button", name="Remove the class red").press("Enter")
    expect(taught.locator("#teach .category")).to_have_count(2)
    assert taught.get_by_label("Name of class 1").input_value() == "<b>mug</b>"
    left = taught.evaluate("Teach.state.pictures.map((p) => [p.label, p.name[0]])")
    assert left == [[0, "1"]] * 8 + [[1, "2"]] * 8


def test_files_that_are_no_pictures_are_named(taught):
    taught.get_by_label("My own").check()
    hostile = b'<svg xmlns="http://www.w3.org/2000/svg"><script>x()</script></svg>'
    ramp = np.arange(4096).reshape(64, 64)
    files = {  # and what is said about each
        "good.png": (picture_of(100), None),
        "again.png": (picture_of(100), "the same picture as good.png"),
        "empty.jpg": (b"", "an empty file"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC or the like.*save it as JPEG"),
        "phone.mov": (b"\0\0\0\x14ftypqt  " + bytes(40), "a video; save single pictures"),
        "film.webm": (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
        "scan.tif": (picture_of(0, form="TIFF"), "TIFF, .*save it as JPEG or PNG"),
        "drawing.svg": (hostile, "a drawing"),
        "all.zip": (b"PK\3\4" + bytes(40), "an archive; unpack it"),
        "line.png": (picture_of(0, width=300, height=2), "a line of 300 × 2 pixels"),
        "12 bits.png": (file_of(ramp, np.uint16), "brightest pixel is 15 of 255"),
        "16 bits.png": (file_of(16 * ramp, np.uint16), None),
        "night.png": (file_of(ramp % 9), None),
        "<img src=x onerror=alert(1)>.png": (b"a picture, they say", "no picture"),
    }
    for seed, form in enumerate(("JPEG", "PNG", "GIF", "BMP", "WEBP"), 1):
        content = picture_of(50, form=form, seed=seed)
        files[f"whole.{form}"] = (content + b"and what a phone adds\0" * 99, None)
        files[f"half.{form}"] = (content[: len(content) // 2], "cut off: .*copy it again")
    small, photo = picture_of(90, form="JPEG"), picture_of(90, form="JPEG", seed=9)
    photo = photo[:2] + b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small + photo[2:]
    files |= {"photo.jpg": (photo, None), "half a photo.jpg": (photo[:-500], "cut off")}
    drop(taught, "#teach .category[data-label='0']", [(name, files[name][0]) for name in files])
    expect(status_of(taught)).to_contain_text(f"{len(files)} pictures in")
    said = taught.locator("#teach ul").inner_text()
    for name, (_, why) in files.items():
        assert why is None or re.search(f"{re.escape(name)}: .*{why}", said), name
    taken = [name for name, (_, why) in files.items() if why is None]
    assert taught.evaluate("Teach.state.pictures.map((p) => p.name)") == taken


def test_what_comes_at_once_is_done_in_turn_and_nothing_is_lost(taught):
    taught.get_by_label("My own").check()
    add(taught, 0, [f"a {i}.png" for i in range(9)])
    add(taught, 1, [f"b {i}.png" for i in range(9)], (200, 0, 0))
    taught.get_by_label("steps").evaluate(MOVE, 90)
    taught.get_by_role("button", name="Draw other pictures").click()
    taught.get_by_label("224 pixels").check()
    taught.wait_for_function("() => Teach.state.size === 224")
    wait_for_head(taught)
    assert taught.evaluate("Teach.state.pictures.length") == 18
    assert taught.evaluate("Teach.state.pictures.every((p) => p.features[160] && p.features[224])")
    taught.get_by_label("The book’s ants").check()
    taught.wait_for_function("() => Teach.state.source === 'book' && Teach.state.size === 160")
    taught.get_by_label("My own").check()
    taught.wait_for_function("() => Teach.state.source === 'own' && Teach.state.size === 224")
    taught.get_by_label("in colored light").check()
    taught.get_by_label("steps").evaluate(MOVE, 80)
    assert taught.evaluate("Teach.state.result") is None  # nothing of what was shown before
    taught.get_by_label("The book’s ants").check()  # before the light is there
    taught.wait_for_function("() => Teach.state.source === 'book'")
    taught.get_by_label("steps").evaluate(MOVE, 100)
    wait_for_head(taught)
    assert taught.get_by_label("The book’s ants").is_checked()
    assert taught.evaluate("Teach.state.pictures.length") == 397


HANG = """() => {
    const [make, released] = [createImageBitmap, new Promise((go) => (globalThis.release = go))];
    createImageBitmap = async (file, options) =>
        (file.name === "quick.png" || (await released), make(file, options));
}"""


def test_looking_can_be_stopped_and_the_last_question_is_answered(taught):
    taught.get_by_label("My own").check()
    stop = taught.get_by_role("button", name="Stop", exact=True)
    for shade in (20, 200):  # the decoder hangs, before the backbone is loaded and after
        taught.evaluate(HANG)
        add(taught, 0, ["hangs.png"])
        stop.click()
        expect(taught.locator("#teach [role=alert]")).to_have_text("Stopped; 1 picture left out.")
        taught.evaluate("release()")
        add(taught, 0, [f"{shade}.png"], shade)
        expect(status_of(taught)).to_contain_text("1 picture in")
    add(taught, 0, [f"{i}.png" for i in range(40)])
    taught.wait_for_function("() => document.querySelector('#teach progress').value > 2")
    stop.click()
    expect(taught.locator("#teach [role=alert]")).to_contain_text("left out")
    taught.wait_for_function("() => Teach.state.pictures.length > 2")
    assert taught.evaluate("Teach.state.pictures.every((p, i) => i < 41 && p.name !== 'hangs.png')")

    drop(taught, "#teach .look", [("early.png", picture_of(50))])
    expect(taught.locator("#teach .answer")).to_contain_text("There is no head yet")
    taught.evaluate(HANG)
    drop(taught, "#teach .look", [("slow.png", picture_of(80))])
    drop(taught, "#teach .look", [("quick.png", picture_of(50))])
    taught.wait_for_function("() => Teach.state.asked?.picture.name === 'quick.png'")
    # Longer than the slow one's way through the network: to load it once more.
    taught.evaluate("async () => (release(), await Teach.loadBackbone(() => {}), null)")
    assert taught.evaluate("Teach.state.asked.picture.name") == "quick.png"
    drop(taught, "#teach .look", [("notes.jpg", b"no picture")])
    expect(taught.locator("#teach .answer")).to_contain_text("notes.jpg: no picture")
    assert taught.locator("#teach .look canvas").is_hidden()


LIES = (  # what browsers that protect against fingerprinting make of the pixels that a page reads
    *("data.fill(255)", "data[20001] ^= 1", "crypto.getRandomValues(data.subarray(4e4))"),
    "data.forEach((byte, i) => (data[i] = 255 * (byte / 255) ** 0.99))",
    "data.forEach((byte, i) => (data[i] = (byte * 254) / 255))",
)
LIAR = """const { getImageData } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.getImageData = function (...place) {
    const image = getImageData.apply(this, place);
    return lie(image.data), image;
};"""


@pytest.mark.parametrize(
    ("script", "said", "lies"),
    [
        ("delete globalThis.WebAssembly", "use a newer browser", [""]),
        ("delete globalThis.DecompressionStream", "too old for this page", []),
        (LIAR, "privacy.resistFingerprinting", LIES),
    ],
)
def test_a_browser_that_cannot_is_told_so_and_does_what_it_can(page, addresses, script, said, lies):
    page.add_init_script(script)
    page.goto(f"{addresses['file']}/book/teach_yourself.html")
    for lie in lies:  # which only concerns looking at pictures
        wait_for_head(page)
        page.evaluate(f"lie = (data) => {lie or 0}, 0")
        page.locator("#teach .thumb").first.click()
        expect(page.locator("#teach .answer")).to_contain_text(said)
    if lies:
        page.locator("#experiment-background button").click()
    expect(status_of(page)).to_contain_text(said)
    expect(page.get_by_label("The book’s ants")).to_be_checked()
    if lies == LIES:
        page.evaluate("lie = () => 0, 0")  # the user allows it
        page.locator("#teach .thumb").first.click()
        expect(page.locator("#teach .answer")).to_contain_text("sure")
    assert page.errors == []


# ---- what is taken away --------------------------------------------------------------------------


def taught_file(tensors=None, **notes):
    settings = {"labeled": 1, "rate": -2, "steps": 9, "decay": -3, "seed": 1}
    card = {"format": "transfer-learning-hands-on 1", "backbone": backbone.NAME, "size": "160"}
    card |= {"classes": '["a", "b"]', "files": '["1", "2"]', "settings": json.dumps(settings)}
    arrays = {"features": np.ones((2, 1280), "f4"), "held": np.arange(2), "labels": np.arange(2)}
    return safetensors.numpy.save(arrays | (tensors or {}), card | notes)


HEADER = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
TEXT = (ROOT / "book" / "teach_yourself.md").read_text("utf8")
CELLS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
BAD_FILES = {
    "it is cut off or damaged": [len(HEADER).to_bytes(8, "little") + HEADER],
    "it is for the backbone resnet18": [taught_file(backbone="resnet18")],
    "this page did not save it": [
        *(b"", (4).to_bytes(8, "little") + b"null", taught_file(format="another")),
        *(taught_file(classes='["a"]'), taught_file(files='["1", "2", "3"]')),
        *(taught_file(settings="null"), taught_file({"labels": np.array([0, 7])})),
        taught_file({"features": np.full((2, 1280), np.nan, np.float32)}),
    ],
}


def test_a_head_goes_to_python_and_back(taught, tmp_path, monkeypatch, capsys):
    move(taught, "labeled pictures of each class", 4)
    before = taught.evaluate(LAST)
    photo = sorted(PICTURES.glob("val/bees/*"))[0]
    drop(taught, "#teach .look", [("photo.jpg", photo.read_bytes())])
    expect(taught.locator("#teach .answer")).to_contain_text("sure")
    mine = taught.evaluate(ANSWER)
    with taught.expect_download() as download:
        taught.get_by_role("button", name="Save the head").click()
    assert download.value.suggested_filename == "taught.safetensors"
    monkeypatch.chdir(tmp_path)
    download.value.save_as("taught.safetensors")
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())

    cell, export, _ = CELLS
    names = {}
    exec(cell, names)
    assert names["probabilities"].tolist() == pytest.approx(mine, abs=1e-4)
    assert "'bees'" in capsys.readouterr().out
    state = safetensors.numpy.load_file("taught.safetensors")
    assert state["features"].shape == (397, 1280) and state["held"].sum() == 153
    assert state["labels"].shape == (397,) and set(state["labels"]) == {0, 1}

    taught.reload()
    wait_for_head(taught)
    button = taught.get_by_label("Open a saved head")
    for reason, contents in BAD_FILES.items():
        for content in contents:
            (tmp_path / "bad").write_bytes(content)
            taught.evaluate("document.querySelectorAll('#teach .status')[1].textContent = ''")
            choose_files(taught, button, "bad")
            expect(status_of(taught, "last")).to_contain_text(reason)
            assert taught.evaluate("Teach.state.pictures.length") == 397
    choose_files(taught, button, "taught.safetensors")
    expect(status_of(taught, "last")).to_contain_text("Loaded: 397 pictures")
    after = taught.evaluate(LAST)
    assert after["heldRight"] == before["heldRight"]
    assert after["loss"] == pytest.approx(before["loss"], abs=1e-6)

    for texts in (("", "class 1"), ("caf\u00e9", " cafe\u0301  ")):
        for k in (0, 1):
            taught.get_by_label(f"Name of class {k + 1}").fill(texts[k])
        called = f"Shown and saved as “{texts[0] or texts[1]} (2)”"
        expect(taught.locator("#teach .category").nth(1)).to_contain_text(called)
    with taught.expect_download() as download:
        taught.get_by_role("button", name="Save the head").click()
    download.value.save_as("taught.safetensors")
    exec(cell, names)
    assert re.findall(r"'(.*?)': ", capsys.readouterr().out) == ["caf\u00e9", "caf\u00e9 (2)"]

    (tmp_path / "small").write_bytes(taught_file())
    choose_files(taught, button, "small")
    expect(status_of(taught, "last")).to_contain_text("Loaded: 2 pictures as features")
    taught.locator("label", has_text="224 pixels").click()
    expect(status_of(taught)).to_contain_text("Loaded features have one size")

    onnxruntime = pytest.importorskip("onnxruntime")
    exec(export, names)
    session = onnxruntime.InferenceSession("taught.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: names["picture"][None].numpy()})
    expected = names["model"](names["picture"][None]).detach()
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("taught", ["file", "http"], indirect=True)
def test_a_head_from_python_answers_as_there(taught, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = build(backbone.NAME, 3).eval()
    nn.init.normal_(model.classifier.weight, std=0.1)
    names = {"model": model, "size": 224}
    for i, (classes, mean) in enumerate((("xy", 0), ("xyz", 0), ("xyz", np.nan), ("xyz", 0))):
        nn.init.normal_(model.classifier.bias, mean)
        exec(CELLS[2].replace("= 1.0", "= 2.0"), names | {"classes": [*classes]})
        choose_files(taught, taught.get_by_label("Open a saved head"), "head.safetensors")
        said = ("did not save it", "a head without pictures, for the classes “x”, “y”, “z”")[i % 2]
        expect(status_of(taught, "last")).to_contain_text(said)
    expect(taught.get_by_label("learning rate")).to_be_hidden()
    for i, path in enumerate(sorted(PICTURES.glob("test/*/*"))[::20]):  # ten, each of another shape
        Image.open(path).crop((9 * i, 0, 160, 70 + 9 * i)).save(f"{i}.png")
        choose_files(taught, taught.get_by_label("Choose a photo"), f"{i}.png")
        taught.wait_for_function(f"() => Teach.state.asked?.picture.name === '{i}.png'")
        exec(CELLS[0].replace("taught", "head").replace("photo.jpg", f"{i}.png"), names)
        expected = (model(names["picture"][None]) / 2).softmax(1)[0].tolist()
        assert taught.evaluate(ANSWER) == pytest.approx(expected, abs=1e-4)
    add(taught, 0, ["one.png"])
    expect(taught.get_by_label("learning rate")).to_be_visible()
    assert taught.evaluate("Teach.state.head") is None

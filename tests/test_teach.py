"""The page "Teach it yourself": what it computes is what PyTorch computes, and it stays within."""

import base64
import hashlib
import io
import json
import re
import zlib
from urllib.parse import urlsplit

import numpy as np
import pytest
import safetensors.numpy
import torch
from browsing import axe_finds_nothing, other_hosts
from conftest import ROOT
from PIL import Image
from playwright.sync_api import expect
from torch import nn

from book._ext import in_page
from helpers import assets
from helpers.data import image_folders, statistics
from helpers.features import extract_features
from helpers.models import build

SCRIPTS = ROOT / "book" / "static" / "served" / "teach"
TENSORFLOW = ROOT / "book" / "static" / "served" / "tensorflow"
PICTURES = ROOT / "helpers" / "embedded" / "ants_bees"
SPLITS = {"val": 153, "test": 200}


# ---- what is packed ------------------------------------------------------------------------------


def test_bytes_are_written_with_15_bits_a_character():
    for data in (b"", b"a", bytes(range(256)), b"\xff" * 15):
        text = in_page.to_text(data)
        codes = [ord(character) - 0x1000 for character in text]
        assert len(text) == -(-8 * len(data) // 15) and all(0 <= code < 1 << 15 for code in codes)
        bits = "".join(f"{code:015b}" for code in codes)
        assert bits.startswith("".join(f"{byte:08b}" for byte in data))
        assert set(bits[8 * len(data) :]) <= {"0"}


def test_a_script_holds_bytes_compressed():
    script = in_page.to_script("name", b"hello" * 9).decode("utf-16")
    parts = re.fullmatch(r'Teach\.put\("(\w+)", (\d+), "(.*)"\);', script, re.S)
    name, length, text = parts.groups()
    bits = "".join(f"{ord(character) - 0x1000:015b}" for character in text)
    packed = bytes(int(bits[i : i + 8], 2) for i in range(0, 8 * int(length), 8))
    assert name == "name" and zlib.decompress(packed) == b"hello" * 9


def test_halves_come_with_their_high_bytes_first():
    assert in_page.halves(np.array([1.0, -2.0])) == bytes([0x3C, 0xC0, 0, 0])


def test_the_packed_network_is_the_embedded_one():
    model = build(in_page.BACKBONE, 2)
    blocks = in_page.blocks_of(model)
    layers = [layer for found, _ in blocks for layer in found]
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert [layer.convolution for layer in layers] == names
    state = safetensors.numpy.load_file(str(assets.weights(in_page.BACKBONE)))
    total = sum(v.size for name, v in state.items() if not name.startswith("classifier"))
    assert sum(in_page.numbers_of(state, layer).size for layer in layers) == total
    described = [in_page.describe(model, layer) for layer in layers]
    assert described[1]["shape"] == [3, 3, 32, 1] and described[1]["depthwise"]
    assert described[3]["shape"] == [1, 1, 16, 96] and not described[3]["depthwise"]
    assert sum(skip for _, skip in blocks) == 9
    assert [layer["stride"] for layer in described].count(2) == 5


def test_tensorflow_is_what_its_readme_says():
    rows = re.findall(r"\| `([\w.-]+)` \| `(\w{64})` \|", (TENSORFLOW / "README.md").read_text())
    assert len(rows) == 3
    for name, digest in rows:
        assert hashlib.sha256((TENSORFLOW / name).read_bytes()).hexdigest() == digest


def test_all_texts_stand_in_one_file():
    for path in SCRIPTS.glob("*.js"):
        if path.name != "strings.js":
            code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", path.read_text("utf8"))
            assert "use strict" in code
            assert re.findall(r"""["'`][A-Z][a-z]+ [a-z ]+""", code) == [], path.name


def test_the_page_loads_every_script_in_its_order(site):
    text = (site / "book" / "teach_yourself.html").read_text("utf8")
    found = re.findall(r'src="\.\./_static/teach/(\w+)\.js', text)
    assert found == in_page.SCRIPTS and set(found) == {path.stem for path in SCRIPTS.glob("*.js")}
    other = (site / "book" / "welcome.html").read_text("utf8")
    assert "_static/teach" not in other and "Content-Security-Policy" not in other


# ---- in the browser ------------------------------------------------------------------------------


@pytest.fixture
def taught(page, addresses):
    """Open the page from a folder, and wait until the first head is trained."""
    page.goto(f"{addresses['file']}/book/teach_yourself.html")
    wait_for_head(page)
    yield page
    assert page.errors == []
    assert {urlsplit(url).scheme for url in page.asked} <= {"file", "data", "blob"}


def wait_for_head(page):
    page.wait_for_function("() => globalThis.Teach?.state?.result")


def retrained(page, act):
    """Do something, and wait until another head is trained."""
    page.evaluate("Teach.state.result = null")
    act()
    wait_for_head(page)


MOVE = "(slider, value) => {slider.value = value; slider.dispatchEvent(new Event('input'))}"


def move(page, label, value):
    retrained(page, lambda: page.get_by_label(label).evaluate(MOVE, value))


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


TO_BASE64 = """
const base64 = (values) => {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
};
const blob = (text) => new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
"""


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_page_trains_a_head_at_once(page, addresses, scheme):
    page.goto(f"{addresses[scheme]}/book/teach_yourself.html")
    wait_for_head(page)
    text = page.locator("#teach").inner_text()
    assert "of 153 held-out pictures" in text and "200 steps on 244 pictures" in text
    assert page.evaluate("Teach.state.result.points.at(-1).heldRight") > 0.9
    assert not any("backbone-1" in url for url in page.asked)  # nobody has needed it yet
    page.locator("#teach .thumb").first.click()
    expect(page.locator("#teach .answer")).to_contain_text("sure")
    assert any("backbone-1" in url for url in page.asked)
    assert page.errors == [] and other_hosts(page, urlsplit(addresses["http"]).netloc) == []


def test_features_and_answers_are_those_of_pytorch(taught, cpu):
    model = build(in_page.BACKBONE, 2).eval()
    options = {"size": in_page.SIZE, "augment": False, **statistics(model)}
    loaders = image_folders(PICTURES, **options)
    stored = torch.from_numpy(
        floats(taught.evaluate(
            f"() => {{{TO_BASE64} return base64(Teach.state.pictures.filter((p) => !p.held)"
            ".flatMap((p) => [...p.features[160]]))}"
        )).reshape(244, -1).copy()
    )  # fmt: skip
    head = nn.Linear(1280, 2)  # any: the same one for both
    with torch.inference_mode():
        head.weight.copy_(stored[122:].mean(0) - stored[:122].mean(0))
        head.weight[0] *= -1
    for split, count in SPLITS.items():
        expected, labels = extract_features(model, loaders.split(split), cpu).tensors
        paths = sorted(PICTURES.glob(f"{split}/*/*"))
        assert len(paths) == count == len(labels)
        pictures = [base64.b64encode(path.read_bytes()).decode() for path in paths]
        found = floats(taught.evaluate(
            f"""async (pictures) => {{{TO_BASE64}
                const backbone = await (Teach.theirs ??= Teach.loadBackbone(() => {{}}));
                const all = [];
                for (const picture of pictures) {{
                    const input = Teach.normalize(await Teach.look(blob(picture), 160));
                    all.push(...(await backbone.run(input, 160)).features);
                }}
                return base64(all);
            }}""",
            pictures,
        )).reshape(count, -1)  # fmt: skip
        torch.testing.assert_close(torch.tensor(found), expected, atol=1e-3, rtol=0)
        with torch.inference_mode():
            mine, theirs = head(torch.tensor(found)), head(expected)
        assert (mine.argmax(1) == theirs.argmax(1)).all()


def test_the_packed_features_are_those_of_the_packed_pictures(taught):
    difference = taught.evaluate(
        """async () => {
            const backbone = await Teach.loadBackbone(() => {});
            let most = 0;
            for (const picture of Teach.state.pictures.filter((_, i) => i % 23 === 0)) {
                const input = Teach.normalize(await Teach.look(picture.file, 160));
                const { features } = await backbone.run(input, 160);
                features.forEach((v, c) => {
                    most = Math.max(most, Math.abs(v - picture.features[160][c]));
                });
            }
            return most;
        }"""
    )
    assert difference < 4e-3  # they are stored with 16 bits
    names = taught.evaluate("Teach.state.pictures.map((p) => [p.label, p.name.slice(0, 3)])")
    assert all(("ant", "bee")[label] == name for label, name in names)


@pytest.mark.parametrize(
    "settings", [{"lr": 0.01, "steps": 200, "decay": 1e-3}, {"lr": 1.0, "steps": 30, "decay": 0.1}]
)
def test_the_head_is_that_of_torch_sgd(taught, settings):
    torch.manual_seed(0)
    features = torch.randn(31, 40, dtype=torch.float64)
    labels = torch.arange(31) % 3
    head = nn.Linear(40, 3).double()
    nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    optimizer = torch.optim.SGD(
        head.parameters(), settings["lr"], momentum=0.9, weight_decay=settings["decay"]
    )
    for _ in range(settings["steps"]):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(features), labels).backward()
        optimizer.step()
    found = taught.evaluate(
        """async ({ features, labels, ...settings }) => {
            const own = await Teach.products(features, features, async () => {});
            const held = own.slice(0, 7);
            const options = { own, held, labels, heldLabels: labels.slice(0, 7), numClasses: 3 };
            let last;
            for (last of Teach.train({ ...options, ...settings }));
            const { weight, bias } = Teach.toHead(last, features);
            const rows = weight.map((row) => [...row]);
            return { weight: rows, bias: [...bias], held: last.point.held };
        }""",
        {"features": features.tolist(), "labels": labels.tolist(), **settings},
    )
    with torch.no_grad():
        expected = {"weight": head.weight, "bias": head.bias, "held": head(features[:7]).softmax(1)}
    for name, values in expected.items():
        mine = torch.tensor(found[name], dtype=torch.float64)
        torch.testing.assert_close(mine, values.detach(), atol=1e-6, rtol=1e-6)


def test_votes_and_bias_add_up_to_the_logit(taught):
    taught.locator("#teach .thumb").first.click()
    expect(taught.locator("#teach .answer")).to_contain_text("sure")
    for k in range(2):
        votes, logits = taught.evaluate(
            """(k) => {
                const { head, asked } = Teach.state;
                return [Teach.vote(head, asked.map, k), Teach.logitsOf(head, asked.features)];
            }""",
            k,
        )
        assert len(votes["cells"]) == 25
        assert votes["logit"] == pytest.approx(logits[k] - logits[1 - k], abs=1e-4)
    votes, logits = taught.evaluate(
        """() => {
            const map = Float32Array.from({ length: 9 * 5 }, (_, i) => Math.sin(i));
            const row = (k) => Float64Array.from([1, 2, 3, 4, 5], (i) => Math.cos(k * i));
            const rows = [1, 2, 3].map(row);
            const head = { weight: rows, bias: Float64Array.from([0.1, -0.2, 0.4]) };
            const features = [0, 1, 2, 3, 4].map((c) => {
                let sum = 0;
                for (let cell = 0; cell < 9; cell++) sum += map[5 * cell + c] / 9;
                return sum;
            });
            return [Teach.vote(head, map, 2), Teach.logitsOf(head, features)];
        }"""
    )
    assert votes["logit"] == pytest.approx(logits[2] - (logits[0] + logits[1]) / 2, abs=1e-6)
    said = taught.locator("#teach").inner_text()
    found = re.search(r"votes is (\S+)\. With the bias, (\S+), this is (\S+), rounded", said)
    mean, bias, logit = (float(text.replace("\u2212", "-")) for text in found.groups())
    assert mean + bias == pytest.approx(logit, abs=0.011)


def test_the_interval_is_wilsons(taught):
    from scipy.stats import binomtest

    for right, n in ((0, 4), (140, 153), (153, 153)):
        low, high = taught.evaluate("([p, n]) => Teach.wilson(p, n)", [right / n, n])
        expected = binomtest(right, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_sliders_and_labels_do_what_they_say(taught):
    points = "Teach.state.result.points.at(-1)"
    move(taught, "labeled pictures of each class", 3)
    assert taught.evaluate("Teach.state.result.learned.length") == 6
    assert "with others the accuracy may be very different" in taught.locator("#teach").inner_text()
    before = taught.evaluate("Teach.state.result.learned.map((p) => p.name)")
    retrained(taught, lambda: taught.get_by_role("button", name="Draw other pictures").click())
    assert taught.evaluate("Teach.state.result.learned.map((p) => p.name)") != before
    retrained(taught, lambda: taught.get_by_role("button", name="Reset all settings").click())
    assert taught.evaluate("Teach.state.result.learned.length") == 244
    move(taught, "steps", 0)
    assert taught.evaluate(f"{points}.loss") == pytest.approx(np.log(2), abs=1e-9)
    move(taught, "steps", 400)
    retrained(taught, lambda: taught.get_by_label("Shuffle the labels").check())
    assert taught.evaluate(f"{points}.right") > 0.9  # by heart
    assert 0.3 < taught.evaluate(f"{points}.heldRight") < 0.75
    taught.get_by_label("weight decay").evaluate("slider => slider.value = 1")
    taught.get_by_label("learning rate").evaluate(MOVE, 1)
    expect(taught.locator("#teach .warning")).to_contain_text("became too large")


def picture_of(color, width=90, height=70, form="PNG", seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 90, (height, width, 3)) + color
    content = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(content, form, **options)
    return content.getvalue()


def drop(page, target, files):
    """Drop files, each a name and its bytes, onto an element."""
    page.locator(target).evaluate(
        f"""(target, files) => {{{TO_BASE64}
            const dropped = new DataTransfer();
            for (const [name, text] of files) dropped.items.add(new File([blob(text)], name));
            target.dispatchEvent(new DragEvent("drop", {{ dataTransfer: dropped, bubbles: true }}));
        }}""",
        [[name, base64.b64encode(content).decode()] for name, content in files],
    )


def choose_own(page):
    page.get_by_label("My own").check()
    expect(page.locator("#teach .category")).to_have_count(2)


def test_sixty_pictures_into_three_classes(taught):
    choose_own(taught)
    taught.get_by_role("button", name="One more class").click()
    colors = {"red": (160, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 160)}
    for k, (name, color) in enumerate(colors.items()):
        taught.get_by_label(f"Name of class {k + 1}").fill(name)
        files = [(f"{name} {i}.png", picture_of(np.array(color) + i)) for i in range(20)]
        drop(taught, f"#teach .category[data-label='{k}']", files)
        expect(taught.locator("#teach .status").first).to_contain_text("20 pictures in")
    wait_for_head(taught)
    assert taught.evaluate("Teach.state.pictures.length") == 60
    assert "of 15 held-out pictures" in taught.locator("#teach").inner_text()
    assert taught.evaluate("Teach.state.result.points.at(-1).heldRight") == 1
    drop(taught, "#teach .look", [("one.png", picture_of((10, 150, 10)))])
    expect(taught.locator("#teach .answer")).to_contain_text("“green”")
    assert taught.errors == []
    axe_finds_nothing(taught)
    taught.errors.clear()  # from a folder it can't read the style sheets anew, and says so


def test_a_head_goes_to_python_and_back(taught, tmp_path, monkeypatch, capsys):
    move(taught, "labeled pictures of each class", 4)
    before = taught.evaluate("Teach.state.result.points.at(-1)")
    photo = sorted(PICTURES.glob("val/bees/*"))[0]
    drop(taught, "#teach .look", [("photo.jpg", photo.read_bytes())])
    expect(taught.locator("#teach .answer")).to_contain_text("sure")
    mine = taught.evaluate("Teach.predict(Teach.state.head, Teach.state.asked.features)")
    with taught.expect_download() as download:
        taught.get_by_role("button", name="Save the head").click()
    assert download.value.suggested_filename == "taught.safetensors"
    monkeypatch.chdir(tmp_path)
    download.value.save_as("taught.safetensors")
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())

    page = (ROOT / "book" / "teach_yourself.md").read_text("utf8")
    cell, export = re.findall(r"```python\n(.*?)```", page, re.S)
    names = {}
    exec(cell, names)
    assert names["probabilities"].tolist() == pytest.approx(mine, abs=1e-4)
    assert "'bees'" in capsys.readouterr().out
    state = safetensors.numpy.load_file("taught.safetensors")
    assert state["features"].shape == (397, 1280) and state["held"].sum() == 153
    assert state["labels"].shape == (397,) and set(state["labels"]) == {0, 1}

    onnxruntime = pytest.importorskip("onnxruntime")
    exec(export, names)
    session = onnxruntime.InferenceSession("taught.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: names["picture"][None].numpy()})
    with torch.inference_mode():
        expected = names["model"](names["picture"][None])
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-4, rtol=0)

    taught.reload()
    wait_for_head(taught)
    with taught.expect_file_chooser() as chooser:
        taught.get_by_label("Load them again").click()
    chooser.value.set_files(tmp_path / "taught.safetensors")
    expect(taught.locator("#teach .status").last).to_contain_text("Loaded: 397 pictures")
    after = taught.evaluate("Teach.state.result.points.at(-1)")
    assert after["heldRight"] == before["heldRight"]
    assert after["loss"] == pytest.approx(before["loss"], abs=1e-6)


NOTES = {
    "format": "transfer-learning-hands-on 1", "backbone": "tf_efficientnet_lite0", "size": "160",
    "classes": '["a", "b"]', "files": '["1", "2"]',
    "settings": '{"labeled": 1, "rate": -2, "steps": 9, "decay": -3, "seed": 1}',
}  # fmt: skip


def taught_file(tensors=None, **notes):
    arrays = {
        "features": np.ones((2, 1280), np.float32), "labels": np.arange(2), "held": np.arange(2),
    }  # fmt: skip
    return safetensors.numpy.save(arrays | (tensors or {}), NOTES | notes)


NOT_OURS = "this page did not save it"
HEADER = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", NOT_OURS),
        (b"no tensors at all", NOT_OURS),
        ((4).to_bytes(8, "little") + b"null", NOT_OURS),
        (len(HEADER).to_bytes(8, "little") + HEADER, "it is cut off or damaged"),
        (taught_file(format="another"), NOT_OURS),
        (taught_file(backbone="resnet18"), "it is for the backbone resnet18"),
        (taught_file(size="99999"), NOT_OURS),
        (taught_file(classes='["a"]'), NOT_OURS),
        (taught_file(classes='"ab"'), NOT_OURS),
        (taught_file(classes="{"), NOT_OURS),
        (taught_file(files='["1", "2", "3"]'), NOT_OURS),
        (taught_file(settings="null"), NOT_OURS),
        (taught_file({"labels": np.array([0, 7])}), NOT_OURS),
        (taught_file({"features": np.ones((2, 640), np.float32)}), NOT_OURS),
        (taught_file({"features": np.full((2, 1280), np.nan, np.float32)}), NOT_OURS),
    ],
)
def test_a_file_that_cannot_be_loaded_changes_nothing(taught, tmp_path, content, reason):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with taught.expect_file_chooser() as chooser:
        taught.get_by_label("Load them again").click()
    chooser.value.set_files(tmp_path / "bad.safetensors")
    expect(taught.locator("#teach .status").last).to_contain_text(reason)
    assert taught.evaluate("[Teach.state.pictures.length, Teach.state.source]") == [397, "book"]


def test_the_smallest_file_that_can_be_loaded(taught, tmp_path):
    (tmp_path / "good.safetensors").write_bytes(taught_file())
    with taught.expect_file_chooser() as chooser:
        taught.get_by_label("Load them again").click()
    chooser.value.set_files(tmp_path / "good.safetensors")
    expect(taught.locator("#teach .status").last).to_contain_text("Loaded: 2 pictures as features")
    taught.locator("label", has_text="224 pixels").click()
    expect(taught.locator("#teach .status").first).to_contain_text("Loaded features have one size")


def test_files_that_are_no_pictures_are_named(taught):
    choose_own(taught)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>x()</script></svg>'
    files = [
        ("good.png", picture_of(100)),
        ("again.png", picture_of(100)),
        ("empty.jpg", b""),
        ("notes.jpg", b"no picture"),
        ("phone.heic", b"\0\0\0\x18ftypheic" + bytes(40)),
        ("drawing.svg", svg),
        ("line.png", picture_of(0, width=300, height=2)),
        ("half.jpg", picture_of(0, form="JPEG")[:150]),
        ("<img src=x onerror=alert(1)>.png", b"GIF89a"),
    ]
    drop(taught, "#teach .category[data-label='0']", files)
    expect(taught.locator("#teach .status").first).to_contain_text("9 pictures in")
    said = taught.locator("#teach ul").inner_text()
    for name, why in {
        "again.png": "the same picture as good.png", "empty.jpg": "an empty file",
        "notes.jpg": "no picture", "phone.heic": "save it as JPEG",
        "drawing.svg": "no picture", "line.png": "a line of 300 × 2 pixels",
        "half.jpg": "no picture", "<img src=x onerror=alert(1)>.png": "no picture",
    }.items():  # fmt: skip
        assert re.search(f"{re.escape(name)}: .*{why}", said), name
    assert taught.evaluate("Teach.state.pictures.map((p) => p.name)") == ["good.png"]


def test_pictures_are_upright_on_white_and_small_however_large(taught):
    """Compare with the notebooks' way to open a picture."""
    from torchvision.transforms import v2

    from helpers.pictures.decode import open_picture

    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter
    wide = picture_of((60, 0, 90), 300, 200, "JPEG", exif=exif, quality=95)
    see_through = io.BytesIO()
    alpha = Image.fromarray(np.full((80, 80), 255, np.uint8))
    alpha.paste(0, (0, 0, 40, 80))
    image = Image.open(io.BytesIO(picture_of((20, 90, 20), 80, 80)))
    image.putalpha(alpha)
    image.save(see_through, "PNG")
    large = io.BytesIO()
    shade = np.linspace(0, 255, 7300).astype(np.uint8)
    Image.fromarray(np.broadcast_to(shade, (5500, 7300))).save(large, "PNG")  # 40 megapixels
    crop = v2.Compose([v2.Resize(183), v2.CenterCrop(160)])
    for content in (wide, see_through.getvalue(), large.getvalue()):
        expected = crop(open_picture(io.BytesIO(content), 10**6)).permute(1, 2, 0).numpy()
        found = taught.evaluate(
            f"async (text) => {{{TO_BASE64} return [...await Teach.look(blob(text), 160)]}}",
            base64.b64encode(content).decode(),
        )
        difference = np.abs(np.array(found).reshape(160, 160, 3) - expected.astype(int))
        assert difference.max() <= (content is not wide)


def test_a_light_gives_the_answer_away(taught):
    retrained(taught, lambda: taught.get_by_label("in colored light").check())
    assert taught.evaluate("Teach.state.pictures.length") == 80
    before = taught.evaluate("Teach.state.result.points.at(-1).heldRight")
    assert before == 1
    retrained(taught, lambda: taught.get_by_label("Swap the light").check())
    assert taught.evaluate("Teach.state.result.points.at(-1).heldRight") < 0.7


EXPERIMENTS = {  # what each sets up
    "few": "source === 'book' && Teach.state.result.learned.length === 2",
    "shuffled": "source === 'book' && document.querySelectorAll('#teach .tick input')[1].checked",
    "background": "source === 'lit' && Teach.state.pictures.length === 80",
    "stranger": "asked.picture.name === 'airplane'",
    "own": "source === 'own'",
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_set_up_by_its_button(taught, name):
    move(taught, "steps", 5)
    box = taught.locator(f"#experiment-{name}")
    box.get_by_role("button").click()
    expect(taught.locator("#teach .status").first).to_contain_text("Set up: Experiment")
    link = taught.locator("#teach .status a")
    assert link.get_attribute("href") == f"#experiment-{name}"
    assert taught.evaluate(f"Teach.state.{EXPERIMENTS[name]}")
    assert taught.get_by_label("steps").input_value() == ("5" if name == "own" else "200")
    if name == "stranger":
        expect(taught.locator("#teach .answer")).to_contain_text("sure")
        taught.get_by_label("Say “neither”").evaluate(MOVE, 99)
        expect(taught.locator("#teach .answer")).to_contain_text("Neither")


def add(page, k, names, color=(90, 90, 90)):
    drop(
        page,
        f"#teach .category[data-label='{k}']",
        [(name, picture_of(color, seed=i)) for i, name in enumerate(names)],
    )


def test_a_class_is_named_by_typing_and_removed(taught):
    choose_own(taught)
    taught.get_by_role("button", name="One more class").click()
    for k in range(3):
        add(taught, k, [f"{k} {i}.png" for i in range(3)], (60 * k, 90, 30))
    taught.wait_for_function("() => Teach.state.pictures.length === 9")
    name = taught.get_by_label("Name of class 2")
    name.click()
    name.press("Control+A")
    taught.keyboard.type("<b>mug</b>")
    assert name.input_value() == "<b>mug</b>"
    expect(name).to_be_focused()
    assert "<b>mug</b>" in taught.locator("#teach table").inner_text()
    taught.get_by_role("button", name="Remove the class this").click()
    expect(taught.locator("#teach .category")).to_have_count(2)
    assert taught.get_by_label("Name of class 1").input_value() == "<b>mug</b>"
    left = taught.evaluate("Teach.state.pictures.map((p) => [p.label, p.name[0]])")
    assert left == [[0, "1"]] * 3 + [[1, "2"]] * 3


def test_what_comes_at_once_is_done_in_turn_and_nothing_is_lost(taught):
    choose_own(taught)
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


def test_looking_can_be_stopped(taught):
    choose_own(taught)
    add(taught, 0, [f"{i}.png" for i in range(40)])
    taught.wait_for_function("() => document.querySelector('#teach progress').value > 2")
    taught.get_by_role("button", name="Stop", exact=True).click()
    expect(taught.locator("#teach [role=alert]")).to_contain_text("left out")
    taught.wait_for_function("() => Teach.state.pictures.length > 0")
    assert taught.evaluate("Teach.state.pictures.length") < 40


def test_the_last_question_is_answered(taught):
    choose_own(taught)
    drop(taught, "#teach .look", [("early.png", picture_of(50))])
    expect(taught.locator("#teach .answer")).to_contain_text("There is no head yet")
    large = picture_of(80, width=5000, height=4000, form="JPEG")
    drop(taught, "#teach .look", [("large.jpg", large)])
    drop(taught, "#teach .look", [("small.png", picture_of(50))])
    taught.wait_for_function("() => Teach.state.asked?.picture.name === 'small.png'")
    taught.wait_for_timeout(3000)
    assert taught.evaluate("Teach.state.asked.picture.name") == "small.png"
    drop(taught, "#teach .look", [("notes.jpg", b"no picture")])
    expect(taught.locator("#teach .answer")).to_contain_text("notes.jpg: no picture")
    assert taught.locator("#teach .look canvas").is_hidden()


def test_all_of_it_works_by_keyboard(page, addresses, tmp_path):
    page.goto(f"{addresses['file']}/book/teach_yourself.html")
    wait_for_head(page)
    page.locator("#teach fieldset input").first.focus()
    page.keyboard.press("ArrowLeft")  # from the first of three to the last: my own
    expect(page.locator("#teach .category").last).to_contain_text("0 to learn from")
    for k, color in enumerate(((160, 0, 0), (0, 0, 160))):
        paths = []
        for i in range(4):
            paths.append(tmp_path / f"{k} {i}.png")
            paths[-1].write_bytes(picture_of(np.array(color) + 5 * i))
        chooser = page.get_by_label("Add pictures to").nth(k)
        with page.expect_file_chooser() as opened:
            chooser.press("Space")
        opened.value.set_files(paths)
        card = page.locator("#teach .category").nth(k)
        expect(card).to_contain_text("3 to learn from, 1 held out")
    wait_for_head(page)
    slider = page.get_by_label("steps")
    slider.focus()
    retrained(page, lambda: page.keyboard.press("ArrowRight"))
    assert slider.get_attribute("aria-valuetext") == "205"
    with page.expect_file_chooser() as opened:
        page.get_by_label("Choose a photo").press("Space")
    opened.value.set_files(paths[0])
    expect(page.locator("#teach .answer")).to_contain_text("“that”")
    assert page.errors == []


def test_without_webassembly_the_page_says_so_and_goes_on(page, addresses):
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(f"{addresses['file']}/book/teach_yourself.html")
    wait_for_head(page)
    page.locator("#teach .thumb").first.click()
    expect(page.locator("#teach .answer")).to_contain_text("use a newer browser")
    page.locator("#experiment-background button").click()
    expect(page.locator("#teach .status").first).to_contain_text("use a newer browser")
    expect(page.get_by_label("The book’s ants")).to_be_checked()
    wait_for_head(page)
    assert page.errors == []


def test_an_old_browser_is_told_so(page, addresses):
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto(f"{addresses['file']}/book/teach_yourself.html")
    expect(page.locator("#teach .status").first).to_contain_text("too old for this page")


def test_a_script_that_is_missing_is_named(page, addresses):
    page.route("**/data/backbone-3.js", lambda route: route.abort())
    page.goto(f"{addresses['http']}/book/teach_yourself.html")
    wait_for_head(page)
    page.locator("#teach .thumb").first.click()
    expect(page.locator("#teach .answer")).to_contain_text("data/backbone-3.js did not load")


def test_no_request_leaves_the_page_whoever_asks(page, addresses):
    page.goto(f"{addresses['http']}/book/teach_yourself.html")
    wait_for_head(page)
    refused = page.evaluate("fetch('https://example.org').then(() => false, () => true)")
    assert refused and any("Content Security Policy" in error for error in page.errors)

"""Files as people have them: the right pixels, or ValueError with the file and the reason."""

import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_picture, without_rights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.pictures.decode import open_picture, open_pictures

pytestmark = pytest.mark.filterwarnings("error")

RNG = np.random.default_rng(0)
RGBA = RNG.integers(0, 256, (30, 40, 4), dtype=np.uint8)
RGB, GRAY, ALPHA = RGBA[..., :3], RGBA[..., 0], RGBA[..., 3]
DEEP = RNG.integers(0, 65536, (30, 40, 4), dtype=np.uint16)
BITS = np.where(GRAY > 127, 255, 0).astype(np.uint8)
ROWS, COLUMNS = np.mgrid[:30, :40]
SMOOTH = np.stack([5 * ROWS + 2 * COLUMNS, ROWS + 4 * COLUMNS, 3 * ROWS + 3 * COLUMNS], axis=-1)
SMOOTH = SMOOTH.astype(np.uint8)  # a lossy format keeps this to within a few levels
JPEG = {"quality": 100, "subsampling": 0}


def three(gray):
    return np.repeat(gray[..., None], 3, axis=-1)


def on_white(pixels, alpha):
    opaque = alpha[..., None] / 255
    return pixels * opaque + 255 * (1 - opaque)


def upright(pixels, orientation):
    """Undo what the EXIF standard says of where row 0 and column 0 of the file are."""
    turned = pixels.transpose(1, 0, 2)
    return {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: turned, 6: turned[:, ::-1], 7: turned[::-1, ::-1], 8: turned[::-1],
    }[orientation]  # fmt: skip


def camera(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def raw(mode, pixels):
    return Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())


def png(pixels, color_type, size=None):
    """Write 16 bits a channel, which Pillow can't: a PNG by its specification."""

    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    height, width = size or pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def palette(alpha=(255, 255, 255, 255)):
    """Four colors, some of them transparent, and what they should become."""
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
    image = raw("P", GRAY // 64)
    image.putpalette(colors.flatten().tolist())
    return image, on_white(colors, np.array(alpha))[GRAY // 64]


def cmyk():
    """Four inks, and what the plain conversion, without color profiles, makes of them."""
    inks = np.concatenate([SMOOTH, SMOOTH[..., :1] // 4], axis=-1)
    light = 255 - inks.astype(float)
    return raw("CMYK", inks), light[..., :3] * light[..., 3:] / 255


def several(*pictures):
    first, *others = [Image.fromarray(picture) for picture in pictures]
    return first, {"save_all": True, "append_images": others}


class Kind:
    """A kind of file: how it is written, what should be read, and how exactly."""

    def __init__(self, suffix, image, expected=None, tolerance=0, **options):
        if not isinstance(image, bytes):
            if isinstance(image, np.ndarray):
                expected = image if expected is None else expected
                image = Image.fromarray(image)
            file = io.BytesIO()
            Image.init()
            options.setdefault("format", Image.EXTENSION.get(suffix.lower()))
            image.save(file, **options)
            image = file.getvalue()
        self.suffix, self.content = suffix, image
        self.expected, self.tolerance = expected, tolerance


PAGES, SAVE_PAGES = several(RGB, 255 - RGB)
FRAMES, SAVE_FRAMES = several(BITS, 255 - BITS, BITS // 2)
PHONE, SAVE_PHONE = several(SMOOTH, 255 - SMOOTH)
KEY = RGB[3, 4]
GOOD = {
    "png": Kind(".png", RGB),
    "bmp": Kind(".bmp", RGB),
    "ppm": Kind(".ppm", RGB),
    "tiff": Kind(".tiff", RGB),
    "tiff of two pages": Kind(".tif", PAGES, RGB, **SAVE_PAGES),
    "webp": Kind(".webp", RGB, lossless=True),
    "avif": Kind(".avif", SMOOTH, tolerance=6, quality=100),
    "jpeg": Kind(".jpeg", SMOOTH, tolerance=3, **JPEG),
    "jpeg, progressive": Kind(".jpg", SMOOTH, tolerance=3, progressive=True, **JPEG),
    "jpeg of two pictures": Kind(".jpg", PHONE, SMOOTH, 3, format="MPO", **SAVE_PHONE, **JPEG),
    "png called jpg": Kind(".jpg", RGB, format="PNG"),
    "jpeg called heic": Kind(".heic", SMOOTH, tolerance=3, format="JPEG", **JPEG),
    "gray jpeg": Kind(".jpg", SMOOTH[..., 0], three(SMOOTH[..., 0]), 3, quality=100),
    "gray png": Kind(".png", GRAY, three(GRAY)),
    "gray and alpha": Kind(".png", RGBA[..., ::3], on_white(three(GRAY), ALPHA), 1),
    "1 bit png": Kind(".png", Image.fromarray(BITS).convert("1"), three(BITS)),
    "palette": Kind(".png", *palette()),
    "palette, several": Kind(
        ".png", *palette((0, 128, 200, 255)), tolerance=1, transparency=b"\x00\x80\xc8"
    ),
    "transparent gif": Kind(".gif", *palette((255, 0, 255, 255)), transparency=1),
    "rgb, one color transparent": Kind(
        ".png", RGB, np.where((RGB == KEY).all(-1)[..., None], 255, RGB),
        transparency=tuple(KEY.tolist()),
    ),
    "rgba png": Kind(".png", RGBA, on_white(RGB, ALPHA), 1),
    "rgba webp": Kind(".webp", RGBA, on_white(RGB, ALPHA), 1, lossless=True, exact=True),
    "rgba, colors all hidden": Kind(
        ".png", RGBA * np.array([1, 1, 1, 0], np.uint8), np.full((30, 40, 3), 255)
    ),
    "cmyk jpeg": Kind(".jpg", *cmyk(), tolerance=6, quality=100),
    "cmyk tiff": Kind(".tif", *cmyk(), tolerance=2),
    "ycbcr tiff": Kind(".tif", Image.fromarray(SMOOTH).convert("YCbCr"), SMOOTH, 3),
    "16 bits, gray png": Kind(".png", DEEP[..., 0], three(DEEP[..., 0] / 257), 1),
    "16 bits, gray and alpha": Kind(
        ".png", png(DEEP[..., :2], 4), on_white(three(DEEP[..., 0] / 257), DEEP[..., 1] / 257), 2
    ),
    "16 bits, rgb png": Kind(".png", png(DEEP[..., :3], 2), DEEP[..., :3] / 257, 1),
    "16 bits, rgba png": Kind(
        ".png", png(DEEP, 6), on_white(DEEP[..., :3] / 257, DEEP[..., 3] / 257), 2
    ),
    "16 bits, gray tiff": Kind(".tif", DEEP[..., 0], three(DEEP[..., 0] / 257), 1),
    "16 bits, big-endian tiff": Kind(
        ".tif", raw("I;16B", DEEP[..., 0].astype(">u2")), three(DEEP[..., 0] / 257), 1
    ),
    "animated gif": Kind(".gif", FRAMES, three(BITS), **SAVE_FRAMES),
    "animated png": Kind(".png", FRAMES, three(BITS), **SAVE_FRAMES),
    "1 × 1": Kind(".png", RGB[:1, :1]),
    "damaged exif": Kind(".png", RGB, exif=b"Exif\0\0garbage garbage"),
    **{
        f"turned by exif {i}, {suffix}": Kind(
            suffix, pixels, upright(pixels, i), tolerance, exif=camera(i), **options
        )
        for i in range(1, 9)
        for suffix, pixels, tolerance, options in (
            (".png", RGB, 0, {}), (".jpg", SMOOTH, 3, JPEG), (".webp", RGB, 0, {"lossless": True}),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD.values(), ids=GOOD)
def test_a_picture_of_any_kind_gives_the_right_pixels(tmp_path, kind):
    path = tmp_path / f"picture{kind.suffix}"
    path.write_bytes(kind.content)
    found = open_picture(path, short_side=1000)
    assert found.dtype == torch.uint8 and found.is_contiguous()
    found = found.permute(1, 2, 0).numpy()
    assert found.shape == kind.expected.shape
    assert np.abs(found - kind.expected.astype(float)).max() <= kind.tolerance


def half(name):
    return GOOD[name].content[: len(GOOD[name].content) // 2]


def heic(brand):
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand + bytes(400)


DARK = "nearly black: its brightest pixel is 15 of 255, as where a file for 16 bits holds 12"
BAD = {
    "empty": (".jpg", b"", "an empty file"),
    "text": (".jpg", b"not a picture, at all", "no picture, it begins with b'not a picture, a'"),
    "postscript": (".jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
    "heic": (".heic", heic(b"heic"), "HEIC or the like, .* save it as JPEG"),
    **{
        f"half a {name}": (suffix, half(name), "damaged|no picture|HEIC")
        for name, suffix in (
            ("jpeg", ".jpg"), ("png", ".png"), ("webp", ".webp"), ("bmp", ".bmp"),
            ("tiff", ".tif"), ("transparent gif", ".gif"), ("avif", ".avif"),
        )
    },
    "a png's start": (".png", half("png")[:20], "damaged|no picture"),
    "float tiff": (".tif", Kind(".tif", DEEP[..., 0].astype("f4")).content, "32 bits a pixel"),
    "16-bit pgm": (".pgm", b"P5 2 1 65535\n\xff\xff\0\0", "32 bits a pixel"),
    "20,000 × 20,000": (
        ".png", png(DEEP[..., :3], 2, (20_000, 20_000)), "more than 178,956,970 pixels.*smaller",
    ),
    "12 bits, gray png": (".png", Kind(".png", DEEP[..., 0] >> 4).content, DARK),
    "12 bits, tiff": (".tif", Kind(".tif", DEEP[..., 0] >> 4).content, DARK),
    "12 bits, rgb png": (".png", png(DEEP[..., :3] >> 4, 2), DARK),
    "black": (".png", Kind(".png", 0 * GRAY).content, "nearly black: its brightest pixel is 0"),
    "numbers of classes": (".png", Kind(".png", GRAY // 16).content, DARK),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "content", "reason"), BAD.values(), ids=BAD)
def test_what_is_no_picture_is_refused_with_file_and_reason(tmp_path, suffix, content, reason):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"file\{suffix}: ({reason})"):
        open_picture(path, short_side=4)


def test_what_is_not_there_or_may_not_be_read_is_refused():
    """In a folder that anybody may enter; root would read the file all the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "secret.png").write_bytes(GOOD["png"].content)
        (folder / "secret.png").chmod(0)
        (folder / "link.jpg").symlink_to(folder / "gone.jpg")
        for path, reason in (
            (folder / "secret.png", r"secret.png: it can't be read \(Permission"),
            (folder / "link.jpg", r"link.jpg: it can't be read \(No such file"),
            (folder / "gone.jpg", r"gone.jpg: it can't be read \(No such file"),
            (folder, r"it can't be read \(Is a directory"),
        ):
            with without_rights(), pytest.raises(ValueError, match=reason):
                open_picture(path, short_side=4)


def test_a_picture_is_reduced_and_never_enlarged(tmp_path):
    pixels = save_picture(tmp_path / "picture.png", width=60, height=40)
    assert open_picture(tmp_path / "picture.png", short_side=20).shape == (3, 20, 30)
    whole = open_picture(tmp_path / "picture.png", short_side=400)
    np.testing.assert_array_equal(whole.permute(1, 2, 0).numpy(), pixels)


def test_all_broken_pictures_are_named_together(tmp_path):
    paths = [tmp_path / f"{i:02}.jpg" for i in range(15)]
    for path in paths[:12]:
        path.write_bytes(b"")
    for path in paths[12:]:
        path.write_bytes(GOOD["jpeg"].content)
    with pytest.raises(ValueError) as caught:
        open_pictures(paths, short_side=4)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "12 of 15 pictures can't be used, remove or replace them:"
    assert lines == [f"{path}: an empty file" for path in paths[:10]]
    assert last == "and 2 more"
    assert len(open_pictures(paths[12:], short_side=4)) == 3


CHECKS = [HealthCheck.function_scoped_fixture]


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(name=st.sampled_from(sorted(GOOD)), share=st.floats(0, 1) | st.just(1.0), data=st.data())
def test_damaged_bytes_give_a_picture_or_a_refusal(tmp_path, name, share, data):
    """A few bytes are others, or the file ends early."""
    content = bytearray(GOOD[name].content)
    places = st.integers(0, len(content) - 1) | st.integers(0, min(100, len(content) - 1))
    for place in data.draw(st.lists(places, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzz.jpg"
    path.write_bytes(content[: round(share * len(content))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # a flipped size must not fill the memory
        try:
            picture = open_picture(path, short_side=16)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and len(str(error)) > len(str(path)) + 5
            return
    assert picture.dtype == torch.uint8 and picture.ndim == 3 and picture.shape[0] == 3
    assert 1 <= min(picture.shape[1:]) <= 16

"""Your own picture: what a model says of it, how sure it is, and where it looked."""

import tempfile
from html import escape
from pathlib import Path

import ipywidgets
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor, nn

from helpers.data import Loaders
from helpers.explorers.form import Movable, picture, thumbnails, to_image
from helpers.models import eval_mode, head_of
from helpers.pictures.decode import open_picture

SIDE = 176  # pixels of a picture on the page


class OwnPicture(Movable):
    """A button that takes a picture; nothing of it is stored."""

    def __init__(
        self, model: nn.Module, loaders: Loaders, device: torch.device, *, threshold: float = 0.0
    ):
        """Take the model, and loaders that say how its pictures are prepared.

        threshold: the least probability of an answer; below it the answer is "neither".
        """
        self.model, self.loaders, self.device, self.threshold = model, loaders, device, threshold

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook."""
        upload = ipywidgets.FileUpload(accept="image/*", description="Choose a picture")
        upload.layout.width = "auto"
        shown = ipywidgets.HTML()

        def answer(change: dict) -> None:
            (file,) = change.new
            try:
                shown.value = self.answer(decode(file["name"], bytes(file["content"])))
            except ValueError as error:
                shown.value = f"<p>{escape(str(error))}</p>"

        upload.observe(answer, "value")
        return ipywidgets.VBox([upload, shown])

    def to_html(self) -> str:
        """Return what a page without a kernel shows: the answer for a validation picture."""
        example = self.answer(self.loaders.val.dataset.pictures[0])
        return (
            '<div class="explorer"><p>In a running notebook there is a button here, which takes a '
            f"picture of yours. Of a validation picture it says:</p>{example}</div>"
        )

    def answer(self, image: Tensor) -> str:
        """Return what the model says of a picture `(3, H, W)`, uint8."""
        prepare = self.loaders.val.dataset
        inputs = prepare.per_batch(prepare.per_picture(image)[None]).to(self.device)
        maps, logits = maps_and_logits(self.model, inputs)
        share, label = logits.softmax(dim=0).max(dim=0)
        name = self.loaders.class_names[label]
        said = name if share >= self.threshold else "neither"
        votes = class_votes(self.model, maps, int(label))
        seen = to_image(inputs[0], self.loaders)
        return (
            f"<p><b>{escape(said)}</b>: {escape(name)} has a probability of {share:.1%}"
            f"{f', and {self.threshold:.1%} are wanted' if self.threshold else ''}.</p>"
            + thumbnails(
                [
                    picture(seen, "as the network sees it", SIDE),
                    picture(blend(seen, votes), f"red: votes for {name}; blue: against it", SIDE),
                ]
            )
        )


def decode(name: str, content: bytes) -> Tensor:
    """Decode a picture that was handed over; a ValueError says why it can't be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture")
        path.write_bytes(content)
        try:
            return open_picture(path, short_side=2 * SIDE)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), name)) from error


@torch.no_grad()
def maps_and_logits(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps `(C, H, W)` that are averaged to features, and the logits, of one picture."""
    with eval_mode(model):
        if hasattr(model, "forward_features"):  # a network of timm's
            maps = model.forward_features(inputs)
        else:
            maps = nn.Sequential(*list(model.children())[:-2])(inputs)
        return maps[0].cpu(), model(inputs)[0].cpu()


def class_votes(model: nn.Module, maps: Tensor, label: int) -> Tensor:
    """Return each position's vote for a class, `(H, W)`: their mean plus the bias is its logit.

    Zhou et al., *Learning deep features for discriminative localization*, 2016, arXiv:1512.04150.
    """
    weight = head_of(model).weight[label].detach().cpu()
    return (weight[:, None, None] * maps).sum(dim=0)


def blend(image: Image.Image, votes: Tensor) -> Image.Image:
    """Color a picture by votes: red for, blue against."""
    scaled = votes / votes.abs().max().clamp(min=1e-9) / 2 + 0.5
    colors = Image.fromarray((255 * colormaps["coolwarm"](scaled.numpy())[..., :3]).astype("uint8"))
    return Image.blend(image, colors.resize(image.size, Image.Resampling.BICUBIC), 0.5)

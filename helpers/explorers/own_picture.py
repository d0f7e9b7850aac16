"""Your own picture: what a model says of it, how sure it is, and what speaks for that."""

import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor, nn

from helpers.data import Loaders
from helpers.explorers.form import Movable
from helpers.explorers.pieces import gallery, headline, percent, picture, to_image
from helpers.models import eval_mode, head_of
from helpers.pictures.decode import open_picture

SIZE = 176  # pixels of a picture on the page


@dataclass
class OwnPicture(Movable):
    """A button that takes a picture, which goes to the kernel and nowhere else.

    loaders: those that say how the model's pictures are prepared.
    threshold: the least probability of an answer; below it the answer is "none of them".
    """

    model: nn.Module
    loaders: Loaders
    device: torch.device
    threshold: float = 0.0

    def widget(self) -> ipywidgets.Widget:
        """Make the form for a notebook."""
        upload = ipywidgets.FileUpload(accept="image/*", description="Choose a picture")
        upload.layout.width = "auto"
        shown = ipywidgets.HTML()

        def answer(change: Any) -> None:
            (file,) = change.new
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "picture")
                path.write_bytes(file["content"])
                try:
                    shown.value = self.answer(open_picture(path, short_side=2 * SIZE))
                except ValueError as error:
                    reason = str(error).replace(str(path), file["name"])
                    shown.value = f"<p>{escape(reason)}</p>"

        upload.observe(answer, "value")
        return ipywidgets.VBox([upload, shown])

    def to_html(self) -> str:
        """Return what a page without a kernel shows: the answer for a validation picture."""
        pictures: Any = self.loaders.val.dataset
        name = escape(self.loaders.class_names[pictures.labels[0]])
        return (
            '<div class="explorer"><p>In a running notebook there is a button here, which takes a '
            f"picture of yours. Of a validation picture ({name}) the network says:</p>"
            f"{self.answer(pictures.pictures[0])}</div>"
        )

    def answer(self, image: Tensor) -> str:
        """Return what the model says of a picture `(3, H, W)`, uint8."""
        prepare: Any = self.loaders.val.dataset
        names = self.loaders.class_names
        inputs = prepare.per_batch(prepare.per_picture(image)[None]).to(self.device)
        maps, logits = maps_and_logits(self.model, inputs)
        share, label = logits.softmax(dim=0).max(dim=0)
        name = names[label]
        said = f"{name}, with a probability of {percent(share.item())}."
        if share < self.threshold:
            said = f"None of them: {name}, the likeliest, has only {percent(share.item())}."
        if self.threshold:
            said += f" Below {percent(self.threshold)}, the threshold, it is none of them."
        seen = to_image(inputs[0], self.loaders)
        shown = [picture(seen, "as the network sees it", SIZE)]
        if maps is not None:
            votes = blend(seen, class_votes(self.model, maps, int(label)))
            shown.append(
                picture(
                    votes, f"red: speaks for {name}; blue: against (few places, smoothed)", SIZE
                )
            )
        return headline(said) + gallery(shown)


@torch.no_grad()
def maps_and_logits(model: nn.Module, inputs: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return the maps `(C, H, W)` that are averaged to features, and the logits, of one picture.

    None instead of the maps where the features are no averages of maps, as in a transformer.
    """
    head: Any = head_of(model)
    with eval_mode(model):
        logits = model(inputs)[0].cpu()
        before_mean: Any = nn.Sequential(*list(model.children())[:-2])
        before_mean = getattr(model, "forward_features", before_mean)  # timm's have it
        maps = before_mean(inputs)
        if maps.dim() != 4 or maps.shape[1] != head.in_features:
            return None, logits
        same = torch.allclose(head(maps.mean(dim=(2, 3)))[0].cpu(), logits, rtol=1e-3, atol=1e-3)
    return maps[0].cpu() if same else None, logits


def class_votes(model: nn.Module, maps: Tensor, label: int) -> Tensor:
    """Return what each position says for a class, `(H, W)`, compared with the mean of all classes.

    Their mean, with the biases, is the logit less the mean of all logits.

    Zhou et al., *Learning deep features for discriminative localization*, 2016, arXiv:1512.04150.
    """
    head: Any = head_of(model)
    weights = head.weight.detach().cpu()
    weight = weights[label] - weights.mean(dim=0)
    return (weight[:, None, None] * maps).sum(dim=0)


def blend(image: Image.Image, votes: Tensor) -> Image.Image:
    """Color a picture by votes: red for, blue against."""
    scaled = votes / votes.abs().max().clamp(min=1e-9) / 2 + 0.5
    colors = Image.fromarray((255 * colormaps["coolwarm"](scaled.numpy())[..., :3]).astype("uint8"))
    return Image.blend(image, colors.resize(image.size, Image.Resampling.BICUBIC), 0.5)

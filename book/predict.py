"""Name the class of pictures by model.safetensors and model.json: python predict.py PICTURE ..."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torchvision.models import resnet18
from torchvision.transforms import v2

card = json.loads(Path("model.json").read_text())
model = resnet18(num_classes=len(card["class_names"])).eval()
model.load_state_dict(load_file("model.safetensors"))
steps = [v2.ToImage(), v2.Resize(round(card["size"] * 256 / 224)), v2.CenterCrop(card["size"])]
steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(card["mean"], card["std"])]
prepare = v2.Compose(steps)
for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path))  # upright, as the camera noted
    if image.mode.startswith("I;16"):  # 16 bits become 8
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("RGBA")  # what is transparent becomes white
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    with torch.no_grad():
        probability, label = model(prepare(image)[None])[0].softmax(dim=0).max(dim=0)
    print(f"{card['class_names'][label]} {100 * probability:.1f} %")

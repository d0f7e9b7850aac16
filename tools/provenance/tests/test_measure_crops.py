"""How much of the insects random crops hold is measured on the insects, as crops are drawn."""

import re

import numpy as np
import pytest
import torch
from torchvision import transforms as v1

from tools.provenance import measure_crops, render_ants_bees
from tools.provenance.raytrace import Picture


def test_crops_are_measured_as_they_are_drawn_for_training():
    whole, corner = torch.ones(80, 80, dtype=torch.bool), torch.zeros(80, 80, dtype=torch.bool)
    corner[:2, :2] = True
    # Of a full mask, a crop holds as much as its area: as torchvision's older transform draws it.
    draw = v1.RandomResizedCrop.get_params
    draws = [draw(whole[None], (0.08, 1), (3 / 4, 4 / 3)) for _ in range(2000)]
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

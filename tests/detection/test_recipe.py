import json

import pytest

from detection.backbones import BackboneSpec, View
from detection.protocol import DetectionError
from detection.recipe import IMAGE_SCORES, PRESETS, PatchCoreConfig


@pytest.mark.parametrize(
    "config",
    [
        {"preset": "huge"},
        {"engine": "abacus"},
        {"image_score": "median"},
        {"top_share": 0.0},
        {"bank_size": 0},
        {"threads": True},
        {"foreground": "yes"},
        {"tiles": [0, 2]},
        {"speed": 3},
        {"side": "wide"},
        {"backbone": 7},
        {"backbone": {"views": [{"layers": [], "grid": 0, "pooling": 1}]}},
        {"region_of_interest": [[0, 0], [2, 0], [1, 1]]},
    ],
)
def test_says_what_is_wrong_with_the_settings(config: dict[str, object]) -> None:
    with pytest.raises(DetectionError):
        PatchCoreConfig.from_json(config)


@pytest.mark.parametrize(
    "config",
    [
        PatchCoreConfig(),
        PatchCoreConfig(preset="fast", region_of_interest=((0, 0), (1, 0), (0.5, 1))),
        PatchCoreConfig(tiles=(2, 3), image_score="max", foreground=True, precision="bf16"),
        PatchCoreConfig(backbone=BackboneSpec("resnet18", views=(View((2,), 1, 3),))),
        PatchCoreConfig(tiles="native", device="cuda", engine="torch"),
    ],
)
def test_config_survives_json(config: PatchCoreConfig) -> None:
    assert PatchCoreConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_backbone_may_be_given_by_its_name() -> None:
    assert PatchCoreConfig.from_json({"backbone": "resnet18"}).backbone == BackboneSpec("resnet18")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_reads_all_three_layers_and_no_view_twice(preset: str) -> None:
    scorers = PatchCoreConfig(preset=preset).scorers
    assert {layer for scorer in scorers for layer in scorer.view.layers} == {0, 1, 2}
    assert len({scorer.view for scorer in scorers}) == len(scorers)
    assert all(0 < scorer.bank_share <= 1 for scorer in scorers)


def test_the_default_is_among_what_is_offered() -> None:
    config = PatchCoreConfig()
    assert config.preset in PRESETS
    assert config.image_score in IMAGE_SCORES

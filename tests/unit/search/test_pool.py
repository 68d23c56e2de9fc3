"""The pool of candidates and how `models` selects from it."""

import pytest

from sprat.errors import UnknownName
from sprat.image import ImageSpec
from sprat.search.pool import pool, select, select_for_training, suits, trained
from sprat.zoo import all_presets, family_of, get_preset


def test_the_pool_has_fine_steps_of_each_family() -> None:
    families = [family_of(config).name for config in trained().values()]
    assert families.count("mobilenet_v1") == 14
    assert families.count("shufflenet_v1") == 20
    assert families.count("squeezenet") == 14
    assert {config.groups for name, config in trained().items() if name.startswith("shuffle")} == {1, 2, 3, 4, 8}


def test_a_name_that_is_also_a_preset_means_the_same() -> None:
    presets = all_presets()
    shared = set(trained()) & set(presets)
    assert len(shared) > 15
    assert all(trained()[name] == presets[name] for name in shared)


def test_names_are_distinct_values() -> None:
    assert len(set(pool().values())) == len(pool())


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["mobilenet_v1_0.25"], {"mobilenet_v1_0.25"}),
        (["mobilenet_v1_0.1875"], {"mobilenet_v1_0.1875"}),
        (["squeezenet_1.0"], {"squeezenet_1.0"}),
        (["squeezenet_1.0*"], {"squeezenet_1.0", "squeezenet_1.0_simple_bypass", "squeezenet_1.0_complex_bypass"}),
        (["shufflenet*_1.0_g4", "mobilenet_v1_0.5"], {"shufflenet_v1_1.0_g4", "mobilenet_v1_0.5"}),
    ],
)
def test_select(models: list[str], names: set[str]) -> None:
    assert set(select(models)) == names


def test_a_family_means_its_candidates() -> None:
    assert set(select(["squeezenet"])) == {name for name in pool() if name.startswith("squeezenet")}


def test_fit_takes_of_a_family_what_was_tried_and_anything_named_outright() -> None:
    assert set(select_for_training(None)) == set(trained())
    assert set(select_for_training(["squeezenet"])) == {name for name in trained() if name.startswith("squeezenet")}
    assert select_for_training(["squeezenet_1.0", "mobilenet_v1_0.5"]) == ["squeezenet_1.0", "mobilenet_v1_0.5"]
    with pytest.raises(UnknownName):
        select_for_training(["nothing"])


def test_nothing_asked_means_everything() -> None:
    assert select(None) == pool()


def test_a_selected_preset_is_the_presets_config() -> None:
    assert select(["squeezenet_1.1"])["squeezenet_1.1"] == get_preset("squeezenet_1.1")


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("mobilenet_0.25", "mobilenet_v1_0.25"), ("shuflenet_v1", "shufflenet_v1"), ("squeezenett*", "squeezenet")],
)
def test_an_unknown_name_offers_the_nearest(wanted: str, near: str) -> None:
    with pytest.raises(UnknownName, match=f"did you mean .*{near}"):
        select([wanted])


def test_a_name_near_nothing_says_where_the_list_is() -> None:
    with pytest.raises(UnknownName, match="sprat zoo"):
        select(["qqqqqqqq"])


def test_what_suits_an_image() -> None:
    small, large = ImageSpec(3, 32, 32), ImageSpec(3, 224, 224)
    everything = pool()

    def counted(name: str, image: ImageSpec) -> bool:
        return suits(name, everything[name], image)

    assert counted("densenet_bc_100_12", small)
    assert not counted("densenet_bc_100_12", large)  # it halves twice only
    assert counted("resnet50", large)
    assert not counted("resnet50", ImageSpec(3, 208, 208))  # long to count, so at usual sizes
    assert counted("mobilenet_v1_0.5", ImageSpec(3, 208, 208))
    assert not counted("shufflenet_v1_1.0_g3_noshuffle", large)  # an ablation

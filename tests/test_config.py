"""Settings: the classic dictionary, errors that help, presets, files."""

import json

import pytest

from bvae_helpers.config import Config
from bvae_helpers.losses import beta_at

CLASSIC = {"data_path": "./CelebA/img_align_celeba", "batch_size": 32, "img_size": 64, "latent_dim": 128,
           "hidden_dims": [32, 64, 128, 256], "beta": 4.0, "lr": 1e-4, "epochs": 50, "save_dir": "./checkpoints",
           "log_dir": "./runs"}


def test_the_classic_dictionary_is_taken_as_it_is():
    config = Config(**CLASSIC)
    assert {name: getattr(config, name) for name in CLASSIC} == CLASSIC
    assert config.to_dict() == Config().to_dict()       # it says what the defaults are


def test_a_setting_that_no_longer_exists_is_ignored():
    """Checkpoints of version 1.0 hold it."""
    assert Config(compile=True, beta=2.0).to_dict() == Config(beta=2.0).to_dict()


def test_learning_rate_means_lr():
    assert Config(learning_rate=3e-4).lr == 3e-4


@pytest.mark.parametrize("wrong, near", [("latentdim", "latent_dim"), ("batchsize", "batch_size"), ("Beta", "beta"),
                                         ("hiddendims", "hidden_dims"), ("learningrate", "learning_rate")])
def test_an_unknown_key_names_the_nearest(wrong, near):
    with pytest.raises(TypeError, match=f"{wrong}.*{near}"):
        Config(**{wrong: 1})


def test_all_unknown_keys_are_named_and_those_of_other_programs_explained():
    said = "'device': it is an argument of fit.*'num_workers': leave it out.*'betta'; .*'beta'"
    with pytest.raises(TypeError, match=said):
        Config(device="cuda", num_workers=4, betta=3.0)
    with pytest.raises(ValueError, match=r"save_dir must not hold the character of number 0, got 'a\\x00b'"):
        Config(save_dir="a\0b")


@pytest.mark.parametrize("name, value, said", [
    ("beta", -1, "from 0.0 to"), ("beta", float("nan"), "from 0.0 to"), ("beta", "four", "four"),
    ("latent_dim", 0, "from 1 to 4096"), ("latent_dim", 2.5, "whole number"), ("img_size", 7, "from 8 to 1024"),
    ("batch_size", True, "whole number"), ("batch_size", None, "whole number"),
    ("val_fraction", 1.0, "from 0.0 to 0.9"),
    ("hidden_dims", [], "non-empty list"), ("hidden_dims", "32", "non-empty list"),
    ("hidden_dims", [32, -1], "from 1 to"),
    ("network", "resnet", "classic or sprites"), ("reconstruction", "l2", "mse or bernoulli or gaussian or laplace"),
    ("flip", "yes", "True or False"), ("lr", float("inf"), "from 0.0 to"), ("epochs", 0, "from 1 to"),
    ("num_images", 1, "from 2 to")])
def test_a_value_out_of_range_names_the_range(name, value, said):
    with pytest.raises(ValueError, match=name) as error:
        Config(**{name: value})
    assert said in str(error.value)


def test_none_only_where_it_means_something():
    config = Config(num_images=None, save_dir=None, log_dir=None)
    assert config.num_images is config.save_dir is config.log_dir is None
    with pytest.raises(ValueError, match="data_path"):
        Config(data_path=None)


def test_values_are_stored_in_their_type_and_the_list_is_a_copy(tmp_path):
    dims = [8, 16]
    config = Config(beta=4, epochs=2.0, hidden_dims=dims, save_dir=tmp_path)
    assert type(config.beta) is float and type(config.epochs) is int and config.save_dir == str(tmp_path)
    dims.append(32)
    assert config.hidden_dims == [8, 16] and Config().hidden_dims == [32, 64, 128, 256]
    json.dumps(config.to_dict())                        # plain values only, or this raises


def test_the_sprite_preset_and_replace():
    config = Config.sprites(beta=6.0)
    assert (config.in_channels, config.latent_dim, config.hidden_dims, config.reconstruction, config.beta) == \
        (1, 10, [32, 32, 64, 64], "bernoulli", 6.0)
    other = config.replace(seed=3)
    assert (other.seed, config.seed, other.beta) == (3, 0, 6.0)
    with pytest.raises(ValueError, match="seed"):
        config.replace(seed=-1)


def test_the_falling_preset_is_sprites_with_a_beta_that_has_fallen_after_two_thirds():
    config = Config.falling(seed=2)
    steps = config.epochs * int(config.num_images * (1 - config.val_fraction) // config.batch_size)
    assert steps == 35_616 and config.schedule_steps == pytest.approx(2 / 3 * steps, rel=0.02) and config.seed == 2
    assert (beta_at(0, config), beta_at(config.schedule_steps, config), beta_at(steps, config)) == (64, 4, 4)
    unchanged = ("data_path", "in_channels", "img_size", "network", "latent_dim", "reconstruction", "batch_size")
    assert all(getattr(config, name) == getattr(Config.sprites(), name) for name in unchanged)


def test_settings_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "run.toml").write_text("beta = 3", encoding="utf-16")
    with pytest.raises(ValueError, match="run.toml' is not in UTF-8: save it in this encoding"):
        Config.load(tmp_path / "run.toml")


def test_settings_from_files(tmp_path):
    (tmp_path / "a.json").write_text('{"beta": 2, "learning_rate": 0.01}')
    (tmp_path / "a.toml").write_text("beta = 3.0\nhidden_dims = [4, 8]\n")
    (tmp_path / "a.yaml").write_text("beta: 3")
    assert Config.load(tmp_path / "a.json", beta=5.0).to_dict() == Config(beta=5.0, lr=0.01).to_dict()
    assert Config.load(tmp_path / "a.toml").hidden_dims == [4, 8]
    with pytest.raises(ValueError, match="json or .toml"):
        Config.load(tmp_path / "a.yaml")

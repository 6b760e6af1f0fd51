"""The command line: what it prints and writes, and that a mistake costs one line and exit code 2."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from urface.cli import COMMANDS, main
from urface.commands.data import COMMANDS as DATA_COMMANDS
from urface.commands.mine import COMMANDS as MINE_COMMANDS
from urface.commands.parser import explain, suggestion, underscored
from urface.commands.settings import field_docs, read_settings, recipe_names
from urface.config import ModelSettings, ObjectiveSettings, OptimSettings, TrainSettings
from urface.config_mine import MineSettings
from urface.config_reproduce import ReproduceSettings
from urface.data.decode import encode_jpeg, encode_png
from urface.types import FaceEmbedding, UserError, load_keys

GROUPS = {"data": DATA_COMMANDS, "mine": MINE_COMMANDS}
ALL_COMMANDS = [[name] for name in COMMANDS] + [
    [g, name] for g, of in GROUPS.items() for name in of
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model of random weights."""
    import torch

    from urface.models.files import save_model
    from urface.models.urface import build_urface

    settings = ModelSettings(backbone="small", input_size=64, embedding_dim=32, sub_embeddings=4)
    objective = ObjectiveSettings(margin=9.0)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, build_urface(settings, objective), settings, objective, {})
    return path


@pytest.fixture
def calibrated(model, tmp_path) -> Path:
    from urface.models.files import add_facts

    path = tmp_path / "model.safetensors"
    path.write_bytes(model.read_bytes())
    calibration = {
        "method": "cosine",
        "false_match_rate": 0.01,
        "threshold": 0.5,
        "impostor_pairs": 3000,
        "false_matches": 30,
        "data": "made-up faces, clean",
    }
    add_facts(path, {"calibration": calibration})
    return path


@pytest.fixture
def faces(tmp_path) -> Path:
    """Three people with two images each, 64 x 64 of noise, as identity/image."""
    root = tmp_path / "faces"
    random = np.random.default_rng(0)
    for person in ("ada", "bob", "cy"):
        (root / person).mkdir(parents=True)
        for shot in range(2):
            image = random.integers(0, 256, (64, 64, 3), np.uint8)
            (root / person / f"{shot}.png").write_bytes(encode_png(image))
    return root


def refused(capsys, *arguments: object) -> str:
    """The one line on stderr of a command that must end with 2 and print nothing else."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("urface: error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    return captured.err


# --- help


def test_help_lists_every_command_with_examples(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "examples:\n  urface " in text


@pytest.mark.parametrize(
    "command", [c for c in ALL_COMMANDS if c not in (["data"], ["mine"], ["gallery"])], ids=" ".join
)
def test_help_of_each_command_ends_with_examples_of_it(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    examples = text.partition("examples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert f"urface {' '.join(command)} " in text.partition("examples:\n")[2]


def test_help_of_a_setting_is_its_line_in_the_docstring(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "side of the square the network sees, 32 to 128" in text
    assert "one of cosface, cpu-small, demonstration, paper" in text


def test_every_setting_has_a_line_of_help_or_a_name_that_says_it():
    assert "clip" in field_docs(OptimSettings)
    assert field_docs(OptimSettings)["batch_size"] == "images a step over all ranks together"


def test_help_imports_no_torch():
    code = "import sys, urface.cli as c; c.main(['--help']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


# --- mistakes


def test_typo_in_an_option_names_the_nearest(capsys):
    line = refused(capsys, "train", "--model.inptu_size", 64)
    assert "--model.inptu_size (did you mean --model.input_size?)" in line


def test_option_without_its_section_names_the_section(capsys):
    assert "did you mean --model.input_size?" in refused(capsys, "train", "--input_size=64")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model.input_size", "big"], "model.input_size: expected a whole number, got 'big'"),
        (["--model.sub_embeddings", "2.5"], "expected a whole number, got '2.5'"),
        (["--model.backbone", "vgg"], "expected one of tiny, small, iresnet18"),
        (["--model.confidence_range", "3"], "expected a list [a, b] of 2 values, each a number"),
        (["--model.input_size", "640"], "model.input_size must be from 32 to 128, got 640"),
        (["--model.input_size"], "expected one argument"),
        (["surprise"], "unexpected argument"),
        (["--config"], "expected one argument"),
        (["--recipe", "papr"], "did you mean paper?"),
    ],
)
def test_wrong_value_is_one_line(arguments, expected, capsys):
    assert expected in refused(capsys, "train", *arguments)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"model:\n  inptu_size: 64\n", "unknown key model.inptu_size (did you mean model.input"),
        (b"modl:\n  input_size: 64\n", "unknown key modl.input_size (did you mean model.input"),
        (b"model:\n  input_size: big\n", "model.input_size: expected a whole number, got 'big'"),
        (b"model: 3\n", "model is a section"),
        (b"model: [\n", "c.yaml:2: not valid YAML"),
        (b"- 1\n", "expected settings such as"),
        (b"", "expected settings such as"),
        (b"a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"a: \x00", "not valid YAML"),
        (b"\xff\xfe\x00", "not text"),
    ],
)
def test_bad_yaml_is_one_line_with_its_file(content, expected, tmp_path, capsys):
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    line = refused(capsys, "train", "--config", file)
    assert expected in line
    assert "c.yaml" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--config", "{missing}"],
        ["train", "--data.train", "{missing}"],
        ["evaluate", "{missing}", "--lfw", "{missing}", "--pairs", "{missing}"],
        ["embed", "--aligned", "{missing}", "{faces}", "-o", "{tmp}/o.safetensors"],
        ["embed", "--aligned", "{model}", "{missing}", "-o", "{tmp}/o.safetensors"],
        ["embed", "--aligned", "{model}", "{missing}.jpg", "-o", "{tmp}/o.safetensors"],
        ["embed", "--aligned", "{model}", "{faces}", "-o", "{missing}/o.safetensors"],
        ["embed", "--aligned", "{model}", "{faces}", "-o", "{tmp}"],
        ["compare", "--aligned", "{model}", "{missing}", "{missing}"],
        ["compare", "--aligned", "{missing}", "{faces}/ada/0.png", "{faces}/ada/1.png"],
        ["data", "info", "{missing}"],
        ["data", "check", "{missing}"],
        ["reproduce", "--train", "{missing}"],
        ["bogus"],
        ["data", "bogus"],
    ],
    ids=" ".join,
)
def test_missing_file_is_one_line(arguments, model, faces, tmp_path, capsys):
    names = {"missing": tmp_path / "missing", "model": model, "faces": faces, "tmp": tmp_path}
    refused(capsys, *[argument.format(**names) for argument in arguments])


class Trap:
    def __reduce__(self):
        return (os._exit, (99,))


@pytest.mark.parametrize("content", [b"garbage", b"", pickle.dumps(Trap()), b"\x00" * 64], ids=str)
def test_file_that_is_no_model_is_one_line(content, faces, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    face = faces / "ada" / "0.png"
    assert str(path) in refused(capsys, "compare", "--aligned", path, face, face)


def test_unreadable_folder_is_one_line(capsys, monkeypatch):
    def refuse(arguments: list[str]) -> int:
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr("urface.commands.info.run", refuse)
    assert "/secret: Permission denied" in refused(capsys, "data", "info", "x")


def test_interrupt_is_one_line_and_130(capsys, monkeypatch):
    def interrupt(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("urface.commands.info.run", interrupt)
    assert main(["data", "info", "x"]) == 130
    assert capsys.readouterr().err == "urface: interrupted\n"


def test_closed_pipe_is_silent():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "urface", "--help"]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_a_fault_of_our_own_keeps_its_traceback(monkeypatch):
    def fail(arguments: list[str]) -> int:
        raise AssertionError("ours")

    monkeypatch.setattr("urface.commands.info.run", fail)
    with pytest.raises(AssertionError, match="ours"):
        main(["data", "info", "x"])


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("urface 0.")


# --- settings


def settings(*arguments: str, kind: type = TrainSettings, recipe: str | None = None):
    return read_settings(kind, "urface test", "", "", arguments, recipe)


@pytest.mark.parametrize("name", recipe_names(TrainSettings))
def test_recipe_for_train_parses(name):
    assert isinstance(settings("--recipe", name), TrainSettings)


@pytest.mark.parametrize("name", recipe_names(ReproduceSettings))
def test_recipe_for_reproduce_parses(name):
    assert isinstance(settings("--recipe", name, kind=ReproduceSettings), ReproduceSettings)


def test_every_recipe_belongs_to_one_command():
    import urface.recipes  # a namespace package: the folder ships as data

    folder = Path(next(iter(urface.recipes.__path__)))
    shipped = sorted(file.stem for file in folder.glob("*.yaml"))
    kinds = (TrainSettings, ReproduceSettings, MineSettings)
    assert sorted(name for kind in kinds for name in recipe_names(kind)) == shipped


def test_no_arguments_give_the_defaults():
    assert settings() == TrainSettings()


def test_dotted_options_win_over_files_and_files_over_the_recipe(tmp_path):
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("optim: {epochs: 2, learning_rate: 1e-3}\nrun: {seed: 1}\n")
    second.write_text("run: {seed: 2, log_every: 7}\n")
    got = settings(
        "--optim.epochs=5",
        *("--config", str(first), "--config", str(second), "--recipe", "cpu-small"),
        "--run.log-every=9",
    )
    assert (got.optim.epochs, got.optim.learning_rate) == (5.0, 0.001)
    assert (got.run.seed, got.run.log_every) == (2, 9)
    assert got.model.backbone == "small"


def test_pairs_become_tuples():
    got = settings("--model.confidence_range", "[2, 100]", "--variations.blur_kernels=[3,5]")
    assert got.model.confidence_range == (2.0, 100.0)
    assert got.variations.blur_kernels == (3, 5)


def test_input_size_alone_takes_the_frame_with_it():
    assert settings("--model.input_size", "64").model.frame_size == 64


def test_reproduce_takes_test_lfw_with_dash_or_underscore():
    for spelling in ("--test-lfw", "--test_lfw"):
        got = settings("--train", "a", spelling, "b-c", "--pairs=d-e", kind=ReproduceSettings)
        assert (got.test_lfw, got.pairs) == ("b-c", "d-e")


def test_reproduce_without_a_recipe_is_the_demo():
    assert settings(kind=ReproduceSettings, recipe="demo").out == "runs/demo"


def test_printed_settings_can_be_read_again(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        settings("--recipe", "paper", "--run.seed", "3", "--print-config")
    assert stopped.value.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    assert settings("--config", str(file)) == settings("--recipe", "paper", "--run.seed", "3")


def test_dashes_change_in_names_of_options_only():
    assert underscored("--a-b.c-d=e-f") == "--a_b.c_d=e-f"
    assert [underscored(a) for a in ("-o", "--", "a-b", "-1")] == ["-o", "--", "a-b", "-1"]


def test_no_key_is_suggested_where_none_is_near():
    assert suggestion("zzz", ["model.input_size"]) == ""


def test_message_of_another_kind_is_kept_as_one_line():
    assert explain("one\n  two", {}) == "one two"


# --- embed


def test_embed_folder_keeps_keys_and_values(model, faces, tmp_path, capsys):
    from urface.data.decode import read_image
    from urface.embedder import load

    out = tmp_path / "faces.safetensors"
    assert (
        main(["embed", "--aligned", str(model), str(faces), "-o", str(out), "--batch-size", "4"])
        == 0
    )
    keys = load_keys(out)
    assert keys == [f"{person}/{shot}.png" for person in ("ada", "bob", "cy") for shot in (0, 1)]
    expected = load(model).embed([read_image(faces / key) for key in keys])
    assert np.allclose(FaceEmbedding.load(out).mean, expected.mean, atol=2e-2)
    assert "6 faces" in capsys.readouterr().err


def test_embed_takes_files_deep_folders_and_tars_together(model, faces, tmp_path):
    deep = tmp_path / "deep" / "x" / "y" / "z"
    deep.mkdir(parents=True)
    (deep / "1.png").write_bytes((faces / "ada" / "0.png").read_bytes())
    archive = tmp_path / "faces.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(faces, arcname=".")
    single = faces / "bob" / "1.png"
    out = tmp_path / "o.safetensors"
    paths = [str(single), str(tmp_path / "deep") + "/", str(archive)]
    assert main(["embed", "--aligned", str(model), *paths, "-o", str(out)]) == 0
    keys = load_keys(out) or []
    assert keys[:2] == [str(single), f"{tmp_path}/deep/x/y/z/1.png"]
    assert len(keys) == 8
    assert all(key.startswith(f"{archive}/") for key in keys[2:])
    got = FaceEmbedding.load(out)
    same = [keys.index(f"{archive}/bob/1.png"), keys.index(f"{archive}/ada/0.png")]
    assert np.allclose(got.mean[:2], got.mean[same], atol=2e-2)


def test_embed_refuses_to_embed_a_face_twice(model, faces, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(faces.parent)
    given, out = faces.name, tmp_path / "out.safetensors"
    image = sorted(faces.rglob("*.png"))[0].relative_to(faces.parent)
    cases = {
        "named twice": [
            (given, given),
            (given, f"{given}/"),
            (given, f"./{given}"),
            (image, image),
        ],
        "two of PATHS": [(image, given)],
    }
    for said, pairs in cases.items():
        for pair in pairs:
            assert main(["embed", "--aligned", str(model), *map(str, pair), "-o", str(out)]) == 2
            lines = capsys.readouterr().err.splitlines()
            assert len(lines) == 1
            assert said in lines[0]
    assert not out.exists()


def test_embed_names_and_leaves_out_one_undecodable_image(model, faces, tmp_path, capsys):
    (faces / "bob" / "0.png").write_bytes(b"not an image")
    out = tmp_path / "o.safetensors"
    assert main(["embed", "--aligned", str(model), str(faces), "-o", str(out)]) == 0
    errors = capsys.readouterr().err
    assert "left out: bob/0.png: " in errors
    assert "5 faces, 1 left out as undecodable" in errors
    assert load_keys(out) == ["ada/0.png", "ada/1.png", "bob/1.png", "cy/0.png", "cy/1.png"]


def test_embed_stops_above_the_share_and_writes_nothing(model, faces, tmp_path, capsys):
    for name in ("0", "1"):
        (faces / "bob" / f"{name}.png").write_bytes(b"not an image")
    out = tmp_path / "out" / "o.safetensors"
    out.parent.mkdir()
    arguments = ["embed", "--aligned", str(model), str(faces), "-o", str(out)]
    assert main(arguments) == 2
    assert "2 of 6 images cannot be decoded" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []
    assert main([*arguments, "--corrupt-share", "0.5"]) == 0
    assert len(FaceEmbedding.load(out)) == 4


def test_embed_of_nothing_decodable_is_refused(model, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no")
    assert (
        main(["embed", "--aligned", str(model), str(bad), "-o", str(tmp_path / "o.safetensors")])
        == 2
    )
    assert "none of 1 images could be decoded" in capsys.readouterr().err


# --- compare


def test_compare_without_calibration_says_so(model, faces, capsys):
    a, b = faces / "ada" / "0.png", faces / "bob" / "0.png"
    assert main(["compare", "--aligned", str(model), str(a), str(b)]) == 0
    text = capsys.readouterr().out
    assert "no verdict   this model was not calibrated" in text
    assert text.count("#") >= 8  # a bar for each of 4 sub-embeddings of both faces


def test_compare_states_rate_counts_interval_and_data(calibrated, faces, capsys):
    a = str(faces / "ada" / "0.png")
    assert main(["compare", "--aligned", str(calibrated), a, a]) == 0
    text = capsys.readouterr().out
    assert text.startswith("SAME PERSON: the cosine score 1 is at or above 0.5")
    assert "at most 1 %" in text
    assert "made-up faces, clean: 1.00 [0.68, 1.42] (30/3000) %" in text


def test_compare_as_json_has_what_the_table_has(calibrated, faces, capsys):
    a, b = str(faces / "ada" / "0.png"), str(faces / "bob" / "0.png")
    assert main(["compare", "--aligned", str(calibrated), a, b, "--json"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert got["same"] is (got["cosine"] >= 0.5)
    assert got["method"] == "cosine"
    assert len(got["variance"]["a"]) == len(got["variance"]["b"]) == len(got["cosines"]) == 4
    assert np.mean(got["cosines"]) == pytest.approx(got["cosine"], abs=1e-5)


def test_compare_threshold_given_wins_and_claims_no_rate(calibrated, faces, capsys):
    a, b = str(faces / "ada" / "0.png"), str(faces / "bob" / "0.png")
    options = ["--threshold", "1.5", "--method", "cosine"]
    assert main(["compare", "--aligned", str(calibrated), a, b, *options]) == 0
    text = capsys.readouterr().out
    assert text.startswith("DIFFERENT PEOPLE: the cosine score")
    assert "its false-match rate is not known" in text


def test_compare_with_damaged_calibration_is_one_line(model, faces, tmp_path, capsys):
    from urface.models.files import add_facts

    path = tmp_path / "model.safetensors"
    path.write_bytes(model.read_bytes())
    add_facts(path, {"calibration": {"method": "cosine"}})
    face = faces / "ada" / "0.png"
    assert "calibration is damaged" in refused(capsys, "compare", "--aligned", path, face, face)


def test_compare_notes_that_a_face_is_not_square(model, faces, tmp_path, capsys):
    wide = tmp_path / "wide.png"
    wide.write_bytes(encode_png(np.zeros((64, 90, 3), np.uint8)))
    assert main(["compare", "--aligned", str(model), str(wide), str(faces / "ada" / "0.png")]) == 0
    assert "wide.png is 90 x 64" in capsys.readouterr().err


# --- data


def test_data_info_counts_images_and_people(faces, capsys):
    assert main(["data", "info", str(faces)]) == 0
    text = capsys.readouterr().out
    assert "images             6\npeople             3\n" in text
    assert "least 2, quartiles 2 2 2, most 2" in text


def test_data_info_shows_the_mean_of_known_labels(faces, capsys):
    rows = [f"{p}/{s}.png,{p},{label}" for p, s, label in (("ada", 0, 1), ("ada", 1, ""))]
    (faces / "manifest.csv").write_text("path,identity,occluded\n" + "\n".join(rows) + "\n")
    assert main(["data", "info", str(faces)]) == 0
    assert "  occluded         1.000  1 images" in capsys.readouterr().out


def test_data_check_ends_with_2_where_an_image_is_damaged(faces, capsys):
    assert main(["data", "check", str(faces)]) == 0
    (faces / "cy" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    capsys.readouterr()
    assert main(["data", "check", str(faces)]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("cy/1.png: ")
    assert "1 of 6 images cannot be decoded" in captured.err


def test_data_synthesize_writes_a_set_that_info_reads(tmp_path, capsys):
    out = str(tmp_path / "made")
    options = ["--identities", "2", "--shots", "2", "--size", "64", "--first-identity", "5"]
    assert main(["data", "synthesize", out, *options]) == 0
    assert main(["data", "info", out]) == 0
    assert "people             2" in capsys.readouterr().out


@pytest.fixture(scope="module")
def attribute_model(tmp_path_factory) -> Path:
    import torch

    from urface.models.attribute_files import AttributeModel, save_attributes
    from urface.models.attributes import AttributeNet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("attributes") / "model.safetensors"
    network = AttributeNet(("smiling", "male")).eval()
    save_attributes(path, AttributeModel(network, 36, 32, {}))
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_mine_label_writes_what_training_attaches(ending, attribute_model, faces, tmp_path, capsys):
    from urface.data.labels import attach_labels
    from urface.data.open import open_faces

    out = tmp_path / f"labels.{ending}"
    assert main(["mine", "label", str(attribute_model), str(faces), "-o", str(out)]) == 0
    source = open_faces(faces)
    labelled, without_row, without_image = attach_labels(source, out)
    assert (without_row, without_image) == (0, 0)
    assert labelled.variation_names[-2:] == ("smiling", "male")
    mined = labelled.variations[:, -2:]
    assert ((mined > 0) & (mined < 1)).all()
    assert f"{len(source)} images" in capsys.readouterr().err


def test_mine_label_leaves_the_cells_of_an_undecodable_image_empty(
    attribute_model, faces, tmp_path, capsys
):
    from urface.data.labels import attach_labels
    from urface.data.open import open_faces

    victim = open_faces(faces).keys[1]
    (faces / victim).write_bytes(b"no image")
    out = str(tmp_path / "labels.csv")
    assert main(["mine", "label", str(attribute_model), str(faces), "-o", out]) == 0
    assert f"not labelled: {victim}" in capsys.readouterr().err
    mined = attach_labels(open_faces(faces), out).source.variations[:, -1]
    assert np.flatnonzero(np.isnan(mined)).tolist() == [1]
    options = ["--corrupt-share", "0", "-o", out]
    assert main(["mine", "label", str(attribute_model), str(faces), *options]) == 2
    assert "more than --corrupt-share 0 allows" in capsys.readouterr().err


def test_mine_train_writes_a_model_and_its_report(tmp_path, capsys):
    from urface.data.synthetic import write_synthetic

    folder = write_synthetic(tmp_path / "f", seed=0, identities=range(6), shots=4, size=32)
    options = ["--data", str(folder), "--epochs", "1", "--batch-size", "8", "--input-size", "32"]
    out = tmp_path / "mined"
    assert main(["mine", "train", *options, "--hold-out", "0.5", "--run.out", str(out)]) == 0
    report = (out / "report.md").read_text()
    assert report in capsys.readouterr().out
    assert "| with the adversary | young |" in report
    assert "| without | of training |" in report
    results = json.loads((out / "results.json").read_text())
    assert [network["name"] for network in results["networks"]] == ["with the adversary", "without"]
    assert (out / "model.safetensors").is_file()


def test_mine_train_on_faces_without_the_label_is_one_line(faces, tmp_path, capsys):
    options = ["--attributes", "[bald]", "--run.out", str(tmp_path)]
    assert main(["mine", "train", "--data", str(faces), *options]) == 2
    assert "no label 'bald'" in capsys.readouterr().err


def test_data_synthesize_of_nobody_is_one_line(tmp_path, capsys):
    options = ["--identities", "0", "--shots", "2"]
    assert "at least 1" in refused(capsys, "data", "synthesize", tmp_path / "o", *options)


# --- evaluate


@pytest.fixture
def lfw(tmp_path) -> tuple[Path, Path]:
    """LFW's layout: 12 people with two images, 4 strangers with one; 2 folds of 3 + 3 pairs."""
    random = np.random.default_rng(1)
    root = tmp_path / "lfw"
    names = [f"P{number:02d}" for number in range(16)]
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for shot in (1, 2) if number < 12 else (1,):
            image = random.integers(0, 256, (64, 64, 3), np.uint8)
            (root / name / f"{name}_{shot:04d}.jpg").write_bytes(encode_jpeg(image))
    lines = ["2\t3"]
    for fold in range(2):
        people = names[6 * fold : 6 * fold + 6]
        lines += [f"{name}\t1\t2" for name in people[:3]]
        lines += [f"{a}\t1\t{b}\t1" for a, b in zip(people[:3], people[3:], strict=True)]
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("\n".join(lines) + "\n")
    return root, pairs


@pytest.mark.parametrize("options", [[], ["--degraded"], ["--method", "cosine"]], ids=str)
def test_evaluate_prints_a_table_and_writes_the_same_as_json(options, model, lfw, tmp_path, capsys):
    root, pairs = lfw
    file = tmp_path / "judged.json"
    arguments = ["--lfw", str(root), "--pairs", str(pairs), "--json", str(file)]
    assert main(["evaluate", str(model), *arguments, *options]) == 0
    accuracy = json.loads(file.read_text())["verification"]["accuracy"]
    assert f"({accuracy['events']}/12)" in capsys.readouterr().out


def test_evaluate_refuses_to_calibrate_on_too_few_pairs(model, lfw, tmp_path, capsys):
    root, pairs = lfw
    path = tmp_path / "model.safetensors"
    path.write_bytes(model.read_bytes())
    arguments = ["--lfw", str(root), "--pairs", str(pairs), "--calibrate"]
    assert main(["evaluate", str(path), *arguments]) == 2
    assert "no threshold at a false-match rate of 0.01" in capsys.readouterr().err
    assert path.read_bytes() == model.read_bytes()


def test_evaluate_calibrates_what_compare_judges_by(
    model, lfw, faces, tmp_path, capsys, monkeypatch
):
    root, pairs = lfw
    path = tmp_path / "model.safetensors"
    path.write_bytes(model.read_bytes())
    from urface.evaluation import calibration

    # 6 impostor pairs support no rate worth stating; a rate of a half stands in for it.
    monkeypatch.setattr(calibration, "tar_at_far", loose(calibration.tar_at_far))
    arguments = ["--lfw", str(root), "--pairs", str(pairs), "--calibrate"]
    assert main(["evaluate", str(path), *arguments]) == 0
    assert "threshold" in capsys.readouterr().err
    face = str(faces / "ada" / "0.png")
    assert main(["compare", "--aligned", str(path), face, face]) == 0
    assert "measured on lfw, clean" in capsys.readouterr().out


def loose(tar_at_far):
    return lambda scores, same, target: tar_at_far(scores, same, 0.5, min_errors=1)


def test_evaluate_refuses_to_calibrate_on_degraded_faces(model, capsys):
    options = ["--lfw", "x", "--pairs", "y", "--degraded", "--calibrate"]
    assert "clean faces" in refused(capsys, "evaluate", model, *options)


def test_user_error_of_many_lines_becomes_one(capsys, monkeypatch):
    def fail(arguments: list[str]) -> int:
        raise UserError("first\nsecond")

    monkeypatch.setattr("urface.commands.info.run", fail)
    assert refused(capsys, "data", "info", "x") == "urface: error: first second\n"

"""Built-in lanes: the tables, the shared data, weights and orders, and the real programs against each other."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fwtui.workloads import catalogue, data, orders, settings, warps, weights
from fwtui.workloads.catalogue import WORKLOADS, parse_lane, plan, workload
from fwtui.workloads.fits import fits

REGRESSION, MNIST = WORKLOADS["regression-mlp"], WORKLOADS["mnist-mlp"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "cache" / "fwtui"


# --- catalogue


def test_the_main_job_is_4690_steps():
    assert plan(MNIST) == catalogue.Plan(steps=4_690, epochs=5, steps_per_epoch=938, batch_size=64)
    assert (MNIST.parameters, REGRESSION.parameters) == (101_770, 1_021)


def test_steps_win_over_epochs_and_may_exceed_them():
    cut = plan(MNIST, epochs=1, steps=1_000)
    assert (cut.steps, cut.epochs, cut.full_epochs, cut.rest) == (1_000, 2, 1, 62)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"epochs": 0}, {"steps": -1}, {"batch_size": 60_001}])
def test_a_senseless_amount_is_one_sentence(wrong):
    with pytest.raises(ValueError, match=r"at least 1|more than the 60,000 samples"):
        plan(MNIST, **wrong)


@pytest.mark.parametrize(
    ("text", "framework", "options"),
    [
        ("torch", "torch", {}),
        (" Torch:workers=2 ", "torch", {"workers": 2}),
        ("keras:backend=torch", "keras", {"backend": "torch"}),
        ("keras:jit:steps_per_execution=16", "keras", {"jit": True, "steps_per_execution": 16}),
    ],
)
def test_lanes_are_read(text, framework, options):
    lane = parse_lane(text)
    assert (lane.framework, lane.options, lane.name) == (framework, options, text.strip().lower())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kers", "did you mean keras?"),
        ("", "an empty name is no lane"),
        ("torch:worker=2", "did you mean workers?"),
        ("torch:workers", "torch:workers=N"),
        ("torch:workers=-1", "from 0 up"),
        ("torch:compile=1", "takes no value"),
        ("torch:compile:compile", "twice"),
        ("keras:backend=caffe", "tensorflow, torch, jax"),
        ("keras:jit:eager", "cannot combine"),
        ("keras:backend=torch:jit", "needs the tensorflow backend"),
        ("keras:backend=jax:jit", "always compiled"),
        ("torch:in_memory:workers=2", "cannot combine"),
        ("torch:precision=fp8", "float32, tf32, bf16, mixed_bf16"),
    ],
)
def test_a_wrong_lane_is_one_sentence_with_the_right_one(text, says):
    with pytest.raises(ValueError, match=r"keras|torch") as caught:
        parse_lane(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lane_names_the_packages_it_needs():
    assert parse_lane("keras").packages == ("keras", "tensorflow")
    assert parse_lane("keras:backend=torch").packages == ("keras", "torch")
    assert parse_lane("keras:backend=jax").packages == ("keras", "jax")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mnist-cnn:pol=max", "did you mean pool?"),
        ("mnist-cnn:pool=mean", "needs one of max, average"),
        ("mnist-mlp:dropout=1", "from 0 to below 1"),
        ("mnist-mlp:l2", "needs a number"),
        ("lstm:layers=0", "from 1 up"),
        ("mnist-cn", "did you mean mnist-cnn?"),
    ],
)
def test_a_wrong_workload_is_one_sentence_with_the_right_one(text, says):
    with pytest.raises(ValueError, match=r"mnist|lstm") as caught:
        workload(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lane", "name", "says"),
    [
        ("torch:layout=nhwc", "mnist-mlp", "no convolution"),
        ("torch:in_memory", "matmul", "only multiplies"),
        ("keras:precision=bf16", "mnist-mlp", "learns nothing"),
        ("tensorflow", "mnist-mlp:precision=bf16", "optimizer=sgd"),
    ],
)
def test_an_option_that_means_nothing_there_is_one_sentence(lane, name, says):
    with pytest.raises(ValueError, match=says):
        catalogue.check(parse_lane(lane), workload(name))


def test_a_workloads_options_change_its_network():
    plain, normalised = workload("mnist-cnn"), workload("mnist-cnn:batch_norm:pool=average:dropout=0.5")
    assert normalised.parameters == plain.parameters + 32 + 64, "a scale and an offset in place of each bias"
    assert (plain.deterministic, normalised.deterministic) == (True, False)
    assert workload("lstm:bidirectional").parameters == 2 * 4 * 64 * (28 + 64 + 1) + 128 * 10 + 10
    assert workload("resnet:size=50").input_shape == (224, 224, 3)
    assert 23e6 < workload("resnet:size=50").parameters < 24e6, "ResNet-50 has 25.6 million with 1,000 classes"
    frozen = workload("finetune")
    assert frozen.parameters - frozen.trainable_parameters == 9 * 32 + 9 * 32 * 64 + 2 * (32 + 64)


def test_work_is_counted_per_step():
    assert workload("matmul:size=100").operations == 2_000_000
    assert MNIST.operations == 3 * 2 * (784 * 128 + 128 * 10)


def test_the_catalogue_needs_the_standard_library_only():
    code = "import sys, fwtui.workloads.catalogue; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("steps", "per_execution", "checked", "expected"),
    [
        (100, 1, 0, [(0, 96), (96, 100)]),
        (100, 1, 16, [(0, 16), (16, 32), (32, 96), (96, 100)]),
        (100, 5, 0, [(0, 32), (32, 64), (64, 96), (96, 100)]),
        (100, 16, 16, [(0, 16), (16, 32), (32, 96), (96, 100)]),
        (10, 1, 16, [(0, 10)]),
        (64, 1, 40, [(0, 32), (32, 40), (40, 64)]),
    ],
)
def test_keras_runs_the_steps_in_few_fits(steps, per_execution, checked, expected):
    calls = fits(plan(REGRESSION, steps=steps), per_execution, checked)
    assert [(fit.begin, fit.end) for fit in calls] == expected
    assert all(fit.first_epoch == fit.begin // 32 for fit in calls)


def test_the_list_tells_parameters_and_work(capsys):
    from fwtui.cli import main

    assert main(["workloads"]) == 0
    told = capsys.readouterr().out
    for name in WORKLOADS:
        assert f"\n  {name} " in told
    assert "101,770 parameters, 39 MFLOP a step" in told
    assert max(map(len, told.splitlines())) <= 130


# --- what all lanes share


def test_weights_and_orders_follow_from_the_seed_alone():
    same, again, other = (weights.initial_weights(MNIST, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(same, again, strict=True))
    assert not np.array_equal(same[0], other[0])
    assert [array.shape for array in same] == [(784, 128), (128,), (128, 10), (10,)]
    assert np.abs(same[0]).max() <= np.sqrt(6 / (784 + 128))
    assert np.array_equal(settings.sample_orders(1_000, 3), settings.sample_orders(1_000, 3))


def test_each_epoch_sees_each_sample_once_in_an_order_of_its_own():
    orders = settings.sample_orders(1_000, 0)
    assert all(np.array_equal(np.sort(order), np.arange(1_000)) for order in orders)
    assert len({order.tobytes() for order in orders}) == settings.ORDERS


def test_an_unchanged_image_stays_and_a_shifted_one_moves():
    image = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    still = np.array([1, 0, 0, 0, 1, 0, 1, 0], np.float32)
    assert np.allclose(orders.change_image(image, still), image, atol=1e-6)
    shifted = orders.change_image(image, still + np.array([0, 0, 1, 0, 0, 0, 0, 0], np.float32))
    assert np.allclose(shifted[:-1], image[1:], atol=1e-5)
    table = orders.changes(3)
    assert np.array_equal(table, orders.changes(3))
    assert table.shape == (orders.CHANGES, 8)


def test_a_kernel_behind_flattened_images_is_reordered_for_channels_first():
    image = np.random.default_rng(0).random((2, 3, 4), dtype=np.float32)
    kernel = np.random.default_rng(1).random((24, 5), dtype=np.float32)
    reordered = weights.channels_first_rows(kernel, image.shape)
    assert np.allclose(image.transpose(2, 0, 1).ravel() @ reordered, image.ravel() @ kernel)


# --- data


def test_the_embedded_digits_are_the_whole_set():
    digits = data.embedded_digits()
    assert digits.pixels.shape == (1_797, 8, 8)
    assert digits.pixels.max() == 16
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_split_before_they_are_expanded():
    digits = data.embedded_digits()
    train, test = data.split_digits(digits, 1 / 7)
    kept = {image.tobytes() for image in train.pixels}
    assert (len(train.labels), len(test.labels)) == (1_540, 257)
    assert not any(image.tobytes() in kept for image in test.pixels)


def test_an_unmoved_warp_keeps_a_flat_image_flat_and_the_middle_in_place():
    matrix = warps.warp(0, 0, 0)
    flat = (matrix @ np.ones(64)).reshape(28, 28)
    assert np.allclose(flat[8:20, 8:20], 1, atol=1e-6)
    image = np.zeros((8, 8))
    image[3:5, 3:5] = 1
    y, x = np.average(np.indices((28, 28)).reshape(2, -1), axis=1, weights=np.clip(matrix @ image.ravel(), 0, None))
    assert (x, y) == pytest.approx((13.5, 13.5), abs=0.01)


def test_expansion_is_the_same_each_time():
    train, _ = data.split_digits(data.embedded_digits(), 1 / 7)
    first, again = data.expand(train, 3_000, 7), data.expand(train, 3_000, 7)
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels[0], first.pixels[1_540]), "a digit's second copy is moved"
    assert first.labels[0] == first.labels[1_540]


def test_digits_have_the_size_of_mnist_and_come_back_from_the_cache(cache):
    made = data.load(MNIST, "auto")
    assert (made.source, made.train_x.shape, made.test_x.shape) == ("digits", (60_000, 784), (10_000, 784))
    assert (made.train_x.dtype, made.train_y.dtype) == (np.float32, np.int64)
    assert (made.train_x.min(), made.train_x.max()) == (0, 1)
    assert len(list(cache.iterdir())) == 2
    assert np.array_equal(data.load(MNIST, "digits").train_x, made.train_x)
    for file in cache.iterdir():
        file.write_bytes(file.read_bytes()[:1_000])
    assert np.array_equal(data.load(MNIST, "digits").test_x, made.test_x), "a cache cut short is made anew"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(data.load(MNIST, "digits").train_x) == 60_000


def test_mnist_that_is_not_there_is_one_sentence(cache):
    with pytest.raises(settings.WorkloadError, match="take --data digits"):
        data.load(MNIST, "mnist")


def test_mnist_is_taken_from_kerass_cache_when_it_lies_there(cache):
    path = data.mnist_path()
    path.parent.mkdir(parents=True)
    images, labels = np.full((60_000, 28, 28), 255, np.uint8), np.ones(60_000, np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images[:10_000], y_test=labels[:10_000])
    samples = data.load(MNIST, "auto")
    assert (samples.source, samples.train_x[0, 0], samples.train_y[0]) == ("mnist", 1, 1)
    path.write_bytes(b"not a zip file")
    with pytest.raises(settings.WorkloadError, match="not Keras's MNIST file"):
        data.load(MNIST, "mnist")


def test_synthetic_images_need_neither_file_nor_cache(cache):
    samples = data.load(MNIST, "synthetic")
    assert (samples.source, samples.train_x.shape) == ("synthetic", (60_000, 784))
    assert not cache.exists()


# --- the programs


def run_lane(lane: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fwtui.workloads", "--lane", lane, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=300)


def step_losses(output: str) -> np.ndarray:
    return np.array([float(line.split()[2]) for line in output.splitlines() if line.startswith("step loss")])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("torc",), "did you mean torch?"),
        (("torch", "--workload", "mnist"), "did you mean mnist-mlp?"),
        (("torch", "--batch-size", "0"), "the batch size must be at least 1, not 0"),
        (("torch", "--workload", "regression-mlp", "--data", "mnist"), "regression-mlp has no data 'mnist'"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments, says):
    ended = run_lane(*arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_missing_framework_is_one_sentence_with_the_install_line(monkeypatch, capsys):
    from fwtui.workloads import __main__ as program

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else object())
    assert program.main(["--lane", "torch"]) == 1
    error = capsys.readouterr().err
    assert error.endswith(f"{sys.executable} -m pip install torch\n")
    assert len(error.splitlines()) == 1


@pytest.mark.frameworks
def test_all_lanes_compute_the_same_losses():
    """Through a whole epoch, its short last batch included, and into the next: 32 + 6 steps."""
    needed = {"torch": "torch", "keras": "keras", "tensorflow": "tensorflow"}
    lanes = [lane for lane, package in needed.items() if importlib.util.find_spec(package)]
    if len(lanes) < 2:
        pytest.skip("needs two frameworks")
    losses = {}
    for lane in lanes:
        ended = run_lane(lane, "--workload", "regression-mlp", "--steps", "38", "--seed", "5", "--print-losses")
        assert ended.returncode == 0, ended.stderr
        losses[lane] = step_losses(ended.stdout)
    baseline = losses[lanes[0]]
    assert len(baseline) == 38
    assert baseline[32:].mean() < baseline[:6].mean(), "it learns"
    for lane in lanes[1:]:
        # Keras keeps a float32 running mean, out of which a step's loss is taken: hence not tighter.
        np.testing.assert_allclose(losses[lane], baseline, rtol=1e-3, atol=1e-4, err_msg=lane)


@pytest.mark.frameworks
def test_the_digits_are_learnt_and_tested(cache: Path):
    pytest.importorskip("torch")
    ended = run_lane("torch", "--steps", "400", XDG_CACHE_HOME=str(cache.parent), KERAS_HOME=os.environ["KERAS_HOME"])
    assert ended.returncode == 0, ended.stderr
    accuracy = float(ended.stdout.rsplit("accuracy ", 1)[1].rstrip("%\n"))
    assert accuracy > 85

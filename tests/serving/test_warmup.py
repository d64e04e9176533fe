"""Warm-up requests: one for each signature of an exported generator, and all can be served."""

from common import registry
from common.serving import warmup
from common.serving.sampler import export_sampler
from tests.helpers.gan_runs import make_model
from tests.helpers.warmup_requests import warmup_requests

import pytest
import tensorflow as tf

CLASSES = 3


def test_zeros_fill_unknown_dimensions_with_one():
    specs = [tf.TensorSpec((None, 4, None), name="image"), tf.TensorSpec((None,), "int32", "label")]
    request = {name: tf.make_ndarray(tensor) for name, tensor in warmup.zeros(specs).items()}
    assert {name: (a.shape, a.dtype.name, a.any()) for name, a in request.items()} == {
        "image": ((1, 4, 1), "float32", False),
        "label": ((1,), "int32", False),
    }


def check_requests(folder, model, further=None):
    """Exports a model to `folder`; returns the signatures that have a request, all of which run."""
    folder = export_sampler(model, folder, "digits", 3, further=further)
    loaded = tf.saved_model.load(str(folder))
    requests = warmup_requests(folder)
    assert {name for name, _, _ in requests} == {"digits"}
    assert [signature for _, signature, _ in requests] == list(loaded.signatures)
    for _, signature, inputs in requests:
        wanted = loaded.signatures[signature].structured_input_signature[1]
        assert set(inputs) == set(wanted)
        for key, spec in wanted.items():
            assert inputs[key].dtype == spec.dtype
            assert spec.shape.is_compatible_with(inputs[key].shape)
        for output in loaded.signatures[signature](**inputs).values():
            assert len(output) == 1
    return set(loaded.signatures)


@pytest.mark.parametrize("conditional", [False, True])
def test_each_signature_has_a_request(tmp_path, conditional):
    signatures = check_requests(tmp_path, make_model(conditional=conditional))
    assert signatures >= {"serving_default", "serving_seed"}


def test_a_further_signature_has_a_request(tmp_path):
    model = make_model(conditional=True)

    def discriminate(image, label):
        return {"logit": model.discriminator([image, tf.one_hot(label, CLASSES)])}

    takes = [tf.TensorSpec((None, 8, 8, 1), name="image"), tf.TensorSpec((None,), "int32", "label")]
    assert "serving_logit" in check_requests(
        tmp_path, model, {"serving_logit": (discriminate, takes)}
    )


@pytest.mark.parametrize(
    ("name", "options", "further"),
    [
        ("acgan", {"width": 4}, {"serving_classify"}),
        ("aae", {"hidden": 8}, {"serving_encode", "serving_reconstruct"}),
        ("aae", {"hidden": 8, "supervised": True}, {"serving_encode", "serving_reconstruct"}),
    ],
)
def test_further_signatures_of_the_models_have_requests(tmp_path, name, options, further):
    task = registry.task_of(name)
    model = task.model_class(image_size=8, channels=1, classes=CLASSES, **options)
    own = {k: v for c in task.capabilities for k, v in c.signatures(model).items()}
    signatures = check_requests(tmp_path, model, own)
    assert further < signatures

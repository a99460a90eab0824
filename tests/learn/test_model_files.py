"""A model's files: whatever is changed in them, nobody reads another model out of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.domain.model import Model, all_finite
from core.learn import features
from core.learn.model_files import ModelFiles, ours
from tests.learn import tiny_models

CARD = {"log_loss": 0.61, "folds": [{"name": "1", "rows": 12}]}


@cache
def packed() -> tuple[str, dict[str, bytes]]:
    """Id and files of one model."""
    return ours().pack(tiny_models.text(trees=1), tiny_models.manifest(), CARD)


def read(files: dict[str, bytes], made: str = "") -> Model:
    """What is read of these files under this name."""
    with TemporaryDirectory() as home:
        folder = Path(home) / (made or packed()[0])
        folder.mkdir()
        for name, data in files.items():
            path = folder / name
            path.write_bytes(data)
            path.chmod(0o600)
        return ours().read(folder)


def answer(files: dict[str, bytes]) -> Model | str:
    """What is read of these files, or the sentence that refuses them."""
    try:
        return read(files)
    except BadData as refused:
        return refused.user_text


def told(model: Model) -> tuple[object, ...]:
    """Everything of a model but where it lay."""
    return model.id, model.manifest, model.text, model.card


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["model.txt", "model.json", "card.json"]), st.data())
def test_whatever_is_changed_no_other_model_is_read(name: str, data: st.DataObject):
    """A byte turned, cut out or put in anywhere: refused, or (a blank between words) the very same model."""
    made, files = packed()
    body = files[name]
    at = data.draw(st.integers(0, len(body) - 1))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=3))
    found = answer(files | {name: body[:at] + put + body[at + cut :]})
    if isinstance(found, str):
        assert found.startswith(f"The model {made} is refused: ")
        assert "\n" not in found
    else:
        assert told(found) == told(read(files))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_of_anything_are_no_manifest(data: bytes):
    """Whatever a file holds, the answer is one sentence."""
    with pytest.raises(BadData):
        read(packed()[1] | {"model.json": data})


def test_a_model_under_another_name_is_refused():
    """A folder that was renamed does not become the model a pointer names."""
    with pytest.raises(BadData, match="not what its id says"):
        read(packed()[1], "0" * 12)


def test_the_same_content_has_the_same_id_whatever_order_it_was_said_in():
    """An id says what a model is, not how a dictionary was filled."""
    params = {"b": 2, "a": 1.5}
    turned = dict(reversed(params.items()))
    ids = {ours().pack(tiny_models.text(), tiny_models.manifest(params=said), CARD)[0] for said in (params, turned)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"symbols": ()}, "names no symbol"),
        ({"features": ()}, "names no feature"),
        ({"rows": 0}, "no rows"),
        ({"first_ms": 2, "last_ms": 1}, "ends before it begins"),
        ({"family": ""}, "no family"),
        ({"quantiles": {}}, "lacks the quantiles"),
        ({"quantiles": dict.fromkeys(ours().names, (2.0, 1.0))}, "do not ascend"),
        ({"params": {"deep": [{"er": float("inf")}]}}, "not finite"),
        ({"features": (ours().names[0],) * 2}, "one twice"),
    ],
)
def test_a_manifest_that_contradicts_itself_cannot_be_built(fields: dict[str, object], why: str):
    """A trainer finds out before anything is written."""
    with pytest.raises(BadData, match=why):
        tiny_models.manifest(**fields)


def test_quantiles_of_every_feature_are_asked_for():
    """Drift of a feature without them would never be seen."""
    names = ours().names
    uneven = dict.fromkeys(names, (0.0, 1.0)) | {names[3]: (0.0, 0.5, 1.0)}
    for quantiles in (dict.fromkeys(names[1:], (0.0, 1.0)), uneven):
        with pytest.raises(BadData, match="lacks the quantiles"):
            tiny_models.manifest(quantiles=quantiles)


def test_a_number_without_end_is_found_wherever_it_lies():
    """In mappings within lists within mappings; a word is no number."""
    assert all_finite({"a": [1, (2.0, "nan")], "b": None})
    assert not all_finite({"a": [1, ({"c": float("-inf")},)]})


def test_models_are_made_for_the_features_of_this_version():
    """What the registry reads and what the live rows hold are one definition."""
    assert ours() == ModelFiles(features.MODEL_NAMES, features.version())
